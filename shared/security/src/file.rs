//! Files that security rests on: who may write or read them; tokens from one, read again when it changes.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::secret::NotASecret;
use crate::tokens::{MAX_BYTES, Tokens, TokensError};

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
        problem: TokensError,
    },
    /// It holds no secret.
    #[error("{} holds no secret: {problem}", .path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: NotASecret,
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

fn open(path: &Path) -> Result<(File, Metadata), FileError> {
    let failed = |error: std::io::Error| read_error(path, error.to_string());
    // What is not a file could block, such as a pipe that nobody writes.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(read_error(path, "it is not a file"));
    }
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    Ok((file, metadata))
}

fn text(
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

/// What tells one content of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    file: (u64, u64),
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Tokens from a file, for those who read them at any time, and one who asks whether it has changed.
#[derive(Debug)]
pub struct TokenFile {
    path: PathBuf,
    tokens: ArcSwap<Tokens>,
    /// That of the last attempt, successful or not, so that each content is judged once.
    stamp: Mutex<Option<Stamp>>,
}

impl TokenFile {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, others can write it, or a line is wrong: the daemon must not start.
    pub fn load(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        let path = path.into();
        let (stamp, tokens) = load(&path)?;
        let (tokens, stamp) = (ArcSwap::from_pointee(tokens), Mutex::new(Some(stamp)));
        Ok(Self { path, tokens, stamp })
    }

    /// The tokens as last read.
    pub fn tokens(&self) -> Arc<Tokens> {
        self.tokens.load_full()
    }

    /// Where they are from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file again if it has changed since the last time, and says whether other tokens hold now.
    /// Blocks for the file; to be called once a second.
    ///
    /// # Errors
    /// The new content is not used, and the former holds on; said once for each content.
    pub fn reload(&self) -> Result<bool, FileError> {
        let mut last = self.stamp.lock().unwrap_or_else(PoisonError::into_inner);
        let now = std::fs::metadata(&self.path).ok().map(|metadata| Stamp::of(&metadata));
        if *last == now {
            return Ok(false);
        }
        *last = now;
        let (stamp, tokens) = load(&self.path)?;
        *last = Some(stamp);
        self.tokens.store(Arc::new(tokens));
        Ok(true)
    }
}

fn load(path: &Path) -> Result<(Stamp, Tokens), FileError> {
    let (file, metadata) = open(path)?;
    let text = text(path, &file, &metadata, MAX_BYTES as u64, Demand::Unwritable)?;
    let tokens = Tokens::parse(&text);
    let tokens = tokens.map_err(|problem| FileError::Tokens { path: path.to_owned(), problem })?;
    Ok((Stamp::of(&metadata), tokens))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::Role;
    use crate::secret::{generate, line};
    use std::fs::{Permissions, remove_file, rename, set_permissions, write};
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        (folder, path)
    }

    /// As a careful program replaces a file: at once.
    fn replace(path: &Path, text: &str) {
        let next = path.with_extension("new");
        write(&next, text).unwrap();
        set_permissions(&next, Permissions::from_mode(0o644)).unwrap();
        rename(&next, path).unwrap();
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_wrong_one_leaves_the_former_tokens() {
        let (_folder, path) = folder();
        let (old, new) = (generate(), generate());
        let now = SystemTime::now();
        replace(&path, &line("a", &[Role::Call], &old));
        let tokens = TokenFile::load(&path).unwrap();
        assert_eq!(tokens.reload(), Ok(false));

        replace(&path, "not a token");
        assert!(matches!(tokens.reload(), Err(FileError::Tokens { .. })));
        assert_eq!(tokens.reload(), Ok(false), "it is said once");
        assert!(tokens.tokens().identify(&old, now).is_ok());

        remove_file(&path).unwrap();
        assert!(matches!(tokens.reload(), Err(FileError::Read { .. })));
        assert_eq!(tokens.reload(), Ok(false), "it is said once");

        replace(&path, &line("a", &[Role::Call], &new));
        assert_eq!(tokens.reload(), Ok(true));
        assert!(tokens.tokens().identify(&new, now).is_ok());
        assert!(tokens.tokens().identify(&old, now).is_err());
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let (_folder, path) = folder();
        write(&path, "").unwrap();
        for (mode, is_used) in [(0o600, true), (0o644, true), (0o660, false), (0o602, false)] {
            set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let loaded = TokenFile::load(&path);
            assert_eq!(loaded.is_ok(), is_used, "{mode:o} {loaded:?}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let (folder, path) = folder();
        assert!(matches!(TokenFile::load(folder.path()), Err(FileError::Read { .. })));
        assert!(matches!(TokenFile::load(&path), Err(FileError::Read { .. })));
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        assert!(matches!(TokenFile::load(&path), Err(FileError::Read { .. })));
    }
}
