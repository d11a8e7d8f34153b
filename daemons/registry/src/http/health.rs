//! Alive, ready, and counted.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{Context, JSON};

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The process answers.
pub(super) async fn live() -> Response {
    status(StatusCode::OK, "ok")
}

/// 503 once the registry is ending.
pub(super) async fn ready(State(context): State<Arc<Context>>) -> Response {
    match context.ending.is_cancelled() {
        false => status(StatusCode::OK, "ready"),
        true => status(StatusCode::SERVICE_UNAVAILABLE, "ending"),
    }
}

/// Counters in the OpenMetrics text format.
pub(super) async fn metrics(State(context): State<Arc<Context>>) -> Response {
    let service = &context.service;
    let text = service.metrics.render(service.len());
    ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response()
}

fn status(code: StatusCode, status: &str) -> Response {
    (code, [(header::CONTENT_TYPE, JSON)], json!({ "status": status }).to_string()).into_response()
}
