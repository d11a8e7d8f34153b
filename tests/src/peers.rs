//! Programs from PyPI and npm that nobody here wrote: installed by `tests/peers/install`.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use tokio::process::Command;
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
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(program);
    let mut command = match program.ends_with(".mjs") {
        false => {
            let python = peers.join("python/bin/python");
            if !is_there(
                peers.join("requirements.txt").exists(),
                "what tests/peers/install installs",
            ) {
                return None;
            }
            let mut command = Command::new(python);
            command.arg(source);
            command
        }
        true => {
            if !is_there(
                peers.join("node/installed.json").exists(),
                "what tests/peers/install installs",
            ) {
                return None;
            }
            let mut command = Command::new("node");
            command.arg(beside_its_modules(&source, &peers.join("node")));
            command
        }
    };
    Some(output(command.args(arguments), TIMEOUT).await)
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

/// Node looks for modules beside the program.
fn beside_its_modules(source: &Path, modules: &Path) -> PathBuf {
    let name =
        format!("{}-{}", std::process::id(), source.file_name().unwrap_or_default().display());
    let copy = modules.join(name);
    std::fs::copy(source, &copy).expect("the program is copied");
    copy
}
