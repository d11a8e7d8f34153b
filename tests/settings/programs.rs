//! Runs `rpcd`, and the console on a terminal.

use portable_pty::CommandBuilder;
use rpc_tests::binaries::binary;
use rpc_tests::daemon::Daemon;
use rpc_tests::fakes::Peer;
use rpc_tests::home::Home;
use rpc_tests::recording_registry::RecordingRegistry;
use rpc_tests::terminal::Tty;
use rpc_wire::signature::{Signature, contract};
use serde_json::json;

/// Settings as the names of their variables, without `RPCD_`, and values.
pub(crate) type Settings<'a> = &'a [(&'a str, &'a str)];

/// The result of a run of `rpcd`.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `rpcd` with the arguments in `line` until it exits.
pub(crate) async fn rpcd(settings: Settings<'_>, line: &str) -> Run {
    rpcd_in(Home::new(), settings, line).await
}

/// The same in a given directory.
pub(crate) async fn rpcd_in(home: Home, settings: Settings<'_>, line: &str) -> Run {
    run_in("rpcd", home, settings, line).await
}

/// The same for another program.
pub(crate) async fn run_in(program: &str, home: Home, settings: Settings<'_>, line: &str) -> Run {
    let mut run = Daemon::program_in(program, home, settings, line.split_whitespace());
    let code = run.exit_code().await;
    Run { code, stdout: run.stdout().text(), stderr: run.stderr().text() }
}

/// `COMMAND --port PORT`, to call a server directly.
pub(crate) fn at(peer: &Peer, command: &str) -> String {
    format!("{command} -p {}", peer.address.port())
}

/// An older registry that lists these peers, which say that their methods are the same.
pub(crate) async fn listing(peers: &[&Peer]) -> RecordingRegistry {
    let registry = RecordingRegistry::start().await;
    let tick = Signature { name: "tick".to_owned(), ..Signature::default() };
    let contract = contract(&[tick]);
    registry.list_with(peers.iter().map(|peer| (peer.address, json!({"contract": contract}))));
    registry
}

/// The console with the arguments in `line`, on a terminal wide enough for long lines.
pub(crate) fn console(settings: Settings<'_>, line: &str) -> Tty {
    console_in(Home::new(), settings, line)
}

/// The same in a given directory.
pub(crate) fn console_in(home: Home, settings: Settings<'_>, line: &str) -> Tty {
    console_with(home, settings, &[], line)
}

/// The same with further variables of the environment.
pub(crate) fn console_with(
    home: Home,
    settings: Settings<'_>,
    environment: Settings<'_>,
    line: &str,
) -> Tty {
    let mut command = CommandBuilder::new(binary("rpc-console"));
    command.args(line.split_whitespace());
    for (name, value) in settings {
        command.env(format!("RPCD_{name}"), value);
    }
    for (name, value) in environment {
        command.env(name, value);
    }
    Tty::run_in(home, command, (160, 40))
}

/// Whether the screen shows that word by itself, such as a number among others.
pub(crate) fn shows(tty: &Tty, word: &str) -> bool {
    tty.screen().split(|c: char| !c.is_alphanumeric()).any(|shown| shown == word)
}

/// A console that watches these peers, listed by an older registry.
pub(crate) async fn watching(peers: &[&Peer], settings: Settings<'_>) -> (Tty, RecordingRegistry) {
    let registry = listing(peers).await;
    let tty = console(settings, &format!("--registry {}", registry.url()));
    (tty, registry)
}

/// Has the console call `tick` once, from its form.
pub(crate) fn call(tty: &mut Tty) {
    tty.press("2");
    tty.until(&["[2 Methods]", "tick"]);
    tty.press("\r");
    tty.until(&[r#""method_name":"tick""#]);
    tty.press("\r");
}
