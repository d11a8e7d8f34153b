//! What the symbols and headings of a pane mean.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::entry;
use crate::view::Theme;
use rpc_console_core::action::Context;

type Row = (&'static str, &'static str);

const INSTANCES: &[Row] = &[
    ("● up", "its heartbeats arrive in time"),
    ("◐ late", "a heartbeat is overdue; it is gone once its TTL passes"),
    ("◐ suspect", "its TTL passed, but it still replies to the registry"),
    ("○ draining", "it takes no new calls: an operator drained it (o), or it is shutting down"),
    ("○ maint.", "an operator took it out of use; the detail says who, why and until when"),
    ("✗ gone", "it unregistered or its TTL passed; the row stays for a moment"),
    ("? was up", "the registry is unreachable: the last known state"),
    ("≠", "it lacks a method that others have, or has it with other parameters"),
    (
        "HEARTBEAT",
        "age of the last heartbeat (HB AGE where narrow); the bar is its share of the TTL",
    ),
    (
        "at HOST:PORT",
        "the registry that takes its heartbeats, its owner (HB AGE is -); where narrow the end of that",
    ),
    ("1 of 3", "the registry shares what it knows with 2 peers, which the events name"),
    ("▾ shop 3", "a service and its instances; their worst state, versions and traffic"),
    ("CALLS/S", "calls per second that it counts itself, and their course; – is unknown"),
    ("ERR/S", "calls per second that ended in an error"),
    ("P99", "99 of 100 calls of its slowest method were faster"),
    ("INFL", "calls in flight"),
    ("RTT", "round trip of the console's own probe; - is not probed"),
    ("METHODS", "number of methods (MTH where narrow); - is unknown"),
    ("SINCE", "time since it registered"),
];

const METHODS: &[Row] = &[
    ("2/3", "2 of 3 instances of the service have it; the docs list them"),
    ("3 ≠", "3 have it, and some take other arguments"),
    ("12/s", "calls per second on the instances that have it"),
    ("dim", "it is deprecated: kept only for callers that still use it"),
    ("★", "a saved request"),
];

const CALLS: &[Row] = &[
    ("✓", "a result"),
    ("✗", "an error, or no reply"),
    ("…", "in flight"),
    ("VIA", "the instance that replied"),
];

const LOGS: &[Row] = &[
    ("●", "a source whose lines arrive"),
    ("✗", "a source whose stream failed; it is retried"),
    ("○", "a source without a log stream, or a gone instance"),
];

/// The legend of a context, as far as it matches the filter; empty without symbols.
pub(super) fn lines(
    theme: Theme,
    context: Context,
    filter: &str,
    width: u16,
) -> Vec<Line<'static>> {
    let rows = match context {
        Context::Instances | Context::Detail | Context::Events => INSTANCES,
        Context::Methods | Context::Form | Context::Json => METHODS,
        Context::History | Context::Response => CALLS,
        Context::Logs => LOGS,
        _ => &[],
    };
    let is_named = "symbols and columns".contains(filter);
    let fits = |(name, text): &&Row| {
        is_named || name.to_lowercase().contains(filter) || text.to_lowercase().contains(filter)
    };
    let rows: Vec<&Row> = rows.iter().filter(fits).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![Line::from(Span::styled(" Symbols and columns", theme.strong()))];
    for (name, text) in rows {
        let name = Span::styled(*name, theme.strong());
        lines.extend(entry(name, text, Style::new(), width));
    }
    lines
}
