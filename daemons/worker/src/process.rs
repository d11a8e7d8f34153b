//! One process: its start, its pipes, its end.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::lines::{Lines, TooLong};
use crate::reason::Reason;
use crate::stderr::{Guess, LastWords};
use crate::{Program, WorkerLimits};
use rpc_wire::report::Level;

/// Bytes of a line of standard error that are logged at once.
const MAX_LOGGED: usize = 8 * 1024;
/// How long the last lines of standard error are waited for once the process has ended.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A running process. Dropping it kills its process group.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) child: Child,
    group: Option<Pid>,
    /// `None` once it is closed.
    pub(crate) stdin: Option<pipe::Sender>,
    pub(crate) stdout: pipe::Receiver,
    stderr: AbortOnDropHandle<()>,
    last_words: Arc<Mutex<LastWords>>,
}

impl Process {
    /// Starts the program in a process group of its own, so that a terminal's signals do not reach it and
    /// its own children end with it.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn start(program: &Program, worker: usize) -> io::Result<Self> {
        let [name, arguments @ ..] = program.words() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let mut command = Command::new(name);
        for variable in program.hidden_variables() {
            command.env_remove(variable);
        }
        let mut child = command
            .args(arguments)
            // Python would keep its lines to itself until there are 8 KiB of them.
            .env("PYTHONUNBUFFERED", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
        let stdin = child.stdin.take().ok_or_else(missing)?.into_owned_fd()?;
        let stdout = child.stdout.take().ok_or_else(missing)?.into_owned_fd()?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let last_words = Arc::<Mutex<LastWords>>::default();
        let logging = log(stderr, worker, group, last_words.clone());
        Ok(Self {
            child,
            group,
            stdin: Some(pipe::Sender::from_owned_fd(stdin)?),
            stdout: pipe::Receiver::from_owned_fd(stdout)?,
            stderr: AbortOnDropHandle::new(tokio::spawn(logging)),
            last_words,
        })
    }

    /// Its id.
    pub(crate) fn pid(&self) -> i32 {
        self.group.map_or(0, |group| group.as_raw_nonzero().get())
    }

    /// Waits until it has ended; returns how, with what it wrote to standard error about it.
    pub(crate) async fn ended(&mut self) -> Reason {
        let how = match self.child.wait().await {
            Ok(status) => describe(status),
            Err(error) => format!("cannot be waited for ({error})"),
        };
        // Children of its own may hold it open.
        let _ = timeout(LAST_WORDS, &mut self.stderr).await;
        let last = self.last_words.lock().unwrap_or_else(PoisonError::into_inner);
        Reason::with_words(how, last.line())
    }

    /// Ends it: closes its standard input, then SIGTERM, then SIGKILL, each after the time it has to
    /// end by itself. What it still writes is read and ignored.
    pub(crate) async fn end(mut self, limits: &WorkerLimits) {
        self.stdin = None;
        if self.ends_within(limits.exit_timeout).await {
            return;
        }
        self.signal(Signal::TERM);
        if self.ends_within(limits.exit_timeout).await {
            return;
        }
        tracing::warn!(pid = self.pid(), "the worker does not end; killing it");
        self.signal(Signal::KILL);
        let _ = self.child.wait().await;
    }

    async fn ends_within(&mut self, limit: Duration) -> bool {
        let mut ignored = vec![0; 16 * 1024];
        let ended = async {
            loop {
                tokio::select! {
                    _ = self.child.wait() => return,
                    read = self.stdout.read(&mut ignored) => if !matches!(read, Ok(1..)) {
                        let _ = self.child.wait().await;
                        return;
                    },
                }
            }
        };
        timeout(limit, ended).await.is_ok()
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // Nobody is left: all the better.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Children that it left behind. While there is one, the group's number cannot be anyone else's.
        self.signal(Signal::KILL);
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

/// Makes log lines of what it writes to standard error.
async fn log(
    mut stderr: impl AsyncRead + Unpin,
    worker: usize,
    group: Option<Pid>,
    last_words: Arc<Mutex<LastWords>>,
) {
    let pid = group.map_or(0, |group| group.as_raw_nonzero().get());
    let mut guess = Guess::default();
    let mut say = |line: &[u8]| {
        let line = String::from_utf8_lossy(line.trim_ascii_end());
        if line.is_empty() {
            return;
        }
        let level = guess.level(&line);
        match level {
            Level::Trace => tracing::trace!(target: "worker", worker, pid, "{line}"),
            Level::Debug => tracing::debug!(target: "worker", worker, pid, "{line}"),
            Level::Info => tracing::info!(target: "worker", worker, pid, "{line}"),
            Level::Warn => tracing::warn!(target: "worker", worker, pid, "{line}"),
            Level::Error => tracing::error!(target: "worker", worker, pid, "{line}"),
        }
        last_words.lock().unwrap_or_else(PoisonError::into_inner).hear(&line, level);
    };
    let mut lines = Lines::new(MAX_LOGGED);
    while matches!(stderr.read_buf(lines.buffer()).await, Ok(1..)) {
        loop {
            match lines.next() {
                Ok(Some(line)) => say(&line),
                Ok(None) => break,
                Err(TooLong) => say(&lines.cut()),
            }
        }
    }
    say(&lines.cut());
}
