//! Two reports side by side.

use std::time::Duration;

use serde::Serialize;

use crate::report::Report;

/// How one run differs from a previous one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether both runs used the same method, mode and connections; otherwise do not compare them.
    pub comparable: bool,
    /// Calls per second.
    pub rate: Change,
    /// Median latency, in microseconds.
    pub p50: Change,
    /// 90th percentile, in microseconds.
    pub p90: Change,
    /// 99th percentile, in microseconds.
    pub p99: Change,
    /// 99.9th percentile, in microseconds.
    pub p99_9: Change,
    /// The slowest call, in microseconds.
    pub max: Change,
    /// Failed calls per call.
    pub error_ratio: Change,
}

/// One figure, before and after.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Change {
    /// In the previous run.
    pub before: f64,
    /// In the later run.
    pub after: f64,
    /// `after / before`; `None` if `before` is zero.
    pub ratio: Option<f64>,
}

/// How `after` differs from `before`.
pub fn compare(before: &Report, after: &Report) -> Comparison {
    let figure = |of: fn(&Report) -> f64| Change::new(of(before), of(after));
    Comparison {
        comparable: before.method == after.method
            && before.mode == after.mode
            && before.connections == after.connections,
        rate: figure(|report| report.rate),
        p50: figure(|report| micros(report.latency.p50)),
        p90: figure(|report| micros(report.latency.p90)),
        p99: figure(|report| micros(report.latency.p99)),
        p99_9: figure(|report| micros(report.latency.p99_9)),
        max: figure(|report| micros(report.latency.max)),
        error_ratio: figure(|report| report.error_ratio),
    }
}

impl Change {
    fn new(before: f64, after: f64) -> Self {
        Self { before, after, ratio: (before > 0.0).then(|| after / before) }
    }
}

fn micros(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Mode;
    use crate::report::Latency;

    fn report(mode: Mode, rate: f64, p99: u64) -> Report {
        Report {
            method: "m".to_owned(),
            target: "t".to_owned(),
            mode,
            connections: 1,
            elapsed: Duration::ZERO,
            stopped: false,
            calls: 0,
            failed: 0,
            unreached: 0,
            error_ratio: 0.0,
            rate,
            retries: 0,
            abandoned: 0,
            latency: Latency { p99: Duration::from_micros(p99), ..Latency::default() },
            histogram: Vec::new(),
            errors: Vec::new(),
            instances: Vec::new(),
            series: Vec::new(),
            behind: None,
        }
    }

    #[test]
    fn a_change_has_a_ratio_unless_it_was_zero_before() {
        let mode = Mode::ClosedLoop { concurrency: 4 };
        let change = compare(&report(mode, 1000.0, 400), &report(mode, 1500.0, 100));
        assert!(change.comparable);
        assert_eq!((change.rate.ratio, change.p99.ratio), (Some(1.5), Some(0.25)));
        assert_eq!((change.p99.before, change.p99.after), (400.0, 100.0));
        assert_eq!((change.max.ratio, change.error_ratio.ratio), (None, None));
    }

    #[test]
    fn runs_of_different_kinds_are_not_comparable() {
        let closed = report(Mode::ClosedLoop { concurrency: 4 }, 1.0, 1);
        let open = report(Mode::OpenLoop { rate: 1.0, max_in_flight: 4 }, 1.0, 1);
        assert!(!compare(&closed, &open).comparable);
    }
}
