//! A refusal as an answer: a status, and `{"error": "what and where"}`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::Either;

use super::{Answer, JSON, with_type};
use crate::error::Refusal;

pub(super) fn answer(refusal: &Refusal) -> Answer {
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

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        answer(&self).map(|body| match body {
            Either::Left(whole) => axum::body::Body::new(whole),
            Either::Right(body) => body,
        })
    }
}
