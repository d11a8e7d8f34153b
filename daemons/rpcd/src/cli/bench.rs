//! `rpcd bench`, as typed.

use clap::Args;
use rpc_client::Balance;
use rpc_settings::parse;

use super::{CallTime, Common, Direct, values};

pub(super) const HOW_IT_MEASURES: &str = "\
Without --rate each of --concurrency callers begins its next call when its last one is done (closed
loop): what the system can do at most. With --rate calls begin on time whatever the server does, and
their latency counts from when they were to begin (open loop): what independent users see.

An argument is JSON where it parses as JSON, else a text; key=value is a keyword argument. What
comes after -- is never a flag. Each connection makes one further call at first. Ctrl-C ends it and
reports what was measured.

Exit codes: 0 done; 1 more calls failed than --max-error-ratio allows; 2 wrong arguments; 3 nobody
could be reached.";

/// Call a method many times and measure.
#[derive(Debug, Clone, Args)]
pub struct Bench {
    /// Name of the method
    pub method: String,
    /// Arguments: 1 -2.5 true '[1, 2]' text key=value
    #[arg(allow_negative_numbers = true)]
    pub args: Vec<String>,
    /// Whom to call.
    #[command(flatten)]
    pub direct: Direct,
    /// Begin so many calls a second, whatever the server does
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,
    /// Calls under way at once, with --rate at most [default: 1 per connection, with --rate 240]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub concurrency: Option<u32>,
    /// Connections to each server [default: 1 per 240 of --concurrency]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: Option<u32>,
    /// Threads that call, one per connection at most [default: half the cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub threads: Option<u32>,
    /// Measure for this long [default: 10s]
    #[arg(long, value_name = "TIME", conflicts_with = "count")]
    pub duration: Option<CallTime>,
    /// Measure so many calls
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// Call for this long before measuring [default: 1s, with --count 0s]
    #[arg(long, value_name = "TIME")]
    pub warmup: Option<values::Pause>,
    /// Time for each call, all of it: 500ms, 10s, or seconds [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<CallTime>,
    /// random, round_robin, weighted_random or least_in_flight [default: random]
    #[arg(long, value_name = "POLICY", value_parser = parse::balance)]
    pub balance: Option<Balance>,
    /// Part of the calls that may fail, 0 to 1
    #[arg(long, value_name = "RATIO", default_value_t = 0.0, value_parser = values::ratio)]
    pub max_error_ratio: f64,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Settings and log.
    #[command(flatten)]
    pub common: Common,
}
