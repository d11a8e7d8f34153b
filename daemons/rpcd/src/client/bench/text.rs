//! A report as text, for people.

use std::fmt::Write as _;
use std::time::Duration;

use rpc_load::show::{grouped, percent, precise, sparkline};
use rpc_load::{Behind, Mode, Phase, Point, Progress, Report};

/// Characters of the longest bar.
const BAR: usize = 40;
/// Characters of a line over time.
const LINE: usize = 60;
/// Instances shown.
const INSTANCES: usize = 20;

/// The whole report, without a line break at its end.
pub(super) fn report(report: &Report) -> String {
    let mut out = String::new();
    let (calls, rate) = (grouped(report.calls), grouped(report.rate.round() as u64));
    let width = calls.len().max(10);
    let _ = writeln!(out, "{} at {}: {}", report.method, report.target, how(report));
    let _ = writeln!(out, "\ncalls     {calls:>width$}   {rate}/s");
    let failed = grouped(report.failed);
    let _ = writeln!(out, "failed    {failed:>width$}   {}", percent(report.error_ratio));
    for (name, count) in [("retries", report.retries), ("abandoned", report.abandoned)] {
        if count > 0 {
            let _ = writeln!(out, "{name:<9} {:>width$}", grouped(count));
        }
    }
    if let Some(behind) = &report.behind {
        late(&mut out, behind, width);
    }
    if report.histogram.iter().any(|bar| bar.count > 0) {
        latency(&mut out, report);
        over_time(&mut out, &report.series);
    }
    if !report.instances.is_empty() {
        instances(&mut out, report);
    }
    if !report.errors.is_empty() {
        errors(&mut out, report);
    }
    out.truncate(out.trim_end().len());
    out
}

/// Progress in one line, short enough for a narrow terminal.
pub(super) fn status(progress: &Progress) -> String {
    let report = &progress.report;
    let phase = match &progress.phase {
        Phase::Connecting => return "connecting".to_owned(),
        Phase::WarmingUp => return "warming up".to_owned(),
        Phase::Finishing => "waiting for calls in flight".to_owned(),
        _ => format!("{:3.0}%", progress.done * 100.0),
    };
    let last = report.series.last();
    format!(
        "{phase}  {} calls  {}/s  p99 {}  failed {}",
        grouped(report.calls),
        grouped(last.map_or(0.0, |point| point.rate).round() as u64),
        precise(report.latency.p99),
        grouped(report.failed)
    )
}

fn how(report: &Report) -> String {
    let connections = many(report.connections as u64, "connection");
    let connections = match report.instances.len() {
        0 | 1 => connections,
        several => format!("{connections} to each of {several} instances"),
    };
    let mode = match report.mode {
        Mode::OpenLoop { rate, .. } if rate.fract() == 0.0 => {
            format!("{} calls/s on {connections}", grouped(rate as u64))
        }
        Mode::OpenLoop { rate, .. } => format!("{rate} calls/s on {connections}"),
        Mode::ClosedLoop { concurrency } => {
            format!("{} at a time on {connections}", many(concurrency as u64, "call"))
        }
    };
    let stopped = if report.stopped { ", stopped early" } else { "" };
    format!("{mode}, measured for {:.2}s{stopped}", report.elapsed.as_secs_f64())
}

fn late(out: &mut String, behind: &Behind, width: usize) {
    if behind.late > 0 {
        let late = grouped(behind.late);
        let furthest = precise(behind.furthest);
        let _ = writeln!(
            out,
            "late      {late:>width$}   started more than 10 ms late, up to {furthest}"
        );
    }
    if behind.never_begun > 0 {
        let _ = writeln!(
            out,
            "unstarted {:>width$}   never started: the rate is too high; not in the latencies",
            grouped(behind.never_begun)
        );
    }
}

