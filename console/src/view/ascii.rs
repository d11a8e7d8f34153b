//! `glyphs = ascii`: replaces every symbol of ours in the finished frame.

use ratatui::buffer::{Buffer, Cell};

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
    ("⚿", "#"),
    ("○", "o"),
    ("✗", "x"),
    ("✓", "v"),
    ("▸", ">"),
    ("▾", "v"),
    ("▲", "^"),
    ("▼", "v"),
    ("→", ">"),
    ("⏎", "\\"),
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
    ("≤", "<"),
    ("⌫", "B"),
    ("×", "x"),
    ("‹", "<"),
    ("›", ">"),
    ("␣", "_"),
    ("■", "#"),
    ("µ", "u"),
    ("★", "*"),
];

/// Symbols that need several characters to be readable, where the row has room for them.
const WORDS: &[(&str, &str)] = &[
    ("⏎", "enter"),
    ("⇥", "Tab"),
    ("␣", "space"),
    ("✓", "ok"),
    ("≥", ">="),
    ("≤", "<="),
    ("≠", "!="),
    ("→", "->"),
];

/// Replaces the symbols in the whole frame.
pub(super) fn replace(buffer: &mut Buffer) {
    let width = usize::from(buffer.area.width).max(1);
    for row in buffer.content.chunks_mut(width) {
        spell_out(row);
    }
    for cell in &mut buffer.content {
        if let Some((_, ascii)) = TABLE.iter().find(|(symbol, _)| *symbol == cell.symbol()) {
            cell.set_symbol(ascii);
        }
    }
}

/// Replaces symbols by words. What follows moves right, into the next blanks before the edge of the
/// pane; without enough of them the symbol stays for [`TABLE`].
fn spell_out(row: &mut [Cell]) {
    let mut at = 0;
    while at < row.len() {
        // A word would be one with what is before it: there the symbol is part of a remote text.
        let is_inside = row[..at].last().is_some_and(|before| !separates(before));
        let fits = |word: &str| !is_inside || !word.starts_with(char::is_alphabetic);
        let word = WORDS.iter().find(|(symbol, _)| *symbol == row[at].symbol());
        let Some((_, word)) = word.filter(|(_, word)| fits(word)) else {
            at += 1;
            continue;
        };
        let more = word.len() - 1;
        if let Some(end) = blanks(&row[at + 1..], more).map(|end| at + 1 + end) {
            row[at + 1..end].rotate_right(more);
            let style = row[at].style();
            for (cell, letter) in row[at..].iter_mut().zip(word.chars()) {
                cell.set_char(letter).set_style(style);
            }
        }
        at += 1 + more;
    }
}

fn separates(cell: &Cell) -> bool {
    matches!(cell.symbol(), " " | "─" | "━" | "│" | "┃")
}

/// The end of the first run of blanks that can lose `count` of them: one stays between words.
fn blanks(row: &[Cell], count: usize) -> Option<usize> {
    let mut run = 0;
    for (at, cell) in row.iter().enumerate() {
        match cell.symbol() {
            // The line of a frame gives room as blanks do.
            " " | "─" | "━" => run += 1,
            _ if run > count => return Some(at),
            "│" | "┃" | "┐" | "┓" | "┘" | "┛" => return (run >= count).then_some(at),
            _ => run = 0,
        }
    }
    (run >= count).then_some(row.len())
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;

    use super::*;

    fn replaced(text: &str) -> String {
        let width = u16::try_from(text.chars().count()).unwrap();
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, 1));
        buffer.set_string(0, 0, text, ratatui::style::Style::new());
        replace(&mut buffer);
        buffer.content.iter().map(Cell::symbol).collect()
    }

    #[test]
    fn symbols_are_spelled_out_where_there_is_room() {
        assert_eq!(replaced("│ ⏎ Send     │"), "| enter Send |");
        assert_eq!(replaced("┃ level ≥ info  12 ┃"), "| level >= info 12 |");
        assert_eq!(replaced("│ ✓ 13    ok │ ⏎ │"), "| ok 13   ok | \\ |");
        assert_eq!(replaced(" ⏎ x  ⇥ y  "), " \\ x  Tab y");
        assert_eq!(replaced("┏━ ⏎ choose ━━━━━┓"), "+= enter choose =+");
        assert_eq!(replaced("│ one⏎two        │"), "| one\\two        |");
    }
}
