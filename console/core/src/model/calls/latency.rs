//! Latencies of the calls sent from this console.

use std::time::Duration;

use super::Calls;

/// Number of latest calls that quantiles are computed from.
const QUANTILE_CALLS: usize = 200;

/// Latency quantiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "names of quantiles say all there is to say")]
pub struct Quantiles {
    pub p50: Duration,
    pub p95: Duration,
    pub p99: Duration,
}

impl Calls {
    /// Latency quantiles of the last 200 successful calls, of `method` or of all; `None` below two.
    pub fn quantiles(&self, method: Option<&str>) -> Option<Quantiles> {
        let mut sorted: Vec<Duration> = self
            .list
            .iter()
            .rev()
            .filter(|call| method.is_none_or(|method| call.request.method == method))
            .filter_map(|call| call.outcome.as_ref())
            .filter(|outcome| outcome.result.is_ok())
            .map(|outcome| outcome.elapsed)
            .take(QUANTILE_CALLS)
            .collect();
        sorted.sort();
        let at = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(index).copied().unwrap_or_default()
        };
        (sorted.len() > 1).then(|| Quantiles { p50: at(50), p95: at(95), p99: at(99) })
    }

    /// Latencies in ms of the last `count` successful calls of `method`, oldest first.
    pub fn latencies(&self, method: &str, count: usize) -> Vec<f64> {
        let mut found: Vec<f64> = self
            .list
            .iter()
            .rev()
            .filter(|call| call.request.method == method)
            .filter_map(|call| call.outcome.as_ref())
            .filter(|outcome| outcome.result.is_ok())
            .map(|outcome| outcome.elapsed.as_secs_f64() * 1000.0)
            .take(count)
            .collect();
        found.reverse();
        found
    }
}
