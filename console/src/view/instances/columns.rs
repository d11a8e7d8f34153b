//! Columns of the table of instances: which of them fit, and their cells.

use std::time::Instant;

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::glyph_and_style;
use crate::view::screen::Screen;
use crate::view::traffic;
use rpc_console_core::message::Hit;
use rpc_console_core::model::instances::{Column, Probe, Row, State};
use rpc_console_core::model::own_client::Health;
use rpc_console_core::model::traffic::{POINTS, Trend};
use rpc_console_core::text;

/// The widths of the columns; 0 omits one.
pub(super) struct Columns {
    state: usize,
    address: usize,
    calls: usize,
    graph: usize,
    errors: usize,
    p99: usize,
    in_flight: usize,
    beat: usize,
    bar: usize,
    rtt: usize,
    methods: usize,
    since: usize,
    ttl: u64,
    live: bool,
    /// The width of the table.
    width: usize,
}

const MARKER: usize = 3;
const GAP: usize = 2;
const MAX_BAR: usize = 20;
const MIN_BAR: usize = 8;
const MAX_GRAPH: usize = POINTS;
const MIN_GRAPH: usize = 6;
/// Narrowest columns, with short headings.
const SHORT_BEAT: usize = 6;
const SHORT_METHODS: usize = 3;

impl Columns {
    /// The columns that fit; those of traffic only where some is known.
    pub(super) fn for_width(visible: &[&Row], width: u16, live: bool, traffic: bool) -> Self {
        let width = usize::from(width);
        let longest = visible
            .iter()
            .take(200)
            .map(|row| text::width(&text::printable(&row.key.to_string())))
            .max();
        let ages = visible.iter().any(|row| row.last_beat.is_some());
        let mut columns = Self {
            state: 10,
            address: longest.unwrap_or(0).clamp(14, 45),
            calls: if traffic { 7 } else { 0 },
            graph: if traffic { MAX_GRAPH } else { 0 },
            errors: if traffic { 5 } else { 0 },
            p99: if traffic { 6 } else { 0 },
            in_flight: if traffic { 4 } else { 0 },
            beat: if ages { SHORT_BEAT } else { 0 },
            bar: if ages && live { MAX_BAR } else { 0 },
            rtt: if live { 7 } else { 10 },
            methods: SHORT_METHODS,
            since: if ages { 6 } else { 0 },
            ttl: visible.first().map_or(10, |row| row.ttl.as_secs()),
            live,
            width,
        };
        // The extra cell is a blank at the right edge.
        let over = |columns: &Self| (columns.total() + 1).saturating_sub(width);
        columns.bar = shrink(columns.bar, over(&columns), MIN_BAR);
        columns.graph = shrink(columns.graph, over(&columns), MIN_GRAPH);
        // From the least to the most important.
        let droppable: [fn(&mut Self) -> &mut usize; 9] = [
            |columns| &mut columns.bar,
            |columns| &mut columns.since,
            |columns| &mut columns.methods,
            |columns| &mut columns.rtt,
            |columns| &mut columns.graph,
            |columns| &mut columns.in_flight,
            |columns| &mut columns.p99,
            |columns| &mut columns.errors,
            |columns| &mut columns.calls,
        ];
        for column in droppable {
            if over(&columns) > 0 {
                *column(&mut columns) = 0;
            }
        }
        // The graph takes what the others leave.
        if columns.graph > 0 {
            let free = width.saturating_sub(columns.total() + 1);
            columns.graph = (columns.graph + free).min(MAX_GRAPH);
        }
        columns.spell_out_headings(width);
        let over = columns.total().saturating_sub(width);
        columns.address = columns.address.saturating_sub(over).max(8);
        columns
    }

    /// Widens columns to their whole headings, if all fit.
    fn spell_out_headings(&mut self, width: usize) {
        let wider = |width: usize, heading: &str| if width == 0 { 0 } else { heading.len() };
        let (beat, methods) = (wider(self.beat, "HEARTBEAT"), wider(self.methods, "METHODS"));
        if self.total() + beat + methods < width + self.beat + self.methods {
            (self.beat, self.methods) = (beat, methods);
        }
    }

    /// The cells of the text of a service's heading: those of state and address, or all where the
    /// heading has no other cells.
    pub(super) fn heading_width(&self) -> usize {
        if self.calls == 0 {
            return self.width.saturating_sub(MARKER + 1);
        }
        self.state + GAP + self.address
    }

