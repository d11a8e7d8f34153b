//! Output of commands: results on standard output, one line on standard error, an exit code.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use rpc_client::registry::RegistryClientError;
use rpc_client::{ArgsError, CallError, ClientError, ErrorKind};
use rpc_host::logging::escape_controls;

/// Why a command failed, as a text and an exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// The message; if empty, nothing is printed.
    pub text: String,
}

const DONE: u8 = 0;
const REMOTE: u8 = 1;
const USAGE: u8 = 2;
const UNREACHABLE: u8 = 3;
const TIMEOUT: u8 = 4;

impl Failure {
    fn new(code: u8, text: impl ToString) -> Self {
        Self { code, text: text.to_string() }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let code = match error.kind() {
            ErrorKind::Remote => REMOTE,
            ErrorKind::Usage => USAGE,
            ErrorKind::Unreachable => UNREACHABLE,
            ErrorKind::Timeout => TIMEOUT,
        };
        Self::new(code, error)
    }
}

impl From<RegistryClientError> for Failure {
    fn from(error: RegistryClientError) -> Self {
        let code = match &error {
            RegistryClientError::BadUrl { .. } => USAGE,
            RegistryClientError::Unreachable { .. } => UNREACHABLE,
            RegistryClientError::Timeout { .. } => TIMEOUT,
            _ => REMOTE,
        };
        Self::new(code, error)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::BadAddress(_) | ClientError::Registry(_) => Self::new(USAGE, error),
            other => Self::new(REMOTE, other),
        }
    }
}

impl From<ArgsError> for Failure {
    fn from(error: ArgsError) -> Self {
        Self::new(USAGE, error)
    }
}

/// Writes one line of a result. On a terminal, control characters other than line breaks and tabs
/// are escaped, since remote text may contain any.
///
/// # Errors
/// The reader closed the pipe (no message, code 0), or writing failed.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let whole = if out.is_terminal() {
        let pieces = text.split_inclusive(['\n', '\t']).map(|piece| {
            let end = piece.len() - usize::from(piece.ends_with(['\n', '\t']));
            format!("{}{}", escape_controls(&piece[..end]), &piece[end..])
        });
        pieces.chain(["\n".to_owned()]).collect()
    } else {
        format!("{text}\n")
    };
    // One write, so that lines of several processes do not mix.
    out.write_all(whole.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::new(DONE, ""),
        _ => Failure::new(REMOTE, format!("cannot write the result: {error}")),
    })
}

/// Writes one line to standard error.
pub(super) fn notice(text: &str) {
    // A failure here cannot be reported anywhere.
    let _ = writeln!(io::stderr().lock(), "rpc-console: {}", escape_controls(text));
}

/// The exit code; a failure is printed first.
pub(super) fn finish(done: Result<(), Failure>) -> ExitCode {
    let Err(failure) = done else { return ExitCode::SUCCESS };
    if !failure.text.is_empty() {
        notice(&failure.text);
    }
    ExitCode::from(failure.code)
}
