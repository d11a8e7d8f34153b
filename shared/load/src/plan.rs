//! What a run does.

use std::time::Duration;

use rpc_wire::call::{Args, ArgsError, IntoArgs};
use serde::Serialize;

/// What to call, how, and for how long.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The method.
    pub method: String,
    /// Its arguments, the same for every call.
    pub args: Args,
    /// Call only this address (`host:port`); `None`: as the target and its policy say.
    pub on: Option<String>,
    /// When calls start; one caller after another by default.
    pub mode: Mode,
    /// Connections to each server, 1 to 10,000; 1. Calls are spread over them. With a registry each
    /// is a client of its own that refreshes its own list.
    pub connections: usize,
    /// Threads that make the calls, at most one per connection; `None`: half the cores.
    pub threads: Option<usize>,
    /// When it ends; after 10 s.
    pub length: Length,
    /// How long calls are made before measuring starts; 1 s.
    pub warm_up: Duration,
    /// Timeout of each call; `None`: the timeout of the client's options.
    pub timeout: Option<Duration>,
    /// Whether executing a call twice does no harm: then it is retried even if it may have been executed.
    /// Methods that say so are retried like this anyway.
    pub idempotent: bool,
    /// Snapshots of the progress per second, 1 to 60; 4.
    pub snapshots_per_second: u32,
}

/// When calls start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Mode {
    /// At a fixed rate, whatever the server does (open loop). Latency counts from the scheduled
    /// start, even if the call started late because too many were in flight: a server that stalls
    /// cannot hide it by slowing its callers down (no coordinated omission).
    OpenLoop {
        /// Calls per second in total; up to 10,000,000.
        rate: f64,
        /// Maximum calls in flight, 1 to 100,000; further ones start late.
        max_in_flight: usize,
    },
    /// Each of N callers starts its next call when its previous one is done (closed loop): the
    /// highest throughput, and the latency that callers see who wait for each reply.
    ClosedLoop {
        /// Calls in flight, 1 to 100,000.
        concurrency: usize,
    },
}

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// After measuring for this time, at most a week. Calls then in flight are still waited for.
    Time(Duration),
    /// After this number of measured calls.
    Calls(u64),
}

/// What is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A value out of range.
    #[error("{what} must be {expected}")]
    Range {
        /// Which one.
        what: &'static str,
        /// The allowed values.
        expected: &'static str,
    },
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most calls per second of a plan; a higher rate is refused.
const MAX_RATE: f64 = 10_000_000.0;
/// Most calls in flight of a plan; more are refused.
const MAX_IN_FLIGHT: usize = 100_000;
/// Most connections of a plan; more are refused.
const MAX_CONNECTIONS: usize = 10_000;
/// Most calls of a plan; more are refused.
const MAX_CALLS: u64 = 1_000_000_000_000;

impl Plan {
    /// Calls `method` for 10 s, one call after another.
    ///
    /// # Errors
    /// The arguments are one bare value or cannot be written as JSON.
    pub fn new(method: impl Into<String>, args: impl IntoArgs) -> Result<Self, ArgsError> {
        Ok(Self {
            method: method.into(),
            args: args.into_args()?,
            on: None,
            mode: Mode::ClosedLoop { concurrency: 1 },
            connections: 1,
            threads: None,
            length: Length::Time(Duration::from_secs(10)),
            warm_up: Duration::from_secs(1),
            timeout: None,
            idempotent: false,
            snapshots_per_second: 4,
        })
    }

    /// Checks that every value is in range.
    ///
    /// # Errors
    /// Names the value that is not.
    pub fn check(&self) -> Result<(), PlanError> {
        let in_flight = self.mode.in_flight();
        let rate = match self.mode {
            Mode::OpenLoop { rate, .. } => rate,
            Mode::ClosedLoop { .. } => 1.0,
        };
        let length = match self.length {
            Length::Time(time) => !time.is_zero() && time <= WEEK,
            Length::Calls(calls) => (1..=MAX_CALLS).contains(&calls),
        };
        let rules = [
            ((0.001..=MAX_RATE).contains(&rate), "the rate", "from 0.001 to 10,000,000 per second"),
            ((1..=MAX_IN_FLIGHT).contains(&in_flight), "calls in flight", "from 1 to 100,000"),
            ((1..=MAX_CONNECTIONS).contains(&self.connections), "connections", "1 to 10,000"),
            (self.connections <= in_flight, "connections", "at most the calls in flight"),
            (self.threads != Some(0), "threads", "at least 1"),
            (length, "the length", "above 0, at most a week or 1,000,000,000,000 calls"),
            (self.warm_up <= WEEK, "the warm-up", "at most a week"),
            ((1..=60).contains(&self.snapshots_per_second), "snapshots per second", "1 to 60"),
        ];
        let broken = rules.into_iter().find(|(holds, ..)| !holds);
        broken.map_or(Ok(()), |(_, what, expected)| Err(PlanError::Range { what, expected }))
    }
}

impl Mode {
    /// Maximum calls in flight.
    pub fn in_flight(&self) -> usize {
        match *self {
            Self::OpenLoop { max_in_flight, .. } => max_in_flight,
            Self::ClosedLoop { concurrency } => concurrency,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(change: impl FnOnce(&mut Plan)) -> Plan {
        let mut plan = Plan::new("m", ()).unwrap();
        change(&mut plan);
        plan
    }

    #[test]
    fn an_impossible_plan_is_refused_by_name() {
        assert_eq!(plan(|_| ()).check(), Ok(()));
        let open = |rate| Mode::OpenLoop { rate, max_in_flight: 5 };
        for (change, what) in [
            (plan(|plan| plan.mode = open(0.0)), "the rate"),
            (plan(|plan| plan.mode = open(f64::NAN)), "the rate"),
            (plan(|plan| plan.mode = open(f64::INFINITY)), "the rate"),
            (plan(|plan| plan.mode = Mode::ClosedLoop { concurrency: 0 }), "calls in flight"),
            (plan(|plan| plan.connections = 2), "connections"),
            (plan(|plan| plan.connections = 0), "connections"),
            (plan(|plan| plan.threads = Some(0)), "threads"),
            (plan(|plan| plan.length = Length::Calls(0)), "the length"),
            (plan(|plan| plan.length = Length::Time(Duration::MAX)), "the length"),
            (plan(|plan| plan.warm_up = Duration::MAX), "the warm-up"),
            (plan(|plan| plan.snapshots_per_second = 0), "snapshots per second"),
        ] {
            let PlanError::Range { what: broken, .. } = change.check().unwrap_err();
            assert_eq!(broken, what);
        }
    }
}
