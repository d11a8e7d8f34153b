//! What `rpcd bench` does.

use std::time::Duration;

use rpc_client::{ClientOptions, Target};
use rpc_load::{Length, Mode, Plan};
use rpc_settings::Settings;
use rpc_wire::call::Args;

use super::{Described, data, options, target};
use crate::arguments::Arguments;
use crate::cli;
use crate::failure::Failure;

/// A load test.
#[derive(Debug)]
pub struct BenchPlan {
    /// The target.
    pub target: Target,
    /// The client's options.
    pub options: ClientOptions,
    /// The methods of the one server, where an OpenRPC document says them.
    pub described: Option<Described>,
    /// The calls, their rate and their number; the arguments are read later.
    pub load: Plan,
    /// Their arguments.
    pub arguments: Arguments,
    /// The allowed failure ratio.
    pub max_error_ratio: f64,
    /// Whether to load whatever the method does.
    pub yes: bool,
    /// Whether to print the report as JSON.
    pub json: bool,
}

impl BenchPlan {
    pub(super) fn new(typed: cli::Bench, settings: &Settings) -> Result<Self, Failure> {
        let mut options = options::client(settings, &typed.asking);
        if let Some(balance) = typed.balance {
            options.balance = balance;
        }
        let number = |typed: u32| usize::try_from(typed).unwrap_or(usize::MAX);
        // Further calls would wait inside the client, where nothing is measured.
        let per_connection = options.max_in_flight.max(1);
        let concurrency = typed.concurrency.map(number);
        let connections = typed
            .connections
            .map_or_else(|| concurrency.unwrap_or(1).div_ceil(per_connection), number);
        let arguments = data::arguments(&typed.given, options.timeout)?;
        let load = Plan {
            mode: match typed.rate {
                Some(rate) => Mode::OpenLoop {
                    rate,
                    max_in_flight: concurrency.unwrap_or(connections * per_connection),
                },
                None => Mode::ClosedLoop { concurrency: concurrency.unwrap_or(connections) },
            },
            connections,
            threads: typed.threads.map(number),
            idempotent: typed.idempotent,
            length: match (typed.count, typed.duration) {
                (Some(count), _) => Length::Calls(count),
                (None, time) => Length::Time(time.map_or(Duration::from_secs(10), |time| time.0)),
            },
            warm_up: match (typed.warmup, typed.count) {
                (Some(time), _) => time.0,
                (None, Some(_)) => Duration::ZERO,
                (None, None) => Duration::from_secs(1),
            },
            ..Plan::new(typed.given.method, Args::none())
                .map_err(|error| Failure::usage(error.to_string()))?
        };
        load.check().map_err(|error| Failure::usage(format!("{error}; see rpcd bench --help")))?;
        let target = target::of_call(&typed.asking, settings)?;
        Ok(Self {
            described: Described::read(&typed.described, &target, &options)?,
            target,
            options,
            load,
            arguments,
            max_error_ratio: typed.max_error_ratio,
            yes: typed.yes,
            json: typed.asking.json,
        })
    }
}
