//! A text over the view: a whole string, an item, a documentation.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::form::doc_line;
use super::screen::Screen;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::model::Model;
use rpc_console_core::model::reader::Reader;
use rpc_console_core::text;

pub(super) fn reader(model: &Model, reader: &Reader, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let (columns, _) = Reader::room(model.size);
    let lines = reader.lines(columns);
    let width = u16::try_from(columns + 4).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let x = area.x + (area.width - width) / 2;
    let popup = Rect { x, width, height: height.max(3).min(area.height), ..area };
    screen.clear(popup);
    let close = screen.key_of(model, Context::Reader, Action::Close);
    let right = Line::from(Span::styled(format!(" {close} close "), theme.dim()));
    let room = columns.saturating_sub(right.width() + 2);
    let title = text::cut(&text::printable(&reader.title), room).into_owned();
    let inner = screen.bordered(popup, true, Line::from(format!(" {title} ")), right);
    let top = reader.top.min(lines.len().saturating_sub(inner.height.into()));
    for (row, line) in (0..inner.height).zip(lines.iter().skip(top)) {
        screen.line(inner, row, doc_line(theme, line));
    }
    let below = lines.len().saturating_sub(top + usize::from(inner.height));
    if below > 0 {
        let more = Line::from(Span::styled(format!(" ▼ {below} more "), theme.warning()));
        let edge = Rect { width: popup.width.saturating_sub(2), ..popup };
        screen.line_right(edge, popup.height - 1, more);
    }
}
