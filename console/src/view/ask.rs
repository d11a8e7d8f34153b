//! Menus and prompts, drawn over the view.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::screen::Screen;
use rpc_console_core::model::ask::{Menu, Prompt};
use rpc_console_core::model::scroll;
use rpc_console_core::text;

/// Cells that are left of what an entry does, beside the reason why it cannot be chosen.
const MIN_DETAIL: usize = 12;

pub(super) fn menu(menu: &Menu, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let width = area.width.min(84);
    let (title, question) = heading(&menu.title, width);
    let rows = menu.items.len().max(1) + question.len();
    let wanted = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2);
    let height = wanted.min(area.height);
    let popup = Rect { x: area.x + (area.width - width) / 2, width, height, ..area };
    screen.clear(popup);
    let right = Line::from(Span::styled(screen.naming_keys(" ⏎ choose · esc close "), theme.dim()));
    let inner = screen.bordered(popup, true, Line::from(title), right);
    let inner = above(screen, inner, question);
    if menu.items.is_empty() {
        let line = Span::styled("   no actions", theme.dim());
        return screen.line(inner, 0, Line::from(line));
    }
    let shown = |label: &str| screen.naming_keys(&text::printable(label)).into_owned();
    let labels: Vec<String> = menu.items.iter().map(|item| shown(&item.label)).collect();
    let longest = labels.iter().map(|label| text::width(label)).max();
    let label_width = longest.unwrap_or(0).clamp(1, 30);
    let room = usize::from(inner.width).saturating_sub(label_width + 6);
    let selected = menu.selected.min(menu.items.len() - 1);
    let top = scroll::keep_visible(0, selected, inner.height.into(), menu.items.len());
    let items = menu.items.iter().zip(&labels).enumerate();
    for (row, (index, (item, label))) in (0..inner.height).zip(items.skip(top)) {
        let mark = if index == selected { " ▸ " } else { "   " };
        let label = text::left(label, label_width);
        let mut line = Line::from(vec![Span::raw(mark)]);
        match &item.choice {
            Ok(_) => {
                let detail = text::cut(&text::printable(&item.detail), room).into_owned();
                line.push_span(Span::styled(label, theme.accent()));
                line.push_span(Span::raw(format!("  {detail}")));
            }
            Err(why) => {
                // The reason is not cut for what it is about.
                let why = text::printable(&format!(" ({why})")).into_owned();
                let left = room.saturating_sub(text::width(&why)).max(MIN_DETAIL);
                let reason = format!("{}{why}", text::cut(&text::printable(&item.detail), left));
                let detail = text::cut(reason.trim_start(), room);
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
    let (title, question) = heading(&prompt.title, width);
    let note = screen.naming_keys(&prompt.note).into_owned();
    let note = text::wrap_words(&text::printable(&note), room(width));
    let rows = u16::try_from(question.len() + note.len().max(1)).unwrap_or(u16::MAX);
    let height = rows.saturating_add(3).min(area.height);
    let y = area.y + (area.height - height) / 3;
    let popup = Rect { x: area.x + (area.width - width) / 2, y, width, height };
    screen.clear(popup);
    let right = Line::from(Span::styled(" esc cancel ", theme.dim()));
    let inner = screen.bordered(popup, true, Line::from(title), right);
    let inner = above(screen, inner, question);
    screen.line(inner, 0, Line::from(Span::styled(" > ", theme.accent())));
    let field =
        Rect { x: inner.x + 3.min(inner.width), width: inner.width.saturating_sub(4), ..inner };
    screen.input(field, 0, &prompt.input, true);
    if prompt.is_proposal {
        let width = u16::try_from(text::width(prompt.input.value())).unwrap_or(u16::MAX);
        let selected = Rect { width: width.min(field.width), ..field };
        screen.style_row(selected, 0, theme.selected());
    }
    let style = if prompt.is_error { theme.bad() } else { theme.dim() };
    for (row, note) in (1..).zip(note) {
        screen.line(inner, row, Line::from(Span::styled(format!(" {note}"), style)));
    }
}

/// The cells for a text in a popup of this width.
fn room(width: u16) -> usize {
    usize::from(width).saturating_sub(4).max(1)
}

/// The title for the frame; one that does not fit there becomes lines inside, since the end of a
/// question says what will happen.
fn heading(title: &str, width: u16) -> (String, Vec<String>) {
    let title = text::printable(title);
    if text::width(&title) + 2 <= room(width) {
        return (format!(" {title} "), Vec::new());
    }
    (String::new(), text::wrap_words(&title, room(width)))
}

/// Draws lines at the top of `area` and returns the area below.
fn above(screen: &mut Screen<'_, '_>, area: Rect, lines: Vec<String>) -> Rect {
    let mut below = area;
    for (row, line) in (0..area.height).zip(lines) {
        screen.line(area, row, Line::from(format!(" {line}")));
        below = Rect { y: below.y + 1, height: below.height - 1, ..below };
    }
    below
}
