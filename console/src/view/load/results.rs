//! Results of a load test as lines: totals, latencies beside their histogram, values over time, shares.

use std::time::Duration;

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use rpc_load::{Bar, Latency, Length, Mode, Report, compare};

use super::over_time::{Rows, over_time};
use super::shares::{errors, shares};
use crate::view::Theme;
use rpc_console_core::model::Model;
use rpc_console_core::model::load::Run;
use rpc_console_core::text;

/// From this height on the histogram has all its bars, and charts have several rows.
const TALL: u16 = 27;
/// Up to this height the main figures come first, the rest below.
const SMALL: u16 = 12;
/// Smaller changes are shown as none: equal runs differ this much.
const NOISE: f64 = 0.03;

/// `open loop, 100/s`, `closed loop, 4 callers`.
pub(super) fn mode(run: &Run) -> String {
    match run.request.mode {
        Mode::OpenLoop { rate, .. } => format!("open loop, {}/s", text::rate(rate)),
        Mode::ClosedLoop { concurrency: 1 } => "closed loop, 1 caller".to_owned(),
        Mode::ClosedLoop { concurrency } => format!("closed loop, {concurrency} callers"),
    }
}

/// Everything; the caller scrolls.
pub(super) fn lines(
    model: &Model,
    theme: Theme,
    run: &Run,
    (width, height): (u16, u16),
    with_shares: bool,
) -> Vec<Line<'static>> {
    let small = height <= SMALL;
    let mut lines = vec![progress(theme, run, width)];
    if let Some(why) = &run.failure {
        lines.extend(wrapped(&text::printable(why), theme.bad(), width));
    }
    let Some(report) = run.report() else { return lines };
    let previous = model.load.previous.as_ref().and_then(Run::report);
    let previous = previous.filter(|_| model.load.comparing);
    lines.extend(figures(theme, report, width));
    if let Some(previous) = previous {
        lines.extend(comparison(theme, previous, report, width));
    }
    if small && report.latency != Latency::default() {
        lines.extend(main_quantiles(theme, report, width));
        lines.extend(over_time(theme, run, report, width, Rows::One));
    }
    if report.latency != Latency::default() {
        let tall = height >= TALL;
        lines.push(Line::default());
        let (table, below) = latency(theme, report, previous, width, tall);
        lines.extend(table);
        if tall && previous.is_none() {
            lines.push(Line::default());
        }
        if !small {
            let used = lines.len() + below.len();
            let rows = if tall { Rows::for_height(height.into(), used) } else { Rows::OneWithAxis };
            lines.extend(over_time(theme, run, report, width, rows));
        }
        lines.extend(below);
    }
    if with_shares {
        lines.push(Line::default());
        lines.extend(shares(theme, report, width));
        lines.extend(errors(theme, report, width));
    }
    lines
}

fn progress(theme: Theme, run: &Run, width: u16) -> Line<'static> {
    let word = run.status();
    let style = match word {
        "failed" => theme.bad(),
        "done" => theme.good(),
        "stopped" => theme.warning(),
        _ => theme.accent(),
    };
    let glyph = match word {
        "failed" => "✗",
        "done" => "✓",
        "stopped" => "■",
        _ => "…",
    };
    let Some(progress) = &run.progress else {
        return Line::from(Span::styled(format!(" {glyph} {word}"), style));
    };
    let elapsed = progress.report.elapsed.as_secs_f64();
    let of = match run.request.length {
        Length::Time(time) => format!("{elapsed:.1}s of {}s", time.as_secs_f64()),
        Length::Calls(calls) => {
            format!("{} of {} calls", text::grouped(progress.report.calls), text::grouped(calls))
        }
    };
    let in_flight = if run.is_over() || width < 60 {
        String::new()
    } else {
        format!("  {} in flight", text::grouped(progress.in_flight as u64))
    };
    let used = text::width(word) + of.len() + in_flight.len() + 12;
    let cells = usize::from(width).saturating_sub(used);
    let cells = cells.min(30);
    // A stopped run has finished, but not reached 100 %.
    let done = match run.request.length {
        Length::Time(time) if progress.report.stopped => elapsed / time.as_secs_f64(),
        Length::Calls(calls) if progress.report.stopped => {
            progress.report.calls as f64 / calls as f64
        }
        _ => progress.done,
    };
    let done = done.clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to cells")]
    let full = (done * cells as f64).round() as usize;
    Line::from(vec![
        Span::styled(format!(" {glyph} {word} "), style),
        Span::styled("█".repeat(full), style),
        Span::styled("·".repeat(cells - full.min(cells)), theme.dim()),
        Span::raw(format!(" {:3.0}%  {of}", done * 100.0)),
        Span::styled(in_flight, theme.dim()),
    ])
}

