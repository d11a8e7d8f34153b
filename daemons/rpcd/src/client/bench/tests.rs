//! The report of a load test, and its exit code.

use std::time::Duration;

use rpc_load::{Bar, Behind, ErrorCount, Latency, Mode, Phase, Point, Share};

use super::*;

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn report() -> Report {
    let point = |at: u64, rate: f64, p99| Point {
        at: Duration::from_secs(at),
        span: Duration::from_secs(1),
        calls: rate as u64,
        failed: 0,
        rate,
        p50: micros(120),
        p99: micros(p99),
    };
    let share = |address: &str, calls, failed| Share {
        address: address.to_owned(),
        calls,
        failed,
        retried: failed / 4,
        mean: micros(150),
    };
    Report {
        method: "add".to_owned(),
        target: "http://127.0.0.1:9999".to_owned(),
        mode: Mode::OpenLoop { rate: 1000.0, max_in_flight: 240 },
        connections: 1,
        elapsed: Duration::from_secs(3),
        stopped: false,
        calls: 2990,
        failed: 30,
        unreached: 10,
        error_ratio: 30.0 / 2990.0,
        rate: 996.67,
        retries: 7,
        abandoned: 0,
        latency: Latency {
            min: micros(80),
            mean: micros(150),
            stdev: micros(90),
            p50: micros(120),
            p75: micros(130),
            p90: micros(180),
            p95: micros(250),
            p99: micros(900),
            p99_9: micros(4000),
            p99_99: micros(12_000),
            max: micros(12_345),
        },
        histogram: vec![
            Bar { up_to: micros(100), count: 400 },
            Bar { up_to: micros(1000), count: 2400 },
            Bar { up_to: micros(5000), count: 0 },
            Bar { up_to: micros(13_000), count: 1 },
        ],
        errors: vec![
            ErrorCount { kind: "timeout".into(), count: 20, example: "no reply\nfrom x".into() },
            ErrorCount { kind: "unreachable".into(), count: 10, example: "refused".into() },
        ],
        instances: vec![share("127.0.0.1:8089", 1500, 0), share("127.0.0.1:8090", 1490, 30)],
        series: vec![point(0, 1000.0, 800), point(1, 500.0, 1600), point(2, 1000.0, 400)],
        behind: Some(Behind { late: 12, furthest: micros(250_000), never_begun: 10 }),
    }
}

#[test]
fn a_report_shows_everything_measured() {
    insta::assert_snapshot!(text::report(&report()));
}

#[test]
fn a_report_leaves_out_what_was_not_measured() {
    let report = Report {
        mode: Mode::ClosedLoop { concurrency: 1 },
        stopped: true,
        calls: 0,
        failed: 0,
        retries: 0,
        error_ratio: 0.0,
        rate: 0.0,
        latency: Latency::default(),
        histogram: Vec::new(),
        errors: Vec::new(),
        instances: Vec::new(),
        series: Vec::new(),
        behind: None,
        ..report()
    };
    insta::assert_snapshot!(text::report(&report));
    assert_eq!(verdict(&report, 1.0).unwrap_err().exit, Exit::Failed);
}

#[test]
fn the_exit_code_depends_on_the_failure_ratio() {
    let report = report();
    assert_eq!(verdict(&report, 0.02), Ok(()));
    let failure = verdict(&report, 0.01).unwrap_err();
    assert_eq!(failure.exit, Exit::Failed);
    assert_eq!(failure.message, "1.0% of the calls failed; --max-error-ratio allows 1.0%");
    let unreachable = Report { failed: 2990, unreached: 2990, error_ratio: 1.0, ..report };
    assert_eq!(verdict(&unreachable, 1.0).unwrap_err().exit, Exit::Unreachable);
}

#[test]
fn a_line_of_progress_fits_a_narrow_terminal() {
    let mut progress =
        Progress { phase: Phase::Measuring, done: 0.5, in_flight: 3, report: report() };
    assert_eq!(text::status(&progress), " 50%  2,990 calls  1,000/s  p99 900µs  failed 30");
    progress.phase = Phase::Finishing;
    progress.report.calls = 1_000_000_000;
    progress.report.failed = 1_000_000_000;
    assert!(text::status(&progress).chars().count() < 100);
}
