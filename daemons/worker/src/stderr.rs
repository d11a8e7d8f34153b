//! What a program wrote to its standard error: the level of a line, guessed by its first words, and which line says why it
//! ended.

use rpc_wire::report::Level;

/// Words looked at: a name may come first.
const WORDS: usize = 4;

/// Lines behind one that is an error, such as its stack, until it is taken for the past.
const BEHIND: usize = 32;
/// Characters kept of the line that says why it ended.
const KEPT: usize = 200;

/// The line that says why the program ended: its last one, or an error shortly before that.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    line: String,
    /// Lines since it, if it is an error.
    behind: Option<usize>,
}

impl LastWords {
    pub(crate) fn hear(&mut self, line: &str, level: Level) {
        let is_error = level == Level::Error && !line.starts_with([' ', '\t']);
        self.behind = match self.behind {
            _ if is_error => Some(0),
            Some(behind) if behind < BEHIND => Some(behind + 1),
            _ => None,
        };
        if matches!(self.behind, None | Some(0)) {
            self.line.clear();
            self.line.extend(line.chars().take(KEPT));
        }
    }

    pub(crate) fn line(&self) -> &str {
        &self.line
    }
}

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

    fn last_words(lines: &[&str]) -> String {
        let (mut guess, mut words) = (Guess::default(), LastWords::default());
        for line in lines {
            words.hear(line, guess.level(line));
        }
        words.line().to_owned()
    }

    #[test]
    fn the_line_that_says_why_it_ended_is_the_error() {
        let node = ["/x/c.mjs:7", "  throw new Error(\"no database\")", "Error: no database"];
        let stack = ["    at crash (/x/c.mjs:7:9)", "Node.js v20.20.2"];
        assert_eq!(last_words(&[&node[..], &stack].concat()), "Error: no database");
        let python =
            ["Traceback (most recent call last):", "  File \"a.py\", line 3", "KeyError: 3"];
        assert_eq!(last_words(&python), "KeyError: 3");
        assert_eq!(
            last_words(&["error: tried again", "info: up", "killed by hand"]),
            "error: tried again"
        );
        assert_eq!(last_words(&["ready", "out of paper"]), "out of paper");
        let later: Vec<&str> = ["error: an hour ago"].into_iter().chain(["info: up"; 40]).collect();
        assert_eq!(last_words(&later), "info: up");
        assert_eq!(last_words(&[]), "");
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
