//! The sources of log lines: a row with their states, and the list to choose one from.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::view::picker;
use crate::view::screen::Screen;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::model::logs::SourceState;
use rpc_console_core::model::sources::Sources;
use rpc_console_core::model::{Model, scroll};
use rpc_console_core::selectors;
use rpc_console_core::text;

/// One row of sources with their states, as many as fit; returns the area below.
pub(super) fn chips(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) -> Rect {
    if area.height < 6 || model.logs.sources.is_empty() {
        return area;
    }
    let theme = screen.theme;
    let all: Vec<Vec<Span<'static>>> = model
        .logs
        .sources
        .iter()
        .map(|(source, state)| {
            let (glyph, style, word) = look(screen, state);
            let more = if matches!(state, SourceState::Live) { "" } else { word };
            let gap = if more.is_empty() { "" } else { " " };
            let name = format!(" {}{gap}{more}   ", source.name());
            vec![Span::styled(glyph, style), Span::styled(name, theme.dim())]
        })
        .collect();
    let width = |chip: &[Span<'_>]| chip.iter().map(Span::width).sum::<usize>();
    let room = usize::from(area.width).saturating_sub(1);
    let is_all = all.iter().map(|chip| width(chip)).sum::<usize>() <= room + 3;
    let key = model.keys.shown(Context::Logs, Action::Sources);
    let rest = |count: usize| format!("… {count} more ({key})");
    let mut left =
        if is_all { room + 3 } else { room.saturating_sub(text::width(&rest(all.len()))) };
    let (mut line, mut hidden) = (Line::from(" "), 0);
    for chip in all {
        if hidden > 0 || width(&chip) > left {
            hidden += 1;
        } else {
            left -= width(&chip);
            line.extend(chip);
        }
    }
    if hidden > 0 {
        line.push_span(Span::styled(rest(hidden), theme.accent()));
    }
    screen.line(area, 0, line);
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}

/// Glyph, style and word of a state.
fn look(screen: &Screen<'_, '_>, state: &SourceState) -> (&'static str, Style, &'static str) {
    let theme = screen.theme;
    match state {
        SourceState::Live => ("●", theme.good(), "streaming"),
        SourceState::Lost(_) => ("✗", theme.bad(), "lost"),
        SourceState::Refused(_) => ("✗", theme.warning(), "not allowed"),
        SourceState::Unsupported => ("○", theme.dim(), "no log stream"),
        SourceState::Gone => ("○", theme.dim(), "gone"),
    }
}

/// The list of sources, with a filter.
pub(in crate::view) fn picker(
    model: &Model,
    choice: &Sources,
    screen: &mut Screen<'_, '_>,
    area: Rect,
) {
    let theme = screen.theme;
    let found = selectors::sources(model, choice);
    let right = Line::from(Span::styled(" type to filter ", theme.dim()));
    let heading = (Line::from(" Show the logs of "), right);
    let entries = (found.len(), "no source matches");
    let Some(rows) = picker::frame(screen, (area, 76), heading, &choice.filter, entries) else {
        return;
    };
    let names = found.iter().flatten().map(|source| text::width(&source.name()));
    let name_width = names.max().unwrap_or(0).clamp(11, 40);
    let selected = choice.selected.min(found.len() - 1);
    let top = scroll::keep_visible(0, selected, rows.height.into(), found.len());
    let shown = found.iter().enumerate().skip(top).take(rows.height.into());
    for (row, (index, source)) in (0..).zip(shown) {
        let mark = if index == selected { " ▸ " } else { "   " };
        let name = source.as_ref().map_or_else(|| "all sources".to_owned(), |source| source.name());
        let mut line = Line::from(format!("{mark}{}  ", text::left(&name, name_width)));
        if let Some(state) = source.as_ref().and_then(|source| model.logs.sources.get(source)) {
            let (glyph, style, word) = look(screen, state);
            let why = match state {
                SourceState::Lost(why) | SourceState::Refused(why) => {
                    format!("{word}: {}", text::printable(why))
                }
                _ => word.to_owned(),
            };
            let room = usize::from(rows.width).saturating_sub(line.width() + 3);
            line.push_span(Span::styled(format!("{glyph} "), style));
            line.push_span(Span::styled(text::cut(&why, room).into_owned(), theme.dim()));
        }
        screen.line(rows, row, line);
        if index == selected {
            screen.style_row(rows, row, theme.selected());
        }
    }
}
