//! The Body tab: a result, an error, or the items of a stream.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::document::document;
use super::stream::stream;
use crate::view::screen::Screen;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::model::Model;
use rpc_console_core::model::calls::{Call, Failure};
use rpc_console_core::text;

pub(super) fn body(model: &Model, screen: &mut Screen<'_, '_>, call: &Call, area: Rect) {
    let failed = matches!(call.outcome.as_ref().map(|o| &o.result), Some(Err(_)));
    if call.request.stream && (!failed || !call.items.is_empty()) {
        return stream(model, screen, call, area);
    }
    match call.outcome.as_ref().map(|outcome| &outcome.result) {
        None => {
            let text = match (call.parsing_bytes, call.received_bytes) {
                (Some(bytes), _) => format!(" parsing {} …", text::bytes(bytes)),
                (None, Some(bytes)) => format!(" {} received …", text::bytes(bytes)),
                (None, None) => " waiting for the reply …".to_owned(),
            };
            screen.line(area, 0, Line::from(Span::styled(text, screen.theme.dim())));
            let key = screen.key_of(model, Context::Everywhere, Action::CancelCall);
            let cancel = Span::styled(format!(" {key} cancels"), screen.theme.accent());
            screen.line(area, 1, Line::from(cancel));
        }
        Some(Ok(whole)) => document(model, screen, call, call.body().unwrap_or(whole), area),
        Some(Err(error)) => failure(screen, error, area),
    }
}

fn failure(screen: &mut Screen<'_, '_>, failure: &Failure, area: Rect) {
    let theme = screen.theme;
    let kind = format!(" ✗ {}", text::printable(&failure.kind));
    screen.line(area, 0, Line::from(Span::styled(kind, theme.bad())));
    let width = usize::from(area.width).saturating_sub(2).max(1);
    let pieces = text::wrap_words(&text::printable(&failure.text), width);
    for (row, piece) in (2..area.height).zip(pieces) {
        screen.line(area, row, Line::from(format!(" {piece}")));
    }
}
