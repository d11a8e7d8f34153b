//! Why a call failed, by who must act; each message says what to do next.

use std::time::Duration;

use rpc_wire::fault::{Code, Fault};
use rpc_wire::framing::FrameError;
use rpc_wire::target::AddressError;

use crate::kind::ErrorKind;
#[cfg(feature = "registry")]
use crate::registry::RegistryClientError;

/// What a call was waiting for when its deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// What the instances offer: none of those that replied has the method.
    Methods,
    /// A connection, or the peer's dialect.
    Connect,
    /// An answer to one of the two messages that ask for the peer's dialect, for which half of the timeout is kept.
    Probe,
    /// Other calls on the connection.
    Queue,
    /// The list of the peer's methods, which it was asked for; nothing was called.
    Discovery,
    /// The reply: the call is sent or being sent.
    Reply,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Methods => "asking which of them has the method",
            Self::Connect => "connecting",
            Self::Probe => "it is connected, and answered no probe",
            Self::Queue => "waiting for other calls to finish",
            Self::Discovery => "it was asked for its methods",
            Self::Reply => "waiting for the reply",
        })
    }
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The server returned an error.
    #[error("{}", remote_text(.peer, .fault))]
    Remote {
        /// The server that was called.
        peer: String,
        /// The error. In a box: results, which have room for an error, are moved often.
        fault: Box<Fault>,
    },
    /// The deadline passed. The call may have been executed if the phase is [`Phase::Reply`].
    #[error("no reply from {peer} within {} ({phase}); {}", Rounded(*.after), timeout_hint(*.phase))]
    Timeout {
        /// The server that was called, or the registry.
        peer: String,
        /// The timeout of the call.
        after: Duration,
        /// What it was waiting for.
        phase: Phase,
    },
    /// The server asks for a token, and the client's was not sent there; the call was not executed.
    #[error(
        "{peer} asks for a token, and the client's was not sent there: in plain text everyone on the way could \
         read it; use TLS, or set allow_plaintext_token"
    )]
    TokenWithheld {
        /// The server that was called.
        peer: String,
    },
    /// No connection could be made; the call was not executed.
    #[error("cannot reach {peer}: {reason}; check the address and that a server is running there")]
    Unreachable {
        /// The server that was called.
        peer: String,
        /// The system's message.
        reason: String,
    },
    /// No connection could be made that is as secure as it has to be: the server's certificate is refused, or this
    /// client's is, or only one of the two speaks TLS. The call was not executed, and nothing of it was sent.
    #[error("no secure connection to {peer}: {reason}")]
    Insecure {
        /// The server that was called.
        peer: String,
        /// What is wrong.
        reason: String,
    },
    /// The server refused the connection with an error, because it is full or draining; the call was not
    /// executed.
    #[error("{peer} takes no more connections: {}; try again later, or call another instance", .fault.message)]
    Refused {
        /// The server that was called.
        peer: String,
        /// What it said.
        fault: Box<Fault>,
    },
    /// The connection was lost before the reply.
    #[error("the connection to {peer} was lost before the reply: {reason}; {}", executed_hint(*.executed))]
    ConnectionLost {
        /// The server that was called.
        peer: String,
        /// What happened.
        reason: String,
        /// Whether the call may have been executed.
        executed: bool,
    },
    /// The registry lists no instance, or none of the service.
    #[error(
        "no instance to call: the registry at {registry} lists none{}{}; start a server that registers there",
        of_service(.service.as_deref()),
        invalid_hint(*.invalid)
    )]
    NoInstance {
        /// The registry.
        registry: String,
        /// The service that was asked for.
        service: Option<String>,
        /// Entries of its list that were skipped.
        invalid: usize,
    },
    /// No instance offers the method, as far as they could be asked; the call was not executed.
    #[error(transparent)]
    NoSuchMethod(Box<NoSuchMethod>),
    /// The registry's list could not be fetched, and there is no earlier one or it has no instance for the
    /// call.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Registry(RegistryClientError),
    /// A layer of the client failed the call, see [`Client::layer`](crate::Client::layer).
    #[cfg(feature = "tower")]
    #[error(transparent)]
    Layer(crate::layer_error::LayerError),
    /// The request is larger than an older peer can read; nothing was sent.
    #[error(
        "the request has {size} bytes, but {peer} is an older server that reads at most {limit}; send less or upgrade it"
    )]
    TooLarge {
        /// The server that was called.
        peer: String,
        /// Bytes of the request.
        size: usize,
        /// Bytes an older peer reads.
        limit: usize,
    },
    /// Too many calls wait for this peer; nothing was sent.
    #[error(
        "queue full (max_classic_queue = {limit}) for {peer}; make fewer concurrent calls or raise it"
    )]
    QueueFull {
        /// The server that was called.
        peer: String,
        /// Calls that may wait.
        limit: usize,
    },
    /// What the server sent is not a reply. The call may have been executed.
    #[error("{peer} sent an invalid reply: {reason}; check that the address is that of a server")]
    BadReply {
        /// The server that was called.
        peer: String,
        /// What is wrong.
        reason: String,
    },
    /// A reply is over [`ClientOptions::max_reply_bytes`](crate::ClientOptions::max_reply_bytes).
    /// The call may have been executed.
    #[error("a reply of {peer} has more than {limit} bytes; request less or raise max_reply_bytes")]
    ReplyTooLarge {
        /// The server that was called.
        peer: String,
        /// Bytes allowed.
        limit: usize,
    },
    /// The reply holds a number that would have been rounded.
    #[error(
        "the reply of {peer} cannot be kept without rounding: {reason}; let the method return it as text"
    )]
    NotExact {
        /// The server that was called.
        peer: String,
        /// The number.
        reason: String,
    },
    /// The result does not have the requested type.
    #[error("the result of {method} does not have the expected type: {reason}")]
    WrongType {
        /// The method.
        method: String,
        /// What does not fit.
        reason: String,
    },
    /// The peer is an older server, which does not support this; nothing was sent.
    #[error("{peer} is an older server without {what}; call a newer one")]
    Unsupported {
        /// The server that was called.
        peer: String,
        /// What it does not support.
        what: &'static str,
    },
    /// The peer speaks JSON-RPC 2.0 only, which does not have this; the call was not executed.
    #[error("{peer} speaks JSON-RPC 2.0, without {what}; {instead}")]
    NotInJsonRpc {
        /// The server that was called.
        peer: String,
        /// What it does not have.
        what: &'static str,
        /// What to do instead.
        instead: &'static str,
    },
    /// The arguments or the address cannot be sent.
    #[error("{0}")]
    BadArguments(String),
    /// The client is closed.
    #[error("this client is closed; create a new one")]
    Closed,
}

