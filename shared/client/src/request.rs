//! A call with all its options, and its response.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rpc_wire::call::{Args, ArgsError, IntoArgs};
use rpc_wire::instance::Instance;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::{AttemptLog, InstanceHealth, ListedAs, WireLog};

/// One call, with all its options, set as fields or one after the other:
///
/// ```
/// use std::time::Duration;
/// use rpc_client::Request;
///
/// let request = Request::new("get", (17,))?.service("orders").timeout(Duration::from_secs(1));
/// let same = Request {
///     service: Some("orders".to_owned()),
///     timeout: Some(Duration::from_secs(1)),
///     ..Request::new("get", (17,))?
/// };
/// # assert_eq!(format!("{request:?}"), format!("{same:?}"));
/// # Ok::<(), rpc_client::ArgsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Request {
    /// The method's name.
    pub method: String,
    /// Its arguments.
    pub args: Args,
    /// Its timeout. `None` is [`ClientOptions::timeout`](crate::ClientOptions::timeout) for a call, and no
    /// limit for a stream.
    pub timeout: Option<Duration>,
    /// Whether executing it twice does no harm. Then it is retried even if it may have been executed.
    pub idempotent: bool,
    /// Call only instances of this service; `None` is any that offers the method. A client of one server
    /// calls that one.
    pub service: Option<String>,
    /// Call only this address (`host:port`), listed or not.
    pub on: Option<String>,
    /// How a registry lists the instance at `on`, if a registry gave that address: TLS verifies it by that. `None`:
    /// somebody named it, and it is verified as the client's registry lists it, or else by its host.
    pub listed: Option<ListedAs>,
    /// The W3C trace context in which the call is made, sent as it is: `00-…-…-01`. Only this system's servers are told.
    pub traceparent: Option<String>,
    /// Records what is sent and received, whether the call succeeds or fails; attempts on several
    /// instances are recorded one after the other.
    pub wire: Option<WireLog>,
    /// Records which instances the call is sent to, why, and how each attempt ends.
    pub attempts: Option<AttemptLog>,
}

impl Request {
    /// A call with the client's timeout, executed at most once, on any instance.
    ///
    /// # Errors
    /// The arguments are one bare value or cannot be written as JSON.
    pub fn new(method: impl Into<String>, args: impl IntoArgs) -> Result<Self, ArgsError> {
        Ok(Self::with_args(method.into(), args.into_args()?))
    }

    pub(crate) fn with_args(method: String, args: Args) -> Self {
        Self {
            method,
            args,
            timeout: None,
            idempotent: false,
            service: None,
            on: None,
            listed: None,
            traceparent: None,
            wire: None,
            attempts: None,
        }
    }

    /// The same with this timeout.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The same, which may be executed twice.
    #[must_use]
    pub fn idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    /// The same, only on instances of this service.
    #[must_use]
    pub fn service(self, name: impl Into<String>) -> Self {
        Self { service: Some(name.into()), ..self }
    }

    /// The same, only at this address (`host:port`), listed or not.
    #[must_use]
    pub fn on(self, address: impl Into<String>) -> Self {
        Self { on: Some(address.into()), ..self }
    }

    /// The same, only on this instance, which a registry lists.
    #[must_use]
    pub fn on_listed(self, instance: &Instance) -> Self {
        Self { listed: Some(ListedAs::from(instance)), ..self.on(instance.key().to_string()) }
    }

    /// The same, in this W3C trace context.
    #[must_use]
    pub fn traceparent(self, context: impl Into<String>) -> Self {
        Self { traceparent: Some(context.into()), ..self }
    }

    /// The same, with what it sends and receives recorded.
    #[must_use]
    pub fn recorded(self, log: WireLog) -> Self {
        Self { wire: Some(log), ..self }
    }

    /// The same, with its attempts recorded.
    #[must_use]
    pub fn attempts(self, log: AttemptLog) -> Self {
        Self { attempts: Some(log), ..self }
    }
}

