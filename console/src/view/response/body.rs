//! The Body tab: a result, an error, or the items of a stream.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::document::document;
use super::stream::stream;
use crate::view::screen::Screen;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::model::Model;
use rpc_console_core::model::calls::{Call, Failure};
use rpc_console_core::model::json::Document;
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
    let width = usize::from(area.width).saturating_sub(2).max(1);
    let wrapped = |text: &str| text::wrap_words(&text::printable(text), width);
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
    for (row, line) in (0..area.height).zip(lines) {
        screen.line(area, row, Line::from(line));
    }
}
