//! The list of instances to resend a call to.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::picker;
use super::screen::Screen;
use rpc_console_core::model::resend::Resend;
use rpc_console_core::model::{Model, scroll};
use rpc_console_core::selectors::resend_targets;
use rpc_console_core::text;

pub(super) fn resend(model: &Model, choice: &Resend, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let found = resend_targets(model, choice);
    let call = model.calls.get(choice.call);
    let method = call.map(|call| text::printable(&call.request.method).into_owned());
    let title = format!(" Resend {} to ", text::cut(&method.unwrap_or_default(), 24));
    let heading = (Line::from(title), Line::default());
    let entries = (found.len(), "no match");
    let Some(rows) = picker::frame(screen, (area, 60), heading, &choice.filter, entries) else {
        return;
    };
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
