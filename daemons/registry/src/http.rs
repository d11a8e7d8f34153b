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

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, header};
use rpc_host::shares::Shares;
use rpc_host::web::{Asked, Verdict, WebPolicy};
use rpc_wire::paths;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub(crate) use connection::serve_connection;
pub(crate) use refuse::connection as refuse_connection;

use crate::error::Refusal;
use crate::service::{Pieces, Service};

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
    web: WebPolicy,
    /// An unknown host was logged.
    host_logged: AtomicBool,
}

/// Where a connection comes from.
#[derive(Debug, Clone)]
struct Peer {
    ip: IpAddr,
    /// Ends the connection.
    cut: CancellationToken,
    /// It arrived at a loopback address.
    on_loopback: bool,
}

/// A whole body, or a stream of chunks.
type Reply = Response<Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Http {
    pub(crate) fn new(service: Arc<Service>, ending: CancellationToken) -> Self {
        let options = &service.options;
        let streams = Shares::new(options.max_watchers, options.max_watchers_per_peer);
        let web = WebPolicy::new(options.allowed_origins.clone(), options.allowed_hosts.clone());
        let host_logged = AtomicBool::new(false);
        Self { context: Arc::new(Context { service, streams, ending, web, host_logged }) }
    }

    /// The service behind it.
    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.context.service
    }

    /// Replies to one request of a peer.
    async fn reply(&self, request: Request<Incoming>, peer: Peer) -> Reply {
        let (head, mut body) = request.into_parts();
        let reply = match self.route(&head, &mut body, &peer).await {
            Ok(reply) => reply,
            Err(refusal) => refuse::reply(&refusal),
        };
        body::discard(&head, &mut body, &self.context.service.options).await;
        let status = reply.status().as_u16();
        if status >= 400 {
            self.context.service.metrics.refuse(status);
        }
        debug!(peer = %peer.ip, method = %head.method, path = head.uri.path(), status, "request");
        reply
    }

    async fn route(
        &self,
        head: &Parts,
        body: &mut Incoming,
        from: &Peer,
    ) -> Result<Reply, Refusal> {
        let service = &self.context.service;
        let peer = from.ip;
        self.refuse_foreign_pages(&head.headers, from.on_loopback)?;
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
            (&Method::DELETE, paths::BRAKE) => Ok(health::release_brake(&self.context)),
            (&Method::GET, paths::FIND_ALL) => list::find_all(&self.context, head, from).await,
            (&Method::GET | &Method::HEAD, path) => match path {
                paths::INSTANCES => v1::instances(&self.context, head, from).await,
                paths::WATCH => v1::watch(&self.context, head, from).await,
                paths::CATALOG => v1::catalog(&self.context, from).await,
                paths::SD_PROMETHEUS => v1::targets(&self.context, head, from).await,
                paths::LOGS => v1::logs(&self.context, head, peer),
                paths::HEALTHZ => Ok(health::live()),
                paths::READYZ => Ok(health::ready(&self.context)),
                paths::METRICS => Ok(health::metrics(&self.context, &head.headers)),
                _ => Err(Refusal::NotFound),
            },
            _ => Err(Refusal::NotFound),
        }
    }

    /// A web page must not use a registry on localhost.
    fn refuse_foreign_pages(&self, headers: &HeaderMap, on_loopback: bool) -> Result<(), Refusal> {
        let text = |name| headers.get_all(name).iter().map(|value| value.to_str().ok());
        let asked = Asked::read(text, on_loopback);
        match self.context.web.judge(asked) {
            Verdict::Serve => Ok(()),
            Verdict::ServeUnknownHost => {
                if !self.context.host_logged.swap(true, Ordering::Relaxed) {
                    warn!(
                        host = asked.host,
                        "a request names a host that is not known here; add it to [registry-server] allowed_hosts"
                    );
                }
                Ok(())
            }
            Verdict::Refuse(why) => Err(Refusal::Foreign(why)),
        }
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

/// An answer of known length.
fn whole(content_type: HeaderValue, answer: Pieces) -> Reply {
    if let Some(small) = answer.small() {
        return with_type(StatusCode::OK, content_type, small);
    }
    let length = HeaderValue::from(answer.len());
    let mut reply = in_pieces(content_type, stream::iter(answer));
    reply.headers_mut().insert(header::CONTENT_LENGTH, length);
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
