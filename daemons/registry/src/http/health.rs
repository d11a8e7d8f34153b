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

/// 503 once the registry is shutting down.
pub(super) fn ready(context: &Context) -> Reply {
    match context.ending.is_cancelled() {
        false => status(StatusCode::OK, "ready"),
        true => status(StatusCode::SERVICE_UNAVAILABLE, "ending"),
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
