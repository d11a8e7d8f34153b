//! A running program: its output, its address, its exit.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::binaries::binary;
use crate::eventually::{SOON, soon};
use crate::home::Home;

/// A child process whose output is kept. Dropping it kills the process.
pub struct Daemon {
    name: String,
    child: Child,
    pid: u32,
    stdout: Output,
    stderr: Output,
    // Removed with the daemon.
    home: Home,
}

impl Daemon {
    /// Starts `rpcd` with these arguments and default settings.
    pub fn rpcd<I, S>(arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        Self::rpcd_with(&[], arguments)
    }

    /// The same with settings such as `("SERVER_HEARTBEAT_INTERVAL", "100ms")`, without `RPCD_`.
    pub fn rpcd_with<I, S>(settings: &[(&str, &str)], arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        Self::rpcd_in(Home::new(), settings, arguments)
    }

    /// The same in a given directory.
    pub fn rpcd_in<I, S>(home: Home, settings: &[(&str, &str)], arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        Self::program_in("rpcd", home, settings, arguments)
    }

    /// The same for another program of this workspace.
    pub fn program_in<I, S>(
        program: &str,
        home: Home,
        settings: &[(&str, &str)],
        arguments: I,
    ) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        let arguments: Vec<String> =
            arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        let mut command = Command::new(binary(program));
        command.args(&arguments);
        home.enter(command.as_std_mut());
        for (key, value) in settings {
            command.env(format!("RPCD_{key}"), value);
        }
        Self::spawn(home, &format!("{program} {}", arguments.join(" ")), command)
    }

    /// `rpcd serve` on a free port of 127.0.0.1, with further arguments; and its address.
    pub async fn server(further: &[&str]) -> (Self, SocketAddr) {
        Self::server_with(&[], further).await
    }

    /// The same with settings.
    pub async fn server_with(settings: &[(&str, &str)], further: &[&str]) -> (Self, SocketAddr) {
        let arguments = [&["serve", "-p", "0", "-l", "127.0.0.1"], further].concat();
        let daemon = Self::rpcd_with(settings, arguments);
        let address = daemon.announced_address().await;
        (daemon, address)
    }

    /// `rpcd registry` on a free port of 127.0.0.1, with further arguments; and its address.
    pub async fn registry(further: &[&str]) -> (Self, SocketAddr) {
        Self::registry_with(&[], 0, further).await
    }

    /// The same with settings, on a given port.
    pub async fn registry_with(
        settings: &[(&str, &str)],
        port: u16,
        further: &[&str],
    ) -> (Self, SocketAddr) {
        let port = port.to_string();
        let arguments = [&["registry", "-p", &port, "-l", "127.0.0.1"], further].concat();
        let daemon = Self::rpcd_with(settings, arguments);
        let address = daemon.announced_address().await;
        (daemon, address)
    }

    /// Starts any program with default settings; `name` is for messages.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn start(name: &str, mut command: Command) -> Self {
        let home = Home::new();
        home.enter(command.as_std_mut());
        Self::spawn(home, name, command)
    }

    fn spawn(home: Home, name: &str, mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let stdout = Output::of(child.stdout.take().unwrap());
        let stderr = Output::of(child.stderr.take().unwrap());
        let pid = child.id().unwrap();
        Self { name: name.to_owned(), child, pid, stdout, stderr, home }
    }

    /// Its working directory.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its standard output so far.
    pub fn stdout(&self) -> &Output {
        &self.stdout
    }

    /// Its standard error so far.
    pub fn stderr(&self) -> &Output {
        &self.stderr
    }

    /// Its standard input; only once.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("standard input is taken once")
    }

    /// The address in the first line that says it is listening.
    ///
    /// # Panics
    /// A log line before it mentions a variable: a misspelt setting would test nothing.
    pub async fn announced_address(&self) -> SocketAddr {
        let address = self
            .line("it announces its address", |line| {
                line.contains("listen").then(|| address_in(line)).flatten()
            })
            .await;
        assert!(!self.stderr.text().contains("RPCD_"), "{}", self.transcript());
        address
    }

    /// The result of `find` for the first line, of either output, for which there is one.
    ///
    /// # Panics
    /// There is no such line in time.
    pub async fn line<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let found = async {
            tokio::select! {
                Some(found) = self.stdout.find(&find) => found,
                Some(found) = self.stderr.find(&find) => found,
                else => panic!("{} exited before {what}:\n{}", self.name, self.transcript()),
            }
        };
        match tokio::time::timeout(SOON, found).await {
            Ok(found) => found,
            Err(_) => panic!("not within {SOON:?}: {what}\n{}", self.transcript()),
        }
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// It has exited.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid).unwrap()).unwrap();
        kill_process(pid, signal)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", self.name, self.transcript()));
    }

    /// Waits until it exits and its output is read.
    ///
    /// # Panics
    /// It did not exit within `limit`.
    pub async fn exits_within(&mut self, limit: Duration) -> ExitStatus {
        let Ok(status) = tokio::time::timeout(limit, self.child.wait()).await else {
            panic!("{} still runs after {limit:?}\n{}", self.name, self.transcript());
        };
        soon("the end of its output", async {
            self.stdout.ended().await;
            self.stderr.ended().await;
        })
        .await;
        status.unwrap()
    }

    /// Waits until it exits; returns the exit code.
    ///
    /// # Panics
    /// It did not exit in time, or was killed by a signal.
    pub async fn exit_code(&mut self) -> i32 {
        self.drop_stdin();
        let status = self.exits_within(SOON).await;
        status.code().unwrap_or_else(|| panic!("{}: {status}\n{}", self.name, self.transcript()))
    }

    /// Whether it is running.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Both outputs, for the message of a failed assertion.
    pub fn transcript(&self) -> String {
        let mut text = format!("--- {} ---\n", self.name);
        for (name, output) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            for line in output.lines() {
                let _ = writeln!(text, "{name}: {line}");
            }
        }
        text
    }

    fn drop_stdin(&mut self) {
        self.child.stdin = None;
    }
}

