//! Why a call failed: told by who must act, in one line that says what to do next.

use std::time::Duration;

use rpc_wire::fault::{Code, Fault};
use rpc_wire::framing::FrameError;
use rpc_wire::target::AddressError;

/// Who must act on a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The server answered with a failure, or with something that is no answer.
    Remote,
    /// The caller asked for something that cannot be done.
    Usage,
    /// Nobody could be reached, or the connection was lost.
    Unreachable,
    /// Time ran out.
    Timeout,
}

/// Where a call was when its time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waiting for the registry's first list.
    Discovery,
    /// Opening a connection or learning the peer's dialect.
    Connect,
    /// Waiting for room on a connection.
    Queue,
    /// Sent, or being sent; the reply is not complete.
    Reply,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Discovery => "waiting for the registry",
            Self::Connect => "connecting",
            Self::Queue => "waiting for other calls to finish",
            Self::Reply => "waiting for the reply",
        })
    }
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server answered with a failure.
    #[error("{0}")]
    Remote(Fault),
    /// Time ran out. Unless the phase says otherwise, the call may have been executed.
    #[error(
        "no reply from {peer} within {after:?} ({phase}); look at the server or allow more time"
    )]
    Timeout {
        /// Who was called, or the registry that was asked for instances.
        peer: String,
        /// The time the call had.
        after: Duration,
        /// What it was waiting for.
        phase: Phase,
    },
    /// No connection could be made; the call was not executed.
    #[error("cannot reach {peer}: {reason}; check the address and that a server is running there")]
    Unreachable {
        /// Who was called.
        peer: String,
        /// What the system says.
        reason: String,
    },
    /// The connection ended before the reply.
    #[error("the connection to {peer} was lost before the reply: {reason}; {}", executed_hint(*.executed))]
    ConnectionLost {
        /// Who was called.
        peer: String,
        /// What happened.
        reason: String,
        /// Whether the call may have been executed.
        executed: bool,
    },
    /// The registry lists nobody who could serve the call.
    #[error("no instance to call: {registry} {reason}; start a server that registers there")]
    NoInstance {
        /// The registry that was asked.
        registry: String,
        /// What it answered, or why it did not.
        reason: String,
    },
    /// The request is larger than an older peer can read; nothing was sent.
    #[error(
        "the request has {size} bytes, but {peer} is an older server that reads at most {limit}; send less or upgrade it"
    )]
    TooLarge {
        /// Who was called.
        peer: String,
        /// Bytes of the request.
        size: usize,
        /// Bytes an older peer reads.
        limit: usize,
    },
    /// Too many calls wait for this peer; nothing was sent.
    #[error("{waiting} calls already wait for {peer}; make fewer calls at once")]
    QueueFull {
        /// Who was called.
        peer: String,
        /// Calls that wait.
        waiting: usize,
    },
    /// What came back is not a reply. The call may have been executed.
    #[error(
        "{peer} answered with something that is no reply: {reason}; check that the address is a server's"
    )]
    BadReply {
        /// Who was called.
        peer: String,
        /// What is wrong.
        reason: String,
    },
    /// A reply is over [`ClientOptions::max_reply_bytes`](crate::ClientOptions::max_reply_bytes).
    /// The call may have been executed.
    #[error("a reply of {peer} has more than {limit} bytes; ask for less or allow more")]
    ReplyTooLarge {
        /// Who was called.
        peer: String,
        /// Bytes allowed.
        limit: usize,
    },
    /// The reply holds a number that would have been rounded.
    #[error(
        "the reply of {peer} was refused rather than rounded: {reason}; let the method answer a text instead"
    )]
    NotExact {
        /// Who was called.
        peer: String,
        /// The number.
        reason: String,
    },
    /// The result is not of the type asked for.
    #[error("the result of {method} has another type than expected: {reason}")]
    WrongType {
        /// The method.
        method: String,
        /// What does not fit.
        reason: String,
    },
    /// The peer is an older server, which cannot do this; nothing was sent.
    #[error("{peer} is an older server without {what}; call a newer one")]
    Unsupported {
        /// Who was called.
        peer: String,
        /// What it lacks.
        what: &'static str,
    },
    /// The arguments or the address cannot be sent.
    #[error("{0}")]
    BadArguments(String),
    /// The client is closed.
    #[error("this client is closed; make a new one")]
    Closed,
}

impl CallError {
    /// Who must act; a program's exit code follows from it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Remote(fault) if fault.code == Code::DeadlineExceeded => ErrorKind::Timeout,
            Self::Remote(_)
            | Self::BadReply { .. }
            | Self::ReplyTooLarge { .. }
            | Self::NotExact { .. }
            | Self::WrongType { .. } => ErrorKind::Remote,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Unreachable { .. } | Self::ConnectionLost { .. } | Self::NoInstance { .. } => {
                ErrorKind::Unreachable
            }
            Self::TooLarge { .. }
            | Self::QueueFull { .. }
            | Self::Unsupported { .. }
            | Self::BadArguments(_)
            | Self::Closed => ErrorKind::Usage,
        }
    }

    /// What a peer sent is no message.
    pub(crate) fn bad_frame(peer: &str, error: FrameError) -> Self {
        match error {
            FrameError::TooLarge(limit) => Self::ReplyTooLarge { peer: peer.to_owned(), limit },
            error => Self::bad_reply(peer, error),
        }
    }

    pub(crate) fn bad_reply(peer: &str, reason: impl std::fmt::Display) -> Self {
        Self::BadReply { peer: peer.to_owned(), reason: reason.to_string() }
    }

    /// Whether the call provably was not executed, so that another instance may be asked without
    /// doing anything twice.
    pub fn is_not_executed(&self) -> bool {
        match self {
            Self::Remote(fault) => fault.code.is_retryable(),
            Self::Unreachable { .. } | Self::QueueFull { .. } => true,
            Self::ConnectionLost { executed, .. } => !executed,
            _ => false,
        }
    }
}

fn executed_hint(executed: bool) -> &'static str {
    if executed {
        "it may have been executed, so repeat it only if that does no harm"
    } else {
        "it was not executed and may be repeated"
    }
}

/// Why a client could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// An address that is none.
    #[error(transparent)]
    BadAddress(#[from] AddressError),
    /// A registry URL that is none, or an HTTP client that cannot be made.
    #[error(transparent)]
    Registry(#[from] crate::registry::RegistryError),
    /// A client was made outside a tokio runtime.
    #[error("a client needs a tokio runtime; make it inside one, or use rpc_client::blocking")]
    NoRuntime,
    /// The operating system gave no thread for the blocking façade.
    #[error("cannot start the client's thread: {0}")]
    Thread(String),
}
