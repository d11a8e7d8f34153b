//! The Timing tab.

use std::time::Duration;

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::view::Theme;
use crate::view::screen::Screen;
use rpc_console_core::model::calls::{Call, Outcome};
use rpc_console_core::text;

pub(super) fn timing(screen: &mut Screen<'_, '_>, call: &Call, area: Rect) {
    let theme = screen.theme;
    let Some(outcome) = &call.outcome else {
        return screen.line(area, 0, Line::from(Span::styled(" no data yet", theme.dim())));
    };
    let mut lines = phases(theme, outcome, usize::from(area.width).saturating_sub(24));
    lines.push(Line::default());
    let more = [
        ("attempts", outcome.attempts.to_string()),
        ("instance", outcome.peer.clone().unwrap_or_else(|| "none".to_owned())),
        ("started", text::hour_minute_second(call.wall_ms)),
    ];
    for (name, value) in more {
        lines.push(Line::from(vec![
            Span::styled(format!(" {}", text::left(name, 10)), theme.dim()),
            Span::raw(text::printable(&value).into_owned()),
        ]));
    }
    for (row, line) in (0..area.height).zip(lines) {
        screen.line(area, row, line);
    }
}

/// The phases of the call and their total as bars of at most `room` cells.
fn phases(theme: Theme, outcome: &Outcome, room: usize) -> Vec<Line<'static>> {
    let mut phases = Vec::new();
    if let Some(timing) = outcome.timing {
        phases = vec![
            ("queue", timing.queue),
            ("connect", timing.connect),
            ("server", timing.server),
            ("transfer", timing.transfer),
        ];
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
