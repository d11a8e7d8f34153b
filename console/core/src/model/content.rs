//! What leaves the console for files and other programs.

use std::sync::Arc;

use crate::model::json::Document;
use crate::model::logs;

/// Something to be written to a file or read in a pager. Cheap to clone, however large.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A text.
    Text(Arc<str>),
    /// A result, written one scalar or bracket per line.
    Document(Arc<Document>),
    /// Lines of the log, oldest first.
    Lines(Vec<Arc<logs::Line>>),
}

/// A program that gets the terminal for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `$PAGER`, else `less`.
    Pager,
    /// `$VISUAL` or `$EDITOR`, else `vi`.
    Editor,
}

/// Why a file was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveError {
    /// There is one already, and nobody said that it may go.
    Exists,
    /// For this reason.
    Other(String),
}
