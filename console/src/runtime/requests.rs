//! Reads and changes `rpcd-requests.toml`: the nearest one, in the working directory or a parent.
//!
//! A change is made to the file as it is then, so that nothing that was edited meanwhile is lost. A new
//! file is written beside the old one and renamed over it, so that a crash leaves either. Consoles that
//! run at the same time lock the folder in turn.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rpc_console_core::model::saved::file::{self, MAX_BYTES};
use rpc_console_core::model::saved::{Change, ChangeError, Contents, FILE_NAME};

/// How long to wait for the lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// Interval between attempts to lock.
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// The file of a project.
#[derive(Debug, Clone)]
pub(super) struct RequestsFile {
    /// Where the search starts, and where a new file is made.
    folder: PathBuf,
}

impl RequestsFile {
    /// The one for programs that run in `folder`.
    pub(super) fn of(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The nearest file, or where the first change makes one.
    fn path(&self) -> PathBuf {
        let mut folders = self.folder.ancestors().map(|folder| folder.join(FILE_NAME));
        let found = folders.find(|path| path.exists());
        found.unwrap_or_else(|| self.folder.join(FILE_NAME))
    }

    /// The path as it is shown: below the working directory without it.
    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.folder).unwrap_or(path).display().to_string()
    }

    /// What the file holds; nothing if there is none.
    pub(super) fn read(&self) -> Result<Contents, String> {
        let path = self.path();
        let text = text_of(&path).map_err(|error| format!("{}: {error}", self.shown(&path)))?;
        file::parse(&text).map_err(|error| format!("{}:{error}", self.shown(&path)))
    }

    /// Changes the file; returns its path.
    pub(super) fn change(&self, change: &Change) -> Result<String, ChangeError> {
        let path = self.path();
        let other =
            |error: io::Error| ChangeError::Other(format!("{}: {error}", self.shown(&path)));
        // A link is followed: the file it names is replaced, not the link.
        let target = path.canonicalize().unwrap_or_else(|_| path.clone());
        let _lock = lock(&target).map_err(other)?;
        let before = text_of(&target).map_err(other)?;
        let after = file::change(&before, change).map_err(|error| match error {
            ChangeError::Other(why) if file::parse(&before).is_err() => {
                ChangeError::Other(format!("{}:{why}; fix the file first", self.shown(&path)))
            }
            other => other,
        })?;
        replace(&target, &after).map_err(other)?;
        Ok(self.shown(&path))
    }
}

/// The text of the file; empty if there is none.
fn text_of(path: &Path) -> io::Result<String> {
    // Before it is opened: a pipe would wait for its other end.
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(error),
        Ok(found) if !found.is_file() => return Err(io::Error::other("not a file")),
        Ok(_) => {}
    }
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    // One byte more: the parser refuses what is too large.
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8"))
}

/// Locks the folder of the file, until the returned handle is dropped. The file itself is replaced.
fn lock(path: &Path) -> io::Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new(".")))?;
    let end = Instant::now() + LOCK_TIMEOUT;
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(fs::TryLockError::Error(error)) => return Err(error),
            Err(fs::TryLockError::WouldBlock) if Instant::now() >= end => {
                return Err(io::Error::other("locked by another console"));
            }
            // std has no lock with a timeout, and this thread may block.
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(LOCK_RETRY),
        }
    }
}

/// Replaces the file in one step; its permissions stay, and a new one is its owner's alone: arguments may
/// be secret.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_extension("toml.new");
    // Left by a crash; the lock makes it ours to remove.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| match fs::metadata(path) {
        Ok(before) => file.set_permissions(before.permissions()),
        Err(_) => Ok(()),
    });
    let done = written.and_then(|()| file.sync_data()).and_then(|()| fs::rename(&fresh, path));
    if done.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    done
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use rpc_console_core::model::saved::SavedRequest;
    use rpc_wire::call::Args;

    fn save(name: &str) -> Change {
        let request = SavedRequest {
            name: name.to_owned(),
            service: rpc_console_core::model::service::Service::default(),
            method: "add".to_owned(),
            args: Args::none(),
            target: None,
            timeout: Duration::from_secs(1),
            stream: false,
        };
        Change::Save { request, replace: false }
    }

    fn names(file: &RequestsFile) -> Vec<String> {
        file.read().unwrap().requests.into_iter().map(|request| request.name).collect()
    }

    #[test]
    fn the_first_save_makes_the_file_and_later_ones_keep_what_others_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let file = RequestsFile::of(folder.path().to_owned());
        assert_eq!(file.read(), Ok(Contents::default()));
        assert_eq!(file.change(&save("one")), Ok(FILE_NAME.to_owned()));
        let path = folder.path().join(FILE_NAME);
        let edited = fs::read_to_string(&path).unwrap() + "# by hand\n";
        fs::write(&path, edited).unwrap();
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600, "of a new file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(file.change(&save("one")), Err(ChangeError::Exists("one".to_owned())));
        file.change(&save("two")).unwrap();
        assert_eq!(names(&file), ["one", "two"]);
        assert!(fs::read_to_string(&path).unwrap().contains("# by hand"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "no other file is left");
    }

    #[test]
    fn the_nearest_file_upwards_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        RequestsFile::of(folder.path().to_owned()).change(&save("top")).unwrap();
        let file = RequestsFile::of(below.clone());
        assert_eq!(names(&file), ["top"]);
        assert!(file.change(&save("more")).unwrap().ends_with(FILE_NAME));
        assert!(!below.join(FILE_NAME).exists());
        fs::write(folder.path().join("a").join(FILE_NAME), "").unwrap();
        assert!(names(&file).is_empty(), "a nearer one hides it");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_its_line_and_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = RequestsFile::of(folder.path().to_owned());
        let path = folder.path().join(FILE_NAME);
        let text = "\n[[requests]]\nname = \"a\nmethod = \"m\"\n";
        fs::write(&path, text).unwrap();
        let error = file.read().unwrap_err();
        assert!(error.starts_with("rpcd-requests.toml:3: "), "{error}");
        let Err(ChangeError::Other(why)) = file.change(&save("b")) else { panic!() };
        assert!(why.starts_with("rpcd-requests.toml:3: ") && why.ends_with("fix the file first"));
        assert_eq!(fs::read_to_string(&path).unwrap(), text);

        fs::write(&path, b"\xff").unwrap();
        assert_eq!(file.read().unwrap_err(), "rpcd-requests.toml: not UTF-8");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(file.read().unwrap_err(), "rpcd-requests.toml: not a file");
    }

    #[test]
    fn consoles_that_save_at_the_same_time_keep_each_others_requests() {
        let folder = tempfile::tempdir().unwrap();
        let file = RequestsFile::of(folder.path().to_owned());
        std::thread::scope(|scope| {
            for console in 0..4 {
                let file = &file;
                scope.spawn(move || {
                    for n in 0..10 {
                        file.change(&save(&format!("{console}-{n}"))).unwrap();
                    }
                });
            }
        });
        assert_eq!(names(&file).len(), 40);
    }
}
