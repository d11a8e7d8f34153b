//! The heading of a service in the table of instances.

use std::time::Instant;

use ratatui::text::{Line, Span};

use super::columns::Columns;
use super::glyph_and_style;
use crate::view::screen::Screen;
use rpc_console_core::model::instances::{Group, State, TableLine};
use rpc_console_core::model::traffic::Trend;
use rpc_console_core::text;

/// Number of instances that match the filter, folded ones included.
pub(super) fn matching(lines: &[TableLine<'_>]) -> usize {
    let is_grouped = matches!(lines.first(), Some(TableLine::Service(_)));
    let count = |line: &TableLine<'_>| match line {
        TableLine::Service(group) => group.rows.len(),
        TableLine::Instance(_) => usize::from(!is_grouped),
    };
    lines.iter().map(count).sum()
}

/// The traffic of its instances.
fn traffic(group: &Group<'_>, now: Instant) -> Option<Trend> {
    let mut trends = group.rows.iter().filter_map(|row| row.traffic.total(now));
    let mut sum = trends.next()?.clone();
    trends.for_each(|trend| sum.add(trend));
    Some(sum)
}

/// ` ▾ orders 3  ◐ 1 late  1.4.0`: the service, how many instances it has, their worst state, and
/// their versions where there is room. Beside the text they would stand below another column's title.
pub(super) fn heading(
    screen: &Screen<'_, '_>,
    group: &Group<'_>,
    columns: &Columns,
    now: Instant,
    live: bool,
) -> Line<'static> {
    let theme = screen.theme;
    let mark = if group.is_folded { " ▸ " } else { " ▾ " };
    let count = format!(" {}", group.rows.len());
    let (worst, style) = match group.worst(now, live) {
        Some((State::Up, ..)) => {
            let (glyph, style) = glyph_and_style(screen, State::Up);
            (format!("  {glyph} up"), style)
        }
        Some((state, word, number)) => {
            let (glyph, style) = glyph_and_style(screen, state);
            (format!("  {glyph} {number} {word}"), style)
        }
        None => (String::new(), theme.dim()),
    };
    let used = text::width(&count) + text::width(&worst);
    let room = columns.heading_width();
    let name = text::cut(group.service.shown(), room.saturating_sub(used).max(8)).into_owned();
    let left = room.saturating_sub(text::width(&name) + used);
    let versions = versions(group, left);
    let left = left.saturating_sub(text::width(&versions));
    let mut line = Line::from(vec![
        Span::raw(mark),
        Span::styled(name, theme.strong()),
        Span::styled(count, theme.dim()),
        Span::styled(worst, style),
        Span::styled(versions, theme.dim()),
        Span::raw(" ".repeat(left)),
    ]);
    line.extend(columns.sum(screen, traffic(group, now).as_ref()));
    line
}

/// `  1.4.0, 1.5.0`, `  1.4.0, …`, or nothing: a version is never cut, it would be another version.
fn versions(group: &Group<'_>, room: usize) -> String {
    let all: Vec<_> = group.versions().into_iter().map(text::printable).collect();
    let Some(first) = all.first() else { return String::new() };
    let texts = [format!("  {}", all.join(", ")), format!("  {first}, …")];
    texts.into_iter().find(|text| text::width(text) <= room).unwrap_or_default()
}
