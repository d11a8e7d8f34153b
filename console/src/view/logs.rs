//! Log lines of all sources, the newest at the bottom.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use rpc_wire::report::Level;

use super::response::body::highlight;
use super::screen::Screen;
use rpc_console_core::model::logs::Line as LogLine;
use rpc_console_core::model::logs::{Source, SourceState};
use rpc_console_core::model::{Model, Pane};
use rpc_console_core::text::{self, Needle};

pub(super) fn logs(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let logs = &model.logs;
    let style = if logs.dropped > 0 { screen.theme.bad() } else { screen.theme.dim() };
    let dropped = Line::from(Span::styled(format!(" dropped {} ", logs.dropped), style));
    let inner = screen.pane(model, area, Pane::Logs, title(model, screen), dropped);
    let inner = sources(model, screen, inner);
    let inner = filter_and_search(model, screen, inner);
    screen.record_height(Pane::Logs, inner.height);
    if logs.counts().0 == 0 {
        return empty(model, screen, inner);
    }
    let longest = logs.sources.keys().map(|source| text::width(&source.name())).max();
    let source_width = longest.unwrap_or(8).clamp(8, 22);
    let needle = Some(logs.search.value()).filter(|text| !text.is_empty()).map(Needle::new);
    let mut bottom = inner.height;
    for line in logs.upwards() {
        let here = logs.current_match == Some(line.seq);
        let found = needle.as_ref().filter(|needle| line.contains(needle));
        let lines = lines(model, screen, line, source_width, inner.width);
        for mut line in lines.into_iter().rev() {
            if bottom == 0 {
                return;
            }
            bottom -= 1;
            if let Some(needle) = found {
                let spans = line.spans.into_iter();
                line.spans = spans.flat_map(|s| highlight(screen, s, needle)).collect();
            }
            screen.line(inner, bottom, line);
            if here {
                screen.style_row(inner, bottom, screen.theme.selected());
            }
        }
    }
}

/// Following or stopped, level, source and count.
fn title(model: &Model, screen: &Screen<'_, '_>) -> Line<'static> {
    let theme = screen.theme;
    let logs = &model.logs;
    let follow = match logs.bottom {
        None => Span::styled(" FOLLOW ", theme.good()),
        Some(_) if logs.below() > 0 => {
            Span::styled(format!(" STOPPED ▼ {} new ", logs.below()), theme.warning())
        }
        Some(_) => Span::styled(" STOPPED ", theme.warning()),
    };
    let source = logs.source.as_ref().map_or_else(|| "all sources".to_owned(), Source::name);
    let (shown, all) = logs.counts();
    let (found, whole) = (text::grouped(shown as u64), text::grouped(all as u64));
    // "+": not all lines are filtered yet.
    let more = if logs.unfiltered() > 0 { "+" } else { "" };
    let count = match shown == all {
        true => format!("{whole} lines"),
        false => format!("{found}{more} of {whole} lines"),
    };
    Line::from(vec![
        Span::raw(" Logs "),
        follow,
        Span::raw(format!(" level ≥ {} · {source} · {count} ", logs.level)),
    ])
}

/// The rows of filter and search, if any; returns the area below.
fn filter_and_search(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) -> Rect {
    let logs = &model.logs;
    let found = text::grouped(logs.counts().0 as u64);
    let note = match logs.unfiltered() {
        0 => format!("{found} lines"),
        _ => format!("{found}+ lines, filtering …"),
    };
    let typed = ("&", !logs.searching);
    let area = screen.input_row(model, area, Pane::Logs, typed, &logs.filter, note);
    let more = if logs.is_searching() { "+" } else { "" };
    let note = match logs.match_counts() {
        (Some(at), count) => format!("{at} of {count}{more} matches"),
        (None, count) => format!("{count}{more} matches"),
    };
    let typed = ("/", logs.searching);
    screen.input_row(model, area, Pane::Logs, typed, &logs.search, note)
}

fn empty(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) {
    let why = match model.logs.unfiltered() {
        0 if model.logs.counts().1 == 0 => "no lines yet".to_owned(),
        0 => "no lines match; < shows more levels".to_owned(),
        more => format!("filtering {} older lines …", text::grouped(more as u64)),
    };
    screen.centred(area, vec![Line::from(Span::styled(why, screen.theme.dim()))]);
}

/// One row with every source and its state, if there is room.
fn sources(model: &Model, screen: &mut Screen<'_, '_>, area: Rect) -> Rect {
    if area.height < 6 || model.logs.sources.is_empty() {
        return area;
    }
    let theme = screen.theme;
    let mut line = Line::from(" ");
    for (source, state) in &model.logs.sources {
        let (glyph, style, more) = match state {
            SourceState::Live => ("●", theme.good(), ""),
            SourceState::Lost(_) => ("✗", theme.bad(), " lost"),
            SourceState::Unsupported => ("○", theme.dim(), " no log stream"),
            SourceState::Gone => ("○", theme.dim(), " gone"),
        };
        line.push_span(Span::styled(glyph, style));
        line.push_span(Span::styled(format!(" {}{more}   ", source.name()), theme.dim()));
    }
    screen.line(area, 0, line);
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}

fn lines(
    model: &Model,
    screen: &Screen<'_, '_>,
    line: &LogLine,
    source_width: usize,
    width: u16,
) -> Vec<Line<'static>> {
    let theme = screen.theme;
    if line.mark {
        let text = format!("── {} ", text::hour_minute_second(line.wall_ms));
        let rest = usize::from(width).saturating_sub(text::width(&text));
        return vec![Line::from(Span::styled(
            format!("{text}{}", "─".repeat(rest)),
            theme.accent(),
        ))];
    }
    let mut spans = vec![Span::raw(" ")];
    if model.logs.time {
        spans.push(Span::styled(
            format!("{}  ", text::hour_minute_second(line.wall_ms)),
            theme.dim(),
        ));
    }
    let level = text::left(&line.level.as_str().to_uppercase(), 5);
    spans.push(Span::styled(format!("{level}  "), level_style(screen, line.level)));
    if model.logs.source.is_none() && width >= 60 {
        let source = text::left(&line.source.name(), source_width);
        spans.push(Span::styled(format!("{source}  "), theme.dim()));
    }
    let used: usize = spans.iter().map(Span::width).sum();
    let room = usize::from(width).saturating_sub(used);
    let mut message = text::printable(&line.text).into_owned();
    if line.dropped > 0 {
        message = format!("[{} lines dropped] {message}", line.dropped);
    }
    if !model.logs.wrap {
        spans.push(Span::raw(text::cut(&message, room).into_owned()));
        return vec![Line::from(spans)];
    }
    let mut lines = Vec::new();
    for piece in text::wrap_anywhere(&message, room.max(1)) {
        if lines.is_empty() {
            let mut first = std::mem::take(&mut spans);
            first.push(Span::raw(piece));
            lines.push(Line::from(first));
        } else {
            lines.push(Line::from(format!("{}{piece}", " ".repeat(used))));
        }
    }
    lines
}

fn level_style(screen: &Screen<'_, '_>, level: Level) -> Style {
    let theme = screen.theme;
    match level {
        Level::Error => theme.bad(),
        Level::Warn => theme.warning(),
        Level::Info => theme.good(),
        Level::Debug | Level::Trace => theme.dim(),
    }
}
