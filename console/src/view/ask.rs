//! Menus and prompts, drawn over the view.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::screen::Screen;
use rpc_console_core::model::ask::{Menu, Prompt};
use rpc_console_core::model::scroll;
use rpc_console_core::text;

pub(super) fn menu(menu: &Menu, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let width = area.width.min(84);
    let wanted = u16::try_from(menu.items.len().max(1)).unwrap_or(u16::MAX).saturating_add(2);
    let height = wanted.min(area.height);
    let popup = Rect { x: area.x + (area.width - width) / 2, width, height, ..area };
    screen.clear(popup);
    let title = format!(" {} ", text::printable(&menu.title));
    let title = text::cut(&title, usize::from(width).saturating_sub(4)).into_owned();
    let right = Line::from(Span::styled(" ⏎ choose · esc close ", theme.dim()));
    let inner = screen.bordered(popup, true, Line::from(title), right);
    if menu.items.is_empty() {
        let line = Span::styled("   no actions", theme.dim());
        return screen.line(inner, 0, Line::from(line));
    }
    let longest = menu.items.iter().map(|item| text::width(&text::printable(&item.label))).max();
    let label_width = longest.unwrap_or(0).clamp(1, 30);
    let room = usize::from(inner.width).saturating_sub(label_width + 6);
    let selected = menu.selected.min(menu.items.len() - 1);
    let top = scroll::keep_visible(0, selected, inner.height.into(), menu.items.len());
    for (row, (index, item)) in (0..inner.height).zip(menu.items.iter().enumerate().skip(top)) {
        let mark = if index == selected { " ▸ " } else { "   " };
        let label = text::left(&text::printable(&item.label), label_width);
        let mut line = Line::from(vec![Span::raw(mark)]);
        match &item.choice {
            Ok(_) => {
                let detail = text::cut(&text::printable(&item.detail), room).into_owned();
                line.push_span(Span::styled(label, theme.accent()));
                line.push_span(Span::raw(format!("  {detail}")));
            }
            Err(why) => {
                let reason = format!("{} ({why})", item.detail);
                let detail = text::cut(&text::printable(reason.trim_start()), room).into_owned();
                line.push_span(Span::styled(format!("{label}  {detail}"), theme.dim()));
            }
        }
        screen.line(inner, row, line);
        if index == selected {
            screen.style_row(inner, row, theme.selected());
        }
    }
}

pub(super) fn prompt(prompt: &Prompt, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let width = area.width.min(76);
    let height = 4.min(area.height);
    let y = area.y + (area.height - height) / 3;
    let popup = Rect { x: area.x + (area.width - width) / 2, y, width, height };
    screen.clear(popup);
    let title = format!(" {} ", text::printable(&prompt.title));
    let title = text::cut(&title, usize::from(width).saturating_sub(4)).into_owned();
    let right = Line::from(Span::styled(" esc cancel ", theme.dim()));
    let inner = screen.bordered(popup, true, Line::from(title), right);
    screen.line(inner, 0, Line::from(Span::styled(" > ", theme.accent())));
    let field =
        Rect { x: inner.x + 3.min(inner.width), width: inner.width.saturating_sub(4), ..inner };
    screen.input(field, 0, &prompt.input, true);
    let style = if prompt.is_error { theme.bad() } else { theme.dim() };
    let note =
        text::cut(&text::printable(&prompt.note), usize::from(inner.width).saturating_sub(2))
            .into_owned();
    screen.line(inner, 1, Line::from(Span::styled(format!(" {note}"), style)));
}