    fn widths(&self) -> [usize; 12] {
        [
            self.state,
            self.address,
            self.calls,
            self.graph,
            self.errors,
            self.p99,
            self.in_flight,
            self.beat,
            self.bar,
            self.rtt,
            self.methods,
            self.since,
        ]
    }

    fn total(&self) -> usize {
        let used = self.widths().into_iter().filter(|width| *width > 0);
        (MARKER + used.map(|width| width + GAP).sum::<usize>()).saturating_sub(GAP)
    }

    pub(super) fn heading(&self, screen: &mut Screen<'_, '_>, area: Rect) {
        let probe = if self.live { "RTT" } else { "PROBE" };
        let room = self.bar.saturating_sub(2);
        let scale = format!("age / {}s TTL", self.ttl);
        let scale = if scale.len() > room { format!("age / {}s", self.ttl) } else { scale };
        let bar = format!("▕{}▏", centre(&scale, room));
        let beat = if self.beat >= 9 { "HEARTBEAT" } else { Column::Beat.title() };
        let methods = if self.methods >= 7 { Column::Methods.title() } else { "MTH" };
        let cells = [
            (self.state, text::left("STATE", self.state), Some(Column::State)),
            (self.address, text::left("ADDRESS", self.address), Some(Column::Address)),
            (self.calls, text::right("CALLS/S", self.calls), Some(Column::Calls)),
            (self.graph, " ".repeat(self.graph), Some(Column::Calls)),
            (self.errors, text::right("ERR/S", self.errors), None),
            (self.p99, text::right("P99", self.p99), None),
            (self.in_flight, text::right("INFL", self.in_flight), None),
            (self.beat, text::right(beat, self.beat), Some(Column::Beat)),
            (self.bar, bar, Some(Column::Beat)),
            (self.rtt, text::right(probe, self.rtt), Some(Column::Rtt)),
            (self.methods, text::right(methods, self.methods), Some(Column::Methods)),
            (self.since, text::right("SINCE", self.since), Some(Column::Since)),
        ];
        let mut line = Line::from(" ".repeat(MARKER));
        let mut x = area.x + u16::try_from(MARKER).unwrap_or(0);
        for (width, cell, column) in cells.into_iter().filter(|(width, ..)| *width > 0) {
            line.push_span(Span::styled(cell, screen.theme.dim()));
            line.push_span(" ".repeat(GAP));
            let wide = u16::try_from(width).unwrap_or(0);
            if let Some(column) = column {
                let cell = Rect { x, width: wide, height: 1, ..area };
                screen.hit(cell.intersection(area), Hit::Column(column));
            }
            x = x.saturating_add(wide + 2);
        }
        screen.line(area, 0, line);
    }

