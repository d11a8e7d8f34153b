//! What is wrong with a request: an error of the protocol, not of a tool.

use serde::Serialize;
use serde_json::Value;

/// An error of JSON-RPC. Codes of calls never get here: calls that fail are results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Problem {
    pub(crate) code: i32,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Value>,
    #[serde(skip)]
    pub(crate) status: Status,
}

/// What a problem is over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    BadRequest,
    NotFound,
}

impl Problem {
    fn new(code: i32, message: impl Into<String>, status: Status) -> Self {
        Self { code, message: message.into(), data: None, status }
    }

    pub(crate) fn not_json(why: impl Into<String>) -> Self {
        Self::new(-32700, why, Status::BadRequest)
    }

    pub(crate) fn invalid_request(why: impl Into<String>) -> Self {
        Self::new(-32600, why, Status::BadRequest)
    }

    /// A method that is not served; over HTTP an earlier client would take 404 for the end of its session.
    pub(crate) fn method_not_found(method: &str, status: Status) -> Self {
        Self::new(-32601, format!("Method not found: {method}"), status)
    }

    /// The request as a whole is malformed.
    pub(crate) fn invalid_params(why: impl Into<String>) -> Self {
        Self::new(-32602, why, Status::BadRequest)
    }

    /// The request is well formed, and asks for what there is not.
    pub(crate) fn unknown(why: impl Into<String>) -> Self {
        Self::new(-32602, why, Status::Ok)
    }

    /// A header and the body differ.
    pub(crate) fn header_mismatch(why: impl Into<String>) -> Self {
        Self::new(-32020, why, Status::BadRequest)
    }

    pub(crate) fn unsupported_version(requested: &str, supported: &[&str]) -> Self {
        let data = serde_json::json!({"supported": supported, "requested": requested});
        let message = "Unsupported protocol version";
        Self { data: Some(data), ..Self::new(-32022, message, Status::BadRequest) }
    }

    /// A limit of the gateway.
    pub(crate) fn limit(why: impl Into<String>) -> Self {
        Self::new(-32603, why, Status::Ok)
    }
}
