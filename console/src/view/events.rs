//! Events, newest first.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::screen::Screen;
use rpc_console_core::model::events::EventKind;
use rpc_console_core::model::{Model, Pane};
use rpc_console_core::text;

/// Widest subject; a longer one is cut.
const SUBJECT: usize = 22;
/// Least cells of a text beside its subject.
const MIN_TEXT: usize = 20;
/// Indentation of a text below its subject.
const INDENT: usize = 11;

pub(super) fn events(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let hidden = model.events.top;
    let right = match hidden {
        0 => Line::default(),
        n => Line::from(Span::styled(format!(" ▲ {n} newer "), theme.warning())),
    };
    let inner = screen.pane(model, area, Pane::Events, Line::from(" Events "), right);
    screen.record_height(Pane::Events, inner.height);
    if model.events.is_empty() {
        let quiet = "no events yet: instances that register, become late or go appear here";
        let width = usize::from(inner.width).saturating_sub(2).max(1);
        for (row, piece) in (0..inner.height).zip(text::wrap_words(quiet, width)) {
            let piece = Span::styled(format!(" {piece}"), theme.dim());
            screen.line(inner, row, Line::from(piece));
        }
    }
    let visible = model.events.newest_first().skip(hidden).take(usize::from(inner.height));
    let subject = visible.map(|event| text::width(&event.subject)).max().unwrap_or(0).min(SUBJECT);
    let shown = model.events.newest_first().skip(hidden).take(usize::from(inner.height));
    let mut row = 0;
    for event in shown {
        let (glyph, style) = match event.kind {
            EventKind::Good => ("●", theme.good()),
            EventKind::Warning => ("◐", theme.warning()),
            EventKind::Bad => ("✗", theme.bad()),
            EventKind::Neutral => ("○", theme.dim()),
        };
        let glyph =
            if event.word == "registry" && event.kind == EventKind::Good { "↻" } else { glyph };
        let mut line = Line::from(vec![
            Span::styled(format!(" {}  ", text::hour_minute_second(event.wall_ms)), theme.dim()),
            Span::styled(format!("{glyph} {}", text::left(event.word, 10)), style),
            Span::raw(format!("{}  ", text::left(&text::suffix(&event.subject, subject), subject))),
        ]);
        let mut used = line.width();
        let mut room = usize::from(inner.width).saturating_sub(used);
        // Without room beside it, the text goes below.
        if room < MIN_TEXT {
            screen.line(inner, row, line);
            row += 1;
            (line, used) = (Line::from(" ".repeat(INDENT)), INDENT);
            room = usize::from(inner.width).saturating_sub(INDENT);
        }
        let mut pieces = match model.events.wrap {
            true => text::wrap_words(&event.text, room.max(1)),
            false => vec![text::cut(&event.text, room).into_owned()],
        }
        .into_iter();
        line.push_span(pieces.next().unwrap_or_default());
        screen.line(inner, row, line);
        row += 1;
        for piece in pieces {
            screen.line(inner, row, Line::from(format!("{}{piece}", " ".repeat(used))));
            row += 1;
        }
    }
}
