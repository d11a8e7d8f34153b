//! `glyphs = ascii`: every mark we draw ourselves becomes an ASCII one, in the finished picture.

use ratatui::buffer::Buffer;

/// Ours → ASCII. What strangers wrote is left alone.
const TABLE: &[(&str, &str)] = &[
    ("─", "-"),
    ("━", "="),
    ("│", "|"),
    ("┃", "|"),
    ("┌", "+"),
    ("┐", "+"),
    ("└", "+"),
    ("┘", "+"),
    ("┏", "+"),
    ("┓", "+"),
    ("┗", "+"),
    ("┛", "+"),
    ("▕", "|"),
    ("▏", "|"),
    ("█", "#"),
    ("·", "."),
    ("●", "*"),
    ("◐", "~"),
    ("○", "o"),
    ("✗", "x"),
    ("✓", "+"),
    ("▸", ">"),
    ("▾", "v"),
    ("▲", "^"),
    ("▼", "v"),
    ("→", ">"),
    ("⏎", "E"),
    ("⇥", "T"),
    ("⇤", "t"),
    ("…", "~"),
    ("≠", "!"),
    ("↻", "@"),
    ("↑", "^"),
    ("↓", "v"),
    ("←", "<"),
    ("▁", "_"),
    ("▂", "_"),
    ("▃", "."),
    ("▄", "-"),
    ("▅", "-"),
    ("▆", "="),
    ("▇", "#"),
    ("—", "-"),
    ("–", "-"),
    ("±", "~"),
    ("≥", ">"),
    ("⌫", "B"),
    ("×", "x"),
    ("‹", "<"),
    ("›", ">"),
    ("␣", "_"),
    ("■", "#"),
    ("µ", "u"),
];

/// Replaces our marks in the whole picture.
pub(super) fn replace(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if let Some((_, ascii)) = TABLE.iter().find(|(ours, _)| *ours == cell.symbol()) {
            cell.set_symbol(ascii);
        }
    }
}
