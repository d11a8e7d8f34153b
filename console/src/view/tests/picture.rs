//! The screenshots of the README: frames of the demo as SVG, drawn from ratatui's buffer.
//!
//! `RPCD_UPDATE=1 cargo test -p rpc-console --lib picture` rewrites them.

use std::fmt::Write as _;
use std::path::Path;

use ratatui::buffer::Cell;

use super::*;

/// A cell, in pixels: 14 px of a monospaced font are 8.4 px wide.
const CELL: (f64, f64) = (8.4, 18.0);
/// Padding at the sides, and above, where the title bar is.
const PAD: (f64, f64) = (16.0, 46.0);
const BACKGROUND: &str = "#15181e";
const PLAIN: &str = "#d6dae3";
const FAINT: &str = "#838b9b";

#[test]
fn the_screenshots_in_docs_are_up_to_date() {
    let servers = crate::demo::signatures();
    check("console.svg", "rpc-console --demo", fixture::pictured(&servers));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let forecast = runtime.block_on(crate::demo::call("forecast", ("Bergen",)));
    let call = fixture::pictured_call(&servers, &forecast);
    check("console-call.svg", "rpc-console --demo — a call", call);
}

fn check(name: &str, title: &str, (mut model, now): (Model, Now)) {
    draw(&mut model, Theme::default(), now, (120, 30));
    let svg = svg(&draw(&mut model, Theme::default(), now, (120, 30)), title);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var_os("RPCD_UPDATE").is_some() {
        std::fs::write(&path, &svg).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stored == svg, "docs/{name} is outdated; see the head of this file");
}

fn svg(buffer: &Buffer, title: &str) -> String {
    let (columns, rows) = (f64::from(buffer.area.width), f64::from(buffer.area.height));
    let (width, height) = (columns * CELL.0 + 2.0 * PAD.0, rows * CELL.1 + PAD.1 + PAD.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" \
         width=\"{width:.1}\" height=\"{height:.1}\" role=\"img\" aria-label=\"{title}\">\n\
         <style>text{{font:14px ui-monospace,SFMono-Regular,Menlo,'DejaVu Sans Mono',Consolas,\
         monospace;white-space:pre}}.b{{font-weight:700}}.m{{text-anchor:middle}}</style>\n\
         <rect width=\"{width:.1}\" height=\"{height:.1}\" rx=\"10\" fill=\"{BACKGROUND}\"/>\n"
    );
    for (x, colour) in [(22, "#ff6058"), (42, "#ffbd2e"), (62, "#28c840")] {
        let _ = writeln!(out, "<circle cx=\"{x}\" cy=\"20\" r=\"6\" fill=\"{colour}\"/>");
    }
    let middle = width / 2.0;
    let _ = writeln!(
        out,
        "<text class=\"m\" x=\"{middle:.1}\" y=\"25\" fill=\"{FAINT}\">{title}</text>"
    );
    for (row, cells) in buffer.content.chunks(usize::from(buffer.area.width)).enumerate() {
        self::row(&mut out, cells, PAD.1 + row as f64 * CELL.1);
    }
    out.push_str("</svg>\n");
    out
}

/// One row: backgrounds, then lines and bars as shapes, then text.
fn row(out: &mut String, cells: &[Cell], y: f64) {
    let x_of = |column: usize| PAD.0 + column as f64 * CELL.0;
    for (start, run) in runs(cells, |cell| colour(cell, true)) {
        if run[0].modifier.contains(Modifier::REVERSED) {
            let (x, width) = (x_of(start), run.len() as f64 * CELL.0);
            let colour = colour(&run[0], true);
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{:.1}\" \
                 fill=\"{colour}\"/>",
                CELL.1
            );
        }
    }
    for (start, run) in runs(cells, |cell| (cell.symbol().to_owned(), colour(cell, false))) {
        if let Some(shape) = shape(run[0].symbol(), x_of(start), y, run.len() as f64) {
            let _ = writeln!(out, "<path d=\"{shape}\" fill=\"{}\"/>", colour(&run[0], false));
        }
    }
    let is_word = |cell: &Cell| {
        let symbol = cell.symbol();
        symbol != " " && symbol.is_ascii() || symbol.chars().all(char::is_alphanumeric)
    };
    let style = |cell: &Cell| (is_word(cell), colour(cell, false), is_bold(cell));
    for (start, run) in runs(cells, style) {
        if is_word(&run[0]) {
            let text: String = run.iter().map(Cell::symbol).collect();
            let width = run.len() as f64 * CELL.0;
            word(out, &run[0], x_of(start), y, &format!("textLength=\"{width:.1}\""), &text);
        } else {
            for (at, cell) in run.iter().enumerate().filter(|(_, cell)| cell.symbol() != " ") {
                let x = x_of(start + at);
                if shape(cell.symbol(), x, y, 1.0).is_none() {
                    // A symbol may come from another font: centre it in its cell.
                    word(out, cell, x + CELL.0 / 2.0, y, "class=\"m\"", cell.symbol());
                }
            }
        }
    }
}

