//! Every call made here, newest first.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::screen::Screen;
use rpc_console_core::message::Hit;
use rpc_console_core::model::{Model, Pane, scroll};
use rpc_console_core::text;

pub(super) fn history(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let visible = model.calls.visible();
    let title = Line::from(format!(" History {} ", visible.len()));
    let inner = screen.pane(model, area, Pane::History, title, Line::default());
    let note = format!("{} of {}", visible.len(), model.calls.len());
    let inner = screen.filter_row(model, inner, Pane::History, &model.calls.filter, note);
    screen.height(Pane::History, inner.height.saturating_sub(1));
    if visible.is_empty() {
        let lines = vec![
            Line::from("no calls yet"),
            Line::from(Span::styled("2 lists methods; or press : and type add 1 2", theme.dim())),
        ];
        return screen.centred(inner, lines);
    }
    let wide = inner.width >= 70;
    let today = text::day(screen.now.wall_ms);
    let old = visible.iter().any(|call| text::day(call.wall_ms) != today);
    let at_width = match (wide, old) {
        (true, true) => 12,
        (true, false) => 10,
        (false, _) => 6,
    };
    let via_width = match inner.width {
        100.. => 22,
        70.. => 16,
        _ => 0,
    };
    let method_width = if wide { 14 } else { 11 };
    let used = 3 + at_width + method_width + 10 + via_width;
    let rest = usize::from(inner.width).saturating_sub(used);
    // Where there is no room for both, how it went counts more.
    let args_width = if rest < 16 { 0 } else { rest / 2 };
    let result_width = rest - args_width;
    let heading = format!(
        "   {}{}{}{}{} {}",
        text::left("AT", at_width),
        text::left("METHOD", method_width),
        text::left("ARGUMENTS ", args_width),
        text::left("RESULT", result_width),
        text::right("TOOK", 8),
        text::left(if wide { " VIA" } else { "" }, via_width),
    );
    screen.line(inner, 0, Line::from(Span::styled(heading, theme.dim())));
    let rows = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let selected = visible.iter().position(|call| Some(call.request.id) == model.calls.selected);
    let selected = selected.unwrap_or(0);
    let top = scroll::keep_visible(model.calls.top, selected, rows.height.into(), visible.len());
    for (row, (index, call)) in
        (0..).zip(visible.iter().enumerate().skip(top).take(rows.height.into()))
    {
        let (summary, well) = call.summary();
        let (glyph, style) = match well {
            Some(true) => ("✓", theme.good()),
            Some(false) => ("✗", theme.bad()),
            None => ("…", theme.warning()),
        };
        let shown = |text: &str, width: usize| {
            let short: String = text.chars().take(width + 1).collect();
            text::left(&text::printable(&short), width)
        };
        let took = call.took().map_or_else(String::new, text::latency);
        let via = call.peer().unwrap_or_default();
        let at = match (wide, text::day(call.wall_ms) == today) {
            (true, true) => text::hour_minute_second(call.wall_ms),
            (true, false) => {
                format!("{} {}", text::month_day(call.wall_ms), text::hour_minute(call.wall_ms))
            }
            (false, true) => text::hour_minute(call.wall_ms),
            (false, false) => text::month_day(call.wall_ms),
        };
        let line = Line::from(vec![
            Span::raw(if index == selected { " ▸ " } else { "   " }),
            Span::styled(text::left(&at, at_width), theme.dim()),
            Span::raw(shown(&call.request.method, method_width - 1)),
            Span::raw(" "),
            Span::raw(text::left(
                &shown(&call.arguments(), args_width.saturating_sub(1)),
                args_width,
            )),
            Span::styled(format!("{glyph} "), style),
            Span::raw(shown(&summary, result_width.saturating_sub(3))),
            Span::raw(" "),
            Span::raw(text::right(&took, 8)),
            Span::styled(
                format!("  {}", text::suffix(&text::printable(via), via_width)),
                theme.dim(),
            ),
        ]);
        screen.line(rows, row, line);
        screen.hit_row(rows, row, Hit::Row(Pane::History, index));
        if index == selected {
            screen.style_row(rows, row, theme.selected());
        }
    }
}
