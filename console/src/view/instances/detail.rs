//! The selected instance in detail: long values are wrapped, and it scrolls.

use std::time::{Duration, Instant};

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::glyph_and_style;
use crate::view::screen::Screen;
use crate::view::theme::Theme;
use rpc_console_core::model::instances::{Probe, Row};
use rpc_console_core::model::logs::{Source, SourceState};
use rpc_console_core::model::snippet::Speaks;
use rpc_console_core::model::standing::{Role, Standing};
use rpc_console_core::model::{Model, Pane};
use rpc_console_core::selectors;
use rpc_console_core::text;

const LABEL: usize = 12;

pub(in crate::view) fn detail(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let Some(row) = model.instances.selected_row() else {
        let title = Line::from(" Detail ");
        let inner = screen.pane(model, area, Pane::Detail, title, Line::default());
        let line = Line::from(Span::styled(" no instance selected", theme.dim()));
        return screen.line(inner, 0, line);
    };
    let address = text::printable(&row.key.to_string()).into_owned();
    let proto = text::printable(&row.key.protocol).into_owned();
    let title = Line::from(format!(
        " {} ",
        text::cut(&address, usize::from(area.width).saturating_sub(12))
    ));
    let right = Line::from(Span::styled(format!(" {proto} "), theme.dim()));
    let inner = screen.pane(model, area, Pane::Detail, title, right);
    let lines = lines(model, screen, row, usize::from(inner.width));
    let top = model.instances.detail_top;
    screen.scrolled(Pane::Detail, (area, inner), lines, top);
}

fn lines(model: &Model, screen: &Screen<'_, '_>, row: &Row, width: usize) -> Vec<Line<'static>> {
    let rows = Rows { theme: screen.theme, width };
    let mut lines = service(row, &rows);
    lines.extend(liveness(model, screen, row, &rows).concat());
    lines.extend(probes(row, &rows).concat());
    lines.extend(traffic(row, &rows, model.shown_at(screen.now).at));
    lines.extend(methods(model, row, &rows).concat());
    lines.extend(
        access(&model.link.standing, "at registry", Role::Operate, &rows).unwrap_or_default(),
    );
    lines.extend(rows.plain("logs", logs(model, row)));
    lines.extend(parameters(row, &rows));
    lines
}

/// Rows of a label and a value, wrapped at `width`.
struct Rows {
    theme: Theme,
    width: usize,
}

impl Rows {
    fn plain(&self, name: &str, value: String) -> Wrapped {
        self.styled(name, &value, Style::new())
    }

    fn styled(&self, name: &str, value: &str, style: Style) -> Wrapped {
        let room = self.width.saturating_sub(LABEL + 2).max(1);
        let label = format!(" {}", text::left(name, LABEL));
        let labels = [label].into_iter().chain(std::iter::repeat(" ".repeat(LABEL + 1)));
        let pieces = text::wrap_words(value, room);
        labels
            .zip(pieces)
            .map(|(label, piece)| {
                Line::from(vec![Span::styled(label, self.theme.dim()), Span::styled(piece, style)])
            })
            .collect()
    }
}

/// The lines of one label.
type Wrapped = Vec<Line<'static>>;

/// The service and its version, where the instance gives them.
fn service(row: &Row, rows: &Rows) -> Vec<Line<'static>> {
    let version = row.instance.version().map(|version| text::printable(version).into_owned());
    let text = match (row.service.name(), version) {
        (Some(name), Some(version)) => format!("{name} {version}"),
        (Some(name), None) => name.to_owned(),
        (None, Some(version)) => format!("(unnamed) {version}"),
        (None, None) => return Vec::new(),
    };
    rows.plain("service", text)
}

/// State and heartbeats.
fn liveness(model: &Model, screen: &Screen<'_, '_>, row: &Row, rows: &Rows) -> Vec<Wrapped> {
    let (now, live) = (model.shown_at(screen.now).at, model.link.is_live());
    let (glyph, style) = glyph_and_style(screen, row.state(now, live));
    let mut lines =
        vec![rows.styled("state", &format!("{glyph} {}", row.state_text(now, live)), style)];
    if let Some(overridden) = row.override_text(now) {
        lines.push(rows.styled("override", &overridden, screen.theme.warning()));
    }
    if let Some(until) = row.held_until {
        let left = text::seconds(until.saturating_duration_since(now));
        let held = format!("kept for {left}: many fell silent at once");
        lines.push(rows.styled("brake", &held, screen.theme.warning()));
    }
    if let Some(health) = model.own_client.health.get(&row.key) {
        let share = if health.gets_calls { "fewer" } else { "none" };
        let text = format!("{share}, {}", health.text(now));
        lines.push(rows.styled("your calls", &text, screen.theme.warning()));
    }
    if let Some(age) = row.age(now) {
        let ttl = row.ttl.as_secs();
        // No heartbeats arrive while the registry is lost.
        let age = match live {
            true => format!("{} ago (TTL {ttl}s)", text::age(age)),
            false => format!(">{} ago (TTL {ttl}s)", text::seconds(age)),
        };
        lines.push(rows.plain("heartbeat", age));
    }
    lines.extend(owner(model, row, rows));
    if let Some(beats) = row.heartbeats {
        lines.push(rows.plain("received", text::count(beats, "heartbeat", "heartbeats")));
    }
    if !row.intervals.is_empty() {
        lines.push(rows.plain("interval", interval(row)));
    }
    if let Some(age) = row.registered(now) {
        let at = screen.now.wall_ms.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(0));
        let since = format!("{} ({} ago)", text::hour_minute_second(at), text::age(age));
        lines.push(rows.plain("registered", since));
    }
    lines
}

