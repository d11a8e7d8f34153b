//! The programs that log: starting them, reading their logs, stopping them.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_tests::daemon::{Daemon, without_colours};
use rpc_tests::eventually::eventually;
use rpc_tests::fakes::{Do, Peer, result};
use rpc_tests::home::Home;
use rpc_tests::queries::{http, stats};
use rpc_tests::raw::Raw;
use rpc_tests::recording_registry::RecordingRegistry;
use rpc_tests::reserved_port::ReservedPort;
use rpc_tests::terminal::Tty;
use rustix::process::Signal;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::programs::{Settings, console_in};
use crate::ticks::{instance, is_tick};

/// A program that logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Serve,
    Registry,
    Call,
    Console,
}

/// A running program, and its peers.
pub(crate) enum Running {
    Daemon { program: Program, daemon: Daemon, address: SocketAddr, _port: ReservedPort },
    Call { rpcd: Daemon, _peer: Peer },
    Console { tty: Tty, _registry: RecordingRegistry, _peer: Peer },
}

impl Program {
    /// The prefix of its log files.
    pub(crate) fn file_prefix(self) -> &'static str {
        match self {
            Self::Serve => "rpcd-serve",
            Self::Registry => "rpcd-registry",
            Self::Call => "rpcd-client",
            Self::Console => "rpc-console",
        }
    }

    /// Starts it; then it has logged everything about its settings, and has exchanged messages.
    pub(crate) async fn start(self, home: Home, settings: Settings<'_>) -> Running {
        self.start_with(home, settings, "").await
    }

    /// The same with further flags.
    pub(crate) async fn start_with(
        self,
        home: Home,
        settings: Settings<'_>,
        flags: &str,
    ) -> Running {
        match self {
            Self::Serve => {
                self.daemon(home, settings, &format!("serve --no-registry {flags}")).await
            }
            Self::Registry => self.daemon(home, settings, &format!("registry {flags}")).await,
            Self::Call => {
                let soon = Duration::from_millis(100);
                let peer = instance(move |tick| Do::WriteAfter(soon, result(tick, "1"))).await;
                let line = format!("call tick -p {} {flags}", peer.address.port());
                let rpcd = Daemon::rpcd_in(home, settings, line.split_whitespace());
                let called = async || peer.seen.messages().iter().any(is_tick);
                eventually("a call", called).await;
                Running::Call { rpcd, _peer: peer }
            }
            Self::Console => {
                let peer = instance(|_| Do::Nothing).await;
                let registry = RecordingRegistry::start().await;
                registry.list(&[peer.address]);
                let line = format!("--registry {} {flags}", registry.url());
                let tty = console_in(home, settings, &line);
                tty.until(&["1 up"]);
                Running::Console { tty, _registry: registry, _peer: peer }
            }
        }
    }

    async fn daemon(self, home: Home, settings: Settings<'_>, command: &str) -> Running {
        let port = ReservedPort::new();
        let address = port.address();
        let line = format!("{command} -l 127.0.0.1 -p {}", address.port());
        let daemon = Daemon::rpcd_in(home, settings, line.split_whitespace());
        eventually("it listens", async || TcpStream::connect(address).await.is_ok()).await;
        if self == Self::Serve {
            stats(address).await;
        } else {
            assert_eq!(http(address, "GET /healthz", b"").await.0, 200);
        }
        Running::Daemon { program: self, daemon, address, _port: port }
    }
}

impl Running {
    pub(crate) fn home(&self) -> &Home {
        match self {
            Self::Daemon { daemon, .. } => daemon.home(),
            Self::Call { rpcd, .. } => rpcd.home(),
            Self::Console { tty, .. } => tty.home(),
        }
    }

    /// The lines of all files in a directory below its home.
    pub(crate) fn saved(&self, dir: &str) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.home().path().join(dir)) else { return Vec::new() };
        let text = |file: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(file.unwrap().path()).unwrap()
        };
        files
            .map(text)
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// Its log on standard error.
    pub(crate) fn printed(&self) -> Vec<String> {
        match self {
            Self::Daemon { daemon, .. } => {
                daemon.stderr().lines().iter().map(|line| without_colours(line)).collect()
            }
            // These lines are for people.
            Self::Call { .. } | Self::Console { .. } => Vec::new(),
        }
    }

    /// How many of its recent lines, as sent to a later reader, contain `text`.
    pub(crate) async fn recent_lines(&mut self, text: &str) -> usize {
        let (address, ask, prefix) = match self {
            Self::Console { tty, .. } => return lines_on_the_screen(tty, text),
            Self::Call { .. } => panic!("it serves no log"),
            Self::Daemon { program: Program::Serve, address, .. } => (
                *address,
                r#"{"id":1,"method_name":"rpc.logs","method_args":["trace","",1000],"meta":{"stream":true}}"#.to_owned(),
                "",
            ),
            Self::Daemon { address, .. } => (
                *address,
                format!("GET /v1/logs?level=trace&recent=1000 HTTP/1.1\r\nHost: {address}\r\n\r\n"),
                "data: ",
            ),
        };
        let mut raw = Raw::connect(address).await;
        raw.send(ask).await;
        let mut found = 0;
        loop {
            let line = raw.line().await.expect("the stream is open");
            let Some(Ok(line)) = line.strip_prefix(prefix).map(serde_json::from_str::<Value>)
            else {
                continue;
            };
            let line = line.to_string();
            // Logged once it listens, after all lines about its settings.
            if line.contains("listening") {
                return found;
            }
            found += usize::from(line.contains(text));
        }
    }

    /// Stops it gracefully.
    pub(crate) async fn end(mut self) {
        self.stop().await;
    }

    /// The same, and the lines of all files in a directory below its home.
    pub(crate) async fn saved_at_the_end(mut self, dir: &str) -> Vec<String> {
        self.stop().await;
        self.saved(dir)
    }

    async fn stop(&mut self) {
        match self {
            Self::Daemon { daemon, .. } => {
                daemon.signal(Signal::TERM);
                assert_eq!(daemon.exit_code().await, 0);
            }
            Self::Call { rpcd, .. } => assert_eq!(rpcd.exit_code().await, 0),
            Self::Console { tty, .. } => {
                tty.press("\x03");
                assert_eq!(tty.ends(), 0);
            }
        }
    }
}

/// The lines of the console's own log on the screen.
fn lines_on_the_screen(tty: &mut Tty, text: &str) -> usize {
    tty.press("4");
    tty.until(&["[4 Logs]", "EFFECT_0019"]);
    // Not the hint at the bottom.
    let of_the_log = |line: &&str| line.contains("WARN") && line.contains(text);
    tty.screen().lines().filter(of_the_log).count()
}
