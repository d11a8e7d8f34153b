//! The figures of one overload, as columns.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Seen;
use crate::table::{Column, Figures};

/// The results of one run of one row. `None` where a figure does not apply. Shares of calls are of
/// those offered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overload {
    /// Calls per second the server can serve.
    pub capacity: f64,
    /// Calls per second started.
    pub offered: f64,
    /// Good calls per second, as a share of the capacity.
    pub goodput: f64,
    /// Share refused with -32002.
    pub refused: f64,
    /// Share with another error, except a passed deadline.
    pub failed: f64,
    /// Share without an answer in time.
    pub timed_out: f64,
    /// Share whose connection was closed.
    pub lost: f64,
    /// Share that timed out and was answered later: work for nobody.
    pub late: f64,
    /// Half of the good calls were faster, in milliseconds from the time they were due.
    pub good_p50_ms: Option<f64>,
    /// 99 of 100 good calls were faster.
    pub good_p99_ms: Option<f64>,
    /// 99 of 100 refusals were faster.
    pub refused_p99_ms: Option<f64>,
    /// 99 of 100 checks by `rpc.health` were faster.
    pub health_p99_ms: Option<f64>,
    /// The slowest check by `rpc.health`.
    pub health_worst_ms: Option<f64>,
    /// The same by `/healthz`.
    pub healthz_p99_ms: Option<f64>,
    /// The slowest check by `/healthz`.
    pub healthz_worst_ms: Option<f64>,
    /// Checks of both kinds that got no answer, or the wrong one.
    pub checks_failed: u64,
    /// Share of the looks at the registry's list at which the server was missing.
    pub absent: f64,
    /// The oldest the last heartbeat was, in seconds.
    pub oldest_beat_s: f64,
    /// Peak resident memory of the server, in MiB.
    pub peak_mib: f64,
    /// Milliseconds from the end of the load until calls took as long as before; `None` if they
    /// never did.
    pub normal_after_ms: Option<f64>,
    /// The longest time by which a call was started too late, in milliseconds.
    pub generator_lag_ms: f64,
    /// Processor seconds used by neither server, registry nor load during the load.
    pub foreign_cpu: f64,
    /// The first error that was not a refusal, and the first failed check.
    pub first_failures: Vec<String>,
}

impl Overload {
    pub(super) fn new(capacity: f64, seen: &Seen, peak_kib: u64) -> Self {
        let Seen { plan, outcomes, health, healthz, list, .. } = seen;
        let share = |calls: u64| number(calls) / number(outcomes.started.max(1));
        let failure = outcomes.first_failure.as_ref().map(ToString::to_string);
        let failures = [&failure, &health.first_failure, &healthz.first_failure];
        Self {
            capacity,
            offered: number(outcomes.started) / plan.seconds(),
            goodput: number(outcomes.good.len()) / plan.seconds() / capacity,
            refused: share(outcomes.refused.len()),
            failed: share(outcomes.failed),
            timed_out: share(outcomes.timed_out),
            lost: share(outcomes.lost),
            late: share(outcomes.late),
            good_p50_ms: quantile(&outcomes.good, 0.50),
            good_p99_ms: quantile(&outcomes.good, 0.99),
            refused_p99_ms: quantile(&outcomes.refused, 0.99),
            health_p99_ms: quantile(&health.latencies, 0.99),
            health_worst_ms: quantile(&health.latencies, 1.0),
            healthz_p99_ms: quantile(&healthz.latencies, 0.99),
            healthz_worst_ms: quantile(&healthz.latencies, 1.0),
            checks_failed: health.failed + healthz.failed,
            absent: number(list.absent) / number(list.looks.max(1)),
            oldest_beat_s: list.oldest_beat.as_secs_f64(),
            peak_mib: number(peak_kib) / 1024.0,
            normal_after_ms: seen.normal_after.map(milliseconds),
            generator_lag_ms: milliseconds(outcomes.lag),
            foreign_cpu: seen.foreign_cpu,
            first_failures: failures.into_iter().flatten().cloned().collect(),
        }
    }
}

/// A column that is not compared: the rows are different loads.
const fn column(
    title: &'static str,
    key: &'static str,
    decimals: usize,
    figure: fn(&Overload) -> Option<f64>,
) -> Column<Overload> {
    Column { title, key, decimals, compared: false, figure }
}

impl Figures for Overload {
    const COLUMNS: &[Column<Self>] = &[
        column("capacity/s", "capacity", 0, |run| Some(run.capacity)),
        column("offered/s", "offered", 0, |run| Some(run.offered)),
        column("goodput", "goodput", 2, |run| Some(run.goodput)),
        column("refused", "refused", 3, |run| Some(run.refused)),
        column("failed", "failed", 3, |run| Some(run.failed)),
        column("timed out", "timed_out", 3, |run| Some(run.timed_out)),
        column("lost", "lost", 3, |run| Some(run.lost)),
        column("late", "late", 3, |run| Some(run.late)),
        column("good p50 ms", "good_p50_ms", 1, |run| run.good_p50_ms),
        column("p99", "good_p99_ms", 1, |run| run.good_p99_ms),
        column("refusal p99 ms", "refused_p99_ms", 1, |run| run.refused_p99_ms),
        column("health p99 ms", "health_p99_ms", 1, |run| run.health_p99_ms),
        column("worst", "health_worst_ms", 1, |run| run.health_worst_ms),
        column("healthz p99 ms", "healthz_p99_ms", 1, |run| run.healthz_p99_ms),
        column("worst", "healthz_worst_ms", 1, |run| run.healthz_worst_ms),
        column("failed checks", "checks_failed", 0, |run| Some(number(run.checks_failed))),
        column("unlisted", "absent", 3, |run| Some(run.absent)),
        column("oldest beat s", "oldest_beat_s", 1, |run| Some(run.oldest_beat_s)),
        column("peak MiB", "peak_mib", 1, |run| Some(run.peak_mib)),
        column("normal after ms", "normal_after_ms", 0, |run| run.normal_after_ms),
        column("load lag ms", "generator_lag_ms", 1, |run| Some(run.generator_lag_ms)),
    ];

    fn foreign_cpu(&self) -> f64 {
        self.foreign_cpu
    }
}

/// In milliseconds, of latencies in microseconds; `None` if there are none.
fn quantile(latencies: &Histogram<u64>, quantile: f64) -> Option<f64> {
    (!latencies.is_empty()).then(|| number(latencies.value_at_quantile(quantile)) / 1e3)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}
