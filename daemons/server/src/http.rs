//! HTTP on the same port: metrics, health and the OpenRPC document.

use std::sync::Arc;
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
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rpc_host::web::{Asked, Verdict};
use rpc_host::write_timeout::WriteTimeout;
use rpc_wire::paths;
use rpc_wire::report::{HealthStatus, ServerStats};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::state::ServerState;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
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

async fn metrics(State(state): State<Arc<ServerState>>) -> Response {
    match render(&state.stats(Instant::now()), &state) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"),
    }
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
    ([(header::CONTENT_TYPE, JSON)], Body::from(state.openrpc.clone())).into_response()
}

async fn not_found() -> Response {
    error(StatusCode::NOT_FOUND, "Not Found")
}

fn error(status: StatusCode, text: &str) -> Response {
    (status, axum::Json(serde_json::json!({ "error": text }))).into_response()
}

/// The statistics as OpenMetrics.
fn render(stats: &ServerStats, state: &ServerState) -> Result<String, std::fmt::Error> {
    type Labels = Vec<(String, String)>;
    let mut registry = Registry::with_prefix("rpc_server");
    let gauge = |value: u64| {
        let gauge = Gauge::<i64>::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        gauge
    };
    let counter = |value: u64| {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        counter
    };
    let uptime = Gauge::<f64, AtomicU64>::default();
    uptime.set(stats.uptime_ms as f64 / 1e3);
    registry.register_with_unit("uptime", "Time since start", Unit::Seconds, uptime);
    registry.register("connections", "Connections open now", gauge(stats.connections));
    registry.register("calls_in_flight", "Calls in flight", gauge(stats.in_flight));
    let help = "Kept for connections beyond a free share of each";
    registry.register_with_unit("buffered", help, Unit::Bytes, gauge(state.buffers.kept() as u64));
    let counts = [
        ("connections_accepted", "Connections accepted", stats.connections_accepted),
        ("connections_refused", "Connections over the limit", stats.connections_refused),
        ("calls_refused", "Calls over a limit, or too late", state.metrics.calls_refused.get()),
        ("malformed", "Messages that could not be read", stats.malformed),
        ("log_lines_dropped", "Log lines lost", stats.log_lines_dropped),
    ];
    for (name, help, value) in counts {
        registry.register(name, help, counter(value));
    }
    let calls = Family::<Labels, Counter>::default();
    let errors = Family::<Labels, Counter>::default();
    let unreadable = Family::<Labels, Counter>::default();
    let latency = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    for method in &stats.methods {
        let labels = vec![("method".to_owned(), method.name.clone())];
        calls.get_or_create(&labels).inc_by(method.calls);
        errors.get_or_create(&labels).inc_by(method.errors);
        unreadable.get_or_create(&labels).inc_by(method.unreadable_for_old_clients);
        let quantiles = [("0.5", method.p50_us), ("0.95", method.p95_us), ("0.99", method.p99_us)];
        for (quantile, micros) in quantiles {
            let mut labels = labels.clone();
            labels.push(("quantile".to_owned(), quantile.to_owned()));
            latency.get_or_create(&labels).set(micros as f64 / 1e6);
        }
    }
    registry.register("calls", "Calls started", calls);
    registry.register("errors", "Calls that failed", errors);
    let help = "Classic replies over 1,024 bytes, which older clients cannot read";
    registry.register("unreadable_for_old_clients", help, unreadable);
    registry.register_with_unit("latency", "Latency of finished calls", Unit::Seconds, latency);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}
