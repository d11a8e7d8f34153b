//! The response of a call: result, wire format, timing, diff.

pub(super) mod body;
mod diff;
mod timing;
mod wire;

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::screen::Screen;
use rpc_console_core::message::Hit;
use rpc_console_core::model::calls::{Call, PastOutcome, Tab};
use rpc_console_core::model::{Model, Pane};
use rpc_console_core::text;

pub(super) fn response(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let Some(call) = model.calls.shown_call() else {
        let inner =
            screen.pane(model, area, Pane::Response, Line::from(" Response "), Line::default());
        let line = Line::from(Span::styled("no calls yet", theme.dim()));
        return screen.centred(inner, vec![line]);
    };
    if let Some(past) = &call.past {
        return past_call(model, screen, call, past, area);
    }
    let tabs = tab_line(screen, call);
    let room = usize::from(area.width).saturating_sub(tabs.width() + 5);
    let title = title(screen, call, room);
    let tabs_width = u16::try_from(tabs.width()).unwrap_or(0);
    let inner = screen.pane(model, area, Pane::Response, title, tabs);
    hit_tabs(screen, area, tabs_width);
    let (inner, stats) = match latencies(model, call, inner.width) {
        Some(line) if inner.height > 3 => {
            (Rect { height: inner.height - 1, ..inner }, Some((inner, line)))
        }
        _ => (inner, None),
    };
    screen.record_height(Pane::Response, inner.height);
    match call.tab {
        Tab::Body => body::body(model, screen, call, inner),
        Tab::Wire => wire::wire(screen, call, inner),
        Tab::Timing => timing::timing(screen, call, inner),
        Tab::Diff => diff::diff(model, screen, call, inner),
    }
    if let Some((area, line)) = stats {
        let line = Line::from(Span::styled(line, theme.dim()));
        screen.line(area, area.height - 1, line);
    }
}

/// A call of an earlier session, whose result was not stored.
fn past_call(
    model: &Model,
    screen: &mut Screen<'_, '_>,
    call: &Call,
    past: &PastOutcome,
    area: Rect,
) {
    let theme = screen.theme;
    let method = text::printable(&call.request.method).into_owned();
    let title = Line::from(format!(" {} ", text::cut(&method, 30)));
    let inner = screen.pane(model, area, Pane::Response, title, Line::default());
    screen.record_height(Pane::Response, inner.height);
    let width = usize::from(inner.width).saturating_sub(2).max(1);
    let took = text::latency(past.elapsed);
    let by = past.peer.as_deref().unwrap_or("an unknown instance");
    let (first, style) = match &past.failure {
        Some(failure) => {
            (format!("✗ {} after {took}: {}", failure.kind, failure.text), theme.bad())
        }
        None => (format!("✓ {} from {by} in {took}", text::bytes(past.reply_bytes)), theme.good()),
    };
    let note = "From an earlier session; results are not stored. r resends.";
    let known = text::wrap_words(&text::printable(&first), width);
    let known = known.into_iter().map(|line| Span::styled(format!(" {line}"), style));
    let note = text::wrap_words(note, width);
    let note = note.into_iter().map(|line| Span::styled(format!(" {line}"), theme.dim()));
    for (row, span) in (0..inner.height).zip(known.chain([Span::raw("")]).chain(note)) {
        screen.line(inner, row, Line::from(span));
    }
}

fn title(screen: &Screen<'_, '_>, call: &Call, room: usize) -> Line<'static> {
    let theme = screen.theme;
    let method = text::printable(&call.request.method).into_owned();
    let Some(outcome) = &call.outcome else {
        let since = screen.now.at.saturating_duration_since(call.started);
        let took = since.as_secs_f64();
        let full = format!(" … {method} {took:.1}s, esc cancels ");
        let text = if text::width(&full) <= room { full } else { format!(" … {took:.1}s ") };
        return Line::from(Span::styled(text::cut(&text, room).into_owned(), theme.warning()));
    };
    let (glyph, style) =
        if outcome.result.is_ok() { ("✓", theme.good()) } else { ("✗", theme.bad()) };
    let took = text::latency(outcome.elapsed);
    let Some(peer) = outcome.peer.as_deref() else {
        return Line::from(vec![
            Span::styled(format!(" {glyph}"), style),
            Span::raw(format!(" {took} ")),
        ]);
    };
    let port = peer.rfind(':').map_or(peer, |colon| &peer[colon..]);
    // The form beside it names the method, and hosts are mostly equal: these are dropped first.
    let texts = [
        format!(" {method} · {took} · {peer} "),
        format!(" {took} · {peer} "),
        format!(" {took} · {port} "),
        format!(" {took} {port}"),
        format!(" {took} "),
        format!(" {took}"),
        took,
    ];
    let fits = |text: &&String| text::width(&text::printable(text)) + 2 <= room;
    let text = texts.iter().find(fits).unwrap_or(&texts[6]);
    Line::from(vec![
        Span::styled(format!(" {glyph}"), style),
        Span::raw(text::cut(&text::printable(text), room.saturating_sub(2)).into_owned()),
    ])
}

fn tab_line(screen: &Screen<'_, '_>, call: &Call) -> Line<'static> {
    let theme = screen.theme;
    let mut line = Line::from(" ");
    for tab in Tab::ALL {
        let (text, style) = if tab == call.tab {
            (format!("[{}]", tab.title()), theme.accent().add_modifier(Modifier::BOLD))
        } else {
            (format!(" {} ", tab.title()), theme.dim())
        };
        line.push_span(Span::styled(text, style));
    }
    line
}

fn hit_tabs(screen: &mut Screen<'_, '_>, area: Rect, width: u16) {
    let mut x = area.right().saturating_sub(width + 1);
    for tab in Tab::ALL {
        let width = u16::try_from(tab.title().len()).unwrap_or(0) + 2;
        let cell = Rect { x, y: area.y, width, height: 1 };
        screen.hit(cell.intersection(area), Hit::ResponseTab(tab));
        x += width;
    }
}

/// `12 calls  p50 0.92ms  p95 2.1ms  p99 4.1ms  ▁▁▂▁`: calls of the same method.
fn latencies(model: &Model, call: &Call, width: u16) -> Option<String> {
    let values = model.calls.latencies(&call.request.method, 200);
    if values.len() < 2 {
        return None;
    }
    let quantiles = model.calls.quantiles(Some(&call.request.method))?;
    let text = format!(
        " {} calls  p50 {}  p95 {}  p99 {}  ",
        values.len(),
        text::latency(quantiles.p50),
        text::latency(quantiles.p95),
        text::latency(quantiles.p99)
    );
    let room = usize::from(width).saturating_sub(text.len() + 1).min(24);
    let recent = &values[values.len().saturating_sub(room)..];
    Some(format!("{text}{}", text::sparkline(recent)))
}