/// Of several registries, the one that takes its heartbeats.
fn owner(model: &Model, row: &Row, rows: &Rows) -> Option<Wrapped> {
    let owner = row.owner.as_ref()?;
    let name = text::printable(&owner.to_string()).into_owned();
    let is_this = model.link.readiness.sharing.as_ref().is_some_and(|it| it.registry == *owner);
    let text = match (is_this, row.last_beat) {
        (true, Some(_)) => format!("{name}, this registry"),
        (true, None) => format!("{name}, this registry, which has not heard it yet"),
        (false, _) => format!("{name}, which takes its heartbeats"),
    };
    Some(rows.plain("owner", text))
}

/// Who the console is there, in warning colours if it lacks the role that matters most.
fn access(standing: &Standing, name: &str, role: Role, rows: &Rows) -> Option<Wrapped> {
    let style = if standing.may(role) { Style::new() } else { rows.theme.warning() };
    Some(rows.styled(name, &text::printable(&standing.text()?), style))
}

fn probes(row: &Row, rows: &Rows) -> Vec<Wrapped> {
    let theme = rows.theme;
    let (probe, style) = match &row.probe {
        Probe::None => ("not probed yet".to_owned(), theme.dim()),
        Probe::Replied(rtt) => (format!("ok {}", text::latency(*rtt)), theme.good()),
        Probe::Failed(error) => (text::printable(error).into_owned(), theme.bad()),
    };
    let mut lines = vec![rows.styled("probe", &probe, style)];
    lines.extend(access(&row.standing, "access", Role::Call, rows));
    if row.round_trips.len() > 1 {
        lines.push(rows.plain("round trips", round_trips(row)));
    }
    lines
}

/// Calls, errors and latency, as the instance counts them.
fn traffic(row: &Row, rows: &Rows, now: Instant) -> Vec<Line<'static>> {
    let trend = row.traffic.total(now);
    let Some([all, ..]) = trend.map(crate::view::traffic::variants) else {
        return Vec::new();
    };
    rows.plain("traffic", all)
}

/// Dialect and methods, and how these differ from other instances'.
fn methods(model: &Model, row: &Row, rows: &Rows) -> Vec<Wrapped> {
    let dialect = match row.speaks_extended() {
        true => "extended",
        false => match selectors::speaks(model, Some(&row.key)) {
            Speaks::JsonRpcAt(url) if url.starts_with("http") => "JSON-RPC over HTTP",
            Speaks::JsonRpc | Speaks::JsonRpcAt(_) => "JSON-RPC",
            Speaks::Ours => "classic or unknown",
        },
    };
    let methods = match (row.methods, model.methods.errors.get(&row.key)) {
        (Some(count), _) => count.to_string(),
        (None, Some(error)) => text::printable(error).into_owned(),
        (None, None) => "unknown".to_owned(),
    };
    let mut lines = vec![rows.plain("dialect", dialect.to_owned()), rows.plain("methods", methods)];
    let lacking = model.methods.missing(&row.key).join(", ");
    let unlike = model.methods.differing(&row.key).join(", ");
    for (name, methods) in [("lacks", lacking), ("differs", unlike)] {
        if !methods.is_empty() {
            let text = format!("≠ {}", text::printable(&methods));
            lines.push(rows.styled(name, &text, rows.theme.warning()));
        }
    }
    lines
}

fn logs(model: &Model, row: &Row) -> String {
    match model.logs.sources.get(&Source::Server(row.key.clone())) {
        Some(SourceState::Live) => "streaming".to_owned(),
        Some(SourceState::Unsupported) => "no log stream".to_owned(),
        Some(SourceState::Refused(why)) => format!("not allowed: {}", text::printable(why)),
        Some(SourceState::Lost(error)) => text::printable(error).into_owned(),
        Some(SourceState::Gone) => "gone".to_owned(),
        None => "none yet".to_owned(),
    }
}

fn parameters(row: &Row, rows: &Rows) -> Vec<Line<'static>> {
    let parameters = &row.instance.parameters;
    let head = if parameters.is_empty() { "none" } else { "" };
    let mut lines = rows.plain("parameters", head.to_owned());
    for (name, value) in parameters {
        let text = format!("{name}: {value}");
        let pieces = text::wrap_words(&text::printable(&text), rows.width.saturating_sub(4).max(1));
        lines.extend(pieces.into_iter().map(|piece| Line::from(format!("   {piece}"))));
    }
    lines
}

/// `▂▂▇▂ max 0.9ms`: the latest round trips of probes and their maximum.
fn round_trips(row: &Row) -> String {
    let values: Vec<f64> = row.round_trips.iter().copied().collect();
    let max = values.iter().copied().fold(0.0, f64::max);
    let max = text::latency(Duration::from_secs_f64(max));
    format!("{} max {max}", text::sparkline(&values))
}

/// `▂▂▂▇▂ 5.0s ±0.1`: the latest intervals, their mean and largest deviation.
fn interval(row: &Row) -> String {
    let values: Vec<f64> = row.intervals.iter().copied().collect();
    #[expect(clippy::cast_precision_loss, reason = "at most 16 values")]
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviation = values.iter().map(|value| (value - mean).abs()).fold(0.0, f64::max);
    format!("{} {mean:.1}s ±{deviation:.1}", text::sparkline(&values))
}