/// Runs `rpcd` until it exits: exit code, standard output, standard error.
pub async fn run_rpcd<I, S>(arguments: I) -> (i32, String, String)
where
    I: IntoIterator<Item = S>,
    S: AsRef<str>,
{
    let mut rpcd = Daemon::rpcd(arguments);
    let code = rpcd.exit_code().await;
    (code, rpcd.stdout.text(), rpcd.stderr.text())
}

/// The same with settings.
pub async fn run_rpcd_with<I, S>(settings: &[(&str, &str)], arguments: I) -> (i32, String, String)
where
    I: IntoIterator<Item = S>,
    S: AsRef<str>,
{
    let mut rpcd = Daemon::rpcd_with(settings, arguments);
    let code = rpcd.exit_code().await;
    (code, rpcd.stdout.text(), rpcd.stderr.text())
}

/// The first `IP:PORT` in a line, with a port other than 0.
pub fn address_in(line: &str) -> Option<SocketAddr> {
    without_colours(line)
        .split(|c: char| c.is_whitespace() || "=,\"'()/".contains(c))
        .filter_map(|word| word.trim_end_matches('.').parse::<SocketAddr>().ok())
        .find(|address| address.port() != 0)
}

/// A line without a terminal's colours.
pub fn without_colours(line: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in line.chars() {
        match c {
            '\u{1b}' => inside = true,
            'm' if inside => inside = false,
            _ if !inside => text.push(c),
            _ => {}
        }
    }
    text
}

/// The lines of one output of a process, read as they are written.
pub struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    /// The number of lines; closed at the end of the output.
    count: watch::Receiver<usize>,
    reader: JoinHandle<()>,
}

impl Output {
    fn of(pipe: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (sender, count) = watch::channel(0);
        let kept = Arc::clone(&lines);
        let reader = tokio::spawn(async move {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while pipe.read_until(b'\n', &mut line).await.unwrap_or(0) > 0 {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                line.clear();
                let mut lines = kept.lock().unwrap();
                lines.push(text);
                sender.send_replace(lines.len());
            }
        });
        Self { lines, count, reader }
    }

    /// The lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// The lines so far, as one text.
    pub fn text(&self) -> String {
        self.lines().join("\n")
    }

    /// The result of `find` for the first line for which there is one; `None` at the end.
    pub async fn find<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let mut count = self.count.clone();
        let mut seen = 0;
        loop {
            let lines = self.lines();
            if let Some(found) = lines[seen..].iter().find_map(|line| find(line)) {
                return Some(found);
            }
            seen = lines.len();
            if count.wait_for(|count| *count > seen).await.is_err() && self.lines().len() == seen {
                return None;
            }
        }
    }

    /// Waits until there are that many lines; returns all of them.
    ///
    /// # Panics
    /// There are not in time.
    pub async fn at_least(&self, number: usize) -> Vec<String> {
        let mut count = self.count.clone();
        let reached = soon("lines of output", count.wait_for(|count| *count >= number)).await;
        assert!(reached.is_ok(), "the output ended: {:?}", self.lines());
        self.lines()
    }

    async fn ended(&self) {
        let mut count = self.count.clone();
        while count.changed().await.is_ok() {}
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// A path as an argument.
pub fn path(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}
