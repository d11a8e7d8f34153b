//! The history over restarts: a file of one line per call, read and written on a thread of its own.
//!
//! It is written anew each time, beside the old one, and put in its place in one step, so that no
//! crash leaves half of it. Consoles that run at the same time take turns and keep each other's
//! calls. Lines that cannot be read are set aside in a file of their own before that.

mod line;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use rpc_console_core::message::Msg;
use rpc_console_core::model::calls::PastCall;

/// Calls that may wait to be written; further ones are not kept.
const WAITING: usize = 256;
/// The file is never longer; the oldest calls go first.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// A call with longer arguments is not kept.
const MAX_LINE: usize = 64 * 1024;
/// How long another console may take for its turn.
const TURN: Duration = Duration::from_secs(2);
/// How long the end of the console waits for the last calls to be written.
const LAST: Duration = Duration::from_secs(2);

/// Where histories are, one file per registry, and how much of each is kept.
#[derive(Debug, Clone)]
pub struct HistoryFolder {
    /// The folder; it is made when something is first written.
    pub path: PathBuf,
    /// Calls kept of each.
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

    /// The history of calls through the registry at `url`; of the demo's, for `None`.
    pub(super) fn file(&self, url: Option<&str>) -> HistoryFile {
        let name = url.map_or("demo", |url| url.strip_prefix("http://").unwrap_or(url));
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

/// Takes calls that are to be kept; the thread ends when it is dropped.
pub(super) struct Keeper(mpsc::Sender<PastCall>);

/// Comes when everything is written.
pub(super) struct Written(oneshot::Receiver<()>);

impl Keeper {
    /// Reads what is there, tells the inbox, and writes what comes.
    pub(super) fn start(file: HistoryFile, inbox: mpsc::Sender<Msg>) -> Option<(Self, Written)> {
        let (calls, waiting) = mpsc::channel(WAITING);
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

    /// Has a call written.
    pub(super) fn remember(&self, call: PastCall) {
        if self.0.try_send(call).is_err() {
            tracing::warn!("call not saved to the history: too many are waiting");
        }
    }
}

impl Written {
    /// Waits for it, but not for long.
    pub(super) async fn wait(self) {
        let _ = tokio::time::timeout(LAST, self.0).await;
    }
}

/// The thread's life.
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
                // Tried again with the next call; said once.
                let surplus = unwritten.len().saturating_sub(WAITING);
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
    /// What a person should know of lines that could not be read.
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
        format!(
            "history damaged: unreadable lines skipped; the original is kept as {}",
            kept.display()
        )
    });
    Ok(Restored { calls: found.calls.into_iter().skip(skip).collect(), set_aside })
}

struct Found {
    lines: Vec<String>,
    calls: Vec<PastCall>,
    damaged: bool,
}

/// What can be read of the file, at most its last [`MAX_BYTES`].
fn read(path: &Path) -> io::Result<Found> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let mut file = File::open(path)?;
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

/// Adds lines to the file; where it was damaged, tells under which name all of it was kept.
fn append_found(file: &HistoryFile, fresh: &[String]) -> io::Result<Option<PathBuf>> {
    let path = &file.path;
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let _turn = turn(path)?;
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

/// Waits for the turn of this console; it lasts until the file is closed.
fn turn(path: &Path) -> io::Result<File> {
    let lock = path.with_extension("lock");
    let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(lock)?;
    let end = Instant::now() + TURN;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(fs::TryLockError::Error(error)) => return Err(error),
            Err(fs::TryLockError::WouldBlock) if Instant::now() >= end => {
                return Err(io::Error::other("locked by another console"));
            }
            // A lock has no way to tell; the thread has nothing else to do.
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// A copy of all there is, under a name nothing has yet.
fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let free = |number: &u32| {
        let copy = path.with_extension(format!("damaged-{number}"));
        (!copy.exists()).then_some(copy)
    };
    let copy = (1..1_000).find_map(|number| free(&number));
    let copy = copy.ok_or_else(|| io::Error::other("too many damaged copies already"))?;
    fs::copy(path, &copy)?;
    Ok(copy)
}

/// Puts a file in the place of another in one step.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    // What a crash left there; whoever has the turn may remove it.
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
