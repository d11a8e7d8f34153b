//! The frame of a list that is filtered by typing: a popup with the filter above the entries.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use tui_input::Input;

use super::screen::Screen;

/// Draws the frame for `entries` entries and returns the area of their rows; `None` when there is
/// nothing to show, which `none` says.
pub(super) fn frame(
    screen: &mut Screen<'_, '_>,
    (area, max_width): (Rect, u16),
    (title, right): (Line<'_>, Line<'_>),
    filter: &Input,
    (entries, none): (usize, &'static str),
) -> Option<Rect> {
    let theme = screen.theme;
    let width = area.width.min(max_width);
    let wanted = u16::try_from(entries.max(1)).unwrap_or(u16::MAX).saturating_add(3);
    let height = wanted.min((area.height * 2 / 3).max(16)).min(area.height);
    let popup = Rect { x: area.x + (area.width - width) / 2, width, height, ..area };
    screen.clear(popup);
    let inner = screen.bordered(popup, true, title, right);
    let rows = filter_line(screen, inner, filter);
    if entries == 0 {
        screen.line(rows, 0, Line::from(Span::styled(format!("   {none}"), theme.dim())));
        return None;
    }
    Some(rows)
}

/// The line that is typed, at the top of `inner`; returns the room below it.
pub(super) fn filter_line(screen: &mut Screen<'_, '_>, inner: Rect, filter: &Input) -> Rect {
    screen.line(inner, 0, Line::from(Span::styled(" / ", screen.theme.accent())));
    let field =
        Rect { x: inner.x + 3.min(inner.width), width: inner.width.saturating_sub(4), ..inner };
    screen.input(field, 0, filter, true);
    Rect { y: inner.y + 1.min(inner.height), height: inner.height.saturating_sub(1), ..inner }
}
