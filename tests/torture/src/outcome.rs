//! What became of a call, as its caller was told.

use std::fmt;

use rpc_client::{CallError, Code, Phase};

/// A method of the ledger servers, by what callers may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// At most once.
    Run,
    /// At most once; it takes some milliseconds.
    RunFor,
    /// Declared idempotent, and called as such.
    Put,
    /// Declared read-only, which callers learn.
    Look,
    /// Declared read-only; it takes some milliseconds.
    LookFor,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Run, Self::RunFor, Self::Put, Self::Look, Self::LookFor];

    /// Its name at the server.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::RunFor => "run_for",
            Self::Put => "put",
            Self::Look => "look",
            Self::LookFor => "look_for",
        }
    }

    /// Whether executing it twice does no harm.
    pub fn may_repeat(self) -> bool {
        matches!(self, Self::Put | Self::Look | Self::LookFor)
    }
}

/// A call and what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The id, which no other call has.
    pub id: u64,
    /// The method.
    pub method: Method,
    /// When it was due, in microseconds since the start.
    pub due: u64,
    /// From then to its end, in microseconds.
    pub took: u64,
    /// The instance that replied or failed, by its port; 0 if none was called.
    pub port: u16,
    /// What its caller was told.
    pub fate: Fate,
}

impl Outcome {
    /// When it ended, in microseconds since the start.
    pub fn ended(&self) -> u64 {
        self.due + self.took
    }
}

/// What a caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A result.
    Ok,
    /// An error.
    Failed {
        /// Its kind.
        why: Why,
        /// Whether it says that the call may have run.
        may_have_run: bool,
    },
}

/// The kind of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// The connection was lost.
    Lost,
    /// The deadline passed.
    Timeout,
    /// No connection.
    Unreachable,
    /// Refused: full, draining, or overloaded.
    Refused,
    /// The list is empty, or could not be fetched.
    NoInstance,
    /// The method failed.
    Error,
    /// Something else.
    Other,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "connection lost",
            Self::Timeout => "timed out",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused: full, draining or overloaded",
            Self::NoInstance => "no instance, or no list",
            Self::Error => "error of the method",
            Self::Other => "other",
        })
    }
}

impl From<&CallError> for Fate {
    fn from(error: &CallError) -> Self {
        let why = match error {
            CallError::ConnectionLost { .. } => Why::Lost,
            CallError::Timeout { .. } => Why::Timeout,
            CallError::Unreachable { .. } => Why::Unreachable,
            CallError::Refused { .. } => Why::Refused,
            CallError::NoInstance { .. } | CallError::NoSuchMethod(_) | CallError::Registry(_) => {
                Why::NoInstance
            }
            CallError::Remote { fault, .. } => match fault.code {
                Code::DeadlineExceeded => Why::Timeout,
                code if code.is_retryable() => Why::Refused,
                _ => Why::Error,
            },
            _ => Why::Other,
        };
        let never_sent = match error {
            CallError::Timeout { phase, .. } => *phase != Phase::Reply,
            _ => why == Why::NoInstance,
        };
        Self::Failed { why, may_have_run: !(error.is_not_executed() || never_sent) }
    }
}
