//! Values over time as columns of small bars.

use std::time::Duration;

use rpc_load::{Point, Report};

const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The points without short ones, such as the last, which are not comparable.
pub(super) fn full_points(report: &Report) -> Vec<&Point> {
    let longest = report.series.iter().map(|point| point.span).max().unwrap_or_default();
    report.series.iter().filter(|point| point.span * 2 >= longest).collect()
}

/// One value per cell of a chart of `cells` cells that covers `total`: that of the point measured
/// then, `None` where nothing was measured yet.
pub(super) fn resample(
    points: &[&Point],
    value: impl Fn(&Point) -> f64,
    total: Duration,
    cells: usize,
) -> Vec<Option<f64>> {
    let end = points.last().map_or(Duration::ZERO, |point| point.at + point.span);
    let total = total.max(end).as_secs_f64();
    let at = |cell: usize| {
        let time = (cell as f64 + 0.5) / cells.max(1) as f64 * total;
        // Points are taken a little late, so there may be gaps between them.
        let index = points.partition_point(|point| point.at.as_secs_f64() <= time);
        let point = points.get(index.saturating_sub(1))?;
        let over = index >= points.len() && time > (point.at + point.span).as_secs_f64();
        (!over).then(|| value(point))
    };
    (0..cells).map(at).collect()
}

/// The values as bars of at most `rows` rows, scaled to the maximum, the top row first. Only zero
/// has no bar.
pub(super) fn bars(values: &[Option<f64>], rows: usize) -> Vec<String> {
    let max = values.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
    let eighths = rows * 8;
    let height = |value: &Option<f64>| {
        // A float-to-integer cast saturates.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to rows * 8"
        )]
        let height = value.map_or(0, |value| (value / max * eighths as f64).ceil() as usize);
        height.min(eighths)
    };
    let row = |row: usize| {
        let below = (rows - 1 - row) * 8;
        let bar = |value: &Option<f64>| BARS[height(value).saturating_sub(below).min(8)];
        values.iter().map(bar).collect()
    };
    (0..rows).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: u64, rate: f64) -> Point {
        let second = Duration::from_secs(1);
        let at = second * u32::try_from(at).unwrap();
        Point { at, span: second, calls: 1, failed: 0, rate, p50: second, p99: second }
    }

    #[test]
    fn a_chart_fills_as_time_passes() {
        let points = [point(0, 1.0), point(1, 4.0)];
        let points: Vec<_> = points.iter().collect();
        let ten = Duration::from_secs(10);
        let values = resample(&points, |point| point.rate, ten, 10);
        assert_eq!(values[..3], [Some(1.0), Some(4.0), None]);
        assert_eq!(bars(&values[..3], 2), [" █ ", "▄█ "]);
    }

    #[test]
    fn a_small_value_still_has_a_bar_and_no_values_do_not_panic() {
        assert_eq!(bars(&[Some(0.001), Some(100.0), Some(0.0), None], 1), ["▁█  "]);
        assert_eq!(resample(&[], |point| point.rate, Duration::ZERO, 2), [None, None]);
        assert_eq!(bars(&[], 1), [""]);
    }
}
