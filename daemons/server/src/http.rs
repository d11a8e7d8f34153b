//! HTTP on the same port: calls, metrics, health, and the documents that describe the methods.

mod caller;
mod calls;
mod exchange;
mod problem;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::handler::Handler;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rpc_host::web::{Asked, Verdict};
use rpc_host::write_timeout::WriteTimeout;
use rpc_metrics::Format;
use rpc_security::secret::SecretString;
use rpc_security::{Permission, Role};
use rpc_wire::paths;
use rpc_wire::report::HealthStatus;
use rpc_wire::signature::to_openapi;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{self, sleep};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::places::connections::Slot;
use crate::state::ServerState;
use crate::visitor::{Peer, Visitor};
use caller::Caller;
use rpc_host::refusals;

const JSON: &str = "application/json";

/// Maximum size of a request's line and headers.
const HEAD_BYTES: usize = 64 * 1024;
/// How long a browser need not ask again what a page may send.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

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
    let caller = Caller::new(peer, on_loopback);
    let stream = WriteTimeout::new(stream, limits.write_timeout);
    let service = TowerToHyperService::new(router(state.clone(), &caller));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request_timeout)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(keep_alive)
        .serve_connection(TokioIo::new(stream), service);
    let closing = slot.closing().clone().cancelled_owned();
    let patience = sleep(limits.unidentified_timeout);
    tokio::pin!(connection, closing, patience);
    let (mut is_closing, mut is_late) = (false, false);
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            () = &mut closing, if !is_closing => {
                is_closing = true;
                connection.as_mut().graceful_shutdown();
            }
            () = caller.known(), if is_stranger => {
                is_stranger = false;
                slot.become_known();
            }
            // The request in flight, if there is one, has as long again to show who sends it.
            () = &mut patience, if is_stranger => {
                if is_late || !caller.is_asking() {
                    return;
                }
                is_late = true;
                connection.as_mut().graceful_shutdown();
                patience.as_mut().reset(time::Instant::now() + limits.unidentified_timeout);
            }
            () = state.aborted.cancelled() => return,
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "HTTP connection lost");
    }
}

/// Every route by which methods are called. What each call needs its method says, also in a batch.
pub(crate) const CALLS: [&str; 2] = [paths::RPC, paths::CALL];

/// Every other route, and what it needs.
pub(crate) const ROUTES: [(&str, Permission); 4] = [
    (paths::METRICS, Permission::Needs(Role::Observe)),
    (paths::HEALTHZ, Permission::Open),
    (paths::OPENRPC, Permission::Needs(Role::Observe)),
    (paths::OPENAPI, Permission::Needs(Role::Observe)),
];

fn router(state: Arc<ServerState>, caller: &Caller) -> Router {
    let routes = Routes { state: state.clone(), caller: caller.clone(), router: Router::new() };
    let add = |routes: Routes, (path, permission)| match path {
        paths::METRICS => routes.get(path, permission, metrics),
        paths::HEALTHZ => routes.get(path, permission, healthz),
        paths::OPENRPC => routes.get(path, permission, openrpc),
        paths::OPENAPI => routes.get(path, permission, openapi),
        // What the table does not have is not found.
        _ => routes,
    };
    let add_calls = |routes: Routes, path| match path {
        paths::RPC => routes.json_rpc(),
        paths::CALL => routes.call(),
        _ => routes,
    };
    let routes = ROUTES.into_iter().fold(routes, add);
    CALLS
        .into_iter()
        .fold(routes, add_calls)
        .router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(cors(&state))
        .layer(middleware::from_fn_with_state(
            (state.clone(), caller.clone()),
            refuse_foreign_pages,
        ))
        .with_state(state)
}

/// Tells browsers that pages of the allowed origins may read the replies. Those of others do not get here.
fn cors(state: &Arc<ServerState>) -> CorsLayer {
    let state = state.clone();
    let is_allowed = move |origin: &HeaderValue, head: &Parts| {
        let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        origin.to_str().is_ok_and(|origin| state.web.allows(origin, host))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(is_allowed))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([
            header::CONTENT_TYPE,
            header::AUTHORIZATION,
            HeaderName::from_static(paths::TIMEOUT_HEADER),
            HeaderName::from_static("traceparent"),
        ])
        .max_age(PREFLIGHT_AGE)
}

/// Routes, none of which can be without what it needs.
struct Routes {
    state: Arc<ServerState>,
    caller: Caller,
    router: Router<Arc<ServerState>>,
}

impl Routes {
    fn json_rpc(mut self) -> Self {
        let caller = self.caller.clone();
        let handler = move |State(state): State<Arc<ServerState>>, request: Request| {
            calls::json_rpc(state, caller.clone(), request)
        };
        self.router = self.router.route(paths::RPC, post(handler));
        self
    }

    fn call(mut self) -> Self {
        let caller = self.caller.clone();
        let handler = move |State(state): State<Arc<ServerState>>,
                            Path(method): Path<String>,
                            request: Request| {
            calls::call(state, caller.clone(), method, request)
        };
        let path = format!("{}{{*method}}", paths::CALL);
        self.router = self.router.route(&path, post(handler));
        self
    }

