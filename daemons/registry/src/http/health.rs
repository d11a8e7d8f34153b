//! Liveness, readiness and metrics.

use hyper::header::{self, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use rpc_host::logging::LogRing;
use rpc_metrics::Format;
use rpc_wire::report::{Brake, FailingStore, Readiness};
use serde_json::json;

use super::{Context, JSON, Reply, with_type};
use crate::metrics::Sizes;

/// The process replies.
pub(super) fn live() -> Reply {
    status(StatusCode::OK, "ok")
}

/// 503 once the registry is shutting down. One whose store fails is degraded, and still ready: it serves
/// lists and takes heartbeats, and whoever took it out of use for that would make a fault an outage. It
/// also says what it keeps registrations in, with whom it shares them, and whether the brake on mass expiry holds.
pub(super) fn ready(context: &Context) -> Reply {
    if context.ending.is_cancelled() {
        return status(StatusCode::SERVICE_UNAVAILABLE, "ending");
    }
    let service = &context.service;
    let failing = service.saving().failing().map(|why| why.to_string());
    let unread = || service.is_unread().then(|| "it was not read yet".to_owned());
    let store = failing.or_else(unread).map(|failing| FailingStore { failing });
    let brake = service.brake().map(|(brake, left)| Brake {
        held: brake.held as u64,
        left_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
    });
    let status = if store.is_some() { "degraded" } else { "ready" };
    let readiness = Readiness {
        status: status.to_owned(),
        store_kind: Some(service.options.store.name().to_owned()),
        store,
        brake,
        sharing: service.sharing(),
    };
    with_type(StatusCode::OK, JSON, json!(readiness).to_string().into())
}

/// Ends the brake on mass expiry.
pub(super) fn release_brake(context: &Context) -> Reply {
    let released = context.service.release_brake();
    super::json(json!({ "released": released }).to_string().into())
}

/// All metrics, in the format that `Accept` asks for.
pub(super) fn metrics(context: &Context, headers: &HeaderMap) -> Reply {
    let service = &context.service;
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::for_accept(accept);
    let sizes = Sizes {
        instances: service.len(),
        table_bytes: service.table_bytes(),
        pinned_bytes: service.answers.bytes(),
        tally: service.tally(),
        overrides: service.overrides_len(),
        store_is_failing: service.saving().failing().is_some(),
        sharing: service.sharing(),
        log_lines_dropped: service.options.log_ring.as_ref().map_or(0, LogRing::dropped),
        guard: service.options.guard.figures(),
        audit_is_failing: service.audit_is_failing(),
        #[cfg(feature = "tls")]
        tls: context.tls.as_ref().map(|entrance| entrance.figures()),
    };
    let text = service.metrics.render(format, &sizes);
    let content_type = HeaderValue::from_static(format.content_type());
    with_type(StatusCode::OK, content_type, text.into())
}

fn status(code: StatusCode, status: &str) -> Reply {
    with_type(code, JSON, json!({ "status": status }).to_string().into())
}
