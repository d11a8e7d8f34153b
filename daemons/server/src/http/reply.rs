//! Replies: a status, a type and a body, whole or one that goes on.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode, header};
use serde::Serialize;
use serde_json::json;

/// A whole body, or one that goes on.
pub(super) type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, io::Error>>;

/// A reply.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    content_type: Option<&'static str>,
    /// Besides its type.
    headers: HeaderMap,
    body: Body,
}

/// Bytes of a body in pieces that hyper gets at once.
const PART: usize = 16 * 1024;

pub(super) const JSON: &str = "application/json";

/// A reply without a body.
pub(super) fn empty(status: StatusCode) -> Reply {
    let body = Either::Left(Full::default());
    Reply { status, content_type: None, headers: HeaderMap::new(), body }
}

/// A reply of this type; of length zero, too.
pub(super) fn whole(content_type: &'static str, body: impl Into<Bytes>) -> Reply {
    Reply::ok(content_type, Either::Left(Full::new(body.into())))
}

/// A reply of this type, in pieces that others may share: little of it at a time is with the connection.
pub(super) fn shared(content_type: &'static str, pieces: impl IntoIterator<Item = Bytes>) -> Reply {
    let pieces = Pieces(pieces.into_iter().collect());
    let body = pieces.map_err(|never| match never {}).boxed_unsync();
    Reply::ok(content_type, Either::Right(body))
}

/// A reply whose body is made while it is read; one that ends with an error is cut off.
pub(super) fn streamed(
    content_type: &'static str,
    pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
) -> Reply {
    let body = StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync();
    Reply::ok(content_type, Either::Right(body))
}

/// A reply in JSON.
pub(super) fn json(status: StatusCode, content: &impl Serialize) -> Reply {
    // It always serialises.
    whole(JSON, serde_json::to_vec(content).unwrap_or_default()).with_status(status)
}

/// What is wrong with a request.
pub(super) fn error(status: StatusCode, text: &str) -> Reply {
    json(status, &json!({ "error": text }))
}

/// A body in pieces, which are written in parts that are short for a connection.
struct Pieces(VecDeque<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = self.0.front_mut() else { return Poll::Ready(None) };
        let part = piece.split_to(piece.len().min(PART));
        if piece.is_empty() {
            self.0.pop_front();
        }
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

impl Reply {
    fn ok(content_type: &'static str, body: Body) -> Self {
        let (status, content_type) = (StatusCode::OK, Some(content_type));
        Self { status, content_type, headers: HeaderMap::new(), body }
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.add(name, value);
        self
    }

    pub(super) fn add(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.insert(name, value);
    }

    /// As hyper sends it, with the memory of the request's headers, which are not needed any more.
    pub(super) fn into_response(self, mut spare: HeaderMap) -> Response<Body> {
        let Self { status, content_type, headers, body } = self;
        spare.clear();
        if let Some(content_type) = content_type {
            spare.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        // Each is there once.
        spare.extend(headers);
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = spare;
        response
    }
}
