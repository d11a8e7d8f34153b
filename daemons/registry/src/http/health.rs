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
/// lists and takes heartbeats, and whoever took it out of use for that would make a fault an outage. It
/// also says whether the brake on mass expiry holds.
pub(super) fn ready(context: &Context) -> Reply {
    if context.ending.is_cancelled() {
        return status(StatusCode::SERVICE_UNAVAILABLE, "ending");
    }
    let mut body = json!({ "status": "ready" });
    if let Some((brake, left)) = context.service.brake() {
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        body["brake"] = json!({ "held": brake.held, "left_ms": left_ms });
    }
    if let Some(why) = context.service.saving().failing() {
        body["status"] = "degraded".into();
        body["store"] = json!({ "failing": &*why });
    }
    with_type(StatusCode::OK, JSON, body.to_string().into())
}

/// Ends the brake on mass expiry.
pub(super) fn release_brake(context: &Context) -> Reply {
    let released = context.service.release_brake();
    super::json(json!({ "released": released }).to_string().into())
}

/// All metrics in the OpenMetrics text format.
pub(super) fn metrics(context: &Context) -> Reply {
    let service = &context.service;
    let text = service.metrics.render(
        service.len(),
        service.table_bytes(),
        service.answers.bytes(),
        service.tally(),
    );
    with_type(StatusCode::OK, OPEN_METRICS, text.into())
}

fn status(code: StatusCode, status: &str) -> Reply {
    with_type(code, JSON, json!({ "status": status }).to_string().into())
}
