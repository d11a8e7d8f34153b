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

/// The traffic in one line, with all its parts, then in shorter words, then with fewer parts: the first
/// that fits is shown.
pub(super) fn variants(trend: &Trend) -> [String; 9] {
    let now = &trend.now;
    let (calls, in_flight) = (rate(now.calls), now.in_flight);
    let errors = |words: &str| match now.errors {
        0.0 => String::new(),
        errors => format!("{}{words}", text::rate(errors)),
    };
    let p99 = now.p99.map_or_else(String::new, |p99| format!("p99 {}", text::latency(p99)));
    // Servers count it from their start: one slow call is in it for long.
    let long_p99 = now.p99.map_or_else(String::new, |_| format!("{p99} since start"));
    let graph = graph(trend, 12);
    let long = [format!("{calls} calls/s"), errors(" errors/s"), format!("{in_flight} in flight")];
    let [long_calls, long_errors, long_in_flight] = &long;
    let short = [format!("{calls}/s"), errors(" err/s"), format!("{in_flight} infl")];
    let [short_calls, short_errors, short_in_flight] = &short;
    let joined = |parts: &[&str], between: &str| {
        let parts: Vec<_> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
        parts.join(between)
    };
    let graphed = format!("{long_calls} {graph}");
    [
        joined(&[&graphed, long_errors, long_in_flight, &long_p99], " · "),
        joined(&[&graphed, long_errors, long_in_flight, &p99], " · "),
        joined(&[long_calls, long_errors, long_in_flight, &p99], " · "),
        joined(&[long_calls, short_errors, short_in_flight, &p99], " · "),
        joined(&[short_calls, short_errors, short_in_flight, &p99], " · "),
        joined(&[short_calls, short_errors, &p99], " · "),
        joined(&[short_calls, &errors(" err"), &p99], " "),
        joined(&[short_calls, &errors(" err")], " "),
        short_calls.clone(),
    ]
}

/// The variants with calls, errors and the 99th percentile.
pub(super) const WITH_P99: usize = 7;
