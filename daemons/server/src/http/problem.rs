//! Errors of calls over HTTP, as problem documents (RFC 9457).

use hyper::header::HeaderValue;
use hyper::{StatusCode, header};
use rpc_wire::fault::{Code, Fault};
use rpc_wire::paths;
use serde::Serialize;
use serde_json::Value;

use super::reply::{Reply, error, whole};

const PROBLEM: &str = "application/problem+json";
/// Seconds after which a request that a busy or draining server refused may be repeated.
pub(super) const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// A failed call.
#[derive(Debug, Serialize)]
pub(super) struct Problem<'a> {
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: i64,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
}

/// The problem as JSON text. `is_known` says whether the caller has shown who it is.
pub(super) fn json(fault: &Fault, is_known: bool) -> String {
    with_status(fault, status(fault, is_known))
}

fn with_status(fault: &Fault, status: StatusCode) -> String {
    let problem = Problem {
        title: fault.code.meaning().unwrap_or("the method failed"),
        status: status.as_u16(),
        detail: &fault.plain_text(),
        code: fault.code.number(),
        retryable: fault.code.is_retryable(),
        data: fault.data.as_ref(),
    };
    // It always serialises.
    serde_json::to_string(&problem).unwrap_or_default()
}

/// The response to a call that failed.
pub(super) fn response(fault: &Fault, is_known: bool) -> Reply {
    let status = status(fault, is_known);
    let response = whole(PROBLEM, json(fault, is_known)).with_status(status);
    match status {
        StatusCode::UNAUTHORIZED => {
            response.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            response.with(header::RETRY_AFTER, RETRY_AFTER)
        }
        _ => response,
    }
}

/// The response to a request that is no call: a problem as well where calls go.
pub(super) fn refusal(path: &str, status: StatusCode, text: &str) -> Reply {
    // Also where one was meant to go: `/call`, `//call/add`.
    let meant = path.trim_start_matches('/');
    if !format!("/{meant}/").starts_with(paths::CALL) {
        return error(status, text);
    }
    let code = match status {
        StatusCode::FORBIDDEN => Code::Unauthorised,
        _ => Code::Malformed,
    };
    whole(PROBLEM, with_status(&Fault::new(code, text), status)).with_status(status)
}

fn status(fault: &Fault, is_known: bool) -> StatusCode {
    match fault.code {
        Code::NotJson | Code::Malformed | Code::BadArguments => StatusCode::BAD_REQUEST,
        Code::MethodNotFound => StatusCode::NOT_FOUND,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Overloaded if fault.is_limit_of_peer() => StatusCode::TOO_MANY_REQUESTS,
        Code::Overloaded | Code::Draining => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unauthorised if is_known => StatusCode::FORBIDDEN,
        Code::Unauthorised => StatusCode::UNAUTHORIZED,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::MethodFailed | Code::Cancelled | Code::Abandoned | Code::Other(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}
