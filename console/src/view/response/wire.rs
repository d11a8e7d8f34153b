//! The Wire tab: every message of the call as it was sent and received.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::view::Theme;
use crate::view::screen::{Screen, fitted};
use rpc_console_core::model::calls::{Call, WireMessage};
use rpc_console_core::model::snippet::Speaks;
use rpc_console_core::model::{Model, Pane};
use rpc_console_core::selectors;
use rpc_console_core::text;

/// `frame` is the one of the pane, `area` what is inside for the messages.
pub(super) fn wire(
    model: &Model,
    screen: &mut Screen<'_, '_>,
    call: &Call,
    (frame, area): (Rect, Rect),
) {
    let width = usize::from(area.width).saturating_sub(2).max(1);
    let lines = lines(screen.theme, call, dialect(model, call), width);
    screen.scrolled(Pane::Response, (frame, area), lines, call.wire.top);
}

/// The dialect of what was sent, where it is not ours.
fn dialect(model: &Model, call: &Call) -> &'static str {
    match selectors::speaks(model, call.target()) {
        Speaks::JsonRpcAt(url) if url.starts_with("http") => ", JSON-RPC over HTTP",
        Speaks::JsonRpc | Speaks::JsonRpcAt(_) => ", JSON-RPC",
        Speaks::Ours => match call.outcome.as_ref().is_some_and(|outcome| outcome.classic) {
            true => ", classic dialect",
            false => "",
        },
    }
}

fn lines(theme: Theme, call: &Call, dialect: &str, width: usize) -> Vec<Line<'static>> {
    let dim = |text: &str| Line::from(Span::styled(format!(" {text}"), theme.dim()));
    let mut lines = Vec::new();
    for (at, message) in call.wire.iter().enumerate() {
        if at > 0 {
            lines.push(Line::default());
        }
        if at == 1 && call.wire.dropped > 0 {
            lines.push(dim(&format!("… {} older messages not kept", call.wire.dropped)));
            lines.push(Line::default());
        }
        lines.push(fitted(head(theme, dialect, message), width + 1));
        let shown = text::printable(message.text.trim_end());
        for piece in text::wrap_anywhere(&shown, width) {
            lines.push(Line::from(format!(" {piece}")));
        }
        if message.not_kept > 0 {
            lines.push(dim(&format!("… {} more, not kept", text::bytes(message.not_kept))));
        }
    }
    let note = match (call.wire.iter().last(), &call.outcome) {
        (Some(last), None) if last.is_sent => "waiting for the reply …",
        (_, None) => return lines,
        (None, Some(_)) => "nothing was sent",
        (Some(_), Some(_)) if call.wire.iter().all(|message| message.is_sent) => {
            "nothing was received"
        }
        _ => return lines,
    };
    if !lines.is_empty() {
        lines.push(Line::default());
    }
    lines.push(dim(note));
    lines
}

/// `sent 66 B to 127.0.0.1:8089, classic dialect`: the size first, which is never cut.
fn head(theme: Theme, dialect: &str, message: &WireMessage) -> Line<'static> {
    let peer = text::printable(&message.peer).into_owned();
    let size = text::bytes(message.size);
    let what = match message.is_sent {
        false => format!(" received {size} from {peer}"),
        true => format!(" sent {size} to {peer}{dialect}"),
    };
    Line::from(Span::styled(what, theme.strong()))
}
