//! A key press, independent of the terminal library.

use std::fmt;

/// Which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    /// A printable character, shift already applied.
    Char(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Shift-Tab.
    BackTab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// A function key.
    F(u8),
}

/// A key press with its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Which key.
    pub code: Code,
    /// With Ctrl.
    pub ctrl: bool,
    /// With Alt.
    pub alt: bool,
}

impl Key {
    /// The key without modifiers.
    pub const fn plain(code: Code) -> Self {
        Self { code, ctrl: false, alt: false }
    }

    /// A printable character.
    pub const fn char(c: char) -> Self {
        Self::plain(Code::Char(c))
    }

    /// Ctrl and a character.
    pub const fn ctrl(c: char) -> Self {
        Self { code: Code::Char(c), ctrl: true, alt: false }
    }

    /// The character it types, if any.
    pub fn types(self) -> Option<char> {
        match self.code {
            Code::Char(c) if !self.ctrl && !self.alt => Some(c),
            _ => None,
        }
    }
}

/// The keys that have names in `config.ini`.
const NAMES: &[(&str, Code)] = &[
    ("space", Code::Char(' ')),
    ("enter", Code::Enter),
    ("esc", Code::Esc),
    ("tab", Code::Tab),
    ("shift-tab", Code::BackTab),
    ("backspace", Code::Backspace),
    ("delete", Code::Delete),
    ("up", Code::Up),
    ("down", Code::Down),
    ("left", Code::Left),
    ("right", Code::Right),
    ("home", Code::Home),
    ("end", Code::End),
    ("pgup", Code::PageUp),
    ("pgdn", Code::PageDown),
];

impl Key {
    /// The name in `config.ini`: `q`, `enter`, `ctrl-p`, `F1`.
    pub fn name(self) -> String {
        let prefix = if self.ctrl { "ctrl-" } else { "" };
        let alt = if self.alt { "alt-" } else { "" };
        let code = match (NAMES.iter().find(|(_, code)| *code == self.code), self.code) {
            (Some((name, _)), _) => (*name).to_owned(),
            (None, Code::F(number)) => format!("F{number}"),
            (None, Code::Char(c)) => c.to_string(),
            (None, _) => String::new(),
        };
        format!("{prefix}{alt}{code}")
    }

    /// The name of the key that a terminal sends instead: the two are one byte.
    fn sent_as(self) -> Option<&'static str> {
        match self.code {
            Code::Char('i') if self.ctrl => Some("tab"),
            Code::Char('m') if self.ctrl => Some("enter"),
            Code::Char('[') if self.ctrl => Some("esc"),
            _ => None,
        }
    }

    /// Parses a name of `config.ini`.
    ///
    /// # Errors
    /// No such key, with the nearest name; or a key that terminals send as another one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut chars = text.chars();
        if let (Some(c), None) = (chars.next(), chars.next()) {
            return if c.is_control() { Err(unknown(text)) } else { Ok(Self::char(c)) };
        }
        let lower = text.to_lowercase();
        if let Some((_, code)) = NAMES.iter().find(|(name, _)| *name == lower) {
            return Ok(Self::plain(*code));
        }
        if let Some(rest) = lower.strip_prefix("ctrl-").filter(|rest| !rest.is_empty()) {
            // Lower-cased: terminals do not distinguish Ctrl-Shift from Ctrl.
            let key = Self { ctrl: true, ..Self::parse(rest).map_err(|_| unknown(text))? };
            return match key.sent_as() {
                Some(sent) => {
                    Err(format!("terminals send {text} as {sent}; use {sent} or another"))
                }
                None => Ok(key),
            };
        }
        if lower.starts_with("alt-") && text.len() > 4 {
            return Ok(Self { alt: true, ..Self::parse(&text[4..]).map_err(|_| unknown(text))? });
        }
        let number = lower.strip_prefix('f').and_then(|number| number.parse().ok());
        match number {
            Some(number @ 1..=12) => Ok(Self::plain(Code::F(number))),
            _ => Err(unknown(text)),
        }
    }
}

fn unknown(text: &str) -> String {
    let names = NAMES.iter().map(|(name, _)| *name).chain(["ctrl-", "alt-", "f1", "f12"]);
    match rpc_wire::nearest(text, names) {
        Some(near) => format!("unknown key {text:?}; did you mean {near}?"),
        None => format!("unknown key {text:?}; expected for example q, space, F1, ctrl-p or alt-x"),
    }
}

/// The name in the hint bar and the help: `⏎`, `esc`, `^p`, `?`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("^")?;
        }
        if self.alt {
            f.write_str("alt-")?;
        }
        match self.code {
            Code::Char(' ') => f.write_str("space"),
            Code::Char(c) => write!(f, "{c}"),
            Code::Enter => f.write_str("⏎"),
            Code::Esc => f.write_str("esc"),
            Code::Tab => f.write_str("⇥"),
            Code::BackTab => f.write_str("⇤"),
            Code::Backspace => f.write_str("⌫"),
            Code::Delete => f.write_str("del"),
            Code::Up => f.write_str("↑"),
            Code::Down => f.write_str("↓"),
            Code::Left => f.write_str("←"),
            Code::Right => f.write_str("→"),
            Code::Home => f.write_str("home"),
            Code::End => f.write_str("end"),
            Code::PageUp => f.write_str("pgup"),
            Code::PageDown => f.write_str("pgdn"),
            Code::F(n) => write!(f, "F{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_parses_to_the_key_it_came_from() {
        for text in [
            "q",
            "Q",
            "=",
            "#",
            "é",
            "space",
            "enter",
            "shift-tab",
            "pgdn",
            "F1",
            "F12",
            "ctrl-p",
            "ctrl-left",
            "alt-x",
            "alt-X",
            "ctrl-alt-x",
            "-",
        ] {
            assert_eq!(Key::parse(text).unwrap().name(), text);
        }
        assert_eq!(Key::parse("CTRL-P").unwrap(), Key::ctrl('p'));
        assert_eq!(Key::parse("Esc").unwrap(), Key::plain(Code::Esc));
    }

    #[test]
    fn an_unknown_key_is_refused_with_a_suggestion() {
        assert_eq!(Key::parse("spcae").unwrap_err(), r#"unknown key "spcae"; did you mean space?"#);
        for text in ["", "F0", "F13", "ctrl-", "alt-", "ctrl-foo", "xy", "\u{1b}"] {
            assert!(Key::parse(text).unwrap_err().contains("unknown key"), "{text}");
        }
    }

    #[test]
    fn a_key_that_terminals_send_as_another_is_refused() {
        for (text, sent) in
            [("ctrl-i", "tab"), ("ctrl-M", "enter"), ("ctrl-[", "esc"), ("ctrl-alt-i", "tab")]
        {
            let error = Key::parse(text).unwrap_err();
            assert_eq!(error, format!("terminals send {text} as {sent}; use {sent} or another"));
        }
        assert_eq!(Key::parse("ctrl-j"), Ok(Key::ctrl('j')));
    }

    #[test]
    fn any_text_is_a_key_whose_name_is_that_key_or_an_error() {
        rpc_fuzz::text("key", |text| {
            if let Ok(key) = Key::parse(text) {
                assert_eq!(Key::parse(&key.name()).unwrap(), key);
            }
        });
    }
}
