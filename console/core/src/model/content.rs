//! Content for files and other programs.

use std::sync::Arc;

use crate::model::json::Document;
use crate::model::logs;

/// What is written to a file or opened in a pager. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A text.
    Text(Arc<str>),
    /// A result, written as indented JSON.
    Document(Arc<Document>),
    /// Lines of the log, oldest first.
    Lines(Vec<Arc<logs::Line>>),
}

/// An external program that takes over the terminal.
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
    /// The file exists and overwriting was not confirmed.
    Exists,
    /// Any other reason.
    Other(String),
}