/// A method that no instance offers. In a box in [`CallError`], since results are moved often.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "no instance{}{} offers {method:?}: asked {asked} of {of}; {}",
    of_service(.service.as_deref()),
    if asked < of { " that replied" } else { "" },
    nearest_hint(.nearest)
)]
pub struct NoSuchMethod {
    /// The method.
    pub method: String,
    /// The service that was asked for.
    pub service: Option<String>,
    /// Instances that are known not to offer it, by their list of methods or by their own word.
    pub asked: usize,
    /// Instances there are.
    pub of: usize,
    /// The most similar names that are offered, most similar first.
    pub nearest: Vec<String>,
}

impl CallError {
    /// Who must act; a program's exit code follows from it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Remote { fault, .. } if fault.code == Code::DeadlineExceeded => {
                ErrorKind::Timeout
            }
            #[cfg(feature = "registry")]
            Self::Registry(error) => error.kind(),
            #[cfg(feature = "tower")]
            Self::Layer(_) => ErrorKind::Usage,
            Self::NoSuchMethod(_) => ErrorKind::NoSuchMethod,
            Self::Remote { .. }
            | Self::TokenWithheld { .. }
            | Self::BadReply { .. }
            | Self::ReplyTooLarge { .. }
            | Self::NotExact { .. }
            | Self::WrongType { .. } => ErrorKind::Remote,
            Self::Timeout { .. } => ErrorKind::Timeout,
            Self::Unreachable { .. }
            | Self::Insecure { .. }
            | Self::Refused { .. }
            | Self::ConnectionLost { .. }
            | Self::NoInstance { .. } => ErrorKind::Unreachable,
            Self::TooLarge { .. }
            | Self::QueueFull { .. }
            | Self::Unsupported { .. }
            | Self::NotInJsonRpc { .. }
            | Self::BadArguments(_)
            | Self::Closed => ErrorKind::Usage,
        }
    }

    /// The server that was called, as `host:port`; `None` if no server was.
    pub fn peer(&self) -> Option<&str> {
        match self {
            Self::Timeout { phase: Phase::Methods, .. } => None,
            Self::Remote { peer, .. }
            | Self::TokenWithheld { peer }
            | Self::Timeout { peer, .. }
            | Self::Unreachable { peer, .. }
            | Self::Insecure { peer, .. }
            | Self::Refused { peer, .. }
            | Self::ConnectionLost { peer, .. }
            | Self::TooLarge { peer, .. }
            | Self::QueueFull { peer, .. }
            | Self::BadReply { peer, .. }
            | Self::ReplyTooLarge { peer, .. }
            | Self::NotExact { peer, .. }
            | Self::Unsupported { peer, .. }
            | Self::NotInJsonRpc { peer, .. } => Some(peer),
            Self::NoInstance { .. }
            | Self::NoSuchMethod(_)
            | Self::WrongType { .. }
            | Self::BadArguments(_)
            | Self::Closed => None,
            #[cfg(feature = "registry")]
            Self::Registry(_) => None,
            #[cfg(feature = "tower")]
            Self::Layer(_) => None,
        }
    }

    /// Whether no connection could be made.
    pub(crate) fn is_without_connection(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Insecure { .. })
    }

    /// What a peer sent is not a message.
    pub(crate) fn bad_frame(peer: &str, error: FrameError) -> Self {
        match error {
            FrameError::TooLarge(limit) => Self::ReplyTooLarge { peer: peer.to_owned(), limit },
            error => Self::bad_reply(peer, error),
        }
    }

    pub(crate) fn refused(peer: &str, fault: Fault) -> Self {
        Self::Refused { peer: peer.to_owned(), fault: Box::new(fault) }
    }

    pub(crate) fn bad_reply(peer: &str, reason: impl std::fmt::Display) -> Self {
        Self::BadReply { peer: peer.to_owned(), reason: cut(&reason.to_string()) }
    }

    /// The same without what a server can make as long as a reply may be: for errors that are kept.
    pub(crate) fn brief(&self) -> Self {
        match self {
            Self::Remote { peer, fault } => Self::Remote {
                peer: peer.clone(),
                fault: Fault::new(fault.code, cut(&fault.message)).into(),
            },
            Self::Refused { peer, fault } => {
                Self::refused(peer, Fault::new(fault.code, cut(&fault.message)))
            }
            Self::ConnectionLost { peer, reason, executed } => Self::ConnectionLost {
                peer: peer.clone(),
                reason: cut(reason),
                executed: *executed,
            },
            // Their texts are of this program or its system, or were cut.
            other => other.clone(),
        }
    }

    /// Whether the peer said that it does not have the method. A method that failed because another one
    /// that it called is missing names that other one.
    pub(crate) fn is_unoffered(&self, method: &str) -> bool {
        matches!(self, Self::Remote { fault, .. }
            if fault.code == Code::MethodNotFound && fault.message == method)
    }

    /// Whether the call may have been executed, wholly or in part. `false`: it certainly was not.
    pub fn may_have_run(&self) -> bool {
        match self {
            Self::Remote { fault, .. } => fault.code.may_have_run(),
            Self::Timeout { phase, .. } => *phase == Phase::Reply,
            Self::ConnectionLost { executed, .. } => *executed,
            Self::BadReply { .. }
            | Self::ReplyTooLarge { .. }
            | Self::NotExact { .. }
            | Self::WrongType { .. } => true,
            // It may have called before it failed.
            #[cfg(feature = "tower")]
            Self::Layer(_) => true,
            #[cfg(feature = "registry")]
            Self::Registry(_) => false,
            Self::Unreachable { .. }
            | Self::Insecure { .. }
            | Self::Refused { .. }
            | Self::TokenWithheld { .. }
            | Self::NoInstance { .. }
            | Self::NoSuchMethod(_)
            | Self::TooLarge { .. }
            | Self::QueueFull { .. }
            | Self::Unsupported { .. }
            | Self::NotInJsonRpc { .. }
            | Self::BadArguments(_)
            | Self::Closed => false,
        }
    }

    /// Whether the call was certainly not executed, so that a retry executes nothing twice.
    pub fn is_not_executed(&self) -> bool {
        match self {
            Self::Remote { fault, .. } => fault.code.is_retryable(),
            Self::Unreachable { .. }
            | Self::Insecure { .. }
            | Self::Refused { .. }
            | Self::QueueFull { .. }
            | Self::NoSuchMethod(_) => true,
            Self::ConnectionLost { executed, .. } => !executed,
            _ => false,
        }
    }
}

