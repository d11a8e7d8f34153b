//! Every call sent from this console, newest first.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::label::label;
use super::screen::Screen;
use rpc_console_core::message::Hit;
use rpc_console_core::model::calls::Call;
use rpc_console_core::model::json::decoded;
use rpc_console_core::model::{Model, Pane, scroll};
use rpc_console_core::text;

pub(super) fn history(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let theme = screen.theme;
    let visible = model.calls.visible();
    let title = Line::from(format!(" History {} ", visible.len()));
    let inner = screen.pane(model, area, Pane::History, title, Line::default());
    let note = format!("{} of {}", visible.len(), model.calls.len());
    let inner = screen.filter_row(model, inner, Pane::History, &model.calls.filter, note);
    screen.record_height(Pane::History, inner.height.saturating_sub(1));
    if visible.is_empty() {
        return empty(screen, inner);
    }
    let today = text::day(screen.now.wall_ms);
    let columns = Columns::for_width(model, &visible, inner.width, today);
    screen.line(inner, 0, Line::from(Span::styled(columns.heading(), theme.dim())));
    let rows = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    let selected = visible.iter().position(|call| Some(call.request.id) == model.calls.selected);
    let selected = selected.unwrap_or(0);
    let top = scroll::keep_visible(model.calls.top, selected, rows.height.into(), visible.len());
    let shown = visible.iter().enumerate().skip(top).take(rows.height.into());
    for (row, (index, call)) in (0..).zip(shown) {
        screen.line(rows, row, columns.row(model, screen, call, index == selected));
        screen.hit_row(rows, row, Hit::Row(Pane::History, index));
        if index == selected {
            screen.style_row(rows, row, theme.selected());
        }
    }
}

fn empty(screen: &mut Screen<'_, '_>, area: Rect) {
    let hint = Span::styled("2 lists methods; or press : and type add 1 2", screen.theme.dim());
    screen.centred(area, vec![Line::from("no calls yet"), Line::from(hint)]);
}

/// The widths of the columns; 0 omits one.
struct Columns {
    wide: bool,
    today: u64,
    at: usize,
    method: usize,
    arguments: usize,
    result: usize,
    via: usize,
}

impl Columns {
    fn for_width(model: &Model, visible: &[&Call], width: u16, today: u64) -> Self {
        let wide = width >= 70;
        let has_older = visible.iter().any(|call| text::day(call.wall_ms) != today);
        let at = match (wide, has_older) {
            (true, true) => 12,
            (true, false) => 10,
            (false, _) => 6,
        };
        let longest = |of: &dyn Fn(&Call) -> usize| visible.iter().map(|call| of(call)).max();
        let peer = longest(&|call| text::width(call.peer().unwrap_or_default())).unwrap_or(0);
        let via = match width {
            100.. => peer.clamp(3, 22),
            70.. => peer.clamp(3, 16),
            _ => 0,
        };
        let has_services = visible.iter().any(|call| service(model, call).is_some());
        let method = longest(&|call| {
            let service = service(model, call).map_or(0, |service| text::width(service) + 3);
            text::width(&call.request.method) + service + 2
        });
        let method = method.unwrap_or(0);
        let method = match width {
            150.. => method.clamp(8, 40),
            70.. if has_services => method.clamp(8, 20),
            70.. => method.clamp(8, 14),
            _ => method.clamp(8, 11),
        };
        // The mark, the time taken, and the space around VIA.
        let used = 3 + at + method + 8 + if via > 0 { via + 3 } else { 0 };
        let rest = usize::from(width).saturating_sub(used);
        // Bytes are counted, not cells: arguments may be megabytes, and there may be 1,000 calls.
        let wanted = longest(&|call| call.arguments_bytes() + 1).unwrap_or(0).max(5);
        let result = longest(&|call| call.summary_bytes() + 3).unwrap_or(0);
        // Without room for both, the result matters more.
        let arguments = match rest {
            0..16 => 0,
            _ if wanted <= rest / 2 => wanted,
            _ => wanted.min(rest.saturating_sub(result).max(rest / 2)),
        };
        Self { wide, today, at, method, arguments, result: rest - arguments, via }
    }

    fn heading(&self) -> String {
        format!(
            "   {}{}{}{}{} {}",
            text::left("AT", self.at),
            text::left("METHOD", self.method),
            text::left(if self.arguments < 10 { "ARGS" } else { "ARGUMENTS" }, self.arguments),
            text::left("RESULT", self.result),
            text::right("TOOK", 8),
            text::left(if self.wide { " VIA" } else { "" }, self.via),
        )
    }

    fn row(
        &self,
        model: &Model,
        screen: &Screen<'_, '_>,
        call: &Call,
        selected: bool,
    ) -> Line<'static> {
        let theme = screen.theme;
        let (summary, ok) = call.summary();
        let retried = if call.was_retried() { "↻ " } else { "" };
        let (glyph, style) = match ok {
            Some(true) => ("✓", theme.good()),
            Some(false) => ("✗", theme.bad()),
            None => ("…", theme.warning()),
        };
        let arguments = printable(&call.arguments(), self.arguments.saturating_sub(1));
        let took = call.took().map_or_else(String::new, text::latency);
        let via = text::printable(call.peer().unwrap_or_default()).into_owned();
        let method = text::printable(&call.request.method);
        let method = label(service(model, call), &method, self.method - 1);
        let mut line = Line::from(vec![
            Span::raw(if selected { " ▸ " } else { "   " }),
            Span::styled(text::left(&self.time(call.wall_ms), self.at), theme.dim()),
            Span::raw(text::left(&method, self.method - 1)),
            Span::raw(" "),
            Span::raw(text::left(&arguments, self.arguments)),
            Span::styled(format!("{glyph} "), style),
            Span::raw(printable(
                &format!("{retried}{}", decoded(&summary)),
                self.result.saturating_sub(3),
            )),
            Span::raw(" "),
            Span::raw(text::right(&took, 8)),
        ]);
        if self.via > 0 {
            let via = format!("  {}", text::suffix(&via, self.via));
            line.push_span(Span::styled(via, theme.dim()));
        }
        line
    }

    /// With the date, for a call of an earlier day.
    fn time(&self, wall_ms: u64) -> String {
        match (self.wide, text::day(wall_ms) == self.today) {
            (true, true) => text::hour_minute_second(wall_ms),
            (true, false) => format!("{} {}", text::month_day(wall_ms), text::hour_minute(wall_ms)),
            (false, true) => text::hour_minute(wall_ms),
            (false, false) => text::month_day(wall_ms),
        }
    }
}

/// The service of a call, where several have a method of this name.
fn service<'a>(model: &Model, call: &'a Call) -> Option<&'a str> {
    let is_ambiguous = model.methods.is_ambiguous(&call.request.method);
    call.request.service.name().filter(|_| is_ambiguous)
}

/// The text in exactly `width` cells; cut before escaping, since it may be megabytes.
fn printable(text: &str, width: usize) -> String {
    let start: String = text.chars().take(width + 1).collect();
    text::left(&text::printable(&start), width)
}
