//! The audit log: one line for each thing that was done or refused, appended to a file, none lost.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use serde::Serialize;

/// A file that lines are appended to. What cannot be written is kept, and written first once that works
/// again; until then [`check`](Self::check) says so, for the daemon to do nothing more that needs a line.
/// Cheap to clone; clones are one log.
///
/// A line outlives the process as soon as it is written, not a failure of the machine's power: the file is
/// not synced. A file that was moved away, as by logrotate, is made anew.
#[derive(Debug, Clone)]
pub struct AuditLog(Arc<Log>);

#[derive(Debug)]
struct Log {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// What could not be written, at most [`MAX_PENDING`] bytes: nothing more is done then.
    pending: Vec<u8>,
    failing: Option<String>,
}

/// A line: of daemons of every kind the same, but for what else there is to say.
#[derive(Serialize)]
struct Line<'a, D, M> {
    at: String,
    deed: D,
    /// `null`: nobody showed who it is.
    who: Option<&'a str>,
    from: Option<IpAddr>,
    #[serde(flatten)]
    more: M,
}

/// Bytes of lines that could not be written and are kept: those of what was under way when writing
/// failed, and of what was refused since; further ones are lost.
const MAX_PENDING: usize = 1 << 20;

impl AuditLog {
    /// Opens the file, or makes it, for its owner only. Blocks.
    ///
    /// # Errors
    /// It cannot be written: the daemon must not start.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let file = open(&path)?;
        let state = Mutex::new(State { file, pending: Vec::new(), failing: None });
        Ok(Self(Arc::new(Log { path, state })))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Why it cannot be written, as far as is known; `None`: it can.
    pub fn failing(&self) -> Option<String> {
        self.lock().failing.clone()
    }

    /// Tries to write what could not be written before, if there is anything. Blocks.
    ///
    /// # Errors
    /// It still cannot be written: nothing may be done that needs a line.
    pub fn check(&self) -> Result<(), String> {
        let mut state = self.lock();
        if state.failing.is_none() {
            return Ok(());
        }
        state.write(&self.0.path)
    }

    /// A line that says that this was done now, by whom, from where, and what else there is to say, as an object.
    pub fn line(
        deed: impl Serialize,
        who: Option<&str>,
        from: Option<IpAddr>,
        more: impl Serialize,
    ) -> String {
        let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        // Texts and numbers serialise.
        serde_json::to_string(&Line { at, deed, who, from, more }).unwrap_or_default()
    }

    /// Appends a line. Blocks. The first that cannot be written is an error in the daemon's log.
    ///
    /// # Errors
    /// It could not be written, and is kept for later.
    pub fn write(&self, line: &str) -> Result<(), String> {
        let mut state = self.lock();
        let was_failing = state.failing.is_some();
        if state.pending.len() + line.len() < MAX_PENDING {
            state.pending.extend_from_slice(line.as_bytes());
            state.pending.push(b'\n');
        }
        let written = state.write(&self.0.path);
        drop(state);
        if let (Err(error), false) = (&written, was_failing) {
            tracing::error!(
                error,
                path = %self.0.path.display(),
                "the audit log cannot be written; what needs a line in it is refused until that works again"
            );
        }
        written
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn write(&mut self, path: &Path) -> Result<(), String> {
        let written = self.reopen_if_moved(path).and_then(|()| self.write_pending());
        self.failing = written.err().map(|error| error.to_string());
        self.failing.clone().map_or(Ok(()), Err)
    }

    /// What is written is forgotten, also if the rest is not.
    fn write_pending(&mut self) -> io::Result<()> {
        while !self.pending.is_empty() {
            match self.file.write(&self.pending) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => drop(self.pending.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn reopen_if_moved(&mut self, path: &Path) -> io::Result<()> {
        let own = self.file.metadata()?;
        let is_there =
            |there: std::fs::Metadata| (there.dev(), there.ino()) == (own.dev(), own.ino());
        if !std::fs::metadata(path).is_ok_and(is_there) {
            self.file = open(path)?;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not a file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended_and_a_moved_file_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit");
        let text = |path: &Path| std::fs::read_to_string(path).unwrap();
        AuditLog::open(&path).unwrap().write("one").unwrap();
        let log = AuditLog::open(&path).unwrap();
        log.write("two").unwrap();
        assert_eq!(text(&path), "one\ntwo\n");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let moved = folder.path().join("audit.1");
        std::fs::rename(&path, &moved).unwrap();
        log.write("three").unwrap();
        assert_eq!((text(&moved).as_str(), text(&path).as_str()), ("one\ntwo\n", "three\n"));
    }

    #[test]
    fn a_line_says_when_what_was_done_by_whom_and_from_where() {
        let more = std::collections::BTreeMap::from([("what", "orders")]);
        let line = AuditLog::line("registered", None, Some([10, 0, 0, 1].into()), &more);
        let (at, rest) = line.split_at(r#"{"at":"2026-01-02T03:04:05.678Z""#.len());
        assert!(at.starts_with(r#"{"at":""#) && at.ends_with("Z\""), "{at}");
        let expected = r#","deed":"registered","who":null,"from":"10.0.0.1","what":"orders"}"#;
        assert_eq!(rest, expected);
    }

    #[test]
    fn what_cannot_be_written_is_kept_and_comes_first_once_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        let path = inner.join("audit");
        let log = AuditLog::open(&path).unwrap();
        std::fs::remove_dir_all(&inner).unwrap();
        assert!(log.write("one").is_err() && log.failing().is_some());
        assert!(log.check().is_err());
        std::fs::create_dir(&inner).unwrap();
        assert!(log.check().is_ok() && log.failing().is_none());
        log.write("two").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn what_cannot_be_written_at_all_is_an_error_at_once() {
        assert!(AuditLog::open("/nowhere/audit").is_err());
        assert!(AuditLog::open("/dev/null").is_err());
        let full = std::path::Path::new("/dev/full");
        assert!(!full.exists() || AuditLog::open(full).is_err());
    }
}
