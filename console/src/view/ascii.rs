//! `glyphs = ascii`: replaces every symbol of ours in the finished frame.

use ratatui::buffer::Buffer;

/// Symbol → ASCII. Remote text with other symbols is unchanged.
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
    ("★", "*"),
];

/// Replaces the symbols in the whole frame.
pub(super) fn replace(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if let Some((_, ascii)) = TABLE.iter().find(|(symbol, _)| *symbol == cell.symbol()) {
            cell.set_symbol(ascii);
        }
    }
}
