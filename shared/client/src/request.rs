//! A call with everything that can be said about it, and what comes back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rpc_wire::call::{Args, ArgsError, IntoArgs};
use rpc_wire::instance::Instance;
use serde_json::value::RawValue;
use tokio::time::Instant;

/// One call, with everything that can be said about it.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method's name.
    pub method: String,
    /// Its arguments.
    pub args: Args,
    /// The time it has; `None` means [`ClientOptions::timeout`](crate::ClientOptions::timeout)
    /// for a call and no limit for a stream.
    pub timeout: Option<Duration>,
    /// Whether executing it twice does no harm: then it is tried again also when it may have
    /// been executed.
    pub idempotent: bool,
    /// Call this address (`host:port`) and no other, whether it is listed or not.
    pub on: Option<String>,
}

impl Request {
    /// A call with the client's own timeout, executed at most once, on any instance.
    ///
    /// # Errors
    /// The arguments are one bare value or cannot be written as JSON.
    pub fn new(method: impl Into<String>, args: impl IntoArgs) -> Result<Self, ArgsError> {
        Ok(Self::with_args(method.into(), args.into_args()?))
    }

    pub(crate) fn with_args(method: String, args: Args) -> Self {
        Self { method, args, timeout: None, idempotent: false, on: None }
    }
}

/// A result, and how it came.
#[derive(Debug, Clone)]
pub struct Response {
    /// The result as it was written.
    pub value: Box<RawValue>,
    /// Who answered, as `host:port`.
    pub peer: String,
    /// What the peer speaks.
    pub dialect: Dialect,
    /// Where the time went.
    pub timing: Timing,
    /// Attempts made, the successful one included.
    pub attempts: u32,
    /// The request as it was sent.
    pub sent: Vec<u8>,
    /// Bytes of the reply.
    pub reply_bytes: usize,
}

/// What a peer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// One call at a time on a connection, as the older system does.
    Classic,
    /// Any number of calls in flight on one connection.
    Extended,
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Classic => "classic",
            Self::Extended => "extended",
        })
    }
}

/// Where a call's time went; the parts add up to the whole, failed attempts included in `queue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timing {
    /// Before it was sent, except for `connect`.
    pub queue: Duration,
    /// Waiting for a connection to be opened and the dialect learned; zero on an open one.
    pub connect: Duration,
    /// From the request's last byte to the reply's first.
    pub server: Duration,
    /// From the reply's first byte to its last.
    pub transfer: Duration,
}

/// An instance in a client's cache.
#[derive(Debug, Clone)]
pub struct KnownInstance {
    /// As the registry lists it.
    pub instance: Instance,
    /// How old the list is that names it; `None` for a direct target.
    pub listed: Option<Duration>,
    /// The last refresh failed: this is the last good list.
    pub stale: bool,
    /// It refused a connection or is draining, and is left alone until it answers again.
    pub set_aside: bool,
    /// Calls of this client under way.
    pub in_flight: usize,
    /// Its usual latency (a moving average of this client's calls); `None` before the first.
    pub latency: Option<Duration>,
}

/// A call on its way: what a connection must know of it.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: String,
    pub(crate) args: Args,
    pub(crate) stream: bool,
    /// Whether the answer is to tell what was sent.
    pub(crate) keep_sent: bool,
    sent: AtomicBool,
}

impl Outgoing {
    pub(crate) fn new(method: String, args: Args) -> Self {
        Self { method, args, stream: false, keep_sent: false, sent: AtomicBool::new(false) }
    }

    /// Its bytes are on their way to the socket.
    pub(crate) fn mark_sent(&self) {
        self.sent.store(true, Ordering::Relaxed);
    }

    /// It begins anew on another instance.
    pub(crate) fn mark_unsent(&self) {
        self.sent.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }
}

/// A result as a connection hands it back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) value: Box<RawValue>,
    /// The request, if it was to be kept.
    pub(crate) sent: Vec<u8>,
    pub(crate) sent_at: Instant,
    pub(crate) first_byte: Instant,
    pub(crate) done: Instant,
    pub(crate) reply_bytes: usize,
}
