//! The Diff tab: differences from the previous result.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::view::screen::Screen;
use rpc_console_core::model::Model;
use rpc_console_core::model::calls::Call;
use rpc_console_core::model::diff::{Change, Diff, MAX_CHANGES};
use rpc_console_core::text;

pub(super) fn diff(model: &Model, screen: &mut Screen<'_, '_>, call: &Call, area: Rect) {
    let theme = screen.theme;
    let method = text::printable(&call.request.method).into_owned();
    let Some(previous) = model.calls.previous_result(call.request.id) else {
        let text = format!(" no previous result of {method}");
        return screen.line(area, 0, Line::from(Span::styled(text, theme.dim())));
    };
    let since = text::hour_minute_second(previous.wall_ms);
    let head = match &call.diff {
        None => " no result to compare".to_owned(),
        Some(Diff::Same) => format!(" no differences from {since}"),
        Some(Diff::Changes(changes)) => {
            let more = if changes.len() == MAX_CHANGES { "at least " } else { "" };
            let what = if changes.len() == 1 { "difference" } else { "differences" };
            format!(" {more}{} {what} from {since}", changes.len())
        }
        Some(Diff::TooLarge) => {
            format!(" differs from {since}; too large to compare, s saves it")
        }
    };
    screen.line(area, 0, Line::from(Span::styled(head, theme.dim())));
    let Some(Diff::Changes(changes)) = &call.diff else { return };
    let room = usize::from(area.width).saturating_sub(4);
    for (row, change) in (1..area.height).zip(changes.iter().skip(call.diff_top)) {
        screen.line(area, row, line(screen, change, room));
    }
}

/// `~ .days[1].sky  "sun" → "wind"`.
fn line(screen: &Screen<'_, '_>, change: &Change, room: usize) -> Line<'static> {
    let theme = screen.theme;
    let shown = |text: &str, room: usize| {
        text::cut(&text::printable(text::prefix(text, 4_000)), room).into_owned()
    };
    let path = if change.path.is_empty() { "(all)" } else { &change.path };
    let path = shown(path, room / 2);
    let mut rest = room.saturating_sub(text::width(&path) + 2);
    let (glyph, style) = match (&change.old, &change.new) {
        (None, _) => ("+", theme.good()),
        (_, None) => ("-", theme.bad()),
        _ => ("~", theme.warning()),
    };
    let mut spans = vec![
        Span::styled(format!(" {glyph} "), style),
        Span::styled(format!("{path}  "), theme.json_key()),
    ];
    if let Some(old) = &change.old {
        let half = if change.new.is_some() { rest.saturating_sub(3) / 2 } else { rest };
        let old = shown(old, half);
        rest = rest.saturating_sub(text::width(&old) + 3);
        spans.push(Span::styled(old, theme.bad()));
        if change.new.is_some() {
            spans.push(Span::raw(" → "));
        }
    }
    if let Some(new) = &change.new {
        spans.push(Span::styled(shown(new, rest), theme.good()));
    }
    Line::from(spans)
}
