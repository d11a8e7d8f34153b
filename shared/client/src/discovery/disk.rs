//! The file that keeps the last list of one registry for clients that cannot reach it.

mod format;

use std::fmt::Display;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use rpc_security::mark;
use secrecy::ExposeSecret;
use tokio::sync::watch;

use super::member::Member;
use crate::{ClientOptions, Token};
use format::{MAX_FILE_BYTES, Subject};

pub(super) use format::Saved;

/// A folder on a disk that hangs is not waited for any longer.
const READ_TIMEOUT: Duration = Duration::from_millis(500);
/// The same when the client is closed.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);
/// A file under way that is older was left by a process that was killed.
const ABANDONED: Duration = Duration::from_secs(60);
/// The same of one without a byte: bytes are written at once.
const ABANDONED_EMPTY: Duration = Duration::from_secs(1);
/// A list of an identity that nobody has written for so long is removed: every client that starts writes its own.
const FORGOTTEN: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Files of the folder that are looked at for such lists, each time that one is written.
const MAX_LOOKED_AT: usize = 1000;
/// Bytes of a file's name, for file systems that take no more than 255.
const MAX_NAME: usize = 240;

type Members = Arc<[Arc<Member>]>;

/// Reads and writes the file, on threads for what blocks: one at a time writes.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    subject: Subject,
    /// Where the list of all services is kept, if this one is of one service.
    of_all: Option<(PathBuf, Subject)>,
    state: Mutex<State>,
    is_writing: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    /// The list that was written last, or is being written.
    written: Option<Members>,
    /// The one to be written after that.
    next: Option<Members>,
    /// It was said that the file cannot be read, or not be written.
    said: Said,
}

/// What is said once: an operator who counts on the file must know.
#[derive(Debug, Default)]
struct Said {
    unreadable: bool,
    unwritable: bool,
}

impl Disk {
    /// The file in `folder` for the registry at `host:port`, as it lists to who has these options. `None` if that is too
    /// long for a name.
    pub(super) fn new(
        folder: &Path,
        registry: String,
        options: &ClientOptions,
    ) -> Option<Arc<Self>> {
        let (service, identity) = (options.service.clone(), identity(options));
        let place = |service| {
            let (registry, identity) = (registry.clone(), identity.clone());
            let subject = Subject { registry, service, identity };
            let name = file_name(&subject);
            (name.len() <= MAX_NAME).then(|| (folder.join(name), subject))
        };
        let of_all = service.as_ref().and_then(|_| place(None));
        place(service).map(|(path, subject)| {
            Arc::new(Self {
                path,
                subject,
                of_all,
                state: Mutex::default(),
                is_writing: watch::Sender::new(false),
            })
        })
    }

    /// The list that was kept, if any; of one service also what was kept of all of them, if that is newer.
    pub(super) async fn read(self: &Arc<Self>) -> Option<Saved> {
        let disk = Arc::clone(self);
        let reading = tokio::task::spawn_blocking(move || {
            let own = read_list(&disk.path, &disk.subject);
            let of_all = disk.of_all.as_ref();
            let mut of_all = of_all.and_then(|(path, subject)| read_list(path, subject).ok()?);
            if let Some(saved) = &mut of_all {
                let service = disk.subject.service.as_deref();
                saved.instances.retain(|instance| instance.service() == service);
            }
            match (own, of_all.filter(|saved| !saved.instances.is_empty())) {
                (Ok(Some(own)), Some(all)) => Ok(Some(if all.age < own.age { all } else { own })),
                (_, Some(all)) => Ok(Some(all)),
                (own, None) => own,
            }
        });
        let file = self.path.display();
        match tokio::time::timeout(READ_TIMEOUT, reading).await {
            Ok(Ok(Ok(Some(saved)))) => return Some(saved),
            Ok(Ok(Err(error))) if error.kind() == io::ErrorKind::NotFound => {
                tracing::debug!(%file, "no list of this registry on disk");
            }
            Ok(Ok(Ok(None))) => self.say_unreadable(&"it is no list of this registry"),
            Ok(Ok(Err(error))) => self.say_unreadable(&error),
            Ok(Err(_)) | Err(_) => self.say_unreadable(&"the disk does not reply"),
        }
        None
    }

    fn say_unreadable(&self, why: &dyn Display) {
        if !std::mem::replace(&mut self.state().said.unreadable, true) {
            let file = self.path.display();
            tracing::warn!(%file, %why, "the list of instances on disk is not used");
        }
    }

    /// Writes the list unless it is what was written last; one that `may_lack` instances, as that of a registry
    /// that has just started, only if there is no file. Nothing waits for it, and if it fails, nothing fails.
    pub(super) fn write(self: &Arc<Self>, members: &Members, may_lack: bool) {
        let mut state = self.state();
        let latest = state.next.as_ref().or(state.written.as_ref());
        if members.is_empty() || latest.is_some_and(|latest| is_same(latest, members)) {
            return;
        }
        if *self.is_writing.borrow() {
            if may_lack {
                return;
            }
            state.next = Some(Arc::clone(members));
            return;
        }
        self.is_writing.send_replace(true);
        state.written = Some(Arc::clone(members));
        drop(state);
        let (disk, mut members) = (Arc::clone(self), Arc::clone(members));
        tokio::task::spawn_blocking(move || {
            let mut is_kept_out = may_lack && disk.path.exists();
            loop {
                if !is_kept_out {
                    disk.write_now(&members);
                }
                let mut state = disk.state();
                if std::mem::replace(&mut is_kept_out, false) {
                    state.written = None;
                }
                match state.next.take() {
                    Some(next) => members = Arc::clone(state.written.insert(next)),
                    None => {
                        disk.is_writing.send_replace(false);
                        return;
                    }
                }
            }
        });
    }

