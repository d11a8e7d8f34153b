//! The Timing tab: the time of each phase, and every attempt.

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::view::Theme;
use crate::view::screen::{Screen, fitted};
use rpc_console_core::model::Pane;
use rpc_console_core::model::calls::{Attempt, AttemptEnd, Call, Outcome};
use rpc_console_core::text;

/// `frame` is the one of the pane, `area` what is inside for the times.
pub(super) fn timing(screen: &mut Screen<'_, '_>, call: &Call, (frame, area): (Rect, Rect)) {
    let theme = screen.theme;
    let Some(outcome) = &call.outcome else {
        return screen.line(area, 0, Line::from(Span::styled(" no data yet", theme.dim())));
    };
    let width = usize::from(area.width);
    let mut lines = phases(theme, outcome, width.saturating_sub(24));
    lines.push(Line::default());
    let more = [
        ("instance", outcome.peer.clone().unwrap_or_else(|| "none".to_owned())),
        ("started", text::hour_minute_second(call.wall_ms)),
        ("attempts", outcome.attempts.len().to_string()),
    ];
    for (name, value) in more {
        lines.push(Line::from(vec![
            Span::styled(format!(" {}", text::left(name, 10)), theme.dim()),
            Span::raw(text::printable(&value).into_owned()),
        ]));
    }
    for (at, attempt) in outcome.attempts.iter().enumerate() {
        lines.extend(attempt_lines(theme, at + 1, attempt, width));
    }
    screen.scrolled(Pane::Response, (frame, area), lines, call.timing_top);
}

/// ` 2 127.0.0.1:8089  retry on another instance`, and below it how it ended.
fn attempt_lines(
    theme: Theme,
    number: usize,
    attempt: &Attempt,
    width: usize,
) -> Vec<Line<'static>> {
    let instance = text::printable(&attempt.instance).into_owned();
    let head = Line::from(vec![
        Span::styled(format!(" {number} "), theme.dim()),
        Span::styled(format!("{instance}  "), theme.strong()),
        Span::raw(attempt.reason.clone()),
    ]);
    let began = format!("at {}, ", text::latency(attempt.began));
    let after = attempt.took.map(|took| format!(" after {}", text::latency(took)));
    let after = after.unwrap_or_default();
    let (end, style) = match &attempt.end {
        AttemptEnd::Pending => (format!("… {began}no reply"), theme.warning()),
        AttemptEnd::Replied => (format!("✓ {began}replied{after}"), theme.good()),
        AttemptEnd::Failed(why) => (format!("✗ {began}failed{after}: {why}"), theme.bad()),
    };
    let end = text::wrap_words(&text::printable(&end), width.saturating_sub(4).max(1));
    let end = end.into_iter().map(|line| Line::from(Span::styled(format!("   {line}"), style)));
    [fitted(head, width)].into_iter().chain(end).collect()
}

/// The phases of the call and their total as bars of at most `room` cells.
fn phases(theme: Theme, outcome: &Outcome, room: usize) -> Vec<Line<'static>> {
    let mut phases = Vec::new();
    if let Some(timing) = outcome.timing {
        if !timing.earlier.is_zero() {
            phases.push(("earlier", timing.earlier));
        }
        phases.extend([
            ("queue", timing.queue),
            ("connect", timing.connect),
            ("server", timing.server),
            ("transfer", timing.transfer),
        ]);
    }
    phases.push(("total", outcome.elapsed));
    let longest = phases.iter().map(|(_, time)| *time).max().unwrap_or(Duration::ZERO);
    let cells = |time: Duration| {
        let share = time.as_secs_f64() / longest.as_secs_f64().max(f64::MIN_POSITIVE);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a few cells"
        )]
        let cells = (room as f64 * share).round() as usize;
        cells.min(room)
    };
    let mut elapsed = Duration::ZERO;
    let mut lines = Vec::new();
    for (name, time) in phases {
        // Each phase starts where the previous one ended; the total covers all of them.
        let is_total = name == "total";
        let start = if is_total { 0 } else { cells(elapsed) };
        let bar = cells(time).max(usize::from(!time.is_zero())).min(room.saturating_sub(start));
        elapsed += time;
        lines.push(Line::from(vec![
            Span::styled(format!(" {}", text::left(name, 10)), theme.dim()),
            Span::raw(format!("{}  ", text::right(&text::latency(time), 8))),
            Span::raw(" ".repeat(start)),
            Span::styled("█".repeat(bar), if is_total { theme.dim() } else { theme.accent() }),
        ]));
    }
    lines
}
