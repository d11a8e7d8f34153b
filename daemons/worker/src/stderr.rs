//! The level of a line that a program wrote to its standard error, guessed by its first words.

use rpc_wire::report::Level;

/// Words looked at: a name may come first.
const WORDS: usize = 4;

/// Guesses levels line by line: an indented line belongs to the one before.
#[derive(Debug)]
pub(crate) struct Guess {
    last: Level,
}

impl Default for Guess {
    fn default() -> Self {
        Self { last: Level::Info }
    }
}

impl Guess {
    pub(crate) fn level(&mut self, line: &str) -> Level {
        if begins_an_exception(line) {
            self.last = Level::Error;
        } else if !line.starts_with([' ', '\t']) {
            let mut words = line.split([' ', '\t', ':', '[', ']', '(', ')', '|', '=', ',', '"']);
            // A date and a time are no words.
            let words = words.by_ref().filter(|it| it.contains(char::is_alphabetic)).take(WORDS);
            // Python's text of what the system refused, such as a program that it cannot open.
            let other = if line.contains(": [Errno ") { Level::Error } else { Level::Info };
            self.last = words.filter_map(of_word).next().unwrap_or(other);
        }
        self.last
    }
}

/// Whether that is the first line that Python writes of an exception without a traceback, such as a SyntaxError.
fn begins_an_exception(line: &str) -> bool {
    line.trim_start().starts_with("File \"") && line.contains("\", line ")
}

fn of_word(word: &str) -> Option<Level> {
    // What Python writes of an exception.
    if word == "Traceback" || word.ends_with("Error") || word.ends_with("Exception") {
        return Some(Level::Error);
    }
    let is = |names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    if is(&["error", "err", "critical", "crit", "fatal", "panic", "severe", "emerg", "alert"]) {
        Some(Level::Error)
    } else if is(&["warn", "warning"]) {
        Some(Level::Warn)
    } else if is(&["info", "notice"]) {
        Some(Level::Info)
    } else if is(&["debug"]) {
        Some(Level::Debug)
    } else if is(&["trace"]) {
        Some(Level::Trace)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_that_is_a_level_counts() {
        for (line, level) in [
            ("ERROR: it broke", Level::Error),
            ("2026-11-30 08:11:31,123 WARNING root: slow", Level::Warn),
            ("WARNING:root:slow", Level::Warn),
            ("[debug] 3 rows", Level::Debug),
            ("trace x", Level::Trace),
            ("info all is well", Level::Info),
            ("ValueError: 3", Level::Error),
            ("json.decoder.JSONDecodeError: no", Level::Error),
            (
                "python3: can't open file '/x/methods.py': [Errno 2] No such file or directory",
                Level::Error,
            ),
            ("WARNING: trying again: [Errno 111] Connection refused", Level::Warn),
            ("hello, there was no error in it", Level::Info),
            ("", Level::Info),
        ] {
            assert_eq!(Guess::default().level(line), level, "{line}");
        }
    }

    #[test]
    fn the_lines_of_a_syntax_error_are_errors() {
        let mut guess = Guess::default();
        for line in [
            "  File \"/x/methods.py\", line 3",
            "    def add(a, b)",
            "    ^",
            "SyntaxError: expected ':'",
        ] {
            assert_eq!(guess.level(line), Level::Error, "{line}");
        }
    }

    #[test]
    fn the_lines_of_a_traceback_are_errors() {
        let mut guess = Guess::default();
        for (line, level) in [
            ("Traceback (most recent call last):", Level::Error),
            ("  File \"methods.py\", line 3, in add", Level::Error),
            ("    return a + b", Level::Error),
            ("ZeroDivisionError: division by zero", Level::Error),
            ("ready", Level::Info),
            ("  and well", Level::Info),
        ] {
            assert_eq!(guess.level(line), level, "{line}");
        }
    }
}