    pub(super) fn row(
        &self,
        screen: &Screen<'_, '_>,
        row: &Row,
        shunned: Option<&Health>,
        selected: bool,
        now: Instant,
        live: bool,
    ) -> Line<'static> {
        let theme = screen.theme;
        let state = row.state(now, live);
        let (mut glyph, mut style) = glyph_and_style(screen, state);
        let plain = if state == State::Gone { theme.dim() } else { ratatui::style::Style::new() };
        let mut word = row.state_text(now, live);
        // Up for the registry, but not for the console's own calls.
        if let (Some(shunned), State::Up) = (shunned, state) {
            (glyph, style, word) = ("◐", theme.warning(), shunned.word());
        }
        let age = row.age(now).map_or_else(
            || "-".to_owned(),
            |age| {
                if live { text::age(age) } else { format!(">{}", text::seconds(age)) }
            },
        );
        let probe = match (&row.probe, live) {
            (Probe::None, _) => "-".to_owned(),
            (Probe::Replied(rtt), true) => text::latency(*rtt),
            (Probe::Replied(rtt), false) => format!("ok {}", text::latency(*rtt)),
            (Probe::Failed(_), _) => "failed".to_owned(),
        };
        let probe_style = match row.probe {
            Probe::Failed(_) => theme.bad(),
            _ => plain,
        };
        let methods = row.methods.map_or_else(|| "-".to_owned(), |count| count.to_string());
        let since = row.registered(now).map_or_else(|| "-".to_owned(), text::age);
        let address = text::printable(&row.key.to_string()).into_owned();
        let address = text::suffix(&address, self.address);
        let cells = [
            (self.state, Span::styled(text::left(&format!("{glyph} {word}"), self.state), style)),
            (self.address, Span::styled(text::left(&address, self.address), plain)),
            (self.beat, Span::styled(text::right(&age, self.beat), plain)),
            (self.bar, Span::styled(self.age_bar(row, now), style)),
            (self.rtt, Span::styled(text::right(&probe, self.rtt), probe_style)),
            (self.methods, Span::styled(text::right(&methods, self.methods), plain)),
            (self.since, Span::styled(text::right(&since, self.since), plain)),
        ];
        let mut line = Line::from(if selected { " ▸ " } else { "   " });
        let [state, address, rest @ ..] = cells;
        let traffic = self.traffic(screen, row.traffic.total(now), plain);
        for (_, cell) in [state, address].into_iter().chain(traffic).chain(rest).filter(is_shown) {
            line.push_span(cell);
            line.push_span(" ".repeat(GAP));
        }
        line
    }

    /// The cells of the traffic of an instance or a service; `–` where it is unknown.
    fn traffic(
        &self,
        screen: &Screen<'_, '_>,
        trend: Option<&Trend>,
        plain: Style,
    ) -> [(usize, Span<'static>); 5] {
        let theme = screen.theme;
        let shown = |text: fn(&Trend) -> String| trend.map_or_else(|| "–".to_owned(), text);
        let has_errors = trend.is_some_and(|trend| trend.now.errors > 0.0);
        let graph = trend.map_or_else(String::new, |trend| traffic::graph(trend, self.graph));
        let cell = |text: String, width: usize, style| {
            (width, Span::styled(text::right(&text, width), style))
        };
        [
            cell(shown(|trend| traffic::rate(trend.now.calls)), self.calls, plain),
            cell(graph, self.graph, theme.accent()),
            cell(
                shown(|trend| traffic::rate(trend.now.errors)),
                self.errors,
                if has_errors { theme.bad() } else { plain },
            ),
            cell(shown(|trend| traffic::p99(&trend.now)), self.p99, plain),
            cell(shown(|trend| trend.now.in_flight.to_string()), self.in_flight, plain),
        ]
    }

    /// The cells of the traffic of a service, below those of its instances.
    pub(super) fn sum(&self, screen: &Screen<'_, '_>, trend: Option<&Trend>) -> Vec<Span<'static>> {
        let cells = self.traffic(screen, trend, Style::new()).into_iter().filter(is_shown);
        cells.flat_map(|(_, cell)| [Span::raw(" ".repeat(GAP)), cell]).collect()
    }

    /// The age of its heartbeat as a part of its TTL, or the registry that takes it.
    fn age_bar(&self, row: &Row, now: Instant) -> String {
        let Some(age) = row.age(now).filter(|_| row.gone.is_none()) else {
            let owner = row.owner.as_ref().filter(|_| row.gone.is_none());
            let owner = owner.map(|owner| at(&text::printable(&owner.to_string()), self.bar));
            return text::left(&owner.unwrap_or_default(), self.bar);
        };
        let share = (age.as_secs_f64() / row.ttl.as_secs_f64().max(0.001)).clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a few cells"
        )]
        let full = ((self.bar as f64 * share).round() as usize).min(self.bar);
        format!("{}{}", "█".repeat(full), "·".repeat(self.bar - full))
    }
}

/// The registry that takes its heartbeats; addresses differ at their ends.
fn at(owner: &str, room: usize) -> String {
    let whole = [format!("at {owner}"), owner.to_owned()];
    if let Some(whole) = whole.into_iter().find(|text| text::width(text) <= room) {
        return whole;
    }
    text::suffix(owner, room).into_owned()
}

fn is_shown((width, _): &(usize, Span<'static>)) -> bool {
    *width > 0
}

fn shrink(width: usize, by: usize, min: usize) -> usize {
    if width == 0 { 0 } else { width.saturating_sub(by).max(min.min(width)) }
}

fn centre(text: &str, width: usize) -> String {
    let text = text::cut(text, width);
    let pad = width.saturating_sub(text::width(&text));
    format!("{}{text}{}", " ".repeat(pad / 2), " ".repeat(pad - pad / 2))
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_owner_is_shown_by_the_end_of_its_address_where_there_is_no_room() {
        let at = |room| super::at("127.0.0.1:47201", room);
        assert_eq!((at(20).as_str(), at(15).as_str()), ("at 127.0.0.1:47201", "127.0.0.1:47201"));
        assert_eq!(at(8), "…1:47201");
    }
}
