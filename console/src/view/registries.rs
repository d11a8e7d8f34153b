//! The list of registries to switch to.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::screen::Screen;
use rpc_console_core::model::{Model, scroll};
use rpc_console_core::text;

pub(super) fn registries(model: &Model, at: usize, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let all = model.registries.all();
    let width = area.width.min(64);
    let wanted = u16::try_from(all.len()).unwrap_or(u16::MAX).saturating_add(2);
    let height = wanted.min(area.height);
    let popup = Rect { x: area.x + (area.width - width) / 2, width, height, ..area };
    screen.clear(popup);
    let inner = screen.bordered(popup, true, Line::from(" Switch registry "), Line::default());
    let names = all.iter().map(|named| text::width(&named.name)).max().unwrap_or(0).min(24);
    let top = scroll::keep_visible(0, at, inner.height.into(), all.len());
    let rows = all.iter().enumerate().skip(top).take(inner.height.into());
    for (row, (index, named)) in (0..).zip(rows) {
        let mark = if index == at { " ▸ " } else { "   " };
        let url = text::printable(&named.target.to_string()).into_owned();
        let is_current = index == model.registries.current_index();
        let line = Line::from(vec![
            Span::raw(mark),
            Span::styled(text::left(&named.name, names), theme.accent()),
            Span::raw(format!("  {url}")),
            Span::styled(if is_current { "  ● current" } else { "" }, theme.good()),
        ]);
        screen.line(inner, row, line);
        if index == at {
            screen.style_row(inner, row, theme.selected());
        }
    }
}
