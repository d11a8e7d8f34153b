//! Runs programs under valgrind, which counts the instructions they execute.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// A command that runs a program under valgrind, without the settings of this shell.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(program)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Checks that valgrind is installed.
///
/// # Errors
/// It is not; the message says how to install it.
pub(crate) fn check() -> anyhow::Result<()> {
    let version = Command::new("valgrind").arg("--version").output();
    version.context("valgrind is missing: install it (apt-get install valgrind)")?;
    Ok(())
}

/// The number of executed instructions, from valgrind's output.
///
/// # Errors
/// The output has none; the message contains it.
pub(crate) fn instructions(stderr: &str) -> anyhow::Result<u64> {
    // `==PID== I   refs:      1,234`; newer versions use fewer spaces.
    let count = stderr.lines().find_map(|line| {
        match line.split_whitespace().skip(1).collect::<Vec<_>>()[..] {
            ["I", "refs:", count] => count.replace(',', "").parse().ok(),
            _ => None,
        }
    });
    match count {
        Some(count) => Ok(count),
        None => bail!("no count in valgrind's output:\n{stderr}"),
    }
}
