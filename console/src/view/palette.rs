//! The palette: an input line and the matching commands, methods and instances.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use rpc_console_core::selectors::palette_entries;

use super::screen::Screen;
use rpc_console_core::model::palette::{Entry, Palette};
use rpc_console_core::model::{Model, scroll};
use rpc_console_core::text;

pub(super) fn palette(model: &Model, palette: &Palette, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let found = palette_entries(model, palette);
    let width = area.width.min(76);
    let wanted = u16::try_from(found.len().max(1)).unwrap_or(u16::MAX).saturating_add(3);
    let height = wanted.min((area.height * 2 / 3).max(16)).min(area.height);
    let popup = Rect { x: area.x + (area.width - width) / 2, width, height, ..area };
    screen.clear(popup);
    let right = Line::from(Span::styled(" add 1 2 c=3 sends a call ", theme.dim()));
    let inner = screen.bordered(popup, true, Line::from(" Commands, methods, instances "), right);
    screen.line(inner, 0, Line::from(Span::styled(" : ", theme.accent())));
    let field =
        Rect { x: inner.x + 3.min(inner.width), width: inner.width.saturating_sub(4), ..inner };
    screen.input(field, 0, &palette.input, true);
    let rows =
        Rect { y: inner.y + 1.min(inner.height), height: inner.height.saturating_sub(1), ..inner };
    if found.is_empty() {
        let line = Span::styled("   no such command or method", theme.dim());
        return screen.line(rows, 0, Line::from(line));
    }
    let selected = palette.selected.min(found.len() - 1);
    let top = scroll::keep_visible(0, selected, rows.height.into(), found.len());
    for (row, (index, entry)) in
        (0..).zip(found.iter().enumerate().skip(top).take(rows.height.into()))
    {
        let keys = match entry {
            Entry::Action(_, keys, _) => keys.clone(),
            Entry::Call(..) => screen.naming_keys("⏎ send").into_owned(),
            Entry::Correct(..) => screen.naming_keys("⏎ correct").into_owned(),
            Entry::Saved(..) => "★".to_owned(),
            Entry::Environment(name) if model.saved.environment.as_ref() == Some(name) => {
                "● current".to_owned()
            }
            Entry::Method(..)
            | Entry::Instance(_)
            | Entry::Unregister(_)
            | Entry::Environment(_) => String::new(),
        };
        let room = usize::from(rows.width).saturating_sub(text::width(&keys) + 5);
        let label = text::left(&text::printable(&entry.label()), room);
        let mark = if index == selected { " ▸ " } else { "   " };
        let line = Line::from(vec![
            Span::raw(format!("{mark}{label} ")),
            Span::styled(keys, theme.accent()),
        ]);
        screen.line(rows, row, line);
        if index == selected {
            screen.style_row(rows, row, theme.selected());
        }
    }
}
