//! The items of a stream, a line each.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::body::failure;
use super::highlight::highlight;
use crate::view::screen::Screen;
use rpc_console_core::action::{Action, Context};
use rpc_console_core::model::calls::Call;
use rpc_console_core::model::json::decoded;
use rpc_console_core::model::{Model, Pane};
use rpc_console_core::text::{self, Needle};

/// Rows of items that an error leaves.
const MIN_ITEMS: u16 = 2;

pub(super) fn stream(
    model: &Model,
    screen: &mut Screen<'_, '_>,
    call: &Call,
    (frame, area): (Rect, Rect),
) {
    let theme = screen.theme;
    let items = &call.items;
    let cancel = screen.key_of(model, Context::Everywhere, Action::CancelCall);
    let state = match call.outcome.as_ref().map(|outcome| &outcome.result) {
        None => format!("streaming, {cancel} stops"),
        Some(Ok(_)) => "complete".to_owned(),
        Some(Err(_)) => "failed".to_owned(),
    };
    let head = format!(" {}, {} dropped · {state}", items.counted(), items.dropped);
    screen.line(area, 0, Line::from(Span::styled(head, theme.dim())));
    let below =
        Rect { y: area.y + 1.min(area.height), height: area.height.saturating_sub(1), ..area };
    let needle = Some(model.calls.search.value()).filter(|text| !text.is_empty()).map(Needle::new);
    let below = error(screen, call, (frame, below));
    let note = match needle.as_ref().map(|needle| items.match_counts(needle)) {
        Some((Some(at), 1)) => format!("{at} of 1 match"),
        Some((Some(at), count)) => format!("{at} of {count} matches"),
        Some((None, count)) => format!("{count} matches"),
        None => String::new(),
    };
    let area = screen.filter_row(model, below, Pane::Response, &model.calls.search, note);
    if !call.has_failed() {
        screen.record_height(Pane::Response, area.height);
    }
    let (place, room) = (items.index(), usize::from(area.height));
    let first = if items.is_following() { items.len() } else { place + room / 2 + 1 };
    let first = first.min(items.len()).saturating_sub(room);
    for (row, (at, item)) in (0..area.height).zip(items.iter().enumerate().skip(first)) {
        // Cut before decoding: an item may be megabytes.
        let start = decoded(text::prefix(item, 12 * usize::from(area.width)));
        let start = text::printable(&start).into_owned();
        let item = text::cut(&start, usize::from(area.width).saturating_sub(2)).into_owned();
        let span = Span::raw(format!(" {item}"));
        let line = match &needle {
            Some(needle) => Line::from(highlight(screen, span, needle)),
            None => Line::from(span),
        };
        screen.line(area, row, line);
        if !items.is_following() && at == place {
            screen.style_row(area, row, theme.selected());
        }
    }
}

/// Draws why the stream failed at the bottom of `area`, as for any other call; returns the area above.
/// The items keep a few rows, the newest next to the error.
fn error(screen: &mut Screen<'_, '_>, call: &Call, (frame, area): (Rect, Rect)) -> Rect {
    let Some(Err(error)) = call.outcome.as_ref().map(|outcome| &outcome.result) else {
        return area;
    };
    let width = usize::from(area.width).saturating_sub(2).max(1);
    let lines = failure(screen.theme, error, width);
    let wanted = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let items = u16::try_from(call.items.len()).unwrap_or(u16::MAX).min(MIN_ITEMS);
    let height = wanted.min(area.height.saturating_sub(items));
    let block = Rect { y: area.y + area.height - height, height, ..area };
    screen.scrolled(Pane::Response, (frame, block), lines, call.failure_top);
    Rect { height: area.height - height, ..area }
}
