//! Keeps the history over restarts: a file of one line per call, read and written on its own thread.
//!
//! A new file is written beside the old one and renamed over it, so that a crash leaves either. Consoles
//! that run at the same time lock the file in turn and keep each other's calls. A file with damaged
//! lines is copied before it is replaced.

mod line;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::files;
use rpc_console_core::message::Msg;
use rpc_console_core::model::calls::PastCall;

/// Calls queued for writing at most; further ones are not kept.
const QUEUE: usize = 256;
/// Largest file; the oldest calls are dropped first.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Longest line, in bytes; a call with longer arguments is not kept.
const MAX_LINE: usize = 64 * 1024;
/// Copies of damaged files kept at most.
const MAX_COPIES: u32 = 9;
/// How long to wait for the lock.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the console waits on exit for the last calls to be written.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The folder of histories, one file per registry.
#[derive(Debug, Clone)]
pub struct HistoryFolder {
    /// The folder; created when a call is first written.
    pub path: PathBuf,
    /// Calls kept in each file.
    pub limit: usize,
}

impl HistoryFolder {
    /// `rpc-console` in the folder for programs' state: `$XDG_STATE_HOME`, else `~/.local/state`.
    /// `None` where the environment names neither.
    pub fn find(limit: usize, environment: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let named = |name: &str| environment(name).map(PathBuf::from).filter(|p| p.is_absolute());
        let state = named("XDG_STATE_HOME")
            .or_else(|| Some(named("HOME")?.join(".local").join("state")))?;
        Some(Self { path: state.join("rpc-console"), limit })
    }

    /// The history of calls through the registry at `url`, the first address of several; `None` stands for the
    /// demo.
    pub(super) fn file(&self, url: Option<&str>) -> HistoryFile {
        let name = url.map_or("demo", |url| url.strip_prefix("http://").unwrap_or(url));
        let name = name.split(',').next().unwrap_or(name);
        let safe = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '_' };
        let name: String = name.trim_end_matches('/').chars().take(100).map(safe).collect();
        HistoryFile { path: self.path.join(format!("{name}.history")), limit: self.limit }
    }
}

/// One history.
#[derive(Debug, Clone)]
pub(super) struct HistoryFile {
    path: PathBuf,
    limit: usize,
}

/// Queues calls for the writing thread, which exits when this is dropped.
pub(super) struct Keeper(mpsc::Sender<PastCall>);

/// Resolves when everything is written.
pub(super) struct Written(oneshot::Receiver<()>);

impl Keeper {
    /// Starts the thread, which reports the calls of the file to `inbox` and writes new ones.
    pub(super) fn start(file: HistoryFile, inbox: mpsc::Sender<Msg>) -> Option<(Self, Written)> {
        let (calls, waiting) = mpsc::channel(QUEUE);
        let (last, done) = oneshot::channel::<()>();
        let body = move || {
            keep(&file, waiting, &inbox);
            drop(last);
        };
        match std::thread::Builder::new().name("history".to_owned()).spawn(body) {
            Ok(_) => Some((Self(calls), Written(done))),
            Err(error) => {
                tracing::warn!(%error, "history not saved: cannot start a thread");
                None
            }
        }
    }

    /// Queues a call to be written.
    pub(super) fn remember(&self, call: PastCall) {
        if self.0.try_send(call).is_err() {
            tracing::warn!("call not saved to the history: too many are waiting");
        }
    }
}

impl Written {
    /// Waits until everything is written, for [`EXIT_TIMEOUT`] at most.
    pub(super) async fn wait(self) {
        let _ = tokio::time::timeout(EXIT_TIMEOUT, self.0).await;
    }
}

/// The body of the thread.
fn keep(file: &HistoryFile, mut waiting: mpsc::Receiver<PastCall>, inbox: &mpsc::Sender<Msg>) {
    match restore(file) {
        Ok(Restored { calls, set_aside }) => {
            if let Some(notice) = set_aside {
                tracing::warn!(notice);
                let _ = inbox.blocking_send(Msg::Notice(notice));
            }
            if !calls.is_empty() {
                let _ = inbox.blocking_send(Msg::History(calls));
            }
        }
        Err(error) => complain(file, &error, "read", inbox),
    }
    let mut unwritten: Vec<String> = Vec::new();
    let mut complained = false;
    while let Some(call) = waiting.blocking_recv() {
        let mut next = Some(call);
        while let Some(call) = next {
            match line::write(&call) {
                Some(line) if line.len() <= MAX_LINE => unwritten.push(line),
                _ => {
                    tracing::info!(method = call.method, "call not saved to the history: too long")
                }
            }
            next = waiting.try_recv().ok();
        }
        match append(file, &unwritten) {
            Ok(()) => unwritten.clear(),
            Err(error) => {
                // Retried with the next call; reported once.
                let surplus = unwritten.len().saturating_sub(QUEUE);
                unwritten.drain(..surplus);
                if !std::mem::replace(&mut complained, true) {
                    complain(file, &error, "written", inbox);
                }
            }
        }
    }
}

