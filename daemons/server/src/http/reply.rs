//! Replies: a status, a type and a body, whole or one that goes on.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::HeaderValue;
use hyper::{Response, StatusCode, header};
use serde::Serialize;
use serde_json::json;

/// A reply with a whole body, or with one that goes on.
pub(super) type Reply = Response<Either<Full<Bytes>, UnsyncBoxBody<Bytes, io::Error>>>;

pub(super) const JSON: &str = "application/json";

/// A reply without a body.
pub(super) fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Either::Left(Full::default()));
    *reply.status_mut() = status;
    reply
}

/// A reply of this type; of length zero, too.
pub(super) fn whole(content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(body.into())));
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// A reply whose body is made while it is read; one that ends with an error is cut off.
pub(super) fn streamed(
    content_type: &'static str,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Reply {
    let body = StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync();
    let mut reply = Response::new(Either::Right(body));
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}

/// A reply in JSON.
pub(super) fn json(status: StatusCode, content: &impl Serialize) -> Reply {
    // It always serialises.
    let mut reply = whole(JSON, serde_json::to_vec(content).unwrap_or_default());
    *reply.status_mut() = status;
    reply
}

/// What is wrong with a request.
pub(super) fn error(status: StatusCode, text: &str) -> Reply {
    json(status, &json!({ "error": text }))
}