fn figures(theme: Theme, report: &Report, width: u16) -> Vec<Line<'static>> {
    let failed = if report.failed > 0 { theme.bad() } else { theme.dim() };
    let mut all = vec![
        vec![
            Span::styled(text::grouped(report.calls), theme.strong()),
            Span::styled(if report.calls == 1 { " call" } else { " calls" }, theme.dim()),
        ],
        vec![
            Span::styled(text::rate(report.rate), theme.strong()),
            Span::styled("/s", theme.dim()),
        ],
        vec![Span::styled(
            format!(
                "{} failed ({})",
                text::grouped(report.failed),
                text::percent(report.error_ratio)
            ),
            failed,
        )],
    ];
    if report.retries > 0 {
        all.push(vec![Span::styled(
            text::count(report.retries, "retry", "retries"),
            theme.warning(),
        )]);
    }
    if report.abandoned > 0 {
        let abandoned = format!("{} abandoned", text::grouped(report.abandoned));
        all.push(vec![Span::styled(abandoned, theme.warning())]);
    }
    if let Some(first) = report.errors.first() {
        let kind = text::printable(&first.kind).into_owned();
        all.push(vec![Span::styled(format!("mostly {kind}"), theme.bad())]);
    }
    let mut lines = wrap(all, width);
    if let Some(behind) = &report.behind {
        if behind.late > 0 {
            let late = format!(
                "{} started more than 10 ms late, up to {}",
                text::grouped(behind.late),
                text::precise(behind.furthest)
            );
            lines.extend(wrapped(&late, theme.warning(), width));
        }
        if behind.never_begun > 0 {
            let count = text::grouped(behind.never_begun);
            let line = format!("{count} never started: the rate is too high");
            lines.extend(wrapped(&line, theme.bad(), width));
        }
    }
    lines
}

/// A text wrapped at words.
fn wrapped(text: &str, style: Style, width: u16) -> impl Iterator<Item = Line<'static>> {
    let room = usize::from(width).saturating_sub(2).max(1);
    let pieces = text::wrap_words(text, room).into_iter();
    pieces.map(move |piece| Line::from(Span::styled(format!(" {piece}"), style)))
}

/// Groups of spans one after another, wrapped between groups.
fn wrap(groups: Vec<Vec<Span<'static>>>, width: u16) -> Vec<Line<'static>> {
    let mut lines: Vec<Line<'static>> = Vec::new();
    for group in groups {
        let group = Line::from(group);
        match lines.last_mut() {
            Some(line) if line.width() + group.width() + 3 <= usize::from(width) => {
                line.push_span("   ");
                line.extend(group);
            }
            _ => {
                let mut line = Line::from(" ");
                line.extend(group);
                lines.push(line);
            }
        }
    }
    lines
}

/// Changes from the previous run, other than the latencies.
fn comparison(theme: Theme, previous: &Report, now: &Report, width: u16) -> Vec<Line<'static>> {
    let change = compare(previous, now);
    if !change.comparable {
        let other = vec![Span::styled("the previous run used other settings;", theme.warning())];
        let why = vec![Span::styled("not comparable", theme.warning())];
        return wrap(vec![other, why], width);
    }
    let (word, style) = change_label(theme, change.rate.ratio, Better::Higher);
    let figures =
        format!("{}/s, {} failed", text::rate(previous.rate), text::percent(previous.error_ratio));
    let previous = vec![Span::styled("previous: ", theme.dim()), Span::raw(figures)];
    wrap(vec![previous, vec![Span::styled(format!("rate {word}"), style)]], width)
}

#[derive(Clone, Copy, PartialEq)]
enum Better {
    Higher,
    Lower,
}

/// `▲ +27%`, `▼ -12%`, `= same`: green when better, yellow when worse.
fn change_label(theme: Theme, ratio: Option<f64>, better: Better) -> (String, Style) {
    let Some(ratio) = ratio else { return ("new".to_owned(), theme.dim()) };
    let percent = (ratio - 1.0) * 100.0;
    if (ratio - 1.0).abs() < NOISE {
        return ("= same".to_owned(), theme.dim());
    }
    let up = ratio > 1.0;
    let style = if up == (better == Better::Higher) { theme.good() } else { theme.warning() };
    let text = if ratio >= 10.0 {
        format!("▲ x{ratio:.0}")
    } else {
        format!("{} {percent:+.0}%", if up { "▲" } else { "▼" })
    };
    (text, style)
}

