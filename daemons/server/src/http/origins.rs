//! Which web pages may send requests, and read the replies (CORS).

use std::sync::atomic::Ordering::Relaxed;

use hyper::header::HeaderValue;
use hyper::{Method, StatusCode, header};
use rpc_host::web::Verdict;

use super::headers::Headers;
use super::reply::{Reply, empty};
use crate::state::ServerState;

const METHODS: HeaderValue = HeaderValue::from_static("GET,POST");
/// With `paths::TIMEOUT_HEADER`.
const HEADERS: HeaderValue =
    HeaderValue::from_static("content-type,authorization,timeout,traceparent");
/// Seconds for which a browser need not ask again what a page may send.
const PREFLIGHT_AGE: HeaderValue = HeaderValue::from_static("600");
/// What replies depend on.
const ORIGIN: HeaderValue = HeaderValue::from_static("origin");
const PREFLIGHT: HeaderValue = HeaderValue::from_static(
    "origin, access-control-request-method, access-control-request-headers",
);

/// A web page must not use a daemon on localhost.
///
/// # Errors
/// One may have caused the request, none that is allowed to: why it is refused.
pub(super) fn judge(
    state: &ServerState,
    headers: &Headers<'_>,
    on_loopback: bool,
) -> Result<(), &'static str> {
    let asked = headers.asked(on_loopback);
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

/// Tells a browser what a page may send. A page of a foreign origin does not get here.
pub(super) fn preflight(asked: &Headers<'_>) -> Reply {
    let mut reply = empty(StatusCode::OK)
        .with(header::VARY, PREFLIGHT)
        .with(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS)
        .with(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS)
        .with(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE);
    allow(&mut reply, asked);
    reply
}

/// Lets the page that asked read the reply. One of a foreign origin does not get here.
pub(super) fn let_read(reply: &mut Reply, method: &Method, asked: &Headers<'_>) {
    // No cache keeps the reply to a call.
    if method != Method::POST {
        reply.add(header::VARY, ORIGIN);
    }
    allow(reply, asked);
}

fn allow(reply: &mut Reply, asked: &Headers<'_>) {
    if let Some(origin) = asked.origin() {
        reply.add(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_send_the_header_of_a_deadline() {
        let headers = HEADERS;
        let headers = headers.to_str().unwrap();
        assert!(headers.split(',').any(|name| name == rpc_wire::paths::TIMEOUT_HEADER));
    }
}
