//! Counters and latencies: written without locks by sessions, read by `rpc.stats` and `/metrics`.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use rpc_wire::report::{MethodStats, ServerStats};

use crate::latency::{Latencies, LatencySnapshot};

/// More shards than this gain little, and each costs 2 KiB per method.
const MAX_SHARDS: usize = 8;

/// The metrics of one server.
pub(crate) struct Metrics {
    started: Instant,
    pub(crate) connections: Gauge,
    pub(crate) connections_accepted: Counter,
    pub(crate) connections_refused: Counter,
    pub(crate) malformed: Counter,
    methods: Vec<MethodMetrics>,
    shards: usize,
    next_shard: AtomicUsize,
}

/// The metrics of one method.
pub(crate) struct MethodMetrics {
    name: String,
    pub(crate) errors: Counter,
    pub(crate) in_flight: Gauge,
    pub(crate) unreadable_for_old_clients: Counter,
    /// Latencies of finished calls, sharded by processor, so that connections on different
    /// processors seldom write the same memory.
    latencies: Box<[Latencies]>,
}

/// The shard of the latencies that a connection writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shard(usize);

impl Metrics {
    pub(crate) fn new(method_names: impl Iterator<Item = String>, started: Instant) -> Self {
        let shards = available_parallelism().map_or(1, |n| n.get().min(MAX_SHARDS));
        let methods = method_names
            .map(|name| MethodMetrics {
                name,
                errors: Counter::default(),
                in_flight: Gauge::default(),
                unreadable_for_old_clients: Counter::default(),
                latencies: (0..shards).map(|_| Latencies::new()).collect(),
            })
            .collect();
        Self {
            started,
            connections: Gauge::default(),
            connections_accepted: Counter::default(),
            connections_refused: Counter::default(),
            malformed: Counter::default(),
            methods,
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
    /// Records `calls` completed calls of `latency` each.
    pub(crate) fn done(&self, Shard(shard): Shard, latency: Duration, calls: u64) {
        if let Some(latencies) = self.latencies.get(shard) {
            latencies.record(latency, calls);
        }
    }

    fn snapshot(&self) -> MethodStats {
        let latencies: LatencySnapshot = self.latencies.iter().map(Latencies::snapshot).sum();
        let in_flight = self.in_flight.get();
        MethodStats {
            name: self.name.clone(),
            calls: latencies.count() + in_flight,
            errors: self.errors.get(),
            in_flight,
            unreadable_for_old_clients: self.unreadable_for_old_clients.get(),
            p50_us: latencies.quantile_us(0.50),
            p95_us: latencies.quantile_us(0.95),
            p99_us: latencies.quantile_us(0.99),
        }
    }
}

/// A number that only goes up.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn inc(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn up(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn down(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
