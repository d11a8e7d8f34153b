//! What was measured.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::plan::Mode;

/// What was measured. As JSON, times are numbers, and the names say in what: `_us` or `_s`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The method that was called.
    pub method: String,
    /// Whom: an address, or a registry's URL.
    pub target: String,
    /// How.
    pub mode: Mode,
    /// Connections to each server.
    pub connections: usize,
    /// The time that was measured: not the warm-up, and not the wait for the last calls.
    #[serde(rename = "elapsed_s", serialize_with = "as_seconds")]
    pub elapsed: Duration,
    /// Whether it was stopped before its time.
    pub stopped: bool,
    /// Measured calls that are done.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that failed without having reached anybody.
    pub unreached: u64,
    /// Failed calls per call, 0 to 1; 0 without calls.
    pub error_ratio: f64,
    /// Calls done per second of [`elapsed`](Self::elapsed).
    pub rate: f64,
    /// Attempts beyond the first, made on another instance.
    pub retries: u64,
    /// Calls that were under way when it was stopped: nothing is known of them.
    pub abandoned: u64,
    /// How long calls took, in an open loop from when they were to begin. Of the calls that
    /// succeeded, and of those that ran out of time with the time they had.
    pub latency: Latency,
    /// The same as at most 16 bars.
    pub histogram: Vec<Bar>,
    /// Failed calls by kind, the most frequent first; at most 33.
    pub errors: Vec<ErrorCount>,
    /// Calls by instance, the busiest first; at most 1,001. A failure that a server answered is
    /// missing here when there was more than one it could have come from.
    pub instances: Vec<Share>,
    /// What happened when; at most 240 points.
    pub series: Vec<Point>,
    /// How well the rate was kept; open loop only.
    pub behind: Option<Behind>,
}

/// How long calls took, right to three digits; all zero when there were none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[expect(missing_docs, reason = "names of quantiles say all there is to say")]
pub struct Latency {
    #[serde(rename = "min_us", serialize_with = "as_micros")]
    pub min: Duration,
    #[serde(rename = "mean_us", serialize_with = "as_micros")]
    pub mean: Duration,
    /// The standard deviation.
    #[serde(rename = "stdev_us", serialize_with = "as_micros")]
    pub stdev: Duration,
    #[serde(rename = "p50_us", serialize_with = "as_micros")]
    pub p50: Duration,
    #[serde(rename = "p75_us", serialize_with = "as_micros")]
    pub p75: Duration,
    #[serde(rename = "p90_us", serialize_with = "as_micros")]
    pub p90: Duration,
    #[serde(rename = "p95_us", serialize_with = "as_micros")]
    pub p95: Duration,
    #[serde(rename = "p99_us", serialize_with = "as_micros")]
    pub p99: Duration,
    #[serde(rename = "p99_9_us", serialize_with = "as_micros")]
    pub p99_9: Duration,
    #[serde(rename = "p99_99_us", serialize_with = "as_micros")]
    pub p99_99: Duration,
    #[serde(rename = "max_us", serialize_with = "as_micros")]
    pub max: Duration,
}

impl Latency {
    /// What people ask for, by the name they ask for it with, from the fastest to the slowest; the
    /// mean last.
    pub fn named(&self) -> [(&'static str, Duration); 10] {
        [
            ("fastest", self.min),
            ("p50", self.p50),
            ("p75", self.p75),
            ("p90", self.p90),
            ("p95", self.p95),
            ("p99", self.p99),
            ("p99.9", self.p99_9),
            ("p99.99", self.p99_99),
            ("slowest", self.max),
            ("mean", self.mean),
        ]
    }
}

/// A part of the distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bar {
    /// Its calls took no longer, and longer than the bar before says.
    #[serde(rename = "up_to_us", serialize_with = "as_micros")]
    pub up_to: Duration,
    /// How many they were.
    pub count: u64,
}

/// Failed calls of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorCount {
    /// `timeout`, `unreachable`, `connection lost`, `remote -32601`, …
    pub kind: String,
    /// How many.
    pub count: u64,
    /// What the first of them said; from a stranger, cut off after 300 characters.
    pub example: String,
}

/// One instance's part of the calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// `host:port`, or `others`.
    pub address: String,
    /// Calls it was asked for.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// How long they took on average.
    #[serde(rename = "mean_us", serialize_with = "as_micros")]
    pub mean: Duration,
}

/// A stretch of time. Calls belong to the time when they were done.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// When it began, from the beginning of the measuring.
    #[serde(rename = "at_s", serialize_with = "as_seconds")]
    pub at: Duration,
    /// How long it was: 1 s, or a power of two of them; the last one may be shorter.
    #[serde(rename = "span_s", serialize_with = "as_seconds")]
    pub span: Duration,
    /// Calls done.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Calls done per second.
    pub rate: f64,
    /// Half of them were faster; right to two digits.
    #[serde(rename = "p50_us", serialize_with = "as_micros")]
    pub p50: Duration,
    /// 99 of 100 were faster; right to two digits.
    #[serde(rename = "p99_us", serialize_with = "as_micros")]
    pub p99: Duration,
}

/// How well an open loop kept its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Behind {
    /// Measured calls that began more than 10 ms late. Their latency counts from when they were
    /// to begin.
    pub late: u64,
    /// How late the latest of them began.
    #[serde(rename = "furthest_us", serialize_with = "as_micros")]
    pub furthest: Duration,
    /// Calls that were to begin and never did: too many were under way until the end. The
    /// latencies know nothing of them and would be worse with them.
    pub never_begun: u64,
}

fn as_micros<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_nanos() as f64 / 1000.0)
}

fn as_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
