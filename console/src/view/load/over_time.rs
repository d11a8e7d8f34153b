//! Rate and 99th percentile over time: two charts with their scales, above one time axis.

use std::time::Duration;

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use rpc_load::{Length, Point, Report};

use super::chart;
use crate::view::Theme;
use rpc_console_core::model::load::Run;
use rpc_console_core::text;

/// The height of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// One row, without the time axis.
    One,
    /// One row.
    OneWithAxis,
    /// Several rows, with the scale at their left.
    Tall(usize),
}

impl Rows {
    /// As tall as fits in a pane of `height` rows, of which other lines take `used`.
    pub(super) fn for_height(height: usize, used: usize) -> Self {
        // Of each of the two charts, a line is its name; the last line is the axis.
        let fits = |rows: &usize| used + 2 * (rows + 1) < height;
        [6, 3, 2].into_iter().find(fits).map_or(Self::OneWithAxis, Self::Tall)
    }
}

/// One value over time.
struct Chart {
    name: &'static str,
    style: Style,
    values: Vec<f64>,
    value: fn(&Point) -> f64,
    show: fn(f64) -> String,
}

impl Chart {
    /// `93/s – 99/s`; one value where both are the same on screen.
    fn range(&self) -> String {
        let min = self.values.iter().copied().fold(f64::INFINITY, f64::min);
        let (min, max) = ((self.show)(min), self.max());
        if min == max { max } else { format!("{min} – {max}") }
    }

    fn max(&self) -> String {
        (self.show)(self.values.iter().copied().fold(0.0, f64::max))
    }
}

/// The charts; nothing before there are two points to compare.
pub(super) fn over_time(
    theme: Theme,
    run: &Run,
    report: &Report,
    width: u16,
    rows: Rows,
) -> Vec<Line<'static>> {
    let points = chart::full_points(report);
    // Without a call there is no latency: 0 would be wrong.
    let called: Vec<&Point> = points.iter().copied().filter(|point| point.calls > 0).collect();
    if points.len() < 2 || called.is_empty() {
        return Vec::new();
    }
    let rate = |point: &Point| point.rate;
    let p99 = |point: &Point| point.p99.as_secs_f64();
    let charts = [
        Chart {
            name: "rate",
            style: theme.accent(),
            values: points.iter().copied().map(rate).collect(),
            value: rate,
            show: |rate| format!("{}/s", text::rate(rate)),
        },
        Chart {
            name: "p99",
            style: theme.warning(),
            values: called.iter().copied().map(p99).collect(),
            value: p99,
            show: |seconds| text::precise(Duration::from_secs_f64(seconds)),
        },
    ];
    let total = match run.request.length {
        Length::Time(time) if !run.is_over() => time,
        _ => report.elapsed,
    };
    let scale = charts.iter().map(|chart| text::width(&chart.max())).max().unwrap_or(0);
    let notes = charts.iter().map(|chart| text::width(&chart.range())).max().unwrap_or(0);
    // Left of the bars: the scale, or the name.
    let (left, right) = match rows {
        Rows::Tall(_) => (scale + 3, 1),
        Rows::One | Rows::OneWithAxis => (6, notes + 3),
    };
    let cells = usize::from(width).saturating_sub(left + right);
    let mut lines = Vec::new();
    for chart in &charts {
        let values = chart::resample(&points, chart.value, total, cells);
        match rows {
            Rows::Tall(rows) => lines.extend(tall(theme, chart, &values, (rows, scale))),
            Rows::One | Rows::OneWithAxis => lines.push(Line::from(vec![
                Span::styled(format!(" {:<5}", chart.name), theme.dim()),
                Span::styled(chart::bars(&values, 1).concat(), chart.style),
                Span::raw(format!("  {}", chart.range())),
            ])),
        }
    }
    if rows != Rows::One {
        let axis = format!("{}{}", " ".repeat(left), axis(total, cells));
        lines.push(Line::from(Span::styled(axis, theme.dim())));
    }
    lines
}

/// A chart of some rows below its name and range, with its maximum and 0 at the left.
fn tall(
    theme: Theme,
    chart: &Chart,
    values: &[Option<f64>],
    (rows, scale): (usize, usize),
) -> Vec<Line<'static>> {
    let mut lines = vec![Line::from(vec![
        Span::styled(format!(" {:<5}", chart.name), theme.dim()),
        Span::raw(chart.range()),
    ])];
    for (row, bars) in chart::bars(values, rows).into_iter().enumerate() {
        let label = match row {
            0 => chart.max(),
            row if row + 1 == rows => "0".to_owned(),
            _ => String::new(),
        };
        lines.push(Line::from(vec![
            Span::styled(format!(" {} │", text::right(&label, scale)), theme.dim()),
            Span::styled(bars, chart.style),
        ]));
    }
    lines
}

/// `0s        5s        10s`, as wide as the bars.
fn axis(total: Duration, cells: usize) -> String {
    let (middle, end) = (tick(total / 2), tick(total));
    let mut axis = "0s".to_owned();
    for (label, until) in [(middle, cells / 2), (end, cells)] {
        let pad = until.saturating_sub(text::width(&axis) + text::width(&label));
        if pad > 1 {
            axis.push_str(&" ".repeat(pad));
            axis.push_str(&label);
        }
    }
    axis
}

/// `0.5s`, `10s`, `12m`.
fn tick(at: Duration) -> String {
    let seconds = at.as_secs_f64();
    match at.as_secs() {
        0..10 if (seconds - seconds.round()).abs() > 0.05 => format!("{seconds:.1}s"),
        0..120 => format!("{seconds:.0}s"),
        _ => text::age(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rpc_console_core::fixture;

    fn lines(change: impl Fn(&mut Report), rows: Rows) -> Vec<String> {
        let (model, _) = fixture::compared();
        let run = model.load.run.as_ref().unwrap();
        let mut report = run.report().unwrap().clone();
        change(&mut report);
        let lines = over_time(Theme::default(), run, &report, 60, rows);
        lines.iter().map(|line| line.to_string().trim_end().to_owned()).collect()
    }

    #[test]
    fn charts_have_a_scale_and_a_time_axis() {
        let lines = lines(|_| {}, Rows::Tall(3));
        assert!(lines[0].starts_with(" rate ") && lines[1].contains("80/s │"), "{lines:#?}");
        assert!(lines[3].contains(" 0 │"), "{lines:#?}");
        let axis = lines.last().unwrap();
        assert!(axis.trim_start().starts_with("0s") && axis.ends_with("10s"), "{lines:#?}");
    }

    #[test]
    fn a_range_of_one_value_is_that_value_and_one_point_is_no_chart() {
        let same = |report: &mut Report| report.series.iter_mut().for_each(|p| p.rate = 50.0);
        assert!(lines(same, Rows::One)[0].ends_with("  50/s"));
        assert!(lines(|report| report.series.truncate(1), Rows::Tall(3)).is_empty());
    }

    #[test]
    fn an_interval_without_calls_has_no_latency() {
        let idle = |report: &mut Report| {
            report.series[0].calls = 0;
            report.series[0].p99 = Duration::ZERO;
        };
        let lines = lines(idle, Rows::OneWithAxis);
        assert!(!lines[1].contains("0.00"), "{lines:#?}");
    }
}
