//! A result as JSON with folding, wrapping, search and filter.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::highlight::highlight;
use crate::view::screen::Screen;
use rpc_console_core::message::Hit;
use rpc_console_core::model::calls::Call;
use rpc_console_core::model::json::{Document, Extent, Part, Scalar, decoded, scalar};
use rpc_console_core::model::{Model, Pane, scroll};
use rpc_console_core::text::{self, Needle};

/// More bytes of a string are cut before they are escaped: it may be megabytes.
const MAX_SHOWN_BYTES: usize = 4_000;

pub(super) fn document(
    model: &Model,
    screen: &mut Screen<'_, '_>,
    call: &Call,
    doc: &Document,
    area: Rect,
) {
    let theme = screen.theme;
    let area = path_row(model, screen, call, area);
    let area = search_row(model, screen, area);
    screen.record_height(Pane::Response, area.height);
    let rows = call.folding.rows(doc);
    let cursor = call.folding.row_of(call.folding.cursor);
    let top = scroll::keep_visible(call.folding.top, cursor, area.height.into(), rows);
    let digits = doc.len().to_string().len().max(2);
    let room = usize::from(area.width).saturating_sub(digits + 3);
    let content = Content { model, screen, call, doc, room, rows: area.height.into() };
    let top = content.top(top, cursor);
    let shown: Vec<_> = content.lines(top).collect();
    let focused = model.focus() == Pane::Response && model.overlay.is_none();
    let mut row = 0;
    for (index, at, pieces) in shown {
        for (part, spans) in pieces.into_iter().enumerate() {
            let number = if part == 0 { (at + 1).to_string() } else { String::new() };
            let number = format!(" {} ", text::right(&number, digits));
            let mut line = Line::from(Span::styled(number, theme.dim()));
            line.spans.extend(spans);
            screen.line(area, row, line);
            screen.hit_row(area, row, Hit::Row(Pane::Response, index));
            if focused && index == cursor {
                screen.style_row(area, row, theme.selected());
            }
            row = row.saturating_add(1);
        }
    }
}

/// The lines of a result as they fit into the pane.
struct Content<'a, 'b, 'c> {
    model: &'a Model,
    screen: &'a Screen<'b, 'c>,
    call: &'a Call,
    doc: &'a Document,
    /// Cells of a line, and rows of the pane.
    room: usize,
    rows: usize,
}

