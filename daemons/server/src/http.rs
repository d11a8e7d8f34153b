//! HTTP on the same port: calls, metrics, health, and the documents that describe the methods.
//!
//! On hyper alone: a router, layers and boxed bodies would cost a call as much as the rest of it.

mod activity;
mod caller;
mod calls;
mod exchange;
mod headers;
mod origins;
mod pages;
mod problem;
mod replies;
mod reply;
mod unread;

use std::borrow::Cow;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body as _, Incoming};
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use rpc_host::body;
use rpc_host::write_timeout::WriteTimeout;
use rpc_security::{Permission, Role};
use rpc_wire::paths;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Sleep, sleep_until};

use crate::places::connections::Slot;
use crate::state::ServerState;
use crate::visitor::{Peer, Visitor};
use activity::{Activity, Noted};
use caller::Caller;
use headers::Headers;
use problem::refusal;
use reply::{Body, Reply};
use unread::Unread;

/// Maximum size of a request's line and headers.
const HEAD_BYTES: usize = 64 * 1024;
/// How long the last replies may take to go out, once the server has ended; less than it waits for connections.
const LAST_REPLIES: Duration = Duration::from_millis(400);

/// How often a busy connection is looked at, at most.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

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
    let activity = Activity::new(Instant::now());
    let connection = Connection { state, caller: &caller, activity: &activity };
    let service = service_fn(|request| connection.reply(request));
    let stream = Unread::new(WriteTimeout::new(stream, limits.write_timeout), &state.buffers);
    let stream = Noted::new(stream, &activity);
    // Its own time limit for a head costs a second look at the connection after every reply.
    let serving = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .keep_alive(keep_alive)
        .serve_connection(TokioIo::new(stream), service);
    let closing = slot.closing().clone().cancelled_owned();
    tokio::pin!(serving, closing);
    let look = limits.request_timeout.min(Slot::patience(limits)).max(SHORTEST_LOOK);
    let mut quiet = Alarm::at(Instant::now() + look);
    let (mut part_since, mut gives_way) = (None, false);
    let mut patience = Alarm::at(slot.opened() + limits.unidentified_timeout);
    let mut end = None;
    let (mut is_closing, mut is_late, mut is_aborted) = (false, false, false);
    let ended = loop {
        let in_turns = poll_fn(|context| {
            activity.begin_turn();
            match serving.as_mut().poll(context) {
                Poll::Ready(ended) => Poll::Ready(Some(ended)),
                Poll::Pending if activity.has_part() != part_since.is_some() => Poll::Ready(None),
                Poll::Pending if gives_way && activity.was_read() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        tokio::select! {
            biased;
            ended = in_turns => {
                if let Some(ended) = ended {
                    break ended;
                }
                // If it came too late, the connection is closing.
                if std::mem::take(&mut gives_way) {
                    slot.resume();
                }
                part_since = activity.has_part().then(Instant::now);
                quiet = Alarm::at(Instant::now() + limits.request_timeout);
            }
            () = &mut closing, if !is_closing => {
                if is_stranger && !activity.is_asking() && !state.draining.is_cancelled() {
                    // Its place is another's: there is no time for a request that is not whole.
                    return;
                }
                is_closing = true;
                if !state.draining.is_cancelled() {
                    serving.as_mut().graceful_shutdown();
                    continue;
                }
                caller.begin_drain();
                // A request may be on its way, which must not meet a closed socket.
                let time = if activity.is_asking() { Duration::ZERO } else { limits.close_timeout };
                end = Some(Alarm::at(Instant::now() + time));
            }
            () = at(&mut end), if end.is_some() => {
                end = None;
                serving.as_mut().graceful_shutdown();
            }
            () = caller.known(), if is_stranger => {
                is_stranger = false;
                slot.become_known();
            }
            // Connections are asked to close before that.
            () = state.aborted.cancelled(), if is_closing && !is_aborted => {
                (is_aborted, is_stranger) = (true, false);
                patience = Alarm::at(Instant::now() + LAST_REPLIES);
            }
            () = quiet.rings() => {
                let now = Instant::now();
                let until = match (activity.waits_since(), part_since) {
                    (None, _) => now + look,
                    (Some(_), Some(part)) => part + limits.request_timeout,
                    (Some(since), None) => {
                        let patience = since + Slot::patience(limits);
                        if !gives_way && !is_stranger && now >= patience {
                            activity.forget_reads();
                            slot.give_way(since);
                            gives_way = true;
                        }
                        let end = since + limits.idle_timeout;
                        if now < patience { patience.min(end) } else { end }
                    }
                };
                if until <= now {
                    return;
                }
                quiet = Alarm::at(until);
            }
            // The request in flight, if there is one, has as long again to show who sends it.
            () = patience.rings(), if is_stranger || is_aborted => {
                if is_aborted || is_late || !activity.is_asking() {
                    return;
                }
                is_late = true;
                serving.as_mut().graceful_shutdown();
                patience = Alarm::at(Instant::now() + limits.unidentified_timeout);
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "HTTP connection lost");
    }
}

/// A timer of one task, which looks at it whenever it does anything: it is polled once, and when it is due.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    is_set: bool,
}

impl Alarm {
    fn at(until: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(until.into())), is_set: false }
    }

    /// Waits until it is due.
    async fn rings(&mut self) {
        poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_set && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        self.is_set = true;
        self.sleep.as_mut().poll(context)
    }
}

/// Waits for an alarm; for ever if there is none.
async fn at(alarm: &mut Option<Alarm>) {
    match alarm {
        Some(alarm) => alarm.rings().await,
        None => std::future::pending().await,
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
            Route::Rpc => calls::json_rpc(self.state, self.caller, headers, body).await,
            Route::Call(name) => match decoded(name) {
                Some(name) => {
                    let ask = || self.activity.ask();
                    calls::call(self.state, self.caller, &name, (headers, body), ask).await
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
