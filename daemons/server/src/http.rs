//! HTTP on the same port: metrics, health and the OpenRPC document.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rpc_host::web::{Asked, Verdict};
use rpc_host::write_timeout::WriteTimeout;
use rpc_metrics::Format;
use rpc_wire::paths;
use rpc_wire::report::HealthStatus;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::state::ServerState;

const JSON: &str = "application/json";

/// Maximum size of a request's line and headers.
const HEAD_BYTES: usize = 64 * 1024;

/// Serves one HTTP/1 connection until it closes.
pub(crate) async fn serve(
    state: &Arc<ServerState>,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    on_loopback: bool,
    keep_alive: bool,
) {
    let stream = WriteTimeout::new(stream, state.limits.write_timeout);
    let service = TowerToHyperService::new(router(state.clone(), on_loopback));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(state.limits.request_timeout)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(keep_alive)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let draining = state.draining.cancelled();
    tokio::pin!(draining);
    let mut asked = false;
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            () = &mut draining, if !asked => {
                asked = true;
                connection.as_mut().graceful_shutdown();
            }
            () = state.aborted.cancelled() => return,
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "HTTP connection lost");
    }
}

fn router(state: Arc<ServerState>, on_loopback: bool) -> Router {
    Router::new()
        .route(paths::METRICS, get(metrics))
        .route(paths::HEALTHZ, get(healthz))
        .route(paths::OPENRPC, get(openrpc))
        .method_not_allowed_fallback(not_found)
        .fallback(not_found)
        .layer(middleware::from_fn_with_state((state.clone(), on_loopback), refuse_foreign_pages))
        .with_state(state)
}

/// A web page must not use a daemon on localhost.
async fn refuse_foreign_pages(
    State((state, on_loopback)): State<(Arc<ServerState>, bool)>,
    request: Request,
    next: Next,
) -> Response {
    state.lag.matters(Instant::now());
    // Many requests may have come at once: other connections have their turn.
    tokio::task::yield_now().await;
    match judge(&state, request.headers(), on_loopback) {
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

async fn healthz(State(state): State<Arc<ServerState>>) -> Response {
    let health = state.health(Instant::now());
    let status = match health.status {
        HealthStatus::Ok => StatusCode::OK,
        HealthStatus::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, axum::Json(health)).into_response()
}

async fn openrpc(State(state): State<Arc<ServerState>>) -> Response {
    ([(header::CONTENT_TYPE, JSON)], Body::from(state.catalogue.load().openrpc.clone()))
        .into_response()
}

async fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "Not Found")
}

fn error(status: StatusCode, text: &str) -> Response {
    (status, axum::Json(serde_json::json!({ "error": text }))).into_response()
}
