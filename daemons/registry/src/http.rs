//! Routes of the service: the three of the older system first, then the new ones.
//!
//! On hyper alone: a router's dispatch and boxed bodies would slow down every heartbeat.

mod body;
mod connection;
mod entrance;
mod health;
mod heartbeats;
mod held;
mod list;
mod overrides;
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
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, header};
use rpc_host::shares::Shares;
#[cfg(feature = "tls")]
use rpc_host::tls::TlsEntrance;
use rpc_host::web::{Asked, Verdict, WebPolicy};
use rpc_security::PeerCertificate;
use rpc_wire::paths;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub(crate) use entrance::serve_connection;
pub(crate) use refuse::connection as refuse_connection;

use held::Held;

use crate::error::Refusal;
use crate::service::{Acknowledged, Pieces, Service};
use crate::table::Renewed;

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
    /// The TTL in seconds, for the replies to registrations.
    ttl: Option<HeaderValue>,
    /// The entrance by TLS, if there is one.
    #[cfg(feature = "tls")]
    tls: Option<Arc<TlsEntrance>>,
}

/// Where a connection comes from.
#[derive(Debug, Clone)]
struct Peer {
    ip: IpAddr,
    /// Ends the connection.
    cut: CancellationToken,
    /// It arrived at a loopback address.
    on_loopback: bool,
    /// The certificate that it has shown, if it did.
    certificate: Option<Arc<PeerCertificate>>,
    /// The instances whose heartbeats come on it.
    held: Arc<Held>,
}

/// A whole body, or a stream of chunks.
type Reply = Response<Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>>;

const OVERRIDE: HeaderName = HeaderName::from_static(paths::OVERRIDE_HEADER);
const TTL: HeaderName = HeaderName::from_static(paths::TTL_HEADER);
const DURABLE: HeaderName = HeaderName::from_static(paths::DURABLE_HEADER);
const WARMING: HeaderName = HeaderName::from_static(paths::WARMING_HEADER);
const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Http {
    pub(crate) fn new(
        service: Arc<Service>,
        ending: CancellationToken,
        #[cfg(feature = "tls")] tls: Option<Arc<TlsEntrance>>,
    ) -> Self {
        let options = &service.options;
        let streams = Shares::new(options.max_watchers, options.max_watchers_per_peer);
        let web = WebPolicy::new(options.allowed_origins.clone(), options.allowed_hosts.clone());
        let host_logged = AtomicBool::new(false);
        let ttl = options.ttl.as_secs_f64().to_string().try_into().ok();
        Self {
            context: Arc::new(Context {
                service,
                streams,
                ending,
                web,
                host_logged,
                ttl,
                #[cfg(feature = "tls")]
                tls,
            }),
        }
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
        debug!(peer = %peer.ip, names = ?peer.certificate.as_ref().map(|it| it.names()), method = %head.method, path = head.uri.path(), status, "request");
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
                let acknowledged = service.register(&body, peer).await?;
                if held::is_held(&head.headers)
                    && let Some(key) = service.key_of(&body)
                {
                    from.held.note(service, [key], peer);
                }
                Ok(registered(acknowledged, self.context.ttl.as_ref()))
            }
            (&Method::POST, paths::UNREGISTER) => {
                check_content_type(&head.headers)?;
                let body = body::read(body, &service.options).await?;
                if let Some(key) = service.key_of(&body) {
                    from.held.forget(&key);
                }
                let Acknowledged { of, durable } = service.unregister(&body, peer).await?;
                Ok(acknowledged(json(of), durable))
            }
            (&Method::POST, paths::HEARTBEATS) => {
                check_content_type(&head.headers)?;
                let body = body::read(body, &service.options).await?;
                let from = held::is_held(&head.headers).then_some(from);
                heartbeats::renew(service, &body, from)
            }
            (&Method::DELETE, paths::BRAKE) => Ok(health::release_brake(&self.context)),
            (&Method::PUT, path) => {
                let key = overrides::key(path, &service.options)?;
                check_content_type(&head.headers)?;
                let body = body::read(body, &service.options).await?;
                overrides::set(service, key, &body, peer).await
            }
            (&Method::DELETE, path) => {
                let key = overrides::key(path, &service.options)?;
                Ok(overrides::clear(service, &key, peer).await)
            }
            (&Method::GET, paths::FIND_ALL) => list::find_all(&self.context, head, from).await,
            (&Method::GET | &Method::HEAD, path) => match path {
                paths::INSTANCES => v1::instances(&self.context, head, from).await,
                paths::OVERRIDES => Ok(overrides::list(service)),
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

fn registered(
    Acknowledged { of, durable }: Acknowledged<Renewed>,
    ttl: Option<&HeaderValue>,
) -> Reply {
    let Renewed { reply, overridden, .. } = of;
    let mut reply = acknowledged(json(reply), durable);
    if let Some(state) = overridden {
        reply.headers_mut().insert(OVERRIDE, HeaderValue::from_static(state.name()));
    }
    if let Some(ttl) = ttl {
        reply.headers_mut().insert(TTL, ttl.clone());
    }
    reply
}

/// Says that instances are missing only because this registry has just started, and for how long
/// it will, in seconds.
fn warming(mut reply: Reply, service: &Service) -> Reply {
    if let Some(left) = service.warming() {
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        reply.headers_mut().insert(WARMING, HeaderValue::from(seconds));
    }
    reply
}

/// Says so if what a reply acknowledges is not durable.
fn acknowledged(mut reply: Reply, durable: bool) -> Reply {
    if !durable {
        reply.headers_mut().insert(DURABLE, HeaderValue::from_static("no"));
    }
    reply
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
