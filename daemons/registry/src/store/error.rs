//! Why a store cannot be used.

use std::io;
use std::path::PathBuf;

/// Why a store cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process uses it.
    #[error("another process uses it")]
    Locked,
    /// It is of a format that this version does not know.
    #[error("its format is {found}, and this version knows {known} only")]
    UnknownFormat {
        /// The format it says it has.
        found: u64,
        /// The format of this version.
        known: u64,
    },
    /// Its content is not what was written, or never was a registry's.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// There is none in its folder.
    #[error("there is no database there")]
    Absent,
    /// It is a link to a file that is not there.
    #[error("it is a link to {}, which is not there", .0.display())]
    DanglingLink(PathBuf),
    /// The disk is full, or failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It failed before, and must be opened anew.
    #[error("it failed before")]
    Failed,
}
