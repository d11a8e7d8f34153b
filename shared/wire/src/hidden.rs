//! Characters of a stranger's text that must not reach a terminal, a log or a clipboard as they are.

/// Whether a character controls the terminal, changes the order in which a text is read, cannot be seen,
/// or looks different everywhere (private use). A text with one of them may not be what it seems.
pub fn is_hidden(c: char) -> bool {
    // Nearly all characters, at once.
    if c < '\u{ad}' {
        return c.is_control();
    }
    matches!(
        c,
        // Invisible: soft hyphen, joiners, fillers, Khmer and Mongolian marks.
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{ffa0}' | '\u{feff}'
        // Zero width, and marks, embeddings, overrides and isolates of direction.
        | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}'
        // Private use.
        | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}'
        // Beams of music, shorthand, tags and more selectors.
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_or_controls_a_terminal_is_hidden_and_letters_and_emoji_are_not() {
        for c in "\u{0}\n\u{1b}\u{7f}\u{9b}\u{200b}\u{200d}\u{202e}\u{2066}\u{feff}\u{e0041}\u{e000}\u{f0000}"
            .chars()
        {
            assert!(is_hidden(c), "{c:?}");
        }
        for c in "aÄ漢 —é👩\u{fe0f}·✓".chars() {
            assert!(!is_hidden(c), "{c:?}");
        }
    }
}