/// The most common quantiles, in a few lines.
fn main_quantiles(theme: Theme, report: &Report, width: u16) -> Vec<Line<'static>> {
    let wanted = report.latency.named().into_iter();
    let wanted = wanted.filter(|(name, _)| ["p50", "p95", "p99", "slowest"].contains(name));
    let group = |(name, value): (&str, Duration)| {
        vec![
            Span::styled(format!("{name} "), theme.dim()),
            Span::styled(text::precise(value), theme.strong()),
        ]
    };
    wrap(wanted.map(group).collect(), width)
}

/// The quantiles, beside those of the previous run if compared, and the histogram: beside them, or
/// returned as lines to draw below where it does not fit.
fn latency(
    theme: Theme,
    report: &Report,
    previous: Option<&Report>,
    width: u16,
    tall: bool,
) -> (Vec<Line<'static>>, Vec<Line<'static>>) {
    let table_width = if previous.is_some() { 40 } else { 20 };
    let bar_room = |used: usize| usize::from(width).saturating_sub(used + 18).min(60);
    let mut table = Vec::new();
    let heading = if previous.is_some() {
        format!(" {:<8}{:>10}{:>10}  {:<9}", "latency", "previous", "now", "change")
    } else {
        format!(" {:<8}{:>10} ", "latency", "")
    };
    table.push(vec![Span::styled(heading, theme.dim())]);
    let old = previous.map(|previous| previous.latency.named());
    for (at, (name, value)) in report.latency.named().into_iter().enumerate() {
        let main = matches!(name, "p50" | "p95" | "p99");
        let style = if main { theme.strong() } else { Style::new() };
        let mut row =
            vec![Span::styled(format!(" {name:<8}"), if main { style } else { theme.dim() })];
        let now = Span::styled(format!("{:>10}", text::precise(value)), style);
        match old.as_ref().and_then(|old| old.get(at)) {
            Some((_, then)) => {
                let ratio = (!then.is_zero()).then(|| value.as_secs_f64() / then.as_secs_f64());
                let (word, change) = change_label(theme, ratio, Better::Lower);
                row.push(Span::styled(format!("{:>10}", text::precise(*then)), theme.dim()));
                row.push(now);
                row.push(Span::styled(format!("  {}", text::left(&word, 9)), change));
            }
            None => row.push(now),
        }
        table.push(row);
    }
    let mut lines: Vec<Line<'static>> = table.into_iter().map(Line::from).collect();
    if bar_room(table_width) < 6 {
        return (lines, histogram(theme, &report.histogram, bar_room(0), tall));
    }
    let histogram = histogram(theme, &report.histogram, bar_room(table_width), tall);
    for (at, bars) in histogram.into_iter().enumerate() {
        if at >= lines.len() {
            lines.push(Line::from(" ".repeat(table_width - 1)));
        }
        if let Some(line) = lines.get_mut(at) {
            let pad = table_width.saturating_sub(line.width());
            line.push_span(" ".repeat(pad));
            line.extend(bars);
        }
    }
    (lines, Vec::new())
}

fn histogram(theme: Theme, bars: &[Bar], room: usize, tall: bool) -> Vec<Line<'static>> {
    let per = if tall { 1 } else { 2 };
    let bars: Vec<Bar> = bars
        .chunks(per)
        .filter_map(|chunk| {
            let last = chunk.last()?;
            Some(Bar { up_to: last.up_to, count: chunk.iter().map(|bar| bar.count).sum() })
        })
        .collect();
    let max = bars.iter().map(|bar| bar.count).max().unwrap_or(0).max(1);
    let heading = Line::from(Span::styled(format!("{:>8}{:>8}", "up to", "calls"), theme.dim()));
    let row = |bar: &Bar| {
        // Rounded up, so that only zero has no bar.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to room")]
        let length = (bar.count as f64 / max as f64 * room as f64).ceil() as usize;
        Line::from(vec![
            Span::styled(format!("{:>8}", text::precise(bar.up_to)), theme.dim()),
            Span::raw(format!("{:>8} ", text::grouped(bar.count))),
            Span::styled("█".repeat(length), theme.accent()),
        ])
    };
    std::iter::once(heading).chain(bars.iter().map(row)).collect()
}
