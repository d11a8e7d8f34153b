//! The results of a run.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::plan::Mode;

/// The results of a run. In JSON, times are numbers in the unit that their name ends with: `_us` or
/// `_s`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The method that was called.
    pub method: String,
    /// The target: an address, or a registry's URL.
    pub target: String,
    /// When calls started.
    pub mode: Mode,
    /// Connections to each server.
    pub connections: usize,
    /// How long was measured, without the warm-up and the wait for the last calls.
    #[serde(rename = "elapsed_s", serialize_with = "as_seconds")]
    pub elapsed: Duration,
    /// Whether it was stopped early.
    pub stopped: bool,
    /// Measured calls that have finished.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that failed without reaching a server.
    pub unreached: u64,
    /// Failed calls per call, 0 to 1; 0 without calls.
    pub error_ratio: f64,
    /// Calls done per second of [`elapsed`](Self::elapsed).
    pub rate: f64,
    /// Attempts beyond the first, made on another instance, also of calls that failed.
    pub retries: u64,
    /// Calls in flight when it was stopped; their outcome is not known.
    pub abandoned: u64,
    /// Latency of calls that succeeded, and of calls that timed out; in an open loop from the
    /// scheduled start.
    pub latency: Latency,
    /// The latency distribution as at most 16 bars.
    pub histogram: Vec<Bar>,
    /// Failed calls by kind, the most frequent first; at most 33.
    pub errors: Vec<ErrorCount>,
    /// Calls by instance, busiest first; at most 1,001. A call that found no instance is missing.
    pub instances: Vec<Share>,
    /// Rate and latency over time; at most 240 points.
    pub series: Vec<Point>,
    /// How well the rate was kept; open loop only.
    pub behind: Option<Behind>,
}

/// Latencies with three significant digits; all zero if there were no calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[expect(missing_docs, reason = "quantiles are named by what they are")]
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
    /// Every figure with its usual name, from the fastest to the slowest; the mean last.
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

/// A bar of the distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Bar {
    /// Upper bound of its latencies; the lower one is the previous bar's.
    #[serde(rename = "up_to_us", serialize_with = "as_micros")]
    pub up_to: Duration,
    /// Number of calls.
    pub count: u64,
}

/// Failed calls of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorCount {
    /// `timeout`, `unreachable`, `connection lost`, `remote -32601`, …
    pub kind: String,
    /// Number of calls.
    pub count: u64,
    /// The message of the first one; untrusted text, cut off after 300 characters.
    pub example: String,
}

/// One instance's share of the calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Share {
    /// `host:port`, or `others`.
    pub address: String,
    /// Calls made to it.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Attempts that failed here and were made again on another instance, whose calls those are.
    pub retried: u64,
    /// The mean latency of its calls, without earlier attempts on other instances.
    #[serde(rename = "mean_us", serialize_with = "as_micros")]
    pub mean: Duration,
}

/// A period. A call belongs to the period in which it finished.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// When it started, since the start of measuring.
    #[serde(rename = "at_s", serialize_with = "as_seconds")]
    pub at: Duration,
    /// Its length: 1 s, or a power of two of them; the last one may be shorter.
    #[serde(rename = "span_s", serialize_with = "as_seconds")]
    pub span: Duration,
    /// Calls finished.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Calls finished per second.
    pub rate: f64,
    /// Half of them were faster; two significant digits.
    #[serde(rename = "p50_us", serialize_with = "as_micros")]
    pub p50: Duration,
    /// 99 of 100 were faster; two significant digits.
    #[serde(rename = "p99_us", serialize_with = "as_micros")]
    pub p99: Duration,
}

/// How well an open loop kept its rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Behind {
    /// Measured calls that started more than 10 ms late. Their latency counts from the scheduled
    /// start.
    pub late: u64,
    /// How late the latest of them started.
    #[serde(rename = "furthest_us", serialize_with = "as_micros")]
    pub furthest: Duration,
    /// Calls that were due and never started, because too many were in flight until the end. The
    /// latencies do not include them and would be worse with them.
    pub never_begun: u64,
}

fn as_micros<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_nanos() as f64 / 1000.0)
}

fn as_seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
