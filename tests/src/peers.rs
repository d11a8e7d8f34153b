//! Programs from PyPI and npm that nobody here wrote: installed by `tests/peers/install`.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::installed::is_there;

/// A program that does not end in this time hangs.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a program of `tests/peers`, in Python or JavaScript by its name; `None` if what it needs is not
/// installed: the test is skipped with a message, or fails with `CI=true`.
///
/// # Panics
/// It does not end, or `CI=true` and something is missing.
pub async fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    Some(output(command(program)?.args(arguments), TIMEOUT).await)
}

/// Runs a command that a package of PyPI has installed, for at most so long, in a folder of its own; it finds the
/// modules of `tests/peers`. `None` as [`run`].
///
/// # Panics
/// As [`run`].
pub async fn run_command(
    name: &str,
    arguments: &[&str],
    variables: &[(&str, &str)],
    limit: Duration,
) -> Option<Output> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let peers = manifest.join("../target/peers");
    if !is_there(peers.join("requirements.txt").exists(), "what tests/peers/install installs") {
        return None;
    }
    let mut command = Command::new(peers.join("python/bin").join(name));
    let folder = tempfile::tempdir().expect("a folder");
    command.args(arguments).envs(variables.iter().copied());
    command.env("PYTHONPATH", manifest.join("peers")).current_dir(folder.path());
    Some(output(&mut command, limit).await)
}

async fn output(command: &mut Command, limit: Duration) -> Output {
    let output = command.kill_on_drop(true).output();
    timeout(limit, output).await.expect("it ends").expect("it starts")
}

/// Runs a program of an npm package, by its path among the modules, under the version of Node that is installed
/// with it; `None` as for [`run`].
///
/// # Panics
/// As [`run`].
pub async fn run_module(program: &str, arguments: &[&str]) -> Option<Output> {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/node");
    let installed = modules.join("installed.json").exists();
    if !is_there(installed, "what tests/peers/install installs") {
        return None;
    }
    let modules = modules.join("node_modules");
    let node = modules.join(".bin/node").canonicalize().expect("its Node is installed");
    let mut command = Command::new(node);
    Some(output(command.arg(modules.join(program)).args(arguments), 2 * TIMEOUT).await)
}

/// A program of `tests/peers` that serves until it is dropped.
#[derive(Debug)]
pub struct Server {
    _process: Child,
    /// Where it listens, in the order in which it says so.
    pub ports: Vec<u16>,
}

/// Starts one that prints so many ports, one a line; `None` as for [`run`].
///
/// # Panics
/// It does not print them, or `CI=true` and something is missing.
pub async fn server(program: &str, arguments: &[&str], ports: usize) -> Option<Server> {
    let mut command = command(program)?;
    let mut process = command.args(arguments).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
    let mut listens = Vec::new();
    while listens.len() < ports {
        let line = timeout(TIMEOUT, lines.next_line()).await.expect("it listens");
        let line = line.expect("it writes text").expect("it goes on");
        listens.push(line.trim().parse().expect("it prints a port"));
    }
    Some(Server { _process: process, ports: listens })
}

fn command(program: &str) -> Option<Command> {
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(program);
    let is_script = program.ends_with(".mjs");
    let sign = if is_script { "node/installed.json" } else { "requirements.txt" };
    if !is_there(peers.join(sign).exists(), "what tests/peers/install installs") {
        return None;
    }
    let mut command = match is_script {
        false => Command::new(peers.join("python/bin/python")),
        true => Command::new("node"),
    };
    match is_script {
        false => command.arg(source),
        true => command.arg(beside_its_modules(&source, &peers.join("node"))),
    };
    command.kill_on_drop(true);
    Some(command)
}

/// Node looks for modules beside the program. Tests of one process copy the same.
fn beside_its_modules(source: &Path, modules: &Path) -> PathBuf {
    let name =
        format!("{}-{}", std::process::id(), source.file_name().unwrap_or_default().display());
    let copy = modules.join(&name);
    // Whole at once: another test may be starting it.
    let thread = format!("{name}-{:?}", std::thread::current().id());
    let part = modules.join(thread);
    std::fs::copy(source, &part).expect("the program is copied");
    std::fs::rename(part, &copy).expect("the copy is named");
    copy
}
