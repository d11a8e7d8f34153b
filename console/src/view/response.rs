//! The response of a call: result, wire format, timing, diff.

pub(super) mod body;
mod diff;
mod document;
pub(super) mod highlight;
mod stream;
mod timing;
mod wire;

use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};

use super::screen::Screen;
use rpc_console_core::action::{Action, Context};
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
    let edge = usize::from(area.width).saturating_sub(5);
    let full = tab_line(screen, call, false);
    // Whose response it is matters more than the names of the other tabs.
    let is_short = title_width(model, screen, call) + full.width() > edge;
    let tabs = if is_short { tab_line(screen, call, true) } else { full };
    let title = title(model, screen, call, edge.saturating_sub(tabs.width()));
    let inner = screen.pane(model, area, Pane::Response, title, tabs);
    hit_tabs(screen, area, call, is_short);
    let (inner, stats) = match latencies(model, call, inner.width) {
        Some(line) if inner.height > 3 => {
            (Rect { height: inner.height - 1, ..inner }, Some((inner, line)))
        }
        _ => (inner, None),
    };
    screen.record_height(Pane::Response, inner.height);
    match call.tab {
        Tab::Body => body::body(model, screen, call, (area, inner)),
        Tab::Wire => wire::wire(model, screen, call, (area, inner)),
        Tab::Timing => timing::timing(screen, call, (area, inner)),
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
    let title = Line::from(format!(" {} ", text::cut(&label(model, call), 30)));
    let inner = screen.pane(model, area, Pane::Response, title, Line::default());
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
    let lines = known.chain([Span::raw("")]).chain(note).map(Line::from).collect();
    screen.scrolled(Pane::Response, (area, inner), lines, call.failure_top);
}

/// What follows the method in the title, in full and shortened.
fn title_ends(screen: &Screen<'_, '_>, call: &Call) -> Vec<String> {
    let Some(outcome) = &call.outcome else {
        let since = screen.now.at.saturating_duration_since(call.started);
        return vec![format!(" · {:.1}s", since.as_secs_f64())];
    };
    let took = text::latency(outcome.elapsed);
    let mut ends = Vec::new();
    if let Some(peer) = outcome.peer.as_deref().map(text::printable) {
        let port = peer.rfind(':').map_or(&*peer, |colon| &peer[colon..]);
        ends.push(format!(" · {took} · {peer}"));
        ends.push(format!(" · {took} · {port}"));
    }
    // A time is never cut, it would be another time.
    ends.extend([format!(" · {took}"), String::new()]);
    ends
}

/// The method of a call, with its service where there are several.
fn label(model: &Model, call: &Call) -> String {
    text::printable(&model.methods.label(&call.request.method_id())).into_owned()
}

/// The width of the title with the port of the instance, but not its host: hosts are mostly equal.
fn title_width(model: &Model, screen: &Screen<'_, '_>, call: &Call) -> usize {
    let ends = title_ends(screen, call);
    let end = ends.get(1).or(ends.first()).map_or(0, |end| text::width(end));
    text::width(&label(model, call)) + end + 4
}

fn title(model: &Model, screen: &Screen<'_, '_>, call: &Call, room: usize) -> Line<'static> {
    let theme = screen.theme;
    let (glyph, style) = match call.outcome.as_ref().map(|outcome| outcome.result.is_ok()) {
        None => ("…", theme.warning()),
        Some(true) => ("✓", theme.good()),
        Some(false) => ("✗", theme.bad()),
    };
    let mut ends = title_ends(screen, call);
    if call.outcome.is_none() {
        let key = screen.key_of(model, Context::Everywhere, Action::CancelCall);
        ends.insert(0, format!("{} · {key} cancels", ends[0]));
    }
    // The glyph, and the blanks around the text.
    let room = room.saturating_sub(4);
    let labelled = label(model, call);
    let fitting = ends.iter().find(|end| text::width(&labelled) + text::width(end) <= room);
    let end = fitting.or(ends.last()).map_or("", String::as_str);
    let id = call.request.method_id();
    let method = text::printable(&id.name);
    let room = room.saturating_sub(text::width(end));
    let label = super::label::label(model.methods.shown_service(&id), &method, room);
    let text = format!(" {label}{end} ");
    Line::from(vec![Span::styled(format!(" {glyph}"), style), Span::raw(text)])
}

/// The tabs; short, the others are only their first letter.
fn tab_line(screen: &Screen<'_, '_>, call: &Call, is_short: bool) -> Line<'static> {
    let theme = screen.theme;
    let mut line = Line::from(" ");
    for tab in Tab::ALL {
        let name = tab_name(call, tab, is_short);
        let (text, style) = if tab == call.tab {
            (format!("[{name}]"), theme.accent().add_modifier(Modifier::BOLD))
        } else {
            (format!(" {name} "), theme.dim())
        };
        line.push_span(Span::styled(text, style));
    }
    line
}

fn tab_name(call: &Call, tab: Tab, is_short: bool) -> &'static str {
    let name = tab.title();
    if is_short && tab != call.tab { text::prefix(name, 1) } else { name }
}

fn hit_tabs(screen: &mut Screen<'_, '_>, area: Rect, call: &Call, is_short: bool) {
    let names = Tab::ALL.map(|tab| tab_name(call, tab, is_short).len());
    let width = |name: usize| u16::try_from(name + 2).unwrap_or(0);
    let all: u16 = names.iter().map(|name| width(*name)).sum();
    let mut x = area.right().saturating_sub(all + 2);
    for (tab, name) in Tab::ALL.into_iter().zip(names) {
        let cell = Rect { x, y: area.y, width: width(name), height: 1 };
        screen.hit(cell.intersection(area), Hit::ResponseTab(tab));
        x += width(name);
    }
}

/// `12 calls of add  p50 0.92ms  p95 2.1ms  p99 4.1ms  ▁▁▂▁`.
fn latencies(model: &Model, call: &Call, width: u16) -> Option<String> {
    let values = model.calls.latencies(&call.request.method, 200);
    if values.len() < 2 {
        return None;
    }
    let quantiles = model.calls.quantiles(Some(&call.request.method))?;
    let (p50, p95, p99) = (quantiles.p50, quantiles.p95, quantiles.p99);
    let (p50, p95, p99) = (text::latency(p50), text::latency(p95), text::latency(p99));
    let all = format!("  p50 {p50}  p95 {p95}  p99 {p99}  ");
    let few = format!("  p50 {p50}  p99 {p99}  ");
    let method = text::printable(&call.request.method);
    let counted = format!(" {} calls of {method}", values.len());
    let room = usize::from(width);
    // Whose numbers they are matters more than their number.
    let texts = [format!("{counted}{all}"), format!(" {method}{all}"), format!(" {method}{few}")];
    let fitting = texts.iter().find(|text| text::width(text) <= room).cloned();
    let text = fitting.unwrap_or_else(|| {
        let method = text::cut(&method, room.saturating_sub(text::width(&few) + 1));
        format!(" {method}{few}")
    });
    let room = room.saturating_sub(text::width(&text) + 1).min(24);
    let recent = &values[values.len().saturating_sub(room)..];
    Some(format!("{text}{}", text::sparkline(recent)))
}