/// Adjacent cells with the same key, and the column of the first.
fn runs<K: PartialEq>(cells: &[Cell], key: impl Fn(&Cell) -> K) -> Vec<(usize, &[Cell])> {
    let mut start = 0;
    let chunks = cells.chunk_by(|a, b| key(a) == key(b));
    chunks
        .map(|chunk| {
            start += chunk.len();
            (start - chunk.len(), chunk)
        })
        .collect()
}

fn word(out: &mut String, cell: &Cell, x: f64, y: f64, attributes: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let attributes = match (is_bold(cell), attributes) {
        (true, "class=\"m\"") => "class=\"m b\"".to_owned(),
        (true, other) => format!("class=\"b\" {other}"),
        (false, other) => other.to_owned(),
    };
    let (y, colour) = (y + 13.5, colour(cell, false));
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes} fill=\"{colour}\">{text}</text>"
    );
}

fn is_bold(cell: &Cell) -> bool {
    cell.modifier.contains(Modifier::BOLD)
}

/// The foreground colour of a cell, or its background.
fn colour(cell: &Cell, background: bool) -> &'static str {
    if cell.modifier.contains(Modifier::REVERSED) != background {
        return BACKGROUND;
    }
    match cell.fg {
        Color::Cyan => "#5cc8e0",
        Color::Green => "#8bd17c",
        Color::Yellow => "#f2c665",
        Color::Red => "#ff7b72",
        Color::Magenta => "#cf9df2",
        Color::Blue => "#79a8ff",
        _ if cell.modifier.contains(Modifier::DIM) => FAINT,
        _ => PLAIN,
    }
}

/// `count` lines or bars side by side as a path, so that they join in any font.
fn shape(symbol: &str, x: f64, y: f64, count: f64) -> Option<String> {
    let (width, height) = CELL;
    let rect = |x: f64, y: f64, w: f64, h: f64| format!("M{x:.1} {y:.1}h{w:.1}v{h:.1}h{:.1}z", -w);
    let eighths = |n: f64| rect(x, y + height * (1.0 - n / 8.0), width * count, height * n / 8.0);
    match symbol {
        "█" => return Some(rect(x, y + 3.0, width * count, height - 6.0)),
        "▁" => return Some(eighths(1.0)),
        "▂" => return Some(eighths(2.0)),
        "▃" => return Some(eighths(3.0)),
        "▄" => return Some(eighths(4.0)),
        "▅" => return Some(eighths(5.0)),
        "▆" => return Some(eighths(6.0)),
        "▇" => return Some(eighths(7.0)),
        _ => {}
    }
    // Its arms: left, right, up, down; and whether it is heavy.
    let (arms, heavy) = match symbol {
        "─" => ([true, true, false, false], false),
        "━" => ([true, true, false, false], true),
        "│" => ([false, false, true, true], false),
        "┃" => ([false, false, true, true], true),
        "┌" => ([false, true, false, true], false),
        "┏" => ([false, true, false, true], true),
        "┐" => ([true, false, false, true], false),
        "┓" => ([true, false, false, true], true),
        "└" => ([false, true, true, false], false),
        "┗" => ([false, true, true, false], true),
        "┘" => ([true, false, true, false], false),
        "┛" => ([true, false, true, false], true),
        _ => return None,
    };
    let thick = if heavy { 2.4 } else { 1.2 };
    let mut out = String::new();
    let mut left = x;
    for _ in 0..if arms[0] && arms[1] { 1 } else { count as usize } {
        let span = if arms[0] && arms[1] { width * count } else { width };
        let (middle, centre) = (left + width / 2.0, y + height / 2.0);
        let start = if arms[0] { left } else { middle - thick / 2.0 };
        let end = if arms[1] { left + span } else { middle + thick / 2.0 };
        if arms[0] || arms[1] {
            out += &rect(start, centre - thick / 2.0, end - start, thick);
        }
        let top = if arms[2] { y } else { centre };
        let bottom = if arms[3] { y + height } else { centre };
        if arms[2] || arms[3] {
            out += &rect(middle - thick / 2.0, top, thick, bottom - top);
        }
        left += width;
    }
    Some(out)
}