    /// Waits until the list is written, though not for a disk that hangs.
    pub(super) async fn settle(&self) {
        let mut is_writing = self.is_writing.subscribe();
        let written = is_writing.wait_for(|is_writing| !is_writing);
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, written).await;
    }

    fn write_now(&self, members: &Members) {
        let instances = members.iter().map(|member| &member.instance);
        let written = format::write(&self.subject, instances, SystemTime::now())
            .map_err(io::Error::other)
            .and_then(|text| write(&self.path, text.as_bytes()));
        if written.is_ok() && self.subject.identity.is_some() {
            remove_forgotten(&self.path);
        }
        let file = self.path.display();
        match written {
            Ok(()) => tracing::debug!(%file, "the list is kept on disk"),
            // Another client is writing it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                tracing::debug!(%file, %error, "the list is not kept on disk");
            }
            Err(error) => {
                if !std::mem::replace(&mut self.state().said.unwritable, true) {
                    tracing::warn!(%file, why = %error, "cannot keep the list of instances on disk");
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An instance that did not change has the same member in the next list.
fn is_same(one: &Members, other: &Members) -> bool {
    one.len() == other.len()
        && one.iter().zip(other.iter()).all(|(one, other)| Arc::ptr_eq(one, other))
}

/// The mark of who the client is, by its token and by the file of its certificate, which is renewed in place; `None`:
/// nobody.
fn identity(options: &ClientOptions) -> Option<String> {
    let secret = options.token.as_ref().map(Token::secret);
    let secret = secret.as_deref().map(ExposeSecret::expose_secret);
    let cert = options.tls_files.cert.as_ref();
    // Relative to another folder it is another one.
    let cert = cert.map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    let cert = cert.as_deref().map(Path::to_string_lossy);
    (secret.is_some() || cert.is_some())
        .then(|| mark([secret.unwrap_or_default(), cert.as_deref().unwrap_or_default()]))
}

/// `127.0.0.1%3A9999`, `@orders` where only that service is asked for, and `~` with the mark of who asks: no two have the
/// same.
fn file_name(subject: &Subject) -> String {
    let mut name = String::new();
    for byte in subject.registry.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if let Some(service) = &subject.service {
        name = format!("{name}@{service}");
    }
    if let Some(identity) = &subject.identity {
        name = format!("{name}~{identity}");
    }
    format!("{name}.list")
}

/// The list of `subject` in a file; `None` if the file has none.
fn read_list(path: &Path, subject: &Subject) -> io::Result<Option<Saved>> {
    Ok(format::read(&read(path)?, subject, SystemTime::now()))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    // Opening a pipe would wait for somebody who writes to it.
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    // A list says where calls go.
    #[cfg(unix)]
    if metadata.permissions().mode() & 0o022 != 0 {
        return Err(io::Error::other("others can write to it"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(io::Error::other("it is too large"));
    }
    Ok(bytes)
}

/// As a whole or not at all: to another file, which then takes the name.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        builder.mode(0o700);
        builder.create(folder)?;
    }
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = match options.open(&new) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_abandoned(&new) => {
            fs::remove_file(&new)?;
            options.open(&new)?
        }
        // Another client writes the same list.
        opened => opened?,
    };
    // Not synced: after a loss of power a file without a list is none.
    let written = file.write_all(bytes).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// Removes the lists of identities that have not asked for so long: each new token leaves that of the former one.
fn remove_forgotten(path: &Path) {
    let Some(Ok(entries)) = path.parent().map(fs::read_dir) else { return };
    for entry in entries.flatten().take(MAX_LOOKED_AT) {
        let is_of_an_identity = |name: &str| name.contains('~') && name.ends_with(".list");
        let is_forgotten = entry.file_name().to_str().is_some_and(is_of_an_identity)
            && entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > FORGOTTEN));
        if is_forgotten {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_abandoned(path: &Path) -> bool {
    let Ok(metadata) = fs::metadata(path) else { return false };
    let limit = if metadata.len() == 0 { ABANDONED_EMPTY } else { ABANDONED };
    metadata.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age > limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_byte_that_a_killed_process_left_is_in_nobodys_way_for_long() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("r.list"), folder.path().join("r.new"));
        for (content, age, is_written) in
            [("", 0, false), ("", 2, true), ("half a l", 2, false), ("half a l", 61, true)]
        {
            fs::write(&new, content).unwrap();
            let left = File::options().write(true).open(&new).unwrap();
            left.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
            assert_eq!(write(&path, b"list").is_ok(), is_written, "{content:?}, {age} s old");
            assert_eq!(new.exists(), !is_written);
        }
    }
    #[test]
    fn the_lists_of_identities_that_ask_no_more_are_removed_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let age = |name: &str, days: u64| {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(days * 86_400)).unwrap();
        };
        age("r~0123456789ab.list", 31);
        age("r~ba9876543210.list", 29);
        age("r.list", 31);
        age("mine~.txt", 31);
        remove_forgotten(&folder.path().join("r~fedcba987654.list"));
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["mine~.txt", "r.list", "r~ba9876543210.list"]);
    }
}
