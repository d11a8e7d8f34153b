//! A refusal as a reply: a status, and `{"error": "what and where"}`.

use hyper::StatusCode;

use super::{JSON, Reply, with_type};
use crate::error::Refusal;

pub(super) fn reply(refusal: &Refusal) -> Reply {
    let status = match refusal {
        Refusal::BadRequest(_) => StatusCode::BAD_REQUEST,
        Refusal::Origin => StatusCode::FORBIDDEN,
        Refusal::NotFound => StatusCode::NOT_FOUND,
        Refusal::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
        Refusal::BodyTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refusal::PeerFull(_) => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Full(_) | Refusal::TooManyStreams(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = serde_json::json!({ "error": refusal.to_string() }).to_string();
    with_type(status, JSON, body.into())
}
