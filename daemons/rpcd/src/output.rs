//! The only place that writes to standard output and standard error (besides the log).

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use rpc_host::logging::escape_controls;

use crate::failure::{Exit, Failure};

/// Writes one line of a result. On a terminal control characters are escaped (except line breaks
/// and tabs), since a remote text may contain any; otherwise it is written unchanged.
///
/// # Errors
/// The reader closed the pipe ([`Exit::Done`], no message), or the output cannot be written.
pub fn line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = if out.is_terminal() {
        text.split_inclusive(['\n', '\t'])
            .try_for_each(|piece| {
                let end = piece.len() - usize::from(piece.ends_with(['\n', '\t']));
                out.write_all(escape_controls(&piece[..end]).as_bytes())?;
                out.write_all(&piece.as_bytes()[end..])
            })
            .and_then(|()| out.write_all(b"\n"))
    } else {
        // One write, so that lines of several processes do not mix.
        out.write_all(format!("{text}\n").as_bytes())
    };
    written.and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(Exit::Done, ""),
        _ => Failure::new(Exit::Failed, format!("cannot write the result: {error}")),
    })
}

/// Writes one line for the user, to standard error.
pub fn say(message: &str) {
    // A failure here cannot be reported anywhere.
    let _ = writeln!(io::stderr().lock(), "rpcd: {}", escape_controls(message));
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

/// The exit code; a failure is printed first.
pub fn finish(done: Result<(), Failure>) -> ExitCode {
    let Err(failure) = done else { return ExitCode::SUCCESS };
    let text = failure.message.as_str();
    // A failure here cannot be reported anywhere.
    let _ = match (failure.is_help, failure.exit) {
        (true, Exit::Done) => io::stdout().lock().write_all(text.as_bytes()),
        (true, _) => io::stderr().lock().write_all(text.as_bytes()),
        (false, _) if text.is_empty() => Ok(()),
        (false, _) => {
            say(text);
            Ok(())
        }
    };
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
