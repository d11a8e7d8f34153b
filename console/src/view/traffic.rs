//! Traffic as text: rates, graphs and latencies, the same in every pane.

use rpc_console_core::model::traffic::{Rates, Trend};
use rpc_console_core::text;

/// A rate; zero without decimals, so that what is idle is seen at once.
pub(super) fn rate(per_second: f64) -> String {
    if per_second == 0.0 { "0".to_owned() } else { text::rate(per_second) }
}

/// The latest calls per second as bars, at most `width` of them.
pub(super) fn graph(trend: &Trend, width: usize) -> String {
    let from = trend.calls.len().saturating_sub(width);
    let latest: Vec<f64> = trend.calls.iter().skip(from).copied().collect();
    text::sparkline(&latest)
}

/// The 99th percentile of the latency; `–` before the first call.
pub(super) fn p99(rates: &Rates) -> String {
    rates.p99.map_or_else(|| "–".to_owned(), text::latency)
}

/// The traffic in one line, with all its parts and then with fewer: the first that fits is shown.
pub(super) fn variants(trend: &Trend) -> [String; 4] {
    let now = &trend.now;
    let calls = format!("{} calls/s", rate(now.calls));
    let errors = match now.errors {
        0.0 => String::new(),
        errors => format!(" · {} errors/s", text::rate(errors)),
    };
    let p99 = now.p99.map_or_else(String::new, |p99| format!(" · p99 {}", text::latency(p99)));
    let graph = graph(trend, 12);
    [
        format!("{calls} {graph}{errors} · {} in flight{p99}", now.in_flight),
        format!("{calls} {graph}{errors}{p99}"),
        format!("{calls} {graph}"),
        calls,
    ]
}