/// The start of a text that a stranger wrote.
pub(crate) fn cut(text: &str) -> String {
    const KEPT: usize = 512;
    if text.len() <= KEPT {
        return text.to_owned();
    }
    format!("{}…", text.get(..text.floor_char_boundary(KEPT)).unwrap_or_default())
}

/// What an HTTP server says is wrong, as those of this product do.
#[cfg(feature = "registry")]
pub(crate) fn said(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Said {
        error: String,
    }
    let Said { error } = serde_json::from_slice(body).ok()?;
    Some(cut(&error).chars().filter(|c| !c.is_control()).collect())
}

/// A time as people read it: `10s` instead of `9.999999534s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rounded(pub Duration);

impl std::fmt::Display for Rounded {
    /// Three digits, and never less exact than a second.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nanos = self.0.as_nanos();
        let mut unit: u128 = 1;
        while nanos / unit >= 1000 && unit < 1_000_000_000 {
            unit *= 10;
        }
        let nanos = (nanos + unit / 2) / unit * unit;
        write!(f, "{:?}", Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

fn remote_text(peer: &str, fault: &Fault) -> String {
    match fault.code {
        Code::DeadlineExceeded => {
            format!("{peer} reports a timeout ({}): {}", fault.code, fault.message)
        }
        Code::Unauthorised => format!("{peer} does not allow this: {}", fault.message),
        _ => fault.to_string(),
    }
}

fn invalid_hint(invalid: usize) -> String {
    match invalid {
        0 => String::new(),
        1 => " (1 invalid entry skipped)".to_owned(),
        _ => format!(" ({invalid} invalid entries skipped)"),
    }
}

fn of_service(service: Option<&str>) -> String {
    service.map(|service| format!(" of service {service}")).unwrap_or_default()
}

fn nearest_hint(nearest: &[String]) -> String {
    match nearest {
        [] => "what is offered has no similar name".to_owned(),
        [name] => format!("the nearest name is {name}"),
        names => format!("the nearest names are {}", names.join(", ")),
    }
}

fn timeout_hint(phase: Phase) -> &'static str {
    match phase {
        Phase::Reply => {
            "the call may have run: retry only if that is safe, check the server, or raise the timeout"
        }
        Phase::Probe => {
            "the call did not run: it may be busy, speak another protocol, or not answer methods that it does not know; \
             if it speaks HTTP, name its URL (-i http://…), and if JSON-RPC over TCP, write -i jsonrpc+tcp://HOST:PORT; \
             or raise the timeout"
        }
        Phase::Discovery => {
            "nothing was called: it may be busy, or not answer methods that it does not know, such as rpc.discover; call \
             its methods by name, give an OpenRPC document of them (--openrpc FILE), or raise the timeout"
        }
        Phase::Methods | Phase::Connect | Phase::Queue => {
            "the call did not run: check the server or raise the timeout"
        }
    }
}

fn executed_hint(executed: bool) -> &'static str {
    if executed {
        "the call may have run; retry only if that is safe"
    } else {
        "the call did not run and can be retried"
    }
}

