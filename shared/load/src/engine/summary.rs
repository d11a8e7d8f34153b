//! The results so far, as a report.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::bars::bars;
use super::run::Run;
use super::series::Series;
use super::tally::{Tally, nanoseconds};
use crate::plan::{Length, Mode};
use crate::progress::{Phase, Progress};
use crate::report::{Behind, Latency, Report};

/// The progress before measuring.
pub(super) fn connecting(run: &Run) -> Progress {
    let report = report(run, &Tally::new(), &Series::new(), Duration::ZERO);
    Progress { phase: Phase::Connecting, done: 0.0, in_flight: 0, report }
}

/// The report of `tally` and `series` after measuring for `elapsed`. The caller fills in how the
/// run ended.
pub(super) fn report(run: &Run, tally: &Tally, series: &Series, elapsed: Duration) -> Report {
    let counts = &tally.counts;
    let per = |part: u64, whole: f64| if whole > 0.0 { part as f64 / whole } else { 0.0 };
    let open = matches!(run.plan.mode, Mode::OpenLoop { .. });
    Report {
        method: run.plan.method.clone(),
        target: run.plan.on.clone().unwrap_or_else(|| run.target.clone()),
        mode: run.plan.mode,
        connections: run.plan.connections,
        elapsed,
        stopped: false,
        calls: counts.calls,
        failed: counts.failed,
        unreached: counts.unreached,
        error_ratio: per(counts.failed, counts.calls as f64),
        rate: match run.plan.length {
            Length::Time(_) => per(counts.in_time, elapsed.as_secs_f64()),
            Length::Calls(_) => per(counts.calls, elapsed.as_secs_f64()),
        },
        retries: counts.retries,
        abandoned: 0,
        latency: latency(&tally.latency),
        histogram: bars(&tally.latency),
        errors: tally.errors.counts(),
        instances: tally.shares(),
        series: series.points(),
        behind: open.then_some(Behind {
            late: counts.late,
            furthest: counts.furthest_behind,
            never_begun: 0,
        }),
    }
}

fn latency(latency: &Histogram<u64>) -> Latency {
    if latency.is_empty() {
        return Latency::default();
    }
    let quantile = |q| nanoseconds(latency.value_at_quantile(q), latency);
    Latency {
        min: Duration::from_nanos(latency.min()),
        mean: Duration::from_nanos(latency.mean() as u64),
        stdev: Duration::from_nanos(latency.stdev() as u64),
        p50: quantile(0.5),
        p75: quantile(0.75),
        p90: quantile(0.9),
        p95: quantile(0.95),
        p99: quantile(0.99),
        p99_9: quantile(0.999),
        p99_99: quantile(0.9999),
        max: nanoseconds(latency.max(), latency),
    }
}
