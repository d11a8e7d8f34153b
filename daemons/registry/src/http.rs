//! Routes of the service: the three of the older system first, then the new ones.
//!
//! On hyper alone: a router's dispatch and boxed bodies would slow down every heartbeat.

mod body;
mod connection;
mod health;
mod list;
mod query;
mod refuse;
mod v1;
mod write_timeout;

use std::net::IpAddr;
use std::sync::Arc;

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, header};
use rpc_host::shares::Shares;
use rpc_wire::paths;
use tokio_util::sync::CancellationToken;
use tracing::debug;

pub(crate) use connection::serve_connection;
pub(crate) use refuse::connection as refuse_connection;

use crate::error::Refusal;
use crate::service::Service;

/// The registry's HTTP interface, shared by all connections.
#[derive(Debug)]
pub(crate) struct Http {
    context: Arc<Context>,
}

/// What the routes need.
#[derive(Debug)]
struct Context {
    service: Arc<Service>,
    /// Places for event streams.
    streams: Arc<Shares>,
    /// Cancelled at shutdown: streams end, long-polls get their replies.
    ending: CancellationToken,
}

/// A whole body, or a stream of chunks.
type Reply = Response<Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Http {
    pub(crate) fn new(service: Arc<Service>, ending: CancellationToken) -> Self {
        let options = &service.options;
        let streams = Shares::new(options.max_watchers, options.max_watchers_per_peer);
        Self { context: Arc::new(Context { service, streams, ending }) }
    }

    /// The service behind it.
    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.context.service
    }

    /// Replies to one request of a peer.
    async fn reply(&self, request: Request<Incoming>, peer: IpAddr) -> Reply {
        let (head, mut body) = request.into_parts();
        let reply = match self.route(&head, &mut body, peer).await {
            Ok(reply) => reply,
            Err(refusal) => refuse::reply(&refusal),
        };
        body::discard(&head, &mut body, &self.context.service.options).await;
        let status = reply.status().as_u16();
        if status >= 400 {
            self.context.service.metrics.refuse(status);
        }
        debug!(%peer, method = %head.method, path = head.uri.path(), status, "request");
        reply
    }

    async fn route(
        &self,
        head: &Parts,
        body: &mut Incoming,
        peer: IpAddr,
    ) -> Result<Reply, Refusal> {
        let service = &self.context.service;
        self.check_origin(&head.headers)?;
        match (&head.method, head.uri.path()) {
            (&Method::POST, paths::REGISTER) => {
                check_content_type(&head.headers)?;
                let body = body::read(body, &service.options).await?;
                Ok(json(service.register(&body, peer).await?))
            }
            (&Method::POST, paths::UNREGISTER) => {
                check_content_type(&head.headers)?;
                let body = body::read(body, &service.options).await?;
                Ok(json(service.unregister(&body, peer)?))
            }
            (&Method::GET, paths::FIND_ALL) => list::find_all(&self.context, head).await,
            (&Method::GET | &Method::HEAD, path) => match path {
                paths::INSTANCES => v1::instances(&self.context, head),
                paths::WATCH => v1::watch(&self.context, head, peer),
                paths::LOGS => v1::logs(&self.context, head, peer),
                paths::HEALTHZ => Ok(health::live()),
                paths::READYZ => Ok(health::ready(&self.context)),
                paths::METRICS => Ok(health::metrics(&self.context)),
                _ => Err(Refusal::NotFound),
            },
            _ => Err(Refusal::NotFound),
        }
    }

    /// A browser sends the origin of its page: only configured origins may use a registry.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let allowed = &self.context.service.options.allowed_origins;
        let is_allowed = |origin: &HeaderValue| allowed.iter().any(|known| origin == known);
        let allowed = headers.get_all(header::ORIGIN).iter().all(is_allowed);
        if allowed { Ok(()) } else { Err(Refusal::Origin) }
    }
}

/// Refuses content types that a web page's form can send. Older programs send no content type
/// (http.client does not), so a missing one counts as JSON, except from a browser.
fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let is_json = match headers.get(header::CONTENT_TYPE) {
        None => !headers.contains_key(header::ORIGIN),
        Some(given) => {
            let essence = given.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
            essence.trim_ascii().eq_ignore_ascii_case(b"application/json")
        }
    };
    if is_json { Ok(()) } else { Err(Refusal::NotJson) }
}

fn json(body: Bytes) -> Reply {
    with_type(StatusCode::OK, JSON, body)
}

fn with_type(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(body)));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, content_type);
    reply
}

/// A streamed body; each chunk is requested when the previous ones are written.
fn in_pieces(
    content_type: HeaderValue,
    pieces: impl Stream<Item = Bytes> + Send + 'static,
) -> Reply {
    let body = StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece)))).boxed_unsync();
    let mut reply = Response::new(Either::Right(body));
    reply.headers_mut().insert(header::CONTENT_TYPE, content_type);
    reply
}
