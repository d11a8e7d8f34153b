//! The Body tab: a result, an error, or the items of a stream.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::document::document;
use super::stream::stream;
use crate::view::Theme;
use crate::view::screen::Screen;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::model::calls::{Call, Failure};
use rpc_console_core::model::json::Document;
use rpc_console_core::model::{Model, Pane};
use rpc_console_core::text;

/// `frame` is the one of the pane, `area` what is inside for the body.
pub(super) fn body(
    model: &Model,
    screen: &mut Screen<'_, '_>,
    call: &Call,
    (frame, area): (Rect, Rect),
) {
    if call.shows_items() {
        return stream(model, screen, call, (frame, area));
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
        Some(Err(error)) => {
            let width = usize::from(area.width).saturating_sub(2).max(1);
            let lines = failure(screen.theme, error, width);
            screen.scrolled(Pane::Response, (frame, area), lines, call.failure_top);
        }
    }
}

/// What went wrong, wrapped at `width` cells.
pub(super) fn failure(theme: Theme, failure: &Failure, width: usize) -> Vec<Line<'static>> {
    let wrapped = |text: &str| -> Vec<String> {
        text.lines().flat_map(|line| text::wrap_words(&text::printable(line), width)).collect()
    };
    let kind = wrapped(&format!("✗ {}", failure.kind));
    let mut lines: Vec<_> =
        kind.into_iter().map(|line| Span::styled(format!(" {line}"), theme.bad())).collect();
    lines.push(Span::raw(""));
    lines.extend(wrapped(&failure.text).into_iter().map(|line| Span::raw(format!(" {line}"))));
    if let Some(retryable) = failure.retryable {
        lines.push(Span::raw(""));
        let note = if retryable { "retryable: not executed" } else { "not retryable" };
        lines.push(Span::styled(format!(" {note}"), theme.dim()));
    }
    if let Some(data) = &failure.data {
        lines.push(Span::raw(""));
        lines.push(Span::styled(" data", theme.dim()));
        let mut pretty = Vec::new();
        // Writing to memory cannot fail.
        let _ = Document::of_text(data).write_pretty(&mut pretty);
        let pretty = String::from_utf8_lossy(&pretty);
        let data =
            pretty.lines().flat_map(|line| text::wrap_anywhere(&text::printable(line), width));
        lines.extend(data.map(|line| Span::raw(format!(" {line}"))));
    }
    lines.into_iter().map(Line::from).collect()
}
