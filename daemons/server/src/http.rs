//! HTTP on the same port: calls, metrics, health, and the documents that describe the methods.
//!
//! On hyper alone: a router, layers and boxed bodies would cost a call as much as the rest of it.

mod activity;
mod caller;
mod exchange;
mod headers;
mod lifecycle;
mod notifications;
mod origins;
mod pages;
mod posts;
mod problem;
mod replies;
mod reply;
mod unread;

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::body::{Body as _, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use rpc_host::body;
use rpc_host::watched::Watched;
use rpc_host::write_timeout::WriteTimeout;
use rpc_security::{Permission, Role};
use rpc_wire::paths;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::places::connections::Slot;
use crate::state::ServerState;
use crate::visitor::{Peer, Visitor};
use activity::Activity;
use caller::Caller;
use headers::Headers;
use lifecycle::{Lifecycle, Next, serve_turns};
use problem::refusal;
use reply::{Body, Reply};
use unread::Unread;

/// Maximum size of a request's line and headers, and of what hyper reads at once.
const HEAD_BYTES: usize = 16 * 1024;
/// How long the rest of a body is waited for while too much is kept for all peers.
const LINGER: Duration = Duration::from_secs(1);
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
    let is_stranger = Visitor::new(&state.guard, &peer).is_some_and(|mut it| it.is_stranger());
    let caller = Caller::new(peer, on_loopback, !is_stranger);
    let activity = Activity::new(Instant::now());
    let connection = Connection { state, caller: &caller, activity: &activity };
    let service = service_fn(|request| connection.reply(request));
    let stream = WriteTimeout::of(stream, state.limits.write_timeout);
    let stream = Watched::new(stream, Unread::new(&state.buffers, &activity));
    let stream = Watched::new(stream, &activity);
    // Its own time limit for a head costs a second look at the connection after every reply.
    let serving = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .keep_alive(keep_alive)
        .serve_connection(TokioIo::new(stream), service);
    let closing = slot.closing().clone().cancelled_owned();
    tokio::pin!(serving, closing);
    let mut life = Lifecycle::new(state, &caller, &activity, slot);
    loop {
        let next = tokio::select! {
            biased;
            ended = serve_turns(serving.as_mut(), &activity, life.noticing()) => match ended {
                None => life.note_reads(),
                Some(Ok(())) => return,
                Some(Err(error)) => return tracing::debug!(%error, "HTTP connection lost"),
            },
            () = &mut closing, if life.is_open() => life.close(),
            () = life.phase.drained() => life.end_drain(),
            () = caller.known(), if life.serves_stranger() => life.become_known(),
            () = state.aborted.cancelled(), if life.may_be_aborted() => life.abort(),
            () = life.quiet.rings() => life.check_quiet(),
            () = life.limit.is_reached() => life.reach_limit(),
        };
        match next {
            Next::GoOn => {}
            Next::Finish => serving.as_mut().graceful_shutdown(),
            Next::Close => return,
        }
    }
}

/// One connection, for its requests.
struct Connection<'a> {
    state: &'a Arc<ServerState>,
    caller: &'a Caller,
    activity: &'a Activity,
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
    async fn reply(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let _asking = self.activity.ask();
        let mut now = Instant::now();
        self.state.lag.matters(now);
        if self.activity.turn_is_over(now) {
            tokio::task::yield_now().await;
            now = Instant::now();
        }
        let (head, mut body) = request.into_parts();
        let headers = Headers::of(&head.headers, now);
        let mut reply = match origins::judge(self.state, &headers, self.caller.on_loopback) {
            Err(why) => refusal(head.uri.path(), StatusCode::FORBIDDEN, why),
            Ok(()) if head.method == Method::OPTIONS => origins::preflight(&headers),
            Ok(()) => {
                let path = head.uri.path();
                let mut reply = self.route(&head.method, path, &headers, &mut body).await;
                origins::let_read(&mut reply, &head.method, &headers);
                reply
            }
        };
        // A sender that waits until it is asked to go on sends nothing after this reply.
        if !body.is_end_stream() && !headers.expects_continue() {
            self.discard(&mut body, headers.came).await;
        }
        if self.caller.is_draining() {
            reply.add(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(reply.into_response(head.headers))
    }

    /// Reads what is left of a body, within the limits of its request, which came at this time.
    async fn discard(&self, rest: &mut Incoming, came: Instant) {
        let limits = &self.state.limits;
        let (most, within) = match self.caller.is_known() {
            true => (body::MAX_DISCARDED, limits.request_timeout),
            false => (limits.max_unidentified_bytes, limits.unidentified_timeout),
        };
        // A connection has room of its own for what it reads.
        let within = if self.state.buffers.are_full() { within.min(LINGER) } else { within };
        let within = within.saturating_sub(came.elapsed());
        tokio::select! {
            () = body::discard(rest, most, within) => {}
            () = self.state.aborted.cancelled() => {}
        }
    }

    async fn route(
        &self,
        method: &Method,
        path: &str,
        headers: &Headers<'_>,
        body: &mut Incoming,
    ) -> Reply {
        let Some(route) = Route::find(path) else {
            return refusal(path, StatusCode::NOT_FOUND, "Not Found");
        };
        if !route.takes(method) {
            let reply = refusal(path, StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            return reply.with(header::ALLOW, route.allowed());
        }
        match route {
            Route::Rpc => posts::json_rpc(self.state, self.caller, headers, body).await,
            Route::Call(name) => match decoded(name) {
                Some(name) => {
                    let ask = || self.activity.ask();
                    posts::call(self.state, self.caller, &name, (headers, body), ask).await
                }
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
