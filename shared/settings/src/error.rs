//! Errors in settings, each with its location.

use std::path::Path;

/// An invalid setting. One line, for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {file}: {reason}")]
    Unreadable {
        /// Its path.
        file: String,
        /// The system's reason.
        reason: String,
    },
    /// A line of the file.
    #[error("{file}:{line}: {message}")]
    Line {
        /// The file's path.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong, and what was probably meant.
        message: String,
    },
    /// A variable of the environment.
    #[error("environment variable {name}: {message}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong.
        message: String,
    },
    /// A file that security rests on, or a contradiction about it.
    #[error("{key}: {message}")]
    Security {
        /// The section and the key.
        key: String,
        /// What is wrong, and what to do.
        message: String,
    },
}

impl SettingsError {
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self::Unreadable { file: path.display().to_string(), reason: error.to_string() }
    }
}
