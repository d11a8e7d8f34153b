//! Runs the binary.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Long enough for a loaded machine, short enough for a person.
const SOON: Duration = Duration::from_secs(20);

/// Exit code and output of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `rpcd` with the arguments in `line` until it exits.
pub(crate) fn rpcd(line: &str) -> Run {
    rpcd_args(&line.split_whitespace().collect::<Vec<_>>())
}

pub(crate) fn rpcd_args(arguments: &[&str]) -> Run {
    let output = command(arguments).stdin(Stdio::null()).output().unwrap();
    Run {
        code: output.status.code().expect("an exit code, not a signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rpcd"));
    command.args(arguments).current_dir(env!("CARGO_TARGET_TMPDIR")).env_remove("COLUMNS");
    // Without the settings of the user who runs the test.
    command.env("XDG_CONFIG_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/no-settings"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("RPCD_") {
            command.env_remove(name);
        }
    }
    // Lists of other tests, whose ports may be the same.
    command.env("RPCD_CLIENT_LIST_CACHE", "");
    command
}

/// A running daemon. Dropping it kills it.
pub(crate) struct Daemon {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Daemon {
    pub(crate) fn start(line: &str) -> Self {
        let words: Vec<_> = line.split_whitespace().collect();
        let mut child =
            command(&words).stderr(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// A server on a free port of loopback, and that port.
    pub(crate) fn serve(further: &str) -> (Self, u16) {
        let mut daemon = Self::start(&format!("serve -p 0 -l 127.0.0.1 {further}"));
        let port = daemon.address().port();
        (daemon, port)
    }

    /// The address in the line that says it is listening.
    pub(crate) fn address(&mut self) -> SocketAddr {
        let line = self.line("listening");
        let word = line.split(['=', ' ']).find_map(|word| word.parse().ok());
        word.unwrap_or_else(|| panic!("no address in {line}"))
    }

    /// The first line with `text`.
    pub(crate) fn line(&mut self, text: &str) -> String {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(line) = self.seen.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(error) => panic!("no {text:?}: {error}; got {:#?}", self.seen),
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits until it exits; returns the exit code.
    pub(crate) fn exit_code(&mut self) -> i32 {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().expect("an exit code, not a signal");
            }
            assert!(Instant::now() < deadline, "still running; it logged {:#?}", self.all_lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Everything it logged; call after its exit.
    pub(crate) fn all_lines(&mut self) -> &[String] {
        loop {
            match self.lines.recv_timeout(SOON) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    return &self.seen;
                }
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback port on which nothing listens, and which the system never assigns.
pub(crate) const DEAD_PORT: u16 = 1;

/// Everything a child wrote to its standard output.
pub(crate) fn read_all(child: &mut Child) -> String {
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The milliseconds of a step in what `-v` prints.
pub(crate) fn step(said: &str, name: &str) -> f64 {
    let (_, rest) =
        said.split_once(&format!(" {name} ")).unwrap_or_else(|| panic!("{name}: {said}"));
    let time = rest.split([',', '\n']).next().unwrap();
    let scale = |unit: &str| Some((time.strip_suffix(unit)?.parse::<f64>().ok()?, unit.to_owned()));
    let (value, unit) = ["µs", "ms", "s"].into_iter().find_map(scale).unwrap();
    value
        * match unit.as_str() {
            "µs" => 1e-3,
            "ms" => 1.0,
            _ => 1e3,
        }
}
