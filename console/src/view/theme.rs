//! Colours: the terminal's own sixteen, or none.

use ratatui::style::{Color, Modifier, Style};
use rpc_console_core::model::registries::Colour;

/// Colours and glyphs. State is never shown by colour alone: a glyph and a word go with it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Theme {
    /// No colours, not even the default ones: only bold, dim and reverse.
    pub mono: bool,
    /// For a light background, where cyan and yellow are hard to read.
    pub light: bool,
    /// Only ASCII characters for lines and glyphs.
    pub ascii: bool,
}

impl Theme {
    fn colour(self, colour: Color) -> Style {
        let colour = if self.light { on_light(colour) } else { colour };
        if self.mono { Style::new() } else { Style::new().fg(colour) }
    }

    /// Less important text. Not "bright black": in some palettes that is the background.
    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// Emphasis.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Keys and the focus.
    pub fn accent(self) -> Style {
        self.colour(Color::Cyan)
    }

    /// The name of a registry that has a colour of its own, on any background.
    pub fn registry(self, colour: Colour) -> Style {
        let colour = match colour {
            Colour::Red => Color::Red,
            Colour::Yellow => Color::Yellow,
            Colour::Green => Color::Green,
            Colour::Blue => Color::Blue,
            Colour::Magenta => Color::Magenta,
            Colour::Cyan => Color::Cyan,
        };
        let style = Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED);
        if self.mono { style } else { style.fg(colour) }
    }

    /// Healthy.
    pub fn good(self) -> Style {
        self.colour(Color::Green)
    }

    /// Needs attention.
    pub fn warning(self) -> Style {
        self.colour(Color::Yellow)
    }

    /// Something failed.
    pub fn bad(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Unknown state.
    pub fn unknown(self) -> Style {
        // On a light background, warnings are magenta.
        let colour = if self.light { Color::Blue } else { Color::Magenta };
        self.colour(colour).add_modifier(Modifier::BOLD)
    }

    /// The selected row of the focused pane. Colours are reset, so that the row is one bar.
    pub fn selected(self) -> Style {
        let style = Style::new().remove_modifier(Modifier::DIM).add_modifier(Modifier::REVERSED);
        if self.mono { style } else { style.fg(Color::Reset) }
    }

    /// The selected row of a pane without the focus.
    pub fn selected_dim(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// A match of a search.
    pub fn found(self) -> Style {
        self.colour(Color::Yellow).add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    /// A row that just changed.
    pub fn flash(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
    }

    /// The frame of a pane.
    pub fn border(self, focused: bool) -> Style {
        if focused { self.accent() } else { self.dim() }
    }

    /// A key of a JSON object.
    pub fn json_key(self) -> Style {
        self.colour(Color::Cyan)
    }

    /// A JSON string.
    pub fn json_string(self) -> Style {
        self.colour(Color::Green)
    }

    /// A JSON number.
    pub fn json_number(self) -> Style {
        self.colour(Color::Yellow)
    }

    /// `true`, `false`, `null`.
    pub fn json_word(self) -> Style {
        self.colour(Color::Magenta)
    }
}

fn on_light(colour: Color) -> Color {
    match colour {
        Color::Cyan => Color::Blue,
        Color::Yellow => Color::Magenta,
        other => other,
    }
}

/// Whether locale and terminal are without Unicode: the first of `LC_ALL`, `LC_CTYPE` and `LANG` that
/// is set counts (`locale`), then `TERM`. Nothing set says nothing.
pub fn is_ascii(locale: &[Option<String>], term: &str) -> bool {
    let set = locale.iter().flatten().find(|value| !value.is_empty());
    set.is_some_and(|value| value == "C" || value == "POSIX") || term == "linux"
}

/// Whether the terminal named by `TERM` has colours: the VT terminals, those that say `mono`, and `dumb`
/// have none.
pub fn has_colours(term: &str) -> bool {
    let is_vt = term
        .strip_prefix("vt")
        .is_some_and(|model| model.starts_with(|c: char| c.is_ascii_digit()));
    let is_mono = term.split('-').skip(1).any(|word| matches!(word, "m" | "mono"));
    !(is_vt || is_mono || term == "dumb")
}

/// Whether `COLORFGBG` (`foreground;background`, colour numbers), which some terminals set, names a
/// light background.
pub fn is_light(colorfgbg: &str) -> bool {
    matches!(colorfgbg.rsplit(';').next(), Some("7" | "15"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_without_colours_is_known_by_its_name() {
        for term in ["vt100", "vt220", "xterm-mono", "linux-m", "dumb"] {
            assert!(!has_colours(term), "{term}");
        }
        for term in ["xterm", "xterm-256color", "tmux", "linux", "screen-mine", ""] {
            assert!(has_colours(term), "{term}");
        }
    }

    #[test]
    fn a_locale_or_terminal_without_unicode_is_detected() {
        let locale = |all: &str, ctype: &str, lang: &str| {
            [all, ctype, lang].map(|text| Some(text.to_owned())).to_vec()
        };
        for (locale, term, ascii) in [
            (locale("C", "", "de_DE.UTF-8"), "xterm", true),
            (locale("POSIX", "", ""), "xterm", true),
            (locale("", "", "C"), "xterm", true),
            (locale("C.UTF-8", "", "C"), "xterm", false),
            (locale("", "de_DE.UTF-8", "C"), "xterm", false),
            (locale("", "", "de_DE.UTF-8"), "linux", true),
            (vec![None, None, None], "xterm", false),
        ] {
            assert_eq!(is_ascii(&locale, term), ascii, "{locale:?} {term}");
        }
    }

    #[test]
    fn a_light_background_is_detected() {
        for (text, light) in [
            ("0;15", true),
            ("0;7", true),
            ("0;default;15", true),
            ("15;0", false),
            ("", false),
            ("12;8", false),
        ] {
            assert_eq!(is_light(text), light, "{text}");
        }
    }
}