/// Why a client could not be created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address is not valid.
    #[error(transparent)]
    BadAddress(#[from] AddressError),
    /// The registry's URL is not valid, or there is no HTTP client.
    #[cfg(feature = "registry")]
    #[error(transparent)]
    Registry(#[from] crate::registry::RegistryClientError),
    /// The target is a registry or at a URL, and the crate is built without that.
    #[error(
        "cannot use {url}: this program is built without registries and HTTP; build rpc-client with its feature `registry`"
    )]
    NoRegistry {
        /// The registry, or the server.
        url: String,
    },
    /// The client was created outside a tokio runtime.
    #[error("a client needs a tokio runtime; create it inside one, or use rpc_client::blocking")]
    NoRuntime,
    /// The files for TLS cannot be used.
    #[cfg(feature = "tls")]
    #[error("cannot speak TLS: {0}")]
    Tls(#[from] rpc_security::tls::TlsError),
    /// TLS is asked for, and the crate is built without that.
    #[error(
        "cannot speak TLS: this program is built without it; build rpc-client with its feature `tls`"
    )]
    NoTls,
    /// The operating system gave no thread for the blocking façade.
    #[error("cannot start the client's thread: {0}")]
    Thread(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_three_digits_and_keeps_its_seconds() {
        for (nanos, shown) in [
            (9_999_999_534, "10s"),
            (300_000_000, "300ms"),
            (1_234_567_890, "1.23s"),
            (999_600_000, "1s"),
            (77_000_000_000, "77s"),
            (1_234_000_000_000, "1234s"),
            (0, "0ns"),
        ] {
            assert_eq!(Rounded(Duration::from_nanos(nanos)).to_string(), shown);
        }
    }

    #[test]
    fn an_error_that_is_kept_is_short_whatever_the_server_said() {
        let long = "ü".repeat(10_000);
        let fault = Fault::new(Code::MethodFailed, long.clone()).with_data(long.clone().into());
        for error in [
            CallError::Remote { peer: "p".to_owned(), fault: fault.clone().into() },
            CallError::refused("p", fault),
            CallError::bad_reply("p", &long),
            CallError::ConnectionLost { peer: "p".to_owned(), reason: long, executed: true },
        ] {
            let brief = error.brief();
            assert!(format!("{brief:?}").len() < 1000, "{brief:?}");
            assert_eq!(brief.kind(), error.kind());
        }
    }

    #[test]
    fn a_timeout_says_the_rounded_time() {
        let after = Duration::from_nanos(9_999_999_534);
        let error = CallError::Timeout { peer: "p".to_owned(), after, phase: Phase::Reply };
        assert!(error.to_string().starts_with("no reply from p within 10s ("), "{error}");
    }
}