impl Content<'_, '_, '_> {
    /// Row index, line number and the spans of each screen row of the lines from `top` on.
    fn lines(&self, top: usize) -> impl Iterator<Item = (usize, usize, Vec<Vec<Span<'static>>>)> {
        let search = Some(self.model.calls.search.value()).filter(|text| !text.is_empty());
        let needle = search.map(Needle::new);
        let mut left = self.rows;
        let visible = self.call.folding.visible(self.doc, top);
        (top..).zip(visible).map_while(move |(index, at)| {
            if left == 0 {
                return None;
            }
            let mut spans = self.spans(at);
            if let Some(needle) = &needle {
                let found = |span| highlight(self.screen, span, needle);
                spans = spans.into_iter().flat_map(found).collect();
            }
            let pieces = self.fitted(spans, at);
            left = left.saturating_sub(pieces.len());
            Some((index, at, pieces))
        })
    }

    /// The spans of a line in screen rows: wrapped, or one that is cut with `…`.
    fn fitted(&self, spans: Vec<Span<'static>>, at: usize) -> Vec<Vec<Span<'static>>> {
        if !self.model.calls.wrap {
            return vec![cut(spans, self.room)];
        }
        let depth = self.doc.line(at).map_or(0, |line| line.depth);
        let mut pieces = wrap(spans, self.room, (2 * depth + 2).min(self.room / 2));
        if pieces.len() > self.rows {
            pieces.truncate(self.rows);
            if let Some(last) = pieces.last_mut() {
                last.push(Span::raw("……"));
                *last = cut(std::mem::take(last), self.room);
            }
        }
        pieces
    }

    /// The first line to show: wrapped lines above the cursor may leave it no room.
    fn top(&self, top: usize, cursor: usize) -> usize {
        if !self.model.calls.wrap {
            return top;
        }
        let mut heights: Vec<usize> = Vec::new();
        for (at, _) in (top..=cursor).zip(0..=self.rows) {
            let line = self.call.folding.line_of(at);
            heights.push(self.fitted(self.spans(line), line).len());
        }
        let mut used: usize = heights.iter().sum();
        let mut first = top;
        for height in heights {
            if used <= self.rows || first == cursor {
                break;
            }
            used -= height;
            first += 1;
        }
        first
    }

    fn spans(&self, at: usize) -> Vec<Span<'static>> {
        let (theme, doc) = (self.screen.theme, self.doc);
        let Some(line) = doc.line(at) else { return Vec::new() };
        let is_folded = self.call.folding.is_folded(at);
        let limit = MAX_SHOWN_BYTES.max(4 * self.room * self.rows);
        let shown = |text: &str| {
            let start = text::prefix(text, limit);
            let cut = if start.len() < text.len() { "…" } else { "" };
            text::printable(&decoded(start)).into_owned() + cut
        };
        let mark = match (&line.part, is_folded) {
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
            Part::Open(bracket) if is_folded => {
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
}

/// The spans cut to `room` cells; `…` marks a cut.
fn cut(spans: Vec<Span<'static>>, room: usize) -> Vec<Span<'static>> {
    if spans.iter().map(Span::width).sum::<usize>() <= room {
        return spans;
    }
    let mut left = room;
    let mut kept = Vec::new();
    for span in spans {
        let width = span.width();
        if width < left {
            left -= width;
            kept.push(span);
        } else {
            // Longer than the room in any case, so that it ends with `…`.
            let text = text::cut(&format!("{}……", span.content), left).into_owned();
            kept.push(Span::styled(text, span.style));
            break;
        }
    }
    kept
}

/// The spans in rows of `room` cells; all but the first are indented.
fn wrap(spans: Vec<Span<'static>>, room: usize, indent: usize) -> Vec<Vec<Span<'static>>> {
    let room = room.max(1);
    let mut rows = vec![Vec::new()];
    let mut left = room;
    for span in spans {
        let mut rest: &str = &span.content;
        while !rest.is_empty() {
            let piece = text::wrap_anywhere(text::prefix(rest, 4 * left.max(1)), left.max(1));
            let piece = piece.first().map_or("", String::as_str);
            if left == 0 || text::width(piece) > left {
                left = room.saturating_sub(indent).max(2);
                rows.push(vec![Span::raw(" ".repeat(indent))]);
                continue;
            }
            left -= text::width(piece);
            if let Some(last) = rows.last_mut() {
                last.push(Span::styled(piece.to_owned(), span.style));
            }
            rest = rest.get(piece.len()..).unwrap_or_default();
        }
    }
    rows
}

/// The JSONPath and what it selects, on the first row; returns the area below.
fn path_row(model: &Model, screen: &mut Screen<'_, '_>, call: &Call, area: Rect) -> Rect {
    let (note, is_error) = match &call.filtered {
        Some(filtered) => filtered.note(),
        None => (screen.naming_keys("⏎ filter").into_owned(), false),
    };
    let is_typed = model.calls.is_typing_path;
    let typed = ("&", is_typed);
    if !is_error {
        // The path is typed beside it.
        let note = text::cut(&note, usize::from(area.width) / 2).into_owned();
        return screen.input_row(model, area, Pane::Response, typed, &model.calls.path, note);
    }
    let path = &model.calls.path;
    let mut below = screen.input_row(model, area, Pane::Response, typed, path, "✗".to_owned());
    let width = usize::from(area.width).saturating_sub(4).max(1);
    for line in text::wrap_words(&text::printable(&note), width) {
        // One row is left for the result.
        if below.height < 2 {
            break;
        }
        let line = Line::from(Span::styled(format!("   {line}"), screen.theme.bad()));
        screen.line(below, 0, line);
        below = Rect { y: below.y + 1, height: below.height - 1, ..below };
    }
    below
}

/// The search and its count of matches, on the first row; returns the area below.
fn search_row(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) -> Rect {
    let is_typed = !model.calls.is_typing_path;
    let note = match model.calls.matches() {
        Some(hits) => {
            let cursor = model.calls.shown_call().map_or(0, |call| call.folding.cursor);
            let count = hits.lines.len();
            let more = if hits.more { "+" } else { "" };
            let matches = if count == 1 { "match" } else { "matches" };
            match hits.lines.binary_search(&cursor) {
                Ok(at) => format!("{} of {count}{more} {matches}", at + 1),
                Err(_) => format!("{count}{more} {matches}"),
            }
        }
        None if model.filtering => screen.naming_keys("⏎ search").into_owned(),
        None => "searching …".to_owned(),
    };
    screen.input_row(model, area, Pane::Response, ("/", is_typed), &model.calls.search, note)
}
