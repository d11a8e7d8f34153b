//! The Body tab: a result as JSON with folding, an error, or the items of a stream.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::view::screen::Screen;
use rpc_console_core::message::Hit;
use rpc_console_core::model::calls::{Call, Failure};
use rpc_console_core::model::json::{Document, Extent, Part, Scalar, scalar};
use rpc_console_core::model::{Model, Pane, scroll};
use rpc_console_core::text::{self, Needle};

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
            let cancel = Span::styled(" esc cancels", screen.theme.accent());
            screen.line(area, 1, Line::from(cancel));
        }
        Some(Ok(found)) => document(model, screen, call, found, area),
        Some(Err(error)) => failure(screen, error, area),
    }
}

fn document(model: &Model, screen: &mut Screen<'_, '_>, call: &Call, doc: &Document, area: Rect) {
    let theme = screen.theme;
    let area = search_row(model, screen, area);
    screen.record_height(Pane::Response, area.height);
    let rows = call.folding.rows(doc);
    let cursor = call.folding.row_of(call.folding.cursor);
    let top = scroll::keep_visible(call.folding.top, cursor, area.height.into(), rows);
    let digits = doc.len().to_string().len().max(2);
    let focused = model.focus() == Pane::Response && model.overlay.is_none();
    let needle = Some(model.calls.search.value()).filter(|text| !text.is_empty());
    let needle = needle.map(Needle::new);
    for (row, (index, at)) in (0..area.height).zip((top..).zip(call.folding.visible(doc, top))) {
        let mut line = Line::from(Span::styled(
            format!(" {} ", text::right(&(at + 1).to_string(), digits)),
            theme.dim(),
        ));
        let spans = spans(screen, doc, at, call.folding.is_folded(at));
        match &needle {
            Some(needle) => {
                let highlighted =
                    spans.into_iter().flat_map(|span| highlight(screen, span, needle));
                line.spans.extend(highlighted);
            }
            None => line.spans.extend(spans),
        }
        screen.line(area, row, line);
        screen.hit_row(area, row, Hit::Row(Pane::Response, index));
        if focused && index == cursor {
            screen.style_row(area, row, theme.selected());
        }
    }
}

/// The search and its count of matches, on the first row; returns the area below.
fn search_row(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) -> Rect {
    let note = match model.calls.matches() {
        Some(hits) => {
            let cursor = model.calls.shown_call().map_or(0, |call| call.folding.cursor);
            let count = hits.lines.len();
            let more = if hits.more { "+" } else { "" };
            match hits.lines.binary_search(&cursor) {
                Ok(at) => format!("{} of {count}{more} matches", at + 1),
                Err(_) => format!("{count}{more} matches"),
            }
        }
        None if model.filtering => "⏎ search".to_owned(),
        None => "searching …".to_owned(),
    };
    screen.filter_row(model, area, Pane::Response, &model.calls.search, note)
}

/// The span with matches highlighted.
pub(in crate::view) fn highlight(
    screen: &Screen<'_, '_>,
    span: Span<'static>,
    needle: &Needle,
) -> Vec<Span<'static>> {
    let mut spans = Vec::new();
    let mut rest: &str = &span.content;
    while let Some(found) = needle.find(rest) {
        let (before, from) = rest.split_at(found.start);
        let (hit, after) = from.split_at(found.len());
        if !before.is_empty() {
            spans.push(Span::styled(before.to_owned(), span.style));
        }
        spans.push(Span::styled(hit.to_owned(), screen.theme.found()));
        rest = after;
    }
    if spans.is_empty() {
        return vec![span];
    }
    spans.push(Span::styled(rest.to_owned(), span.style));
    spans
}

fn spans(screen: &Screen<'_, '_>, doc: &Document, at: usize, folded: bool) -> Vec<Span<'static>> {
    let theme = screen.theme;
    let Some(line) = doc.line(at) else { return Vec::new() };
    // Cut before escaping: a string may be megabytes, and the edge cuts it anyway.
    let shown = |text: &str| text::printable(text::prefix(text, 4_000)).into_owned();
    let mark = match (&line.part, folded) {
        (Part::Open(_), true) => "▸ ",
        (Part::Open(_), false) => "▾ ",
        _ => "  ",
    };
    let mut spans =
        vec![Span::raw("  ".repeat(line.depth.min(60))), Span::styled(mark, theme.dim())];
    if let Some(key) = &line.key {
        spans.push(Span::styled(shown(doc.slice(key)), theme.json_key()));
        spans.push(Span::raw(": "));
    }
    let mut comma = line.comma;
    match &line.part {
        Part::Scalar(range) => {
            let text = doc.slice(range);
            let style = match scalar(text) {
                Scalar::String => theme.json_string(),
                Scalar::Number => theme.json_number(),
                Scalar::Bool | Scalar::Null => theme.json_word(),
            };
            spans.push(Span::styled(shown(text), style));
        }
        Part::Empty(text) => spans.push(Span::raw(*text)),
        Part::Open(bracket) if folded => {
            let extent = doc.extent(at).unwrap_or(Extent { end: at, count: 0 });
            let close = if *bracket == '{' { '}' } else { ']' };
            let what = match (*bracket, extent.count) {
                ('{', 1) => "key",
                ('{', _) => "keys",
                (_, 1) => "item",
                _ => "items",
            };
            spans.push(Span::raw(format!("{bracket} ")));
            spans.push(Span::styled(format!("{} {what}", extent.count), theme.dim()));
            spans.push(Span::raw(format!(" {close}")));
            comma = doc.line(extent.end).is_some_and(|line| line.comma);
        }
        Part::Open(bracket) | Part::Close(bracket) => {
            spans.push(Span::raw(bracket.to_string()));
        }
    }
    if comma {
        spans.push(Span::raw(","));
    }
    spans
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
        let data = pretty.lines().flat_map(|line| text::wrap_anywhere(&text::printable(line), width));
        lines.extend(data.map(|line| Span::raw(format!(" {line}"))));
    }
    for (row, line) in (0..area.height).zip(lines) {
        screen.line(area, row, Line::from(line));
    }
}

fn stream(model: &Model, screen: &mut Screen<'_, '_>, call: &Call, area: Rect) {
    let theme = screen.theme;
    let items = &call.items;
    let state = match call.outcome.as_ref().map(|outcome| &outcome.result) {
        None => "streaming, esc stops",
        Some(Ok(_)) => "complete",
        Some(Err(failure)) => failure.kind.as_str(),
    };
    let head = format!(" {} items, {} dropped · {state}", items.len(), items.dropped);
    screen.line(area, 0, Line::from(Span::styled(head, theme.dim())));
    let below =
        Rect { y: area.y + 1.min(area.height), height: area.height.saturating_sub(1), ..area };
    let needle = Some(model.calls.search.value()).filter(|text| !text.is_empty()).map(Needle::new);
    let note = match needle.as_ref().map(|needle| items.match_counts(needle)) {
        Some((Some(at), count)) => format!("{at} of {count} matches"),
        Some((None, count)) => format!("{count} matches"),
        None => String::new(),
    };
    let area = screen.filter_row(model, below, Pane::Response, &model.calls.search, note);
    screen.record_height(Pane::Response, area.height);
    let (place, room) = (items.index(), usize::from(area.height));
    let first = if items.is_following() { items.len() } else { place + room / 2 + 1 };
    let first = first.min(items.len()).saturating_sub(room);
    for (row, (at, item)) in (0..area.height).zip(items.iter().enumerate().skip(first)) {
        // Cut before escaping: an item may be megabytes.
        let start = text::printable(text::prefix(item, 4 * usize::from(area.width))).into_owned();
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
