//! Tokens from a file, read again when it changes.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::file::{self, Demand, FileError};
use crate::tokens::{MAX_BYTES, Tokens, TokensError};

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
    let (file, metadata) = file::open(path)?;
    let text = file::text(path, &file, &metadata, MAX_BYTES as u64, Demand::Unwritable)?;
    let wrong = |problem: TokensError| FileError::Tokens {
        path: path.to_owned(),
        problem: problem.to_string(),
    };
    let tokens = Tokens::parse_file(&text).map_err(wrong)?;
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
        replace(&path, &format!("{}\n", line("a", &[Role::Call], &old)));
        let tokens = TokenFile::load(&path).unwrap();
        assert_eq!(tokens.reload(), Ok(false));

        replace(&path, "not a token");
        assert!(matches!(tokens.reload(), Err(FileError::Tokens { .. })));
        assert_eq!(tokens.reload(), Ok(false), "it is said once");
        assert!(tokens.tokens().identify(&old, now).is_ok());

        remove_file(&path).unwrap();
        assert!(matches!(tokens.reload(), Err(FileError::Read { .. })));
        assert_eq!(tokens.reload(), Ok(false), "it is said once");

        replace(&path, &format!("{}\n", line("a", &[Role::Call], &new)));
        assert_eq!(tokens.reload(), Ok(true));
        assert!(tokens.tokens().identify(&new, now).is_ok());
        assert!(tokens.tokens().identify(&old, now).is_err());
    }

    #[test]
    fn a_part_of_a_file_is_not_taken_for_the_whole() {
        let (_folder, path) = folder();
        let secret = generate();
        let whole = format!("{} expires=2020-01-01\n", line("a", &[Role::Call], &secret));
        replace(&path, &whole);
        let tokens = TokenFile::load(&path).unwrap();
        for cut in 0..whole.len() {
            replace(&path, &whole[..cut]);
            assert!(tokens.reload().is_err(), "{:?}", &whole[..cut]);
            assert!(tokens.tokens().identify(&secret, SystemTime::now()).is_err());
            assert_eq!(tokens.tokens().identities().len(), 1);
        }
        replace(&path, "# nobody any more\n");
        assert_eq!(tokens.reload(), Ok(true));
        assert_eq!(tokens.tokens().identities().len(), 0);
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let (_folder, path) = folder();
        write(&path, "# nobody\n").unwrap();
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