/// A result, with its timing and its peer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The result as JSON text.
    pub value: Box<RawValue>,
    /// The server that replied, as `host:port`.
    pub peer: String,
    /// The peer's dialect.
    pub dialect: Dialect,
    /// What the time was spent on.
    pub timing: Timing,
    /// Attempts made, the successful one included, without instances that did not have the method.
    pub attempts: u32,
    /// Bytes of the reply.
    pub reply_bytes: usize,
}

/// A variant of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// One call at a time on a connection, as the older system does.
    Classic,
    /// Any number of calls in flight on one connection.
    Extended,
    /// JSON-RPC 2.0, of a server that speaks nothing else: calls without streams and cancellation.
    JsonRpc,
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Classic => "classic",
            Self::Extended => "extended",
            Self::JsonRpc => "JSON-RPC",
        })
    }
}

/// What a call's time was spent on. The parts add up to the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// Attempts on other instances before the one that replied, and the choice of that one; zero if it was the
    /// first.
    pub earlier: Duration,
    /// Before it was sent there, without `connect`.
    pub queue: Duration,
    /// Opening a connection and learning the dialect; zero on an open connection.
    pub connect: Duration,
    /// From the request's last byte to the reply's first.
    pub server: Duration,
    /// From the reply's first byte to its last.
    pub transfer: Duration,
}

/// An instance that a client knows.
#[derive(Debug, Clone)]
pub struct KnownInstance {
    /// As the registry lists it.
    pub instance: Instance,
    /// The age of the list that has it; `None` for a direct target.
    pub listed: Option<Duration>,
    /// The last refresh failed: the list is the last one that was received.
    pub stale: bool,
    /// Whether it gets calls, and why not.
    pub health: InstanceHealth,
    /// Calls of this client in flight.
    pub in_flight: usize,
    /// Its usual latency, a moving average of this client's calls; `None` before the first.
    pub latency: Option<Duration>,
    /// Attempts that failed here and were made again on another instance, since this client knows it.
    pub retried: u64,
}

/// What a caller waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expects {
    Result,
    Items,
    /// A notification: that its bytes are written is all.
    Nothing,
}

/// A call, as connections need it.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: String,
    pub(crate) args: Args,
    pub(crate) expects: Expects,
    pub(crate) traceparent: Option<String>,
    pub(crate) wire: Option<WireLog>,
    sent: AtomicBool,
}

impl Outgoing {
    pub(crate) fn new(method: String, args: Args, wire: Option<WireLog>) -> Self {
        let sent = AtomicBool::new(false);
        Self { method, args, expects: Expects::Result, traceparent: None, wire, sent }
    }

    /// The same call, for another attempt beside this one.
    pub(crate) fn again(&self) -> Self {
        let Self { method, args, expects, traceparent, wire, .. } = self;
        Self {
            expects: *expects,
            traceparent: traceparent.clone(),
            ..Self::new(method.clone(), args.clone(), wire.clone())
        }
    }

    /// Whether no reply is wanted, not even an error.
    pub(crate) fn is_notification(&self) -> bool {
        self.expects == Expects::Nothing
    }

    /// Notes that its bytes may reach the socket.
    pub(crate) fn mark_sent(&self) {
        self.sent.store(true, Ordering::Relaxed);
    }

    /// Notes that it starts again, on another connection.
    pub(crate) fn mark_unsent(&self) {
        self.sent.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }
}

/// A result as a connection returns it; `null` for a notification.
#[derive(Debug)]
pub(crate) struct CallReply {
    pub(crate) value: Box<RawValue>,
    pub(crate) sent_at: Instant,
    pub(crate) first_byte: Instant,
    pub(crate) done: Instant,
    pub(crate) reply_bytes: usize,
}

impl CallReply {
    /// What there is instead of the result of a notification, which is written now.
    pub(crate) fn none() -> Self {
        let (value, now) = (RawValue::NULL.to_owned(), Instant::now());
        Self { value, sent_at: now, first_byte: now, done: now, reply_bytes: 0 }
    }
}
