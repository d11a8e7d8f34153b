//! Files that security rests on: who may write or read them.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Why a file is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The system's message.
    #[error("cannot read {}: {reason}; check that it is there and who may read it", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It belongs to somebody else, who can change it.
    #[error("{} belongs to user {owner}, neither to you nor to root; chown it", .path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Others can write or read it.
    #[error("{} has the mode {mode:o}; others can {what} it: chmod {advice} it", .path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What others can do.
        what: &'static str,
        /// How to mend it.
        advice: &'static str,
    },
    /// It is no file of tokens.
    #[error("{}: {problem}", .path.display())]
    Tokens {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// It holds no secret.
    #[error("{} holds no secret: {problem}", .path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// What a file must keep from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Only its owner writes it.
    Unwritable,
    /// The same, and only its owner and group read it.
    Private,
}

impl Demand {
    fn check(self, path: &Path, metadata: &Metadata) -> Result<(), FileError> {
        let owner = metadata.uid();
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(FileError::Owner { path: path.to_owned(), owner });
        }
        let mode = metadata.mode() & 0o777;
        let mode_error =
            |what, advice| Err(FileError::Mode { path: path.to_owned(), mode, what, advice });
        match self {
            _ if mode & 0o022 != 0 => mode_error("write", "go-w"),
            Self::Private if mode & 0o004 != 0 => mode_error("read", "o-r"),
            _ => Ok(()),
        }
    }
}

/// The text of a regular file that keeps what is demanded. What is checked is what is read: the file is
/// opened once.
pub(crate) fn read(path: &Path, max_bytes: u64, demand: Demand) -> Result<String, FileError> {
    let (file, metadata) = open(path)?;
    text(path, &file, &metadata, max_bytes, demand)
}

pub(crate) fn open(path: &Path) -> Result<(File, Metadata), FileError> {
    let failed = |error: std::io::Error| read_error(path, error.to_string());
    // What is not a file could block, such as a pipe that nobody writes.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(read_error(path, "it is not a file"));
    }
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    Ok((file, metadata))
}

pub(crate) fn text(
    path: &Path,
    file: &File,
    metadata: &Metadata,
    max_bytes: u64,
    demand: Demand,
) -> Result<String, FileError> {
    demand.check(path, metadata)?;
    let mut text = String::new();
    let read = file.take(max_bytes + 1).read_to_string(&mut text);
    read.map_err(|error| read_error(path, error.to_string()))?;
    Ok(text)
}

fn read_error(path: &Path, reason: impl Into<String>) -> FileError {
    FileError::Read { path: path.to_owned(), reason: reason.into() }
}
