//! A server as a child process: started on its processor, found by its log, killed when dropped.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};

use crate::pin::on_cpu;

/// Timeout until a server logs its address.
const START: Duration = Duration::from_secs(15);
/// Lines of a server's output kept for the message if it does not start.
const LINES_KEPT: usize = 20;

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    // Removed with the server: an empty working directory, so that no config.ini is read by
    // accident.
    _home: tempfile::TempDir,
}

impl Server {
    /// Starts `program`, without settings of this shell, and waits until it logs its address. Its
    /// standard input is `input`.
    ///
    /// # Errors
    /// It does not start; the message has its first lines.
    pub fn start<S: AsRef<OsStr> + Sync>(
        program: impl AsRef<OsStr> + Sync,
        arguments: &[S],
        input: &[u8],
        cpu: Option<usize>,
    ) -> anyhow::Result<Self> {
        let name = program.as_ref().to_string_lossy().into_owned();
        let home = tempfile::tempdir().context("creating a working directory")?;
        // A child may use the processors of the thread that starts it.
        let mut child = on_cpu(cpu, || {
            let mut command = Command::new(&program);
            for (key, _) in std::env::vars_os() {
                if key.to_string_lossy().starts_with("RPCD_") || key == "RUST_LOG" {
                    command.env_remove(key);
                }
            }
            command
                .args(arguments)
                .current_dir(home.path())
                .env("XDG_CONFIG_HOME", home.path())
                // All load comes from one address.
                .env("RPCD_SERVER_MAX_CONNECTIONS_PER_PEER", "0")
                .env("RPCD_REGISTRY_SERVER_MAX_CONNECTIONS_PER_PEER", "0")
                .env("RPCD_REGISTRY_SERVER_MAX_WATCHERS_PER_PEER", "0")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .with_context(|| format!("starting {name}"))
        })?;
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let mut server = Self { child, address: ([127, 0, 0, 1], 0).into(), _home: home };
        if let Some(mut stdin) = stdin {
            stdin.write_all(input).with_context(|| format!("writing to {name}"))?;
        }
        let stderr = stderr.context("a child without standard error")?;
        server.address = announced(stderr).with_context(|| format!("starting {name}"))?;
        Ok(server)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // If it has exited, nothing is left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the first line that has one. The output is read to its end, so that the server
/// never blocks on it.
fn announced(stderr: ChildStderr) -> anyhow::Result<SocketAddr> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut lines = BufReader::new(stderr);
        let (mut line, mut kept, mut found) = (Vec::new(), Vec::new(), false);
        while lines.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
            if !found {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if let Some(address) = address_in(&text) {
                    found = true;
                    // The receiver may be gone.
                    let _ = sender.try_send(Ok(address));
                } else if kept.len() < LINES_KEPT {
                    kept.push(text);
                }
            }
            line.clear();
        }
        let _ = sender.try_send(Err(anyhow!("it exited: {}", kept.join("; "))));
    });
    let reply = receiver.recv_timeout(START);
    reply.unwrap_or_else(|_| Err(anyhow!("it logged no address within {START:?}")))
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let address = line.split_once("listening address=")?.1;
    address.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_in_the_line_that_starts_with_listening() {
        let line =
            "2026-01-01T00:00:00Z  INFO rpc_server: listening address=127.0.0.1:80 methods=2";
        assert_eq!(address_in(line), Some(([127, 0, 0, 1], 80).into()));
        assert_eq!(address_in("INFO open files allowed files=20000"), None);
    }

    #[test]
    fn a_program_that_exits_at_once_is_an_error_with_its_output() {
        let error = Server::start("sh", &["-c", "echo no such port >&2"], b"", None).unwrap_err();
        assert!(format!("{error:#}").contains("no such port"), "{error:#}");
    }
}
