//! Everything known of the selected instance.

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::mark;
use crate::view::screen::Screen;
use rpc_console_core::model::Model;
use rpc_console_core::model::instances::{Probe, Row};
use rpc_console_core::model::logs::{Source, SourceState};
use rpc_console_core::text;

const LABEL: usize = 12;

pub(in crate::view) fn detail(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let Some(row) = model.instances.selected_row() else {
        let inner = screen.boxed(area, false, Line::from(" Detail "), Line::default());
        let line = Line::from(Span::styled(" no instance selected", theme.dim()));
        return screen.line(inner, 0, line);
    };
    let address = text::printable(&row.key.to_string()).into_owned();
    let proto = text::printable(&row.key.protocol).into_owned();
    let title = Line::from(format!(" {} ", text::cut(&address, 26)));
    let right = Line::from(Span::styled(format!(" {proto} "), theme.dim()));
    let inner = screen.boxed(area, false, title, right);
    let lines = lines(model, screen, row, usize::from(inner.width));
    for (at, line) in (0..inner.height).zip(lines) {
        screen.line(inner, at, line);
    }
}

fn lines(model: &Model, screen: &Screen<'_, '_>, row: &Row, width: usize) -> Vec<Line<'static>> {
    let theme = screen.theme;
    let (now, live) = (model.shown_at(screen.now).at, model.link.is_live());
    let (glyph, style) = mark(screen, row.state(now, live));
    let label = |name: &str| Span::styled(format!(" {}", text::left(name, LABEL)), theme.dim());
    let plain = |name: &str, value: String| {
        let value = text::cut(&value, width.saturating_sub(LABEL + 1)).into_owned();
        Line::from(vec![label(name), Span::raw(value)])
    };
    let mut lines = vec![Line::from(vec![
        label("state"),
        Span::styled(format!("{glyph} {}", row.state_text(now, live)), style),
    ])];
    if let Some(age) = row.age(now) {
        let of = row.ttl.as_secs();
        // No heartbeats arrive while the registry is lost.
        let age = match live {
            true => format!("{} ago (TTL {of}s)", text::age(age)),
            false => format!(">{} ago (TTL {of}s)", text::seconds(age)),
        };
        lines.push(plain("last beat", age));
    }
    if let Some(beats) = row.heartbeats {
        lines.push(plain("heartbeats", beats.to_string()));
    }
    if !row.intervals.is_empty() {
        lines.push(plain("interval", interval(row)));
    }
    if let Some(age) = row.registered(now) {
        let at = screen.now.wall_ms.saturating_sub(u64::try_from(age.as_millis()).unwrap_or(0));
        let since = format!("{} ({} ago)", text::hour_minute_second(at), text::age(age));
        lines.push(plain("registered", since));
    }
    let (probe, style) = match &row.probe {
        Probe::None => ("not yet".to_owned(), theme.dim()),
        Probe::Replied(rtt) => (format!("ok {}", text::latency(*rtt)), theme.good()),
        Probe::Failed(error) => (text::printable(error).into_owned(), theme.bad()),
    };
    let probe = text::cut(&probe, width.saturating_sub(LABEL + 1)).into_owned();
    lines.push(Line::from(vec![label("probe"), Span::styled(probe, style)]));
    if row.round_trips.len() > 1 {
        lines.push(plain("round trips", round_trips(row)));
    }
    let dialect = if row.instance.speaks_extended() { "extended" } else { "classic or unknown" };
    lines.push(plain("dialect", dialect.to_owned()));
    let methods = match (row.methods, model.methods.errors.get(&row.key)) {
        (Some(count), _) => count.to_string(),
        (None, Some(error)) => text::printable(error).into_owned(),
        (None, None) => "unknown".to_owned(),
    };
    lines.push(plain("methods", methods));
    let lacking = model.methods.missing(&row.key).join(", ");
    let unlike = model.methods.differing(&row.key).join(", ");
    for (name, methods) in [("lacks", lacking), ("differs", unlike)] {
        if !methods.is_empty() {
            let text = format!("≠ {}", text::printable(&methods));
            let text = text::cut(&text, width.saturating_sub(LABEL + 1)).into_owned();
            lines.push(Line::from(vec![label(name), Span::styled(text, theme.warning())]));
        }
    }
    let logs = match model.logs.sources.get(&Source::Server(row.key.clone())) {
        Some(SourceState::Live) => "streaming".to_owned(),
        Some(SourceState::Unsupported) => "no log stream".to_owned(),
        Some(SourceState::Lost(error)) => text::printable(error).into_owned(),
        Some(SourceState::Gone) => "gone".to_owned(),
        None => "not yet".to_owned(),
    };
    lines.push(plain("logs", logs));
    if row.instance.parameters.is_empty() {
        lines.push(plain("parameters", "none".to_owned()));
    } else {
        lines.push(plain("parameters", String::new()));
        for (name, value) in &row.instance.parameters {
            let text = format!("{name}: {value}");
            let text = text::cut(&text::printable(&text), width.saturating_sub(3)).into_owned();
            lines.push(Line::from(format!("   {text}")));
        }
    }
    lines
}

/// `▂▂▇▂ ≤ 0.9ms`: the latest round trips of probes, and the slowest of them.
fn round_trips(row: &Row) -> String {
    let values: Vec<f64> = row.round_trips.iter().copied().collect();
    let most = values.iter().copied().fold(0.0, f64::max);
    let most = text::latency(Duration::from_secs_f64(most));
    format!("{} ≤ {most}", text::sparkline(&values))
}

/// `▂▂▂▇▂ 5.0s ±0.1`: the latest intervals, their mean and largest deviation.
fn interval(row: &Row) -> String {
    let values: Vec<f64> = row.intervals.iter().copied().collect();
    #[expect(clippy::cast_precision_loss, reason = "at most 16 values")]
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let stray = values.iter().map(|value| (value - mean).abs()).fold(0.0, f64::max);
    format!("{} {mean:.1}s ±{stray:.1}", text::sparkline(&values))
}