fn latency(out: &mut String, report: &Report) {
    let _ = writeln!(out, "\nlatency");
    let supported = |name: &str| report.calls >= calls_needed(name);
    for (name, value) in report.latency.named().into_iter().filter(|(name, _)| supported(name)) {
        let _ = writeln!(out, "  {name:<8} {:>9}", precise(value));
    }
    let most = report.histogram.iter().map(|bar| bar.count).max().unwrap_or(0).max(1);
    let _ = writeln!(out, "\n  up to       calls");
    for bar in &report.histogram {
        // Round up, so that a few calls still show.
        let length = (bar.count as f64 / most as f64 * BAR as f64).ceil() as usize;
        let (up_to, count) = (precise(bar.up_to), grouped(bar.count));
        let line = format!("  {up_to:>8} {count:>10}  {}", "█".repeat(length));
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// With fewer calls the percentile would only be the slowest call under another name.
fn calls_needed(name: &str) -> u64 {
    match name {
        "p99.9" => 1000,
        "p99.99" => 10_000,
        _ => 0,
    }
}

/// Rate and 99th percentile over time, if there is more than one point.
fn over_time(out: &mut String, series: &[Point]) {
    // The last point may be too short for a comparison.
    let longest = series.iter().map(|point| point.span).max().unwrap_or_default();
    let whole: Vec<&Point> = series.iter().filter(|point| point.span * 2 >= longest).collect();
    // Without a call there is no latency: 0 would be wrong.
    let called: Vec<&Point> = whole.iter().copied().filter(|point| point.calls > 0).collect();
    if whole.len() < 2 || called.is_empty() {
        return;
    }
    let count = |rate: f64| grouped(rate.round() as u64);
    let rates: Vec<f64> = whole.iter().map(|point| point.rate).collect();
    let p99s: Vec<f64> = called.iter().map(|point| point.p99.as_secs_f64()).collect();
    let seconds = |value| precise(Duration::from_secs_f64(value));
    let _ = writeln!(out, "\nover time");
    let _ = writeln!(out, "  calls/s  {}  {}", sparkline(&peaks(&rates)), range(&rates, count));
    let _ = writeln!(out, "  p99      {}  {}", sparkline(&peaks(&p99s)), range(&p99s, seconds));
}

fn range(values: &[f64], show: impl Fn(f64) -> String) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    let (least, most) = (show(least), show(most));
    if least == most { most } else { format!("{least} to {most}") }
}

/// At most 60 values: the highest of each group of neighbours.
fn peaks(values: &[f64]) -> Vec<f64> {
    let highest = |group: &[f64]| group.iter().copied().fold(0.0, f64::max);
    values.chunks(values.len().div_ceil(LINE).max(1)).map(highest).collect()
}

fn instances(out: &mut String, report: &Report) {
    let width = report.instances.iter().map(|share| share.address.len()).max().unwrap_or(0).max(8);
    // How many attempts failed there, of calls that count for others.
    let has_retried = report.instances.iter().any(|share| share.retried > 0);
    let heading = if has_retried { "    retried" } else { "" };
    let _ = writeln!(
        out,
        "\n{:<width$}        calls    share     failed{heading}      mean",
        "instance"
    );
    for share in report.instances.iter().take(INSTANCES) {
        let retried = format!(" {:>10}", grouped(share.retried));
        let retried = if has_retried { retried } else { String::new() };
        let _ = writeln!(
            out,
            "{:<width$} {:>12} {:>8} {:>10}{retried} {:>9}",
            share.address,
            grouped(share.calls),
            percent(share.calls as f64 / report.calls.max(1) as f64),
            grouped(share.failed),
            precise(share.mean)
        );
    }
    if let Some(more) = report.instances.len().checked_sub(INSTANCES).filter(|more| *more > 0) {
        let _ = writeln!(out, "and {}", many(more as u64, "more instance"));
    }
}

fn errors(out: &mut String, report: &Report) {
    let _ = writeln!(out, "\nerrors");
    for error in &report.errors {
        let (count, kind) = (grouped(error.count), &error.kind);
        let example = error.example.replace(['\n', '\r', '\t'], " ");
        let _ = writeln!(out, "  {count:>10}  {kind}: {example}");
    }
}

fn many(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", grouped(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_without_calls_have_no_latency() {
        let second = Duration::from_secs(1);
        let point = |at: u64, span: Duration, calls: u64| Point {
            at: Duration::from_secs(at),
            span,
            calls,
            failed: 0,
            rate: calls as f64,
            p50: Duration::ZERO,
            p99: if calls > 0 { second } else { Duration::ZERO },
        };
        let mut out = String::new();
        // All calls are in the last point, which is too short to compare.
        over_time(&mut out, &[point(0, second, 0), point(1, second, 0), point(2, second / 5, 30)]);
        assert_eq!(out, "");
        over_time(&mut out, &[point(0, second, 0), point(1, second, 30)]);
        assert!(out.contains("0 to 30") && out.trim_end().ends_with("  1.00s"), "{out}");
    }

    #[test]
    fn a_line_over_time_is_short_and_keeps_its_peaks() {
        let mut values = vec![1.0; 240];
        values[99] = 8.0;
        let line = sparkline(&peaks(&values));
        assert!(line.chars().count() <= LINE && line.contains('█'), "{line}");
    }
}
