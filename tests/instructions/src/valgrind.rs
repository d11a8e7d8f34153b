//! Programs under valgrind, which counts the instructions they execute.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// A command that runs a program under valgrind, away from this shell's settings.
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

/// Whether it is there.
///
/// # Errors
/// It is not; says what to do.
pub(crate) fn check() -> anyhow::Result<()> {
    let version = Command::new("valgrind").arg("--version").output();
    version.context("valgrind is missing: install it (apt-get install valgrind)")?;
    Ok(())
}

/// The instructions that a program executed, by what valgrind wrote when it ended.
///
/// # Errors
/// It does not say; the message is what was written instead.
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
        None => bail!("valgrind counted nothing:\n{stderr}"),
    }
}
