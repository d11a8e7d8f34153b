//! The documentation of the method, in the empty rows below its form.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::view::Theme;
use crate::view::screen::Screen;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::model::Model;
use rpc_console_core::model::docs::{DocKind, DocLine, docs};
use rpc_console_core::model::form::Form;
use rpc_console_core::selectors::docs_of;

/// In fewer rows there is nothing to read.
const MIN_ROWS: u16 = 5;

/// Whether the documentation is shown in this many rows.
pub(super) fn fits(rows: u16) -> bool {
    rows >= MIN_ROWS
}

pub(super) fn draw(model: &Model, screen: &mut Screen<'_, '_>, form: &Form, area: Rect) {
    if !fits(area.height) {
        return;
    }
    let Some(page) = docs_of(model, &form.id()) else { return };
    let lines = docs(&page, usize::from(area.width).saturating_sub(2));
    // A call without documentation says no more than the form.
    if lines.len() < 2 {
        return;
    }
    let rule = "─".repeat(usize::from(area.width).saturating_sub(2));
    let area = Rect { y: area.y + 1, height: area.height - 1, ..area };
    screen.line(area, 0, Line::from(Span::styled(format!(" {rule}"), screen.theme.dim())));
    let room = usize::from(area.height - 1);
    let hidden = lines.len().saturating_sub(room);
    let shown = if hidden > 0 { room - 1 } else { room };
    for (row, line) in (1..).zip(lines.iter().take(shown)) {
        screen.line(area, row, doc_line(screen.theme, line));
    }
    if hidden > 0 {
        let key = screen.key_of(model, Context::Form, Action::Docs);
        let more = format!(" … {} more lines: {key}", hidden + 1);
        screen.line(area, area.height - 1, Line::from(Span::styled(more, screen.theme.accent())));
    }
}

/// A line of a documentation in its style.
pub(in crate::view) fn doc_line(theme: Theme, line: &DocLine) -> Line<'static> {
    let style = match line.kind {
        DocKind::Heading => theme.strong(),
        DocKind::Text => ratatui::style::Style::new(),
        DocKind::Name => theme.json_key(),
    };
    Line::from(Span::styled(format!(" {}", line.text), style))
}
