//! The list of instances to resend a call to.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::screen::Screen;
use rpc_console_core::model::resend::Resend;
use rpc_console_core::model::{Model, scroll};
use rpc_console_core::selectors::resend_targets;
use rpc_console_core::text;

pub(super) fn resend(model: &Model, choice: &Resend, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let found = resend_targets(model, choice);
    let call = model.calls.get(choice.call);
    let width = area.width.min(60);
    let wanted = u16::try_from(found.len().max(1)).unwrap_or(u16::MAX).saturating_add(3);
    let height = wanted.min(16).min(area.height);
    let popup = Rect { x: area.x + (area.width - width) / 2, width, height, ..area };
    screen.clear(popup);
    let method = call.map(|call| text::printable(&call.request.method).into_owned());
    let title = format!(" Resend {} to ", text::cut(&method.unwrap_or_default(), 24));
    let inner = screen.bordered(popup, true, Line::from(title), Line::default());
    screen.line(inner, 0, Line::from(Span::styled(" / ", theme.accent())));
    let field =
        Rect { x: inner.x + 3.min(inner.width), width: inner.width.saturating_sub(4), ..inner };
    screen.input(field, 0, &choice.filter, true);
    let rows =
        Rect { y: inner.y + 1.min(inner.height), height: inner.height.saturating_sub(1), ..inner };
    if found.is_empty() {
        let line = Span::styled("   no match", theme.dim());
        return screen.line(rows, 0, Line::from(line));
    }
    let selected = choice.selected.min(found.len() - 1);
    let top = scroll::keep_visible(0, selected, rows.height.into(), found.len());
    let live = model.link.is_live();
    for (row, (index, key)) in
        (0..).zip(found.iter().enumerate().skip(top).take(rows.height.into()))
    {
        let state = model.instances.get(key).map(|row| row.state_text(screen.now.at, live));
        let replied = call.and_then(|call| call.peer()) == Some(key.to_string().as_str());
        let note = if replied { "  replied" } else { "" };
        let note = format!("{}{note} ", state.unwrap_or("not registered"));
        let room = usize::from(rows.width).saturating_sub(note.len() + 4);
        let mark = if index == selected { " ▸ " } else { "   " };
        let address = text::left(&text::printable(&key.to_string()), room);
        let line = Line::from(vec![
            Span::raw(format!("{mark}{address} ")),
            Span::styled(note, theme.dim()),
        ]);
        screen.line(rows, row, line);
        if index == selected {
            screen.style_row(rows, row, theme.selected());
        }
    }
}
