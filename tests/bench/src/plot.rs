//! A picture of how cost grows, from the JSON that `growth` wrote.

use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;

use crate::plan::PlotOptions;
use crate::scenarios::growth::DIMENSIONS;

/// Of one panel, in pixels.
const PANEL: (u32, u32) = (440, 240);
/// Of the first row of a scenario, which is the limit, and of the other.
const COLOURS: [RGBColor; 2] = [RGBColor(130, 130, 130), RGBColor(30, 100, 200)];

/// One cost by one number.
#[derive(Debug, PartialEq)]
struct Panel {
    title: String,
    lines: Vec<Line>,
}

/// A row of the table: its name, and for each number its median.
#[derive(Debug, PartialEq)]
struct Line {
    name: String,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// Draws the figures in a file.
///
/// # Errors
/// It cannot be read, has nothing to draw, or the picture cannot be written.
pub fn draw(options: &PlotOptions) -> anyhow::Result<()> {
    let PlotOptions { figures, picture } = options;
    let reading = || format!("reading {}", figures.display());
    let text = std::fs::read_to_string(figures).with_context(reading)?;
    let panels = panels(&serde_json::from_str(&text).with_context(reading)?);
    ensure!(
        !panels.is_empty(),
        "{} has no figures of growth: write it with rpc-bench growth",
        figures.display()
    );
    paint(&panels, picture).with_context(|| format!("writing {}", picture.display()))
}

/// Time and memory of each dimension that was measured.
fn panels(figures: &Value) -> Vec<Panel> {
    let mut panels = Vec::new();
    for dimension in DIMENSIONS {
        let time = (format!("{}, µs", dimension.time), "time_us");
        let memory = dimension.memory.map(|memory| (format!("{memory}, KiB"), "memory_kib"));
        for (what, column) in std::iter::once(time).chain(memory) {
            let lines = lines(figures, dimension.key, column);
            if !lines.is_empty() {
                panels.push(Panel { title: format!("{what}, by {}", dimension.key), lines });
            }
        }
    }
    panels
}

/// Those of one column. What a logarithm cannot show has no point.
fn lines(figures: &Value, key: &str, column: &str) -> Vec<Line> {
    let mut lines = Vec::<Line>::new();
    for scenario in elements(&figures["scenarios"]) {
        let Some((dimension, size)) = scenario["key"].as_str().and_then(|key| key.split_once('@'))
        else {
            continue;
        };
        let Some(size) = size.parse::<f64>().ok().filter(|_| dimension == key) else { continue };
        for (row, colour) in elements(&scenario["rows"]).zip(COLOURS) {
            let median = row["medians"][column].as_f64().filter(|median| *median > 0.0);
            let (Some(name), Some(median)) = (row["name"].as_str(), median) else { continue };
            match lines.iter_mut().find(|line| line.name == name) {
                Some(line) => line.points.push((size, median)),
                None => {
                    lines.push(Line { name: name.to_owned(), colour, points: vec![(size, median)] })
                }
            }
        }
    }
    lines
}

fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn paint(panels: &[Panel], picture: &Path) -> anyhow::Result<()> {
    let rows = u32::try_from(panels.len().div_ceil(2))?;
    let area = SVGBackend::new(picture, (2 * PANEL.0, rows * PANEL.1)).into_drawing_area();
    area.fill(&WHITE).map_err(failed)?;
    let areas = area.split_evenly((usize::try_from(rows)?, 2));
    for (panel, area) in panels.iter().zip(areas) {
        paint_panel(panel, &area)?;
    }
    area.present().map_err(failed)
}

fn paint_panel(panel: &Panel, area: &DrawingArea<SVGBackend<'_>, Shift>) -> anyhow::Result<()> {
    let points = || panel.lines.iter().flat_map(|line| &line.points);
    let (x, y) = (range(points().map(|point| point.0)), range(points().map(|point| point.1)));
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 14))
        .margin(8)
        .margin_right(36)
        .x_label_area_size(24)
        .y_label_area_size(52)
        .build_cartesian_2d((x.0..x.1).log_scale(), (y.0..y.1).log_scale())
        .map_err(failed)?;
    let grid = RGBColor(225, 225, 225);
    let mut mesh = chart.configure_mesh();
    mesh.bold_line_style(grid).light_line_style(TRANSPARENT);
    mesh.x_label_formatter(&|x| format!("{x}")).y_label_formatter(&|y| format!("{y}"));
    mesh.draw().map_err(failed)?;
    for line in &panel.lines {
        let colour = line.colour;
        let series = LineSeries::new(line.points.iter().copied(), colour.stroke_width(2));
        let drawn = chart.draw_series(series.point_size(3)).map_err(failed)?;
        drawn
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 14, y)], colour));
    }
    let mut legend = chart.configure_series_labels();
    legend.position(SeriesLabelPosition::UpperRight).label_font(("sans-serif", 12));
    legend.draw().map_err(failed)
}

/// Whole decades with all of them, so that their ends have labels.
fn range(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let least = values.clone().fold(f64::INFINITY, f64::min);
    let most = values.fold(0.0, f64::max);
    let (from, to) = (least.log10().floor(), most.log10().ceil());
    (10f64.powf(from), 10f64.powf(to.max(from + 1.0)))
}

/// The library's errors do not say more than their text.
fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scenario(key: &str, raw: f64, rpcd: Option<f64>) -> Value {
        json!({"key": key, "rows": [
            {"name": "raw", "medians": {"time_us": raw, "memory_kib": null}},
            {"name": "rpcd", "medians": {"time_us": rpcd, "memory_kib": 0.0}},
        ]})
    }

    #[test]
    fn a_panel_has_a_line_for_each_row_and_a_point_for_each_figure() {
        let figures = json!({"scenarios": [
            scenario("connections@1", 1.0, Some(2.0)),
            scenario("connections@10", 1.5, None),
            scenario("A", 1.0, Some(1.0)),
        ]});
        let line = |name: &str, colour: usize, points: &[(f64, f64)]| Line {
            name: name.to_owned(),
            colour: COLOURS[colour],
            points: points.to_vec(),
        };
        let panel = Panel {
            title: "server CPU of a call, µs, by connections".to_owned(),
            lines: vec![line("raw", 0, &[(1.0, 1.0), (10.0, 1.5)]), line("rpcd", 1, &[(1.0, 2.0)])],
        };
        assert_eq!(panels(&figures), [panel]);
    }

    #[test]
    fn axes_are_whole_decades() {
        assert_eq!(range([3.0, 250.0].into_iter()), (1.0, 1000.0));
        assert_eq!(range([1.0].into_iter()), (1.0, 10.0));
    }

    #[test]
    fn a_file_without_such_figures_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (figures, picture) = (folder.path().join("a.json"), folder.path().join("a.svg"));
        std::fs::write(&figures, r#"{"scenarios":[]}"#).unwrap();
        let error = draw(&PlotOptions { figures, picture }).unwrap_err().to_string();
        assert!(error.ends_with("write it with rpc-bench growth"), "{error}");
    }
}
