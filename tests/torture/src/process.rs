//! A program as a child process: in a directory of its own, killed with its parent, its output kept.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Lines of its output that are kept, for the report of a failure.
const KEPT: usize = 100;

/// The longest time for something that takes a fraction of a second on a machine that is not busy.
pub const SOON: Duration = Duration::from_secs(30);

/// The programs that are tortured.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `rpc-torture` itself.
    pub torture: PathBuf,
    /// `rpcd`.
    pub rpcd: PathBuf,
}

impl Programs {
    /// This `rpc-torture`, and `rpcd` beside it or where `rpcd` says.
    ///
    /// # Errors
    /// There is no `rpcd`.
    pub fn find(torture: PathBuf, rpcd: Option<PathBuf>) -> anyhow::Result<Self> {
        let rpcd = rpcd.unwrap_or_else(|| torture.with_file_name("rpcd"));
        let found = std::fs::canonicalize(&rpcd);
        let rpcd = found.with_context(|| {
            format!("{}: build it (cargo build -p rpcd), or say --rpcd PATH", rpcd.display())
        })?;
        Ok(Self { torture, rpcd })
    }
}

/// A running child process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: Pid,
    /// Not the child's: waiting for it would close it.
    stdin: Option<ChildStdin>,
    output: Output,
    reading: Vec<JoinHandle<()>>,
    // Removed with the process.
    home: TempDir,
}

impl Process {
    /// Starts `program`; it does not read this shell's settings. `variables` are added to its environment.
    ///
    /// # Errors
    /// It does not start.
    pub fn start<S: AsRef<OsStr>>(
        programs: &Programs,
        program: &Path,
        arguments: &[S],
        variables: &[(&str, &OsStr)],
    ) -> anyhow::Result<Self> {
        let home = tempfile::tempdir().context("creating a directory")?;
        let name =
            program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let mut command = Command::new(&programs.torture);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("RPCD_") || key == "RUST_LOG" {
                command.env_remove(key);
            }
        }
        let parent = std::process::id().to_string();
        let mut child = command
            .args(["child", "--parent", &parent, "--"])
            .arg(program)
            .args(arguments)
            .current_dir(home.path())
            .envs(
                ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"].map(|it| (it, home.path())),
            )
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let output = Output::default();
        let reading = [output.read(child.stdout.take()), output.read(child.stderr.take())]
            .into_iter()
            .flatten();
        let reading = reading.collect();
        let (stdin, pid) = (child.stdin.take(), pid.context("a child without an id")?);
        Ok(Self { name, child, pid, stdin, output, reading, home })
    }

    /// Its working directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Writes a line to its standard input.
    ///
    /// # Errors
    /// It does not read any more.
    pub async fn say(&mut self, line: impl fmt::Display) -> anyhow::Result<()> {
        let stdin = self.stdin.as_mut().with_context(|| format!("{} has no input", self.name))?;
        let written = stdin.write_all(format!("{line}\n").as_bytes()).await;
        written.with_context(|| format!("telling {}", self.name))
    }

    /// Ends its standard input.
    pub fn end_input(&mut self) {
        self.stdin = None;
    }

    /// The result of `find` for the first line for which there is one.
    ///
    /// # Errors
    /// There is none [`SOON`], or it ended before.
    pub async fn line<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let mut count = self.output.count.subscribe();
        let found = async {
            loop {
                count.borrow_and_update();
                if let Some(found) = self.output.lines().iter().find_map(|line| find(line)) {
                    return Some(found);
                }
                tokio::select! {
                    _ = count.changed() => {}
                    _ = self.child.wait() => return None,
                }
            }
        };
        match tokio::time::timeout(SOON, found).await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => bail!("{} ended at its start\n{}", self.name, self.transcript()),
            Err(_) => bail!("{} is silent\n{}", self.name, self.transcript()),
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill_process(self.pid, signal)
            .with_context(|| format!("{} has ended\n{}", self.name, self.transcript()))
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// It does not within `limit`.
    pub async fn ends(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let Ok(status) = tokio::time::timeout(limit, self.child.wait()).await else {
            bail!("{} still runs after {limit:?}\n{}", self.name, self.transcript());
        };
        status.with_context(|| format!("waiting for {}", self.name))
    }

    /// Ends it by SIGTERM, after which it exits with 0, or by SIGKILL.
    ///
    /// # Errors
    /// It does not end within `limit`, or otherwise.
    pub async fn end(&mut self, signal: Signal, limit: Duration) -> anyhow::Result<()> {
        self.signal(signal)?;
        self.ended_by(signal, limit).await
    }

    /// Waits for the end that it was asked for.
    ///
    /// # Errors
    /// It does not end within `limit`, or otherwise.
    pub async fn ended_by(&mut self, signal: Signal, limit: Duration) -> anyhow::Result<()> {
        let status = self.ends(limit).await?;
        let as_asked = match signal {
            Signal::KILL => status.signal() == Some(signal.as_raw()),
            _ => status.success(),
        };
        ensure!(as_asked, "{} ended with {status}\n{}", self.name, self.transcript());
        Ok(())
    }

    /// Its last lines, after it has ended: all that it wrote is read first.
    pub async fn last_words(&mut self) -> String {
        for read in self.reading.drain(..) {
            // It ends with the pipe.
            let _ = read.await;
        }
        Vec::from(self.output.lines()).join("\n")
    }

    /// Its last lines.
    pub fn transcript(&self) -> String {
        let lines: Vec<_> = self.output.lines().into();
        format!("--- {} {} ---\n{}", self.name, self.pid.as_raw_nonzero(), lines.join("\n"))
    }
}

/// Becomes another program, which is killed when the process that started this one ends: what the parent
/// cannot set between fork and exec without unsafe code.
///
/// # Errors
/// It cannot be started.
pub fn child(parent: u32, command: &[impl AsRef<OsStr>]) -> anyhow::Result<()> {
    let (program, arguments) = command.split_first().context("there is no program")?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended before.
    let is_there =
        getppid().is_some_and(|pid| pid.as_raw_nonzero().get().cast_unsigned() == parent);
    ensure!(is_there, "process {parent}, which started this one, has ended");
    // A write beyond the limit of a file's size is to fail, as on a full disk, and not to end the process.
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", r#"trap '' XFSZ; exec "$0" "$@""#]).arg(program);
    let error = shell.args(arguments).exec();
    Err(error).with_context(|| format!("starting {}", program.as_ref().display()))
}

/// The last lines of both outputs.
#[derive(Debug, Clone, Default)]
struct Output {
    lines: Arc<Mutex<VecDeque<String>>>,
    /// Lines read so far.
    count: watch::Sender<u64>,
}

impl Output {
    /// Reads to the end, so that the process never waits for a reader.
    fn read(
        &self,
        pipe: Option<impl AsyncRead + Send + Unpin + 'static>,
    ) -> Option<JoinHandle<()>> {
        let pipe = pipe?;
        let output = self.clone();
        Some(tokio::spawn(async move {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).await.unwrap_or(0) > 0 {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                line.clear();
                output.push(text);
            }
        }))
    }

    fn push(&self, line: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
        drop(lines);
        self.count.send_modify(|count| *count += 1);
    }

    fn lines(&self) -> VecDeque<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