    fn get<H, T>(mut self, path: &str, permission: Permission, handler: H) -> Self
    where
        H: Handler<T, Arc<ServerState>>,
        T: 'static,
    {
        let route = get(handler);
        self.router = self.router.route(
            path,
            match self.state.guard.is_open() {
                true => route,
                false => {
                    let door = (self.state.clone(), self.caller.clone(), permission);
                    route.layer(middleware::from_fn_with_state(door, let_in))
                }
            },
        );
        self
    }
}

/// Serves who may have what the route needs. Everyone shows a token with each request.
async fn let_in(
    State((state, caller, permission)): State<(Arc<ServerState>, Caller, Permission)>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(mut visitor) = Visitor::new(&state.guard, &caller.peer) else {
        return next.run(request).await;
    };
    let shown = bearer(request.headers()).map_or(Ok(()), |secret| visitor.show(secret));
    if !visitor.is_stranger() {
        caller.become_known();
    }
    let refusal = match shown.map(|()| visitor.may(permission, state.object())) {
        Ok(Ok(())) => {
            request
                .extensions_mut()
                .insert(Seen { everything: visitor.may_observe(state.object()) });
            return next.run(request).await;
        }
        Ok(Err(refusal)) => refusal,
        // A visitor shows one token.
        Err(_) => return error(StatusCode::UNAUTHORIZED, "one token at a time"),
    };
    let noted = state.refusals.note(caller.peer.address.ip(), Instant::now());
    sleep(refusals::DELAY).await;
    match noted {
        Err(too_many) => error(StatusCode::TOO_MANY_REQUESTS, &too_many.to_string()),
        Ok(()) if refusal.is_unknown() => {
            let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
            (challenge, error(StatusCode::UNAUTHORIZED, &refusal.text())).into_response()
        }
        Ok(()) => error(StatusCode::FORBIDDEN, &refusal.text()),
    }
}

/// The secret of a request.
fn bearer(headers: &HeaderMap) -> Option<SecretString> {
    let given = headers.get_all(header::AUTHORIZATION).iter();
    rpc_security::secret::bearer(given.map(HeaderValue::as_bytes))
}

/// A web page must not use a daemon on localhost.
async fn refuse_foreign_pages(
    State((state, caller)): State<(Arc<ServerState>, Caller)>,
    request: Request,
    next: Next,
) -> Response {
    let _asking = caller.ask();
    state.lag.matters(Instant::now());
    // Many requests may have come at once: other connections have their turn.
    tokio::task::yield_now().await;
    match judge(&state, request.headers(), caller.on_loopback) {
        Ok(()) => next.run(request).await,
        Err(why) => error(StatusCode::FORBIDDEN, why),
    }
}

fn judge(state: &ServerState, headers: &HeaderMap, on_loopback: bool) -> Result<(), &'static str> {
    let text = |name| headers.get_all(name).iter().map(|value| value.to_str().ok());
    let asked = Asked::read(text, on_loopback);
    match state.web.judge(asked) {
        Verdict::Serve => Ok(()),
        Verdict::ServeUnknownHost => {
            if !state.host_logged.swap(true, Relaxed) {
                tracing::warn!(
                    host = asked.host,
                    "a request names a host that is not known here; add it to [server] allowed_hosts"
                );
            }
            Ok(())
        }
        Verdict::Refuse(why) => Err(why),
    }
}

/// All metrics, in the format that `Accept` asks for.
async fn metrics(State(state): State<Arc<ServerState>>, headers: HeaderMap) -> Response {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::for_accept(accept);
    let text = state.metrics.render(state.metric_facts(Instant::now()), format);
    ([(header::CONTENT_TYPE, format.content_type())], text).into_response()
}

async fn healthz(State(state): State<Arc<ServerState>>, seen: Option<Extension<Seen>>) -> Response {
    let health = state.health(Instant::now());
    let status = match health.status {
        HealthStatus::Ok => StatusCode::OK,
        HealthStatus::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    if seen.is_some_and(|seen| !seen.everything) {
        let only = serde_json::json!({ "status": health.status });
        return (status, axum::Json(only)).into_response();
    }
    (status, axum::Json(health)).into_response()
}

async fn openrpc(State(state): State<Arc<ServerState>>) -> Response {
    ([(header::CONTENT_TYPE, JSON)], Body::from(state.catalogue.load().openrpc.clone()))
        .into_response()
}

async fn openapi(State(state): State<Arc<ServerState>>) -> Response {
    let (about, listing) = (state.identity.about(), state.catalogue.load());
    let all = state.methods.signatures().chain(listing.signatures());
    let document = to_openapi(about.title, about.version, all).to_string();
    ([(header::CONTENT_TYPE, JSON)], document).into_response()
}

/// How much the caller of an open route sees.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// More than that the server lives.
    everything: bool,
}

/// axum adds the header `Allow`.
async fn method_not_allowed() -> Response {
    error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

async fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "Not Found")
}

fn error(status: StatusCode, text: &str) -> Response {
    (status, axum::Json(serde_json::json!({ "error": text }))).into_response()
}