fn complain(file: &HistoryFile, error: &io::Error, what: &str, inbox: &mpsc::Sender<Msg>) {
    let path = file.path.display();
    let text = format!("history {path} cannot be {what}: {error}");
    tracing::warn!(text);
    let _ = inbox.blocking_send(Msg::Notice(text));
}

struct Restored {
    calls: Vec<PastCall>,
    /// A notice about lines that could not be read.
    set_aside: Option<String>,
}

fn restore(file: &HistoryFile) -> io::Result<Restored> {
    let found = match read(&file.path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Restored { calls: Vec::new(), set_aside: None });
        }
        found => found?,
    };
    let set_aside = if found.damaged { Some(append_found(file, &[])?) } else { None };
    let skip = found.calls.len().saturating_sub(file.limit);
    let set_aside = set_aside.flatten().map(|kept| {
        format!("history damaged or over 8 MiB; the original is kept as {}", kept.display())
    });
    Ok(Restored { calls: found.calls.into_iter().skip(skip).collect(), set_aside })
}

struct Found {
    lines: Vec<String>,
    calls: Vec<PastCall>,
    damaged: bool,
}

/// The readable lines among the last [`MAX_BYTES`] of the file.
fn read(path: &Path) -> io::Result<Found> {
    let mut file = files::open_regular(path)?;
    let length = file.metadata()?.len();
    let mut found = Found { lines: Vec::new(), calls: Vec::new(), damaged: false };
    let limit = MAX_BYTES as u64;
    if length > limit {
        file.seek(SeekFrom::Start(length - limit))?;
        found.damaged = true;
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    for raw in bytes.split(|byte| *byte == b'\n').filter(|raw| !raw.trim_ascii().is_empty()) {
        let read = std::str::from_utf8(raw).ok().and_then(|text| Some((text, line::read(text)?)));
        match read {
            Some((text, call)) => {
                found.lines.push(text.to_owned());
                found.calls.push(call);
            }
            None => found.damaged = true,
        }
    }
    Ok(found)
}

fn append(file: &HistoryFile, fresh: &[String]) -> io::Result<()> {
    append_found(file, fresh).map(drop)
}

/// Adds lines to the file; returns the path of the copy when it was damaged.
fn append_found(file: &HistoryFile, fresh: &[String]) -> io::Result<Option<PathBuf>> {
    let path = &file.path;
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let _lock = lock(path)?;
    let mut lines = Vec::new();
    let mut kept = None;
    match read(path) {
        Ok(found) => {
            if found.damaged {
                kept = Some(set_aside(path)?);
            }
            lines = found.lines;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    lines.extend_from_slice(fresh);
    let mut bytes = 0;
    let fits = |line: &&String| {
        bytes += line.len() + 1;
        bytes <= MAX_BYTES
    };
    let newest = lines.iter().rev().take(file.limit).take_while(fits).count();
    let text: String = lines.iter().skip(lines.len() - newest).flat_map(|l| [l, "\n"]).collect();
    replace(path, text.as_bytes())?;
    Ok(kept)
}

/// Locks the history, until the returned file is dropped.
fn lock(path: &Path) -> io::Result<File> {
    let lock = path.with_extension("lock");
    let lock = files::regular(OpenOptions::new().create(true).append(true).mode(0o600), &lock)?;
    let end = Instant::now() + LOCK_TIMEOUT;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(fs::TryLockError::Error(error)) => return Err(error),
            Err(fs::TryLockError::WouldBlock) if Instant::now() >= end => {
                return Err(io::Error::other("locked by another console"));
            }
            // std has no lock with a timeout, and this thread has nothing else to do.
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Copies the file to a name that is free.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let free = |number: &u32| {
        let copy = path.with_extension(format!("damaged-{number}"));
        (!copy.exists()).then_some(copy)
    };
    let copy = (1..=MAX_COPIES).find_map(|number| free(&number));
    let copy = copy.ok_or_else(|| io::Error::other("too many .damaged copies; delete some"))?;
    fs::copy(path, &copy)?;
    Ok(copy)
}

/// Replaces the file in one step.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    // Left by a crash; the lock makes it ours to remove.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests;
