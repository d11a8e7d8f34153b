//! What is read and is no call: metrics, health, and the documents that describe the methods.

use std::sync::Arc;
use std::time::Instant;

use hyper::header::HeaderValue;
use hyper::{StatusCode, header};
use rpc_host::refusals;
use rpc_metrics::Format;
use rpc_security::Permission;
use rpc_wire::paths;
use rpc_wire::report::HealthStatus;
use serde_json::json as value;
use tokio::time::sleep;

use super::caller::Caller;
use super::headers::Headers;
use super::problem::RETRY_AFTER;
use super::reply::{JSON, Reply, empty, error, json, shared, whole};
use crate::state::ServerState;
use crate::visitor::Visitor;

/// One of `ROUTES`, to who may have it.
pub(super) async fn reply(
    state: &Arc<ServerState>,
    caller: &Caller,
    (page, permission): (&'static str, Permission),
    headers: &Headers<'_>,
) -> Reply {
    let sees_everything = match let_in(state, caller, permission, headers).await {
        Ok(sees_everything) => sees_everything,
        Err(refusal) => return refusal,
    };
    match page {
        paths::METRICS => metrics(state, headers),
        paths::HEALTHZ => healthz(state, sees_everything),
        paths::OPENRPC => shared(JSON, [state.catalogue.load().openrpc.clone()]),
        paths::OPENAPI => shared(JSON, [state.catalogue.load().openapi.clone()]),
        _ => empty(StatusCode::NOT_FOUND),
    }
}

/// Whether who asks sees everything that the page has. Everyone shows a token with each request.
///
/// # Errors
/// It may not have the page.
async fn let_in(
    state: &ServerState,
    caller: &Caller,
    permission: Permission,
    headers: &Headers<'_>,
) -> Result<bool, Reply> {
    let Some(mut visitor) = Visitor::new(&state.guard, &caller.peer) else { return Ok(true) };
    let shown = headers.bearer().map_or(Ok(()), |secret| visitor.show(secret));
    if !visitor.is_stranger() {
        caller.become_known();
    }
    let refusal = match shown.map(|()| visitor.may(permission, state.object())) {
        Ok(Ok(())) => return Ok(visitor.may_observe(state.object())),
        Ok(Err(refusal)) => refusal,
        // A visitor shows one token.
        Err(_) => return Err(error(StatusCode::UNAUTHORIZED, "one token at a time")),
    };
    let noted = state.refusals.note(caller.peer.address.ip(), Instant::now());
    sleep(refusals::DELAY).await;
    Err(match noted {
        Err(too_many) => {
            let reply = error(StatusCode::TOO_MANY_REQUESTS, &too_many.to_string());
            reply.with(header::RETRY_AFTER, RETRY_AFTER)
        }
        Ok(()) if refusal.is_unknown() => {
            let reply = error(StatusCode::UNAUTHORIZED, &refusal.text());
            reply.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        }
        Ok(()) => error(StatusCode::FORBIDDEN, &refusal.text()),
    })
}

/// All metrics, in the format that `Accept` asks for.
fn metrics(state: &ServerState, headers: &Headers<'_>) -> Reply {
    let format = Format::for_accept(headers.accepted());
    whole(format.content_type(), state.metrics.render(state.metric_facts(Instant::now()), format))
}

fn healthz(state: &ServerState, sees_everything: bool) -> Reply {
    let health = state.health(Instant::now());
    let status = match health.status {
        HealthStatus::Ok => StatusCode::OK,
        HealthStatus::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    match sees_everything {
        true => json(status, &health),
        false => json(status, &value!({ "status": health.status })),
    }
}
