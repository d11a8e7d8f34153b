//! Colours and marks: the terminal's own sixteen colours, or none at all.

use ratatui::style::{Color, Modifier, Style};

/// How things look. State is never told by colour alone: there is always a glyph and a word.
#[derive(Debug, Clone, Copy, Default)]
pub struct Theme {
    /// No colour whatever, not even a default one: bold, dim and reverse have to do.
    pub mono: bool,
    /// For a light background: cyan and yellow on white are hard to read.
    pub light: bool,
    /// Only ASCII characters for lines and marks.
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

    /// What stands out.
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Keys, the focus.
    pub fn accent(self) -> Style {
        self.colour(Color::Cyan)
    }

    /// All is well.
    pub fn good(self) -> Style {
        self.colour(Color::Green)
    }

    /// Worth a look.
    pub fn warning(self) -> Style {
        self.colour(Color::Yellow)
    }

    /// Something failed.
    pub fn bad(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// Nobody knows.
    pub fn unknown(self) -> Style {
        self.colour(Color::Magenta).add_modifier(Modifier::BOLD)
    }

    /// The selected row of the focused pane: one bar, not one of patches in many colours.
    pub fn selected(self) -> Style {
        let style = Style::new().remove_modifier(Modifier::DIM).add_modifier(Modifier::REVERSED);
        if self.mono { style } else { style.fg(Color::Reset) }
    }

    /// The selected row of a pane without the focus.
    pub fn selected_dim(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What was searched.
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

/// Whether the terminal says that its background is light, as some do in `COLORFGBG`
/// (`foreground;background`, numbers of the sixteen colours).
pub fn is_light(colorfgbg: &str) -> bool {
    matches!(colorfgbg.rsplit(';').next(), Some("7" | "15"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_names_a_light_background_is_believed() {
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
