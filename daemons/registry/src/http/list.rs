//! The list of a protocol, or of one of its services: prepared bytes, 304 if unchanged, and long-polling.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response, StatusCode, header};
use rpc_security::Object;
use rpc_wire::paths;

use super::query;
use super::{Context, JSON, Reply, Visitor};
use crate::error::Refusal;
use crate::service::{Pieces, Service};
use crate::table::{List, Scope};

/// `[]` if there are no instances, or no `proto`. With `If-None-Match` an unchanged list gets 304;
/// with `wait` also, only after that time.
pub(super) async fn find_all(
    context: &Context,
    head: &Parts,
    Visitor { peer, mut sender, permission }: Visitor<'_>,
) -> Result<Reply, Refusal> {
    let service = &context.service;
    service.be_read().await;
    let query = head.uri.query().unwrap_or_default();
    let mut scope = query::scope(query, &sender)?;
    scope.protocol.get_or_insert_default();
    let wait = match query::first(query, paths::WAIT) {
        Some(text) => query::duration(paths::WAIT, &text)?.min(service.options.max_wait),
        None => Duration::ZERO,
    };
    service.metrics.lists.inc();
    // Subscribed before reading, so that no change in between is missed.
    let mut changes = service.changes();
    let mut rights = service.rights();
    let mut over = pin!(context.ending.run_until_cancelled(tokio::time::sleep(wait)));
    let mut waits = !wait.is_zero();
    loop {
        let list = match service.list(&scope).await {
            Ok(list) => list,
            Err(no_room) => {
                service.make_room(no_room.bytes).await?;
                service.list(&scope).await?
            }
        };
        let etag = etag(service, &list, &scope);
        if !matches(&head.headers, &etag) {
            let reply = reply(service.answers.pieces(list.body, &peer.cut), &etag);
            return Ok(super::warming(reply, service));
        }
        if !waits {
            service.metrics.lists_unchanged.inc();
            return Ok(not_modified(&etag));
        }
        tokio::select! {
            changed = changes.changed() => waits = changed.is_ok(),
            // Never an error: the service has the sender.
            Ok(()) = rights.changed() => {}
            _ = over.as_mut() => waits = false,
        }
        // It may have been long.
        if !sender.still_sees(permission, Object::Everything, scope.sight.as_deref()) {
            sender.check(permission, Object::Everything)?;
            scope.sight = sender.sight();
        }
    }
}

/// The name of a list: of two readers who see different ones, each has its own.
fn etag(service: &Service, list: &List, scope: &Scope) -> String {
    let name = service.name_of(list.revision);
    match &scope.sight {
        None => format!("\"{name}\""),
        Some(sight) => format!("\"{name}.{:x}\"", sight.number()),
    }
}

/// Whether `If-None-Match` names this tag.
fn matches(headers: &HeaderMap, etag: &str) -> bool {
    let named = headers.get_all(header::IF_NONE_MATCH).iter();
    named.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|value| {
        let value = value.trim();
        value == "*" || value.strip_prefix("W/").unwrap_or(value) == etag
    })
}

fn reply(list: Pieces, etag: &str) -> Reply {
    let mut reply = super::whole(JSON, list);
    set_etag(reply.headers_mut(), etag);
    reply
}

fn not_modified(etag: &str) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(Bytes::new())));
    *reply.status_mut() = StatusCode::NOT_MODIFIED;
    reply.headers_mut().insert(header::CONTENT_TYPE, JSON);
    set_etag(reply.headers_mut(), etag);
    reply
}

fn set_etag(headers: &mut HeaderMap, etag: &str) {
    if let Ok(value) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, value);
    }
}
