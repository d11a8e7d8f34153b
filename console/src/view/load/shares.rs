//! Where the calls of a load test went, and which failed.

use ratatui::text::{Line, Span};
use rpc_load::Report;

use crate::view::Theme;
use rpc_console_core::text;

/// Calls per instance, most calls first.
pub(super) fn shares(theme: Theme, report: &Report, width: u16) -> Vec<Line<'static>> {
    if report.instances.is_empty() {
        return Vec::new();
    }
    let failed = report.instances.iter().any(|share| share.failed > 0);
    let retried = width >= 52 && report.instances.iter().any(|share| share.retried > 0);
    // Without room for both, failures matter more than means.
    let mean = !failed || width >= 36;
    let columns = 9 + [failed, retried, mean].into_iter().filter(|shown| *shown).count() * 8;
    let name_width = usize::from(width).saturating_sub(columns).clamp(8, 24);
    let heading = [
        format!(" {} {:>6}", text::left("INSTANCE", name_width), "SHARE"),
        if failed { format!("{:>8}", "FAILED") } else { String::new() },
        if retried { format!("{:>8}", "RETRIED") } else { String::new() },
        if mean { format!("{:>8}", "MEAN") } else { String::new() },
    ];
    let mut lines = vec![Line::from(Span::styled(heading.concat(), theme.dim()))];
    for share in &report.instances {
        let part = share.calls as f64 / report.calls.max(1) as f64;
        // The end of an address, which distinguishes instances.
        let address = text::printable(&share.address).into_owned();
        let skip = text::width(&address).saturating_sub(name_width);
        let address: String = address.chars().skip(skip).collect();
        let mut line =
            Line::from(format!(" {} {:>6}", text::left(&address, name_width), text::percent(part)));
        if failed {
            let style = if share.failed > 0 { theme.bad() } else { theme.dim() };
            line.push_span(Span::styled(format!("{:>8}", text::grouped(share.failed)), style));
        }
        if retried {
            let style = if share.retried > 0 { theme.warning() } else { theme.dim() };
            line.push_span(Span::styled(format!("{:>8}", text::grouped(share.retried)), style));
        }
        if mean {
            line.push_span(Span::styled(format!("{:>8}", text::precise(share.mean)), theme.dim()));
        }
        lines.push(line);
    }
    lines
}

/// Errors, the most frequent kind first.
pub(super) fn errors(theme: Theme, report: &Report, width: u16) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for error in &report.errors {
        let kind = text::printable(&error.kind).into_owned();
        let count = text::grouped(error.count);
        lines.push(Line::from(vec![
            Span::styled(format!(" ✗ {count} "), theme.bad()),
            Span::styled(kind, theme.strong()),
        ]));
        let example = text::printable(&error.example);
        let room = usize::from(width).saturating_sub(4).max(1);
        let pieces = text::wrap_words(&example, room).into_iter();
        let line = |piece| Line::from(Span::styled(format!("   {piece}"), theme.dim()));
        lines.extend(pieces.map(line));
    }
    lines
}
