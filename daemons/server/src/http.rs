//! HTTP on the same port: calls, metrics, health, and the documents that describe the methods.
//!
//! On hyper alone: a router, layers and boxed bodies would cost a call as much as the rest of it.

mod caller;
mod calls;
mod exchange;
mod origins;
mod pages;
mod problem;
mod replies;
mod reply;
mod timer;

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use rpc_host::write_timeout::WriteTimeout;
use rpc_security::{Permission, Role};
use rpc_wire::paths;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{self, sleep_until};

use crate::places::connections::Slot;
use crate::state::ServerState;
use crate::visitor::{Peer, Visitor};
use caller::Caller;
use problem::refusal;
use reply::Reply;
use timer::ConnectionTimer;

/// Maximum size of a request's line and headers.
const HEAD_BYTES: usize = 64 * 1024;
/// How long the last replies may take to go out, once the server has ended; less than it waits for connections.
const LAST_REPLIES: Duration = Duration::from_millis(400);
/// After so long others have their turn before the next request, as on a JSON connection.
const TURN: Duration = Duration::from_millis(1);

/// Every route by which methods are called. What each call needs its method says, also in a batch.
pub(crate) const CALLS: [&str; 2] = [paths::RPC, paths::CALL];

/// Every other route, and what it needs.
pub(crate) const ROUTES: [(&str, Permission); 4] = [
    (paths::METRICS, Permission::Needs(Role::Observe)),
    (paths::HEALTHZ, Permission::Open),
    (paths::OPENRPC, Permission::Needs(Role::Observe)),
    (paths::OPENAPI, Permission::Needs(Role::Observe)),
];

/// Serves one HTTP/1 connection until it closes.
pub(crate) async fn serve(
    state: &Arc<ServerState>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    (peer, on_loopback): (Peer, bool),
    keep_alive: bool,
    slot: &mut Slot,
) {
    let limits = &state.limits;
    let visitor = Visitor::new(&state.guard, &peer);
    let mut is_stranger = visitor.is_some_and(|mut visitor| visitor.is_stranger());
    if !is_stranger {
        slot.become_known();
    }
    let caller = Caller::new(peer, on_loopback, !is_stranger);
    let connection = Connection { state, caller: &caller, turn: Turn::default() };
    let service = service_fn(|request| connection.reply(request));
    let serving = http1::Builder::new()
        .timer(ConnectionTimer::default())
        .header_read_timeout(limits.request_timeout)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(keep_alive)
        .serve_connection(TokioIo::new(WriteTimeout::new(stream, limits.write_timeout)), service);
    let closing = slot.closing().clone().cancelled_owned();
    let patience = sleep_until((slot.opened() + limits.unidentified_timeout).into());
    tokio::pin!(serving, closing, patience);
    let (mut is_closing, mut is_late, mut is_aborted) = (false, false, false);
    let ended = loop {
        let in_turns = poll_fn(|context| {
            connection.turn.begin();
            serving.as_mut().poll(context)
        });
        tokio::select! {
            biased;
            ended = in_turns => break ended,
            () = &mut closing, if !is_closing => {
                if is_stranger && !caller.is_asking() && !state.draining.is_cancelled() {
                    // Its place is another's: there is no time for a request that is not whole.
                    return;
                }
                is_closing = true;
                serving.as_mut().graceful_shutdown();
            }
            () = caller.known(), if is_stranger => {
                is_stranger = false;
                slot.become_known();
            }
            // Connections are asked to close before that.
            () = state.aborted.cancelled(), if is_closing && !is_aborted => {
                (is_aborted, is_stranger) = (true, false);
                patience.as_mut().reset(time::Instant::now() + LAST_REPLIES);
            }
            // The request in flight, if there is one, has as long again to show who sends it.
            () = &mut patience, if is_stranger || is_aborted => {
                if is_aborted || is_late || !caller.is_asking() {
                    return;
                }
                is_late = true;
                serving.as_mut().graceful_shutdown();
                patience.as_mut().reset(time::Instant::now() + limits.unidentified_timeout);
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "HTTP connection lost");
    }
}

/// One connection, for its requests.
struct Connection<'a> {
    state: &'a Arc<ServerState>,
    caller: &'a Caller,
    turn: Turn,
}

/// Since when the connection has handled requests that came at once, without others having their turn.
#[derive(Debug, Default)]
struct Turn(Mutex<Option<Instant>>);

impl Turn {
    /// Others had their turn.
    fn begin(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether others should have theirs, before a request that is to be handled now.
    fn is_over(&self, now: Instant) -> bool {
        let mut began = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(*began.get_or_insert(now)) >= TURN
    }
}

/// What a path stands for.
enum Route<'a> {
    /// JSON-RPC, of [`CALLS`].
    Rpc,
    /// A call of this method, of [`CALLS`].
    Call(&'a str),
    /// One of [`ROUTES`].
    Page(&'static str, Permission),
}

impl<'a> Route<'a> {
    fn find(path: &'a str) -> Option<Self> {
        if path == paths::RPC {
            return Some(Self::Rpc);
        }
        if let Some(method) = path.strip_prefix(paths::CALL) {
            return (!method.is_empty()).then_some(Self::Call(method));
        }
        let page = ROUTES.into_iter().find(|(page, _)| *page == path);
        page.map(|(page, permission)| Self::Page(page, permission))
    }

    fn takes(&self, method: &Method) -> bool {
        match self {
            Self::Rpc | Self::Call(_) => method == Method::POST,
            // Of the reply to HEAD hyper sends only the head.
            Self::Page(..) => method == Method::GET || method == Method::HEAD,
        }
    }

    /// The methods it takes, as the header `Allow` has them.
    fn allowed(&self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Rpc | Self::Call(_) => "POST",
            Self::Page(..) => "GET,HEAD",
        })
    }
}

impl Connection<'_> {
    /// Replies to one request.
    async fn reply(&self, request: Request<Incoming>) -> Result<Reply, Infallible> {
        let _asking = self.caller.ask();
        let now = Instant::now();
        self.state.lag.matters(now);
        if self.turn.is_over(now) {
            tokio::task::yield_now().await;
        }
        let (head, body) = request.into_parts();
        if let Err(why) = origins::judge(self.state, &head.headers, self.caller.on_loopback) {
            return Ok(refusal(head.uri.path(), StatusCode::FORBIDDEN, why));
        }
        if head.method == Method::OPTIONS {
            return Ok(origins::preflight(&head.headers));
        }
        let mut reply = self.route(&head.method, head.uri.path(), &head.headers, body).await;
        origins::let_read(&mut reply, &head.method, &head.headers);
        Ok(reply)
    }

    async fn route(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Reply {
        let Some(route) = Route::find(path) else {
            return refusal(path, StatusCode::NOT_FOUND, "Not Found");
        };
        if !route.takes(method) {
            let mut reply = refusal(path, StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            reply.headers_mut().insert(header::ALLOW, route.allowed());
            return reply;
        }
        match route {
            Route::Rpc => calls::json_rpc(self.state, self.caller, headers, body).await,
            Route::Call(name) => match decoded(name) {
                Some(name) => calls::call(self.state, self.caller, &name, headers, body).await,
                None => refusal(path, StatusCode::BAD_REQUEST, "the method's name must be UTF-8"),
            },
            Route::Page(page, permission) => {
                pages::reply(self.state, self.caller, (page, permission), headers).await
            }
        }
    }
}

/// A part of a path; `None` if it is no text.
fn decoded(part: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(part).decode_utf8().ok()
}
