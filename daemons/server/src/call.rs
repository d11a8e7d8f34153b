//! What a method may know of the call it serves: [`Call`].

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio_util::sync::{CancellationToken, DropGuard};

/// The call that is being served: an extractor, so a method takes it in front of its parameters.
///
/// It is owned and cheap to clone, so an asynchronous body may keep it across an await and pass it
/// to other tasks.
///
/// ```
/// use rpc_server::{Call, rpc_method};
///
/// /// Counts until nobody waits for the count.
/// #[rpc_method(blocking)]
/// fn count(call: Call, to: u64) -> u64 {
///     (0..to).take_while(|_| !call.is_cancelled()).count() as u64
/// }
///
/// assert_eq!(count(Call::in_process("count"), 3), 3);
/// assert_eq!(count::method().signature().parameters.len(), 1, "callers give `to` only");
/// ```
#[derive(Clone)]
pub struct Call {
    facts: Arc<Facts>,
    cancelled: CancellationToken,
    waiting: Waiting,
    /// What the connection keeps of results that are not taken yet; `None` without one.
    kept: Option<Arc<AtomicUsize>>,
}

/// Bytes that are kept for a caller, until this is dropped; see [`Call::keep`].
#[derive(Debug)]
#[must_use = "they count as long as it is held"]
pub struct KeptBytes {
    bytes: usize,
    of: Option<Arc<AtomicUsize>>,
}

impl Drop for KeptBytes {
    fn drop(&mut self) {
        if let Some(of) = &self.of {
            of.fetch_sub(self.bytes, Relaxed);
        }
    }
}

/// Whether a call waits, and has not begun.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<AtomicBool>);

impl Waiting {
    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// What a [`Call`] is made of.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) method: Box<str>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) dialect: Dialect,
    pub(crate) traceparent: Option<Box<str>>,
    pub(crate) identity: Option<Identity>,
}

/// The form in which a call arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// That of the older system: one call at a time, no deadline, no cancel.
    Classic,
    /// With an id: many calls in flight, deadlines, cancellation, streams.
    Extended,
    /// JSON-RPC 2.0, single or in a batch.
    JsonRpc,
    /// Called inside this process; nothing was sent.
    InProcess,
}

/// Who calls. Nothing sets it but the embedder's own layers
/// ([`Request::set_identity`](crate::layer::Request::set_identity)).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Identity {
    /// The caller's name.
    pub name: String,
}

impl Identity {
    /// A caller of that name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

impl Call {
    pub(crate) fn new(facts: Facts) -> Self {
        Self {
            facts: Arc::new(facts),
            cancelled: CancellationToken::new(),
            waiting: Waiting::default(),
            kept: None,
        }
    }

    /// The same; what it keeps is added there.
    pub(crate) fn counted_in(mut self, kept: Arc<AtomicUsize>) -> Self {
        self.kept = Some(kept);
        self
    }

    /// A call inside this process: for tests of a method, and for callers that use it as a function.
    pub fn in_process(method: impl Into<String>) -> Self {
        Self::new(Facts {
            method: method.into().into(),
            peer: None,
            deadline: None,
            dialect: Dialect::InProcess,
            traceparent: None,
            identity: None,
        })
    }

    /// The same call with a deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        Arc::make_mut(&mut self.facts).deadline = Some(deadline);
        self
    }

    /// The same call, made by this caller.
    #[must_use]
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.set_identity(identity);
        self
    }

    pub(crate) fn set_identity(&mut self, identity: Identity) {
        Arc::make_mut(&mut self.facts).identity = Some(identity);
    }

    /// The method's name.
    pub fn method(&self) -> &str {
        &self.facts.method
    }

    /// The caller's address; `None` for a call without a socket.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.facts.peer
    }

    /// When the caller stops waiting. A stream has none unless its caller set one.
    pub fn deadline(&self) -> Option<Instant> {
        self.facts.deadline
    }

    /// The time left until the deadline, zero once it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// The form in which it arrived.
    pub fn dialect(&self) -> Dialect {
        self.facts.dialect
    }

    /// The caller's W3C trace context (`traceparent`), if what was sent is one.
    pub fn traceparent(&self) -> Option<&str> {
        self.facts.traceparent.as_deref()
    }

    /// Who calls, if a layer said so.
    pub fn identity(&self) -> Option<&Identity> {
        self.facts.identity.as_ref()
    }

    /// Whether nobody waits for the result: the caller cancelled or disconnected, the deadline
    /// passed, or the reply was sent. An asynchronous body is dropped then; a blocking one, and a
    /// task that a body started, must ask.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    /// Waits until [`is_cancelled`](Self::is_cancelled).
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// The token behind [`is_cancelled`](Self::is_cancelled), for APIs that take one.
    pub fn cancellation_token(&self) -> CancellationToken {
        self.cancelled.child_token()
    }

    /// Says whether it waits for its turn and has not begun: a server that ends meanwhile tells its caller that another instance
    /// may take it, and not that it may have been executed.
    pub fn set_waiting(&self, waits: bool) {
        self.waiting.0.store(waits, Relaxed);
    }

    /// Counts so many bytes among all that the server keeps for peers (`max_buffered_bytes`), of which those are disconnected
    /// that make it keep most and read nothing. For a result that was made elsewhere, as by another task or process, and waits
    /// until the caller's connection has room for it: hold it together with the result, and drop both at once.
    ///
    /// ```
    /// use rpc_server::{Call, Method};
    /// use tokio::sync::oneshot;
    ///
    /// let report = Method::named("report").parameters([]).asynchronous(async |call: Call| {
    ///     let (send, made) = oneshot::channel();
    ///     tokio::spawn(async move {
    ///         let report = "x".repeat(1 << 20);
    ///         let kept = call.keep(report.len());
    ///         let _ = send.send((report, kept));
    ///     });
    ///     made.await.map(|(report, _kept)| report).unwrap_or_default()
    /// });
    /// ```
    pub fn keep(&self, bytes: usize) -> KeptBytes {
        let of = self.kept.clone();
        if let Some(of) = &of {
            of.fetch_add(bytes, Relaxed);
        }
        KeptBytes { bytes, of }
    }

    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    /// Cancels the call when dropped.
    pub(crate) fn guard(&self) -> DropGuard {
        self.cancelled.clone().drop_guard()
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts { method, peer, deadline, dialect, .. } = &*self.facts;
        f.debug_struct("Call")
            .field("method", method)
            .field("peer", peer)
            .field("deadline", deadline)
            .field("dialect", dialect)
            .finish_non_exhaustive()
    }
}
