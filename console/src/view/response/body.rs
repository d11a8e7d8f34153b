//! The result itself: JSON that folds, an error in words, or a stream as it comes.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::message::Hit;
use crate::model::calls::{Call, Failure};
use crate::model::json::{Document, Part, Scalar, scalar};
use crate::model::{Model, Pane, scroll};
use crate::text;
use crate::view::screen::Screen;

pub(super) fn body(model: &Model, screen: &mut Screen<'_, '_>, call: &Call, area: Rect) {
    let failed = matches!(call.outcome.as_ref().map(|o| &o.result), Some(Err(_)));
    if call.request.stream && (!failed || !call.items.is_empty()) {
        return stream(screen, call, area);
    }
    match call.outcome.as_ref().map(|outcome| &outcome.result) {
        None => {
            let line = Span::styled(" waiting for the answer …", screen.theme.dim());
            screen.line(area, 0, Line::from(line));
        }
        Some(Ok(found)) => document(model, screen, call, found, area),
        Some(Err(error)) => failure(screen, error, area),
    }
}

fn document(model: &Model, screen: &mut Screen<'_, '_>, call: &Call, doc: &Document, area: Rect) {
    let theme = screen.theme;
    let visible = call.folding.visible(doc);
    let cursor = visible.partition_point(|line| *line < call.folding.cursor);
    let top = scroll::keep_visible(call.folding.top, cursor, area.height.into(), visible.len());
    let digits = doc.lines().len().to_string().len().max(2);
    let focused = model.focus() == Pane::Response && model.overlay.is_none();
    for (row, (index, at)) in
        (0..).zip(visible.iter().enumerate().skip(top).take(area.height.into()))
    {
        let mut line = Line::from(Span::styled(
            format!(" {} ", text::right(&(at + 1).to_string(), digits)),
            theme.dim(),
        ));
        line.spans.extend(spans(screen, doc, *at, call.folding.is_folded(*at)));
        screen.line(area, row, line);
        screen.hit_row(area, row, Hit::Row(Pane::Response, index));
        if focused && index == cursor {
            screen.style_row(area, row, theme.selected());
        }
    }
}

fn spans(screen: &Screen<'_, '_>, doc: &Document, at: usize, folded: bool) -> Vec<Span<'static>> {
    let theme = screen.theme;
    let Some(line) = doc.lines().get(at) else { return Vec::new() };
    // Longer lines are cut at the edge anyway; a megabyte of one string need not be looked at.
    let shown =
        |text: &str| text::printable(&text.chars().take(1_000).collect::<String>()).into_owned();
    let mark = match (&line.part, folded) {
        (Part::Open { .. }, true) => "▸ ",
        (Part::Open { .. }, false) => "▾ ",
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
        Part::Open { bracket, end, count } if folded => {
            let close = if *bracket == '{' { '}' } else { ']' };
            let what = match (*bracket, *count) {
                ('{', 1) => "key",
                ('{', _) => "keys",
                (_, 1) => "item",
                _ => "items",
            };
            spans.push(Span::raw(format!("{bracket} ")));
            spans.push(Span::styled(format!("{count} {what}"), theme.dim()));
            spans.push(Span::raw(format!(" {close}")));
            comma = doc.lines().get(*end).is_some_and(|line| line.comma);
        }
        Part::Open { bracket, .. } | Part::Close(bracket) => {
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
    let kind = format!(" ✗ {}", text::printable(&failure.kind));
    screen.line(area, 0, Line::from(Span::styled(kind, theme.bad())));
    let width = usize::from(area.width).saturating_sub(2).max(1);
    let pieces = text::pieces(&text::printable(&failure.text), width);
    for (row, piece) in (2..area.height).zip(pieces) {
        screen.line(area, row, Line::from(format!(" {piece}")));
    }
}

fn stream(screen: &mut Screen<'_, '_>, call: &Call, area: Rect) {
    let theme = screen.theme;
    let state = match call.outcome.as_ref().map(|outcome| &outcome.result) {
        None => "streaming, esc stops",
        Some(Ok(_)) => "ended",
        Some(Err(failure)) => failure.kind.as_str(),
    };
    let head = format!(" {} items, {} dropped · {state}", call.items.len(), call.dropped);
    screen.line(area, 0, Line::from(Span::styled(head, theme.dim())));
    let room = usize::from(area.height).saturating_sub(1);
    let first = call.items.len().saturating_sub(room);
    for (row, item) in (1..area.height).zip(call.items.iter().skip(first)) {
        let item = text::cut(&text::printable(item), usize::from(area.width).saturating_sub(2))
            .into_owned();
        screen.line(area, row, Line::from(format!(" {item}")));
    }
}
