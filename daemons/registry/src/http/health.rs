//! Liveness, readiness and metrics.

use hyper::StatusCode;
use hyper::header::HeaderValue;
use serde_json::json;

use super::{Context, JSON, Reply, with_type};

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The process replies.
pub(super) fn live() -> Reply {
    status(StatusCode::OK, "ok")
}

/// 503 once the registry is shutting down. One whose store fails is degraded, and still ready: it serves
/// lists and takes heartbeats, and whoever took it out of use for that would make a fault an outage.
pub(super) fn ready(context: &Context) -> Reply {
    if context.ending.is_cancelled() {
        return status(StatusCode::SERVICE_UNAVAILABLE, "ending");
    }
    match context.service.saving().failing() {
        None => status(StatusCode::OK, "ready"),
        Some(why) => {
            let body = json!({ "status": "degraded", "store": &*why });
            with_type(StatusCode::OK, JSON, body.to_string().into())
        }
    }
}

/// All metrics in the OpenMetrics text format.
pub(super) fn metrics(context: &Context) -> Reply {
    let service = &context.service;
    let text =
        service.metrics.render(service.len(), service.table_bytes(), service.answers.bytes());
    with_type(StatusCode::OK, OPEN_METRICS, text.into())
}

fn status(code: StatusCode, status: &str) -> Reply {
    with_type(code, JSON, json!({ "status": status }).to_string().into())
}
