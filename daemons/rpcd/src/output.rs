//! The only place that writes to standard output and standard error (besides the log).
//!
//! - `escapes`: JSON on a terminal.
//! - [`pretty`]: JSON for people.
//! - `reader`: whether anybody reads standard output.
//! - [`mod@table`]: columns for people.

mod escapes;
pub mod pretty;
mod reader;
pub mod table;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::LazyLock;

use rpc_host::logging::escape_controls;

use crate::failure::{Exit, Failure};
use table::Table;

pub use reader::while_read;

/// Writes one line of JSON: unchanged, or on a terminal without white space between its parts and with
/// the control characters that a remote text may contain as JSON escapes.
///
/// # Errors
/// The reader closed the pipe ([`Exit::Done`], no message), or the output cannot be written.
pub fn json(json: &str) -> Result<(), Failure> {
    if is_terminal() { write(&escapes::in_json(&pretty::compact(json))) } else { write(json) }
}

/// Writes a result that is a string. On a terminal control characters are escaped (except line breaks and
/// tabs); otherwise it is written unchanged.
fn string(text: &str) -> Result<(), Failure> {
    if !is_terminal() {
        return write(text);
    }
    let pieces = text.split_inclusive(['\n', '\t']).map(|piece| {
        let end = piece.len() - usize::from(piece.ends_with(['\n', '\t']));
        format!("{}{}", escape_controls(&piece[..end]), &piece[end..])
    });
    write(&pieces.collect::<String>())
}

/// Writes one line for people, its control characters escaped (except tabs) wherever it goes: a pipe may
/// end at a terminal, and a line break would forge a line.
///
/// # Errors
/// As [`json()`].
pub fn text(line: &str) -> Result<(), Failure> {
    let pieces: Vec<_> = line.split('\t').map(escape_controls).collect();
    write(&pieces.join("\t"))
}

/// Writes a JSON value: a string without quotes and anything else indented and coloured on a terminal,
/// unless `compact` JSON is wanted; as it was received elsewhere.
///
/// # Errors
/// As [`json()`].
pub fn value(value: &str, compact: bool) -> Result<(), Failure> {
    let text = if compact { None } else { serde_json::from_str::<String>(value).ok() };
    match text {
        Some(text) => string(&text),
        None if !compact && is_terminal() => write(&pretty::indented(value, has_colour())),
        None => json(value),
    }
}

/// Writes the heading of a table, on a terminal only.
///
/// # Errors
/// As [`json()`].
pub fn heading(text: &str) -> Result<(), Failure> {
    match (is_terminal(), has_colour()) {
        (false, _) => Ok(()),
        (true, true) => write(&format!("\x1b[1m{text}\x1b[0m")),
        (true, false) => write(text),
    }
}

/// Writes a table, its heading on a terminal only.
///
/// # Errors
/// As [`json()`].
pub fn table(table: &Table) -> Result<(), Failure> {
    let lines = table.lines();
    let (first, rows) = lines.split_first().map_or(("", &[][..]), |(first, rows)| (first, rows));
    heading(first)?;
    rows.iter().try_for_each(|row| text(row))
}

/// Whether a person reads standard output.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Whether standard output is a terminal whose user wants colours.
fn has_colour() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb")
}

fn write(text: &str) -> Result<(), Failure> {
    // One write, so that lines of several processes do not mix.
    write_all(format!("{text}\n").as_bytes())
}

/// To the file itself: `io::stdout()` takes a descriptor that cannot be written for a success.
fn write_all(bytes: &[u8]) -> Result<(), Failure> {
    static FILE: LazyLock<io::Result<File>> =
        LazyLock::new(|| io::stdout().as_fd().try_clone_to_owned().map(File::from));
    let written = match &*FILE {
        Ok(file) => (&*file).write_all(bytes),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
    };
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(Exit::Done, ""),
        _ => Failure::new(Exit::Failed, format!("cannot write to standard output: {error}")),
    })
}

/// Writes one line for the user, to standard error.
pub fn say(message: &str) {
    let line = format!("rpcd: {}\n", escape_controls(message));
    // A failure here cannot be reported anywhere.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Writes a warning for the user, to standard error.
pub fn warn(message: &str) {
    say(&format!("warning: {message}"));
}

/// Shows a line on a terminal's standard error until the next one; does nothing without a terminal.
pub fn status(text: &str) {
    let mut err = io::stderr().lock();
    if err.is_terminal() {
        // A failure here cannot be reported anywhere.
        let _ = write!(err, "\r\x1b[2K{}", escape_controls(text)).and_then(|()| err.flush());
    }
}

/// Removes the status line.
pub fn clear_status() {
    status("");
}

/// The exit code; a failure is printed first, `as_json` on standard output too.
pub fn finish(done: Result<(), Failure>, as_json: bool) -> ExitCode {
    let Err(failure) = done else { return ExitCode::SUCCESS };
    let message = failure.message.as_str();
    if failure.is_help && failure.exit == Exit::Done {
        return finish(write_all(message.as_bytes()), false);
    }
    if failure.is_help {
        // A failure here cannot be reported anywhere.
        let _ = io::stderr().lock().write_all(message.as_bytes());
    } else if !message.is_empty() {
        if as_json && !failure.is_printed {
            // The exit code is that of the failure anyway.
            let _ = json(&failure.to_json());
        }
        say(message);
    }
    ExitCode::from(failure.exit.code())
}

/// Reports a panic in one line, to the log if there is one, without a backtrace.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let what = panic.payload_as_str().unwrap_or("no message");
        if tracing::enabled!(tracing::Level::ERROR) {
            tracing::error!(place, "panicked: {what}; please report this bug");
        } else {
            say(&format!("panicked at {place}: {what}; please report this bug"));
        }
    }));
}
