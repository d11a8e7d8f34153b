//! Starts the programs, and ends them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// Interval between questions.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long a daemon may take to listen, and servers to register.
const START: Duration = Duration::from_secs(30);
/// How long a program may take to end before it is killed; a server waits for its calls.
const END: Duration = Duration::from_secs(15);

/// Where the programs are, and where they run.
pub(crate) struct Programs {
    folder: PathBuf,
    rpcd: PathBuf,
    console: PathBuf,
}

impl Programs {
    /// Those of a folder, else those that cargo has built beside this program.
    pub(crate) fn find(given: Option<PathBuf>, folder: &Path) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("where this program is cannot be read")?;
        // target/PROFILE/examples/secure → target/PROFILE
        let built = own.parent().and_then(Path::parent).map(Path::to_owned);
        let programs = given.or(built).context("say where rpcd is with --programs FOLDER")?;
        let programs = std::path::absolute(programs)?;
        let find = |name: &str| {
            let path = programs.join(name);
            ensure!(
                path.is_file(),
                "{} is missing; run `cargo build -p {name}`, or say where it is with --programs FOLDER",
                path.display()
            );
            Ok(path)
        };
        Ok(Self { folder: folder.to_owned(), rpcd: find("rpcd")?, console: find("rpc-console")? })
    }

    /// Where the programs run and their files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Everything that `rpcd` printed, which must succeed.
    pub(crate) async fn output(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.run(arguments).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "rpcd {}: {}", arguments.join(" "), said.trim());
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// What `rpcd` printed, or why it failed.
    pub(crate) async fn said(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.run(arguments).await?;
        let said = if output.status.success() { output.stdout } else { output.stderr };
        Ok(String::from_utf8_lossy(&said).trim().to_owned())
    }

    /// Waits until the registry lists so many instances.
    pub(crate) async fn instances(&self, number: usize, config: &str) -> anyhow::Result<()> {
        let are_listed = async {
            loop {
                let listed = self.output(&["instances", "--json", "--config", config]).await?;
                if serde_json::from_str::<Vec<serde_json::Value>>(&listed)?.len() >= number {
                    return Ok(());
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        };
        let are_listed = tokio::time::timeout(START, are_listed).await;
        are_listed.context("the servers do not register")?
    }

    async fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = self.command(&self.rpcd);
        let output = command.args(arguments).stdin(Stdio::null()).output();
        output.await.context("rpcd cannot be started")
    }

    /// A command that reads and writes nothing of the person who runs this.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RPCD_") {
                command.env_remove(name);
            }
        }
        // History, lists of instances, settings.
        for name in ["XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"] {
            command.env(name, &self.folder);
        }
        command.current_dir(&self.folder).kill_on_drop(true);
        command
    }
}

/// What runs until it is ended, in the order of its start.
#[derive(Default)]
pub(crate) struct Running(Vec<Child>);

impl Running {
    /// `rpcd serve` or `rpcd registry` on a free port; its address, once it listens.
    pub(crate) async fn daemon(
        &mut self,
        programs: &Programs,
        name: &str,
        config: &str,
    ) -> anyhow::Result<SocketAddr> {
        let mut command = programs.command(&programs.rpcd);
        command.args([name, "-l", "127.0.0.1", "-p", "0", "--config", config]);
        let started = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = started.with_context(|| format!("rpcd {name} cannot be started"))?;
        let log = child.stderr.take().context("its log is not read")?;
        self.0.push(child);
        let mut lines = BufReader::new(log).lines();
        let listens = async {
            let mut said = String::new();
            while let Some(line) = lines.next_line().await? {
                let mut words = line.split_whitespace();
                match words.find_map(|word| word.strip_prefix("address=")?.parse().ok()) {
                    Some(address) => return Ok(address),
                    None => said += &format!("\n{line}"),
                }
            }
            bail!("rpcd {name} has ended:{said}")
        };
        let address = tokio::time::timeout(START, listens).await;
        let address = address.with_context(|| format!("rpcd {name} does not listen"))??;
        // A pipe that nobody reads is full some day.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(address)
    }

    /// The console on this terminal, until it is left.
    pub(crate) async fn console(
        &mut self,
        programs: &Programs,
        config: &str,
    ) -> anyhow::Result<ExitCode> {
        let mut command = programs.command(&programs.console);
        let started = command.args(["--config", config]).spawn();
        self.0.push(started.context("rpc-console cannot be started")?);
        let console = self.0.last_mut().context("it was started")?;
        let code = console.wait().await?.code().and_then(|code| u8::try_from(code).ok());
        Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
    }

    /// Ends them, the last one first: the console gives the terminal back, servers unregister.
    pub(crate) async fn end(mut self) {
        while let Some(mut child) = self.0.pop() {
            // None: it has ended, and its number may be another's.
            let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
            if let Some(pid) = pid {
                let _ = kill_process(pid, Signal::TERM);
            }
            if tokio::time::timeout(END, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }
}

/// What ends this program: Ctrl-C, `kill`, the end of the terminal.
pub(crate) struct Signals([Stream; 3]);

impl Signals {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let [interrupt, terminate, hangup] =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
        Ok(Self([interrupt?, terminate?, hangup?]))
    }

    /// Waits for one; the exit code that says so.
    pub(crate) async fn next(&mut self) -> ExitCode {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => ExitCode::from(130),
            _ = terminate.recv() => ExitCode::from(143),
            _ = hangup.recv() => ExitCode::from(129),
        }
    }
}
