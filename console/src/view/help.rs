//! Help, from the key table: the focused pane first.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use tui_input::Input;

use super::screen::Screen;
use rpc_console_core::action::{Action, Binding, Context};
use rpc_console_core::model::Model;
use rpc_console_core::text;

/// Width of the keys of a row.
const KEYS: usize = 13;

pub(super) fn help(
    model: &Model,
    filter: &Input,
    top: usize,
    screen: &mut Screen<'_, '_>,
    area: Rect,
) {
    let theme = screen.theme;
    let width = area.width.min(84);
    let popup = Rect { x: area.x + (area.width - width) / 2, width, ..area };
    screen.clear(popup);
    let title = Line::from(" Help ");
    let close = model.keys.shown(Context::Help, Action::Close);
    let note = format!(" type to filter · {close} close ");
    let right = Line::from(Span::styled(note, theme.dim()));
    let inner = screen.bordered(popup, true, title, right);
    screen.line(inner, 0, Line::from(Span::styled(" / ", theme.accent())));
    let field =
        Rect { x: inner.x + 3.min(inner.width), width: inner.width.saturating_sub(4), ..inner };
    screen.input(field, 0, filter, true);
    let lines = lines(model, filter.value(), screen, inner.width);
    let room = inner.height.saturating_sub(1);
    let top = top.min(lines.len().saturating_sub(room.into()));
    let below = lines.len().saturating_sub(top + usize::from(room));
    for (row, line) in (1..inner.height).zip(lines.into_iter().skip(top)) {
        screen.line(inner, row, line);
    }
    if below > 0 {
        let more = Line::from(Span::styled(format!(" ▼ {below} more "), theme.warning()));
        let edge = Rect { x: popup.x, width: popup.width.saturating_sub(2), ..popup };
        screen.line_right(edge, popup.height - 1, more);
    }
}

fn lines(model: &Model, filter: &str, screen: &Screen<'_, '_>, width: u16) -> Vec<Line<'static>> {
    let theme = screen.theme;
    let here = Context::of(model.focus());
    let contexts = [here, Context::Everywhere]
        .into_iter()
        .chain(Context::ALL.into_iter().filter(|c| *c != here && *c != Context::Everywhere));
    let filter = filter.trim().to_lowercase();
    let mut lines = Vec::new();
    for context in contexts {
        let fits = |row: &&Binding| row.context == context && matches(row, &filter);
        let rows: Vec<&Binding> = model.keys.rows().iter().filter(fits).collect();
        if rows.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push(Line::default());
        }
        lines.push(Line::from(Span::styled(format!(" {}", context.title()), theme.strong())));
        for row in rows {
            let keys: Vec<_> = row.keys.iter().map(|key| screen.key(*key)).collect();
            let why = rpc_console_core::selectors::unavailable(model, row.action);
            let why = why.map_or_else(String::new, |why| format!(" ({why})"));
            let keys = format!("   {} ", text::left(&keys.join(" "), KEYS));
            let room = usize::from(width).saturating_sub(KEYS + 5).max(1);
            let help = text::wrap_words(&format!("{}{why}", row.help), room).into_iter();
            // Unavailable actions are dim.
            let style = if why.is_empty() { Style::new() } else { theme.dim() };
            let keys = [keys].into_iter().chain(std::iter::repeat(" ".repeat(KEYS + 4)));
            lines.extend(keys.zip(help).map(|(keys, help)| {
                Line::from(vec![Span::styled(keys, theme.accent()), Span::styled(help, style)])
            }));
        }
    }
    if lines.is_empty() {
        lines.push(Line::from(Span::styled(" no match", theme.dim())));
    }
    lines
}

fn matches(row: &Binding, filter: &str) -> bool {
    filter.is_empty()
        || row.help.to_lowercase().contains(filter)
        || row.context.title().to_lowercase().contains(filter)
        || row.keys.iter().any(|key| key.to_string().to_lowercase() == *filter)
}
