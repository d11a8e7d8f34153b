//! The columns of the table, by which it can be sorted.

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after their headings")]
pub enum Column {
    State,
    Address,
    Calls,
    Beat,
    Rtt,
    Methods,
    Since,
}

impl Column {
    /// Every column, from left to right.
    pub const ALL: [Self; 7] = [
        Self::State,
        Self::Address,
        Self::Calls,
        Self::Beat,
        Self::Rtt,
        Self::Methods,
        Self::Since,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::State => "STATE",
            Self::Address => "ADDRESS",
            Self::Calls => "CALLS/S",
            Self::Beat => "HB AGE",
            Self::Rtt => "RTT",
            Self::Methods => "METHODS",
            Self::Since => "SINCE",
        }
    }

    /// The column `by` places to the right, wrapping around.
    #[must_use]
    pub fn step(self, by: isize) -> Self {
        let at = Self::ALL.iter().position(|column| *column == self).unwrap_or(0);
        let len = Self::ALL.len();
        let to = at.saturating_add(len).saturating_add_signed(by) % len;
        Self::ALL[to]
    }
}
