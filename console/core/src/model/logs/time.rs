//! How the times of log lines are shown.

/// How the times of log lines are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Times {
    /// To the millisecond, where there is room.
    #[default]
    Full,
    /// To the second.
    Short,
    /// Not at all.
    Hidden,
}

impl Times {
    /// The next of the three.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Full => Self::Short,
            Self::Short => Self::Hidden,
            Self::Hidden => Self::Full,
        }
    }
}
