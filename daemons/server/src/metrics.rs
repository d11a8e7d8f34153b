//! Counters and latencies: written without locks by sessions, read by `rpc.stats` and `/metrics`.

#[cfg(feature = "http")]
mod page;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use rpc_metrics::{Counter, Gauge};
use rpc_wire::fault::Code;
use rpc_wire::report::{MethodStats, ServerStats};

use crate::latency::{Latencies, LatencySnapshot};
#[cfg(feature = "http")]
pub(crate) use page::Facts;

/// More shards than this gain little, and each costs 2 KiB per method.
const MAX_SHARDS: usize = 8;

/// The metrics of one server.
pub(crate) struct Metrics {
    started: Instant,
    pub(crate) connections: Gauge,
    pub(crate) connections_accepted: Counter,
    pub(crate) connections_refused: Counter,
    /// Calls that got -32002.
    pub(crate) calls_refused: Counter,
    pub(crate) malformed: Counter,
    methods: Vec<MethodMetrics>,
    /// All methods that the server does not have.
    pub(crate) unknown: MethodMetrics,
    shards: usize,
    next_shard: AtomicUsize,
}

/// The metrics of one method.
pub(crate) struct MethodMetrics {
    name: String,
    pub(crate) in_flight: Gauge,
    pub(crate) unreadable_for_old_clients: Counter,
    /// Latencies of calls with a result, sharded by processor, so that connections on different
    /// processors seldom write the same memory.
    results: Box<[Latencies]>,
    /// Latencies of failed calls by the type of error; its memory is taken with its first call.
    errors: [OnceLock<Latencies>; ERROR_TYPES.len()],
}

/// The shard of the latencies that a connection writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shard(usize);

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Result,
    /// The place of the error among [`ERROR_TYPES`].
    Error(u8),
}

/// What the label `error_type` says of a failed call. Few, whatever codes methods choose.
const ERROR_TYPES: [&str; 13] = [
    "not_json",
    "malformed",
    "method_not_found",
    "bad_arguments",
    "method_failed",
    "deadline_exceeded",
    "cancelled",
    "overloaded",
    "draining",
    "unauthorised",
    "too_large",
    "abandoned",
    OTHER,
];

/// The value that OpenTelemetry's conventions have for what is not told apart: methods that the server
/// does not have, and codes of methods.
const OTHER: &str = "_OTHER";

impl From<Code> for Outcome {
    fn from(code: Code) -> Self {
        Self::Error(match code {
            Code::NotJson => 0,
            Code::Malformed => 1,
            Code::MethodNotFound => 2,
            Code::BadArguments => 3,
            Code::MethodFailed => 4,
            Code::DeadlineExceeded => 5,
            Code::Cancelled => 6,
            Code::Overloaded => 7,
            Code::Draining => 8,
            Code::Unauthorised => 9,
            Code::TooLarge => 10,
            Code::Abandoned => 11,
            Code::Other(_) => 12,
        })
    }
}

impl Metrics {
    pub(crate) fn new(method_names: impl Iterator<Item = String>, started: Instant) -> Self {
        let shards = available_parallelism().map_or(1, |n| n.get().min(MAX_SHARDS));
        Self {
            started,
            connections: Gauge::default(),
            connections_accepted: Counter::default(),
            connections_refused: Counter::default(),
            calls_refused: Counter::default(),
            malformed: Counter::default(),
            methods: method_names.map(|name| MethodMetrics::new(name, shards)).collect(),
            unknown: MethodMetrics::new(OTHER.to_owned(), 0),
            shards,
            next_shard: AtomicUsize::new(0),
        }
    }

    /// The shard for a new connection.
    pub(crate) fn shard(&self) -> Shard {
        Shard(self.next_shard.fetch_add(1, Relaxed) % self.shards)
    }

    /// The metrics of the method at that position.
    pub(crate) fn method(&self, position: usize) -> Option<&MethodMetrics> {
        self.methods.get(position)
    }

    pub(crate) fn uptime(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    pub(crate) fn snapshot(
        &self,
        now: Instant,
        in_flight: u64,
        log_lines_dropped: u64,
    ) -> ServerStats {
        let mut methods: Vec<_> = self.methods.iter().map(MethodMetrics::snapshot).collect();
        methods.sort_by(|a, b| a.name.cmp(&b.name));
        ServerStats {
            uptime_ms: u64::try_from(self.uptime(now).as_millis()).unwrap_or(u64::MAX),
            connections: self.connections.get(),
            connections_accepted: self.connections_accepted.get(),
            connections_refused: self.connections_refused.get(),
            in_flight,
            malformed: self.malformed.get(),
            log_lines_dropped,
            methods,
        }
    }
}

impl MethodMetrics {
    fn new(name: String, shards: usize) -> Self {
        Self {
            name,
            in_flight: Gauge::default(),
            unreadable_for_old_clients: Counter::default(),
            results: (0..shards).map(|_| Latencies::new()).collect(),
            errors: std::array::from_fn(|_| OnceLock::new()),
        }
    }

    /// Records `calls` completed calls of `latency` each.
    pub(crate) fn done(
        &self,
        Shard(shard): Shard,
        outcome: Outcome,
        latency: Duration,
        calls: u64,
    ) {
        let latencies = match outcome {
            Outcome::Result => self.results.get(shard),
            Outcome::Error(place) => self.latencies_of_errors(place),
        };
        if let Some(latencies) = latencies {
            latencies.record(latency, calls);
        }
    }

    #[cold]
    fn latencies_of_errors(&self, place: u8) -> Option<&Latencies> {
        Some(self.errors.get(usize::from(place))?.get_or_init(Latencies::new))
    }

    /// Latencies of calls with a result.
    fn results(&self) -> LatencySnapshot {
        self.results.iter().map(Latencies::snapshot).sum()
    }

    /// Latencies of failed calls, by the type of error.
    fn errors(&self) -> impl Iterator<Item = (&'static str, LatencySnapshot)> {
        ERROR_TYPES
            .into_iter()
            .zip(&self.errors)
            .filter_map(|(name, latencies)| Some((name, latencies.get()?.snapshot())))
    }

    fn snapshot(&self) -> MethodStats {
        // What was refused at once says nothing about the method, and would hide that it is slow.
        let failed: LatencySnapshot = self
            .errors()
            .filter(|(name, _)| !matches!(*name, "overloaded" | "draining" | "unauthorised"))
            .map(|(_, latencies)| latencies)
            .sum();
        let errors = failed.count();
        let latencies: LatencySnapshot = [self.results(), failed].into_iter().sum();
        let in_flight = self.in_flight.get();
        MethodStats {
            name: self.name.clone(),
            calls: latencies.count() + in_flight,
            errors,
            in_flight,
            unreadable_for_old_clients: self.unreadable_for_old_clients.get(),
            p50_us: latencies.quantile_us(0.50),
            p95_us: latencies.quantile_us(0.95),
            p99_us: latencies.quantile_us(0.99),
        }
    }
}
