//! Routes of the service: the three of the older system first, then the new ones.
//!
//! On hyper alone: a router's dispatch and boxed bodies would slow down every heartbeat.

mod arriving;
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
mod routes;
mod token;
mod v1;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, Response, StatusCode, header};
use rpc_host::refusals::{self, Refusals, TooMany};
use rpc_host::shares::Shares;
use rpc_host::strangers::Visit;
#[cfg(feature = "tls")]
use rpc_host::tls::TlsEntrance;
use rpc_host::web::{self, Asked, Verdict, WebPolicy, has_type};
use rpc_security::{Object, PeerCertificate, Permission, Shown};
use rpc_wire::paths;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub(crate) use entrance::serve_connection;
pub(crate) use refuse::connection as refuse_connection;

use arriving::Arriving;
use held::Held;
pub(crate) use routes::table as route_table;
use routes::{Entry, Route};

use crate::error::Refusal;
use crate::service::{Acknowledged, Deed, Pieces, Sender, Service};
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
    /// The requests' bodies.
    arriving: Arriving,
    /// Places for event streams.
    streams: Arc<Shares>,
    /// Cancelled at shutdown: streams end, long-polls get their replies.
    ending: CancellationToken,
    web: WebPolicy,
    /// An unknown host was logged.
    host_logged: AtomicBool,
    /// Who was refused of late for who they are.
    refusals: Refusals,
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
    /// What was shown on it last.
    shown: Arc<Mutex<Option<Shown>>>,
    /// Its place, and since when it has not shown who it is.
    visit: Arc<Visit>,
}

/// Who reads something that goes on, or that not everybody sees all of.
struct Visitor<'a> {
    peer: &'a Peer,
    sender: Sender,
    permission: Permission,
}

/// A whole body, or a stream of chunks.
type Reply = Response<Either<Full<Bytes>, UnsyncBoxBody<Bytes, Infallible>>>;

const OVERRIDE: HeaderName = HeaderName::from_static(paths::OVERRIDE_HEADER);
const TTL: HeaderName = HeaderName::from_static(paths::TTL_HEADER);
const DURABLE: HeaderName = HeaderName::from_static(paths::DURABLE_HEADER);
const WARMING: HeaderName = HeaderName::from_static(paths::WARMING_HEADER);
const FETCH_SITE: HeaderName = HeaderName::from_static(web::FETCH_SITE);
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Characters of a path in the audit log: strangers choose how long it is.
const MAX_AUDITED_PATH: usize = 400;

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
        let refusals = Refusals::default();
        let context = Context {
            arriving: Arriving::new(service.options.max_arriving_bytes),
            service,
            streams,
            ending,
            web,
            host_logged,
            refusals,
            ttl,
            #[cfg(feature = "tls")]
            tls,
        };
        Self { context: Arc::new(context) }
    }

    /// The service behind it.
    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.context.service
    }

    /// Replies to one request of a peer.
    async fn reply(&self, request: Request<Incoming>, peer: Peer) -> Reply {
        let (head, mut body) = request.into_parts();
        let (reply, is_stranger) = match self.route(&head, &mut body, &peer).await {
            Ok(reply) => (reply, false),
            Err(refusal) => {
                let is_stranger = refusal.is_of_doors();
                (refuse::reply(&refusal), is_stranger)
            }
        };
        body::discard(&head, &mut body, is_stranger, &self.context.service.options).await;
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
        self.refuse_foreign_pages(&head.headers, from.on_loopback)?;
        let entry = routes::find(&head.method, head.uri.path()).ok_or(Refusal::NotFound)?;
        let sender = from.sender(&self.context.service.options.guard, &head.headers);
        // Before anything of the body is read.
        let checked = sender.check(entry.permission, Object::Everything);
        let served = match checked {
            Ok(()) => {
                from.is_no_stranger(entry.permission);
                self.serve(entry, head, body, (from, &sender)).await
            }
            Err(refusal) => Err(refusal),
        };
        match served {
            Err(refusal) if refusal.is_of_doors() => {
                Err(self.slow_down(refusal, head, &sender).await)
            }
            served => served,
        }
    }

    /// Notes what is refused for who the sender is. Its reply waits a little; who is refused too often is
    /// only told to wait.
    async fn slow_down(&self, refusal: Refusal, head: &Parts, sender: &Sender) -> Refusal {
        let refusal = match self.context.refusals.note(sender.address, Instant::now()) {
            Err(TooMany) => Refusal::TooManyRefusals(TooMany),
            Ok(()) => {
                let path: String = head.uri.path().chars().take(MAX_AUDITED_PATH).collect();
                let what = format!("{} {path}: {refusal}", head.method);
                self.context.service.audit(Deed::Refused, sender, None, Some(what)).await;
                refusal
            }
        };
        tokio::time::sleep(refusals::DELAY).await;
        refusal
    }

    async fn serve(
        &self,
        Entry { route, permission, .. }: &'static Entry,
        head: &Parts,
        body: &mut Incoming,
        (from, sender): (&Peer, &Sender),
    ) -> Result<Reply, Refusal> {
        let service = &self.context.service;
        let reader = || Visitor { peer: from, sender: sender.clone(), permission: *permission };
        match route {
            Route::Register => {
                let body = self.json(head, body, from).await?;
                let acknowledged = service.register(&body, sender).await?;
                if held::is_held(&head.headers)
                    && let Some(key) = service.key_of(&body)
                {
                    from.held.note(service, [key], from.ip);
                }
                Ok(registered(acknowledged, self.context.ttl.as_ref()))
            }
            Route::Unregister => {
                let body = self.json(head, body, from).await?;
                let key = service.key_of(&body);
                let Acknowledged { of, durable } = service.unregister(&body, sender).await?;
                if let Some(key) = key {
                    from.held.forget(&key);
                }
                Ok(acknowledged(json(of), durable))
            }
            Route::Heartbeats => {
                let body = self.json(head, body, from).await?;
                let held_by = held::is_held(&head.headers).then_some(from);
                heartbeats::renew(service, &body, sender, held_by)
            }
            Route::ReleaseBrake => {
                sender.check(*permission, Object::AllInstances)?;
                service.check_audit().await?;
                service.audit(Deed::BrakeReleased, sender, None, None).await;
                Ok(health::release_brake(&self.context))
            }
            Route::SetOverride => {
                let key = overrides::key(head.uri.path(), &service.options)?;
                let body = self.json(head, body, from).await?;
                overrides::set(service, key, &body, sender).await
            }
            Route::ClearOverride => {
                let key = overrides::key(head.uri.path(), &service.options)?;
                overrides::clear(service, &key, sender).await
            }
            Route::FindAll => list::find_all(&self.context, head, reader()).await,
            Route::Instances => v1::instances(&self.context, head, reader()).await,
            Route::Overrides => Ok(overrides::list(service, sender.sight().as_deref())),
            Route::Watch => v1::watch(&self.context, head, reader()).await,
            Route::Catalog => v1::catalog(&self.context, &reader()).await,
            Route::Targets => v1::targets(&self.context, head, reader()).await,
            Route::Logs => {
                // Its lines are of all instances.
                sender.check(*permission, Object::AllInstances)?;
                v1::logs(&self.context, head, reader())
            }
            Route::Whoami => Ok(json(json!(sender.whoami()?).to_string().into())),
            Route::Healthz => Ok(health::live()),
            Route::Readyz => Ok(health::ready(&self.context)),
            Route::Metrics => {
                // They count all instances.
                sender.check(*permission, Object::AllInstances)?;
                Ok(health::metrics(&self.context, &head.headers))
            }
        }
    }

    /// A body that is JSON, by what its head says.
    async fn json(&self, head: &Parts, body: &mut Incoming, from: &Peer) -> Result<Bytes, Refusal> {
        check_content_type(&head.headers)?;
        let Context { service, arriving, .. } = &*self.context;
        body::read(body, &service.options, arriving, &from.cut).await
    }

    /// A web page must not use a registry on localhost.
    fn refuse_foreign_pages(&self, headers: &HeaderMap, on_loopback: bool) -> Result<(), Refusal> {
        let text = |name: HeaderName| headers.get_all(name).iter().map(|value| value.to_str().ok());
        let asked = Asked::read([header::HOST, header::ORIGIN, FETCH_SITE].map(text), on_loopback);
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

/// Refuses content types that a web page's form can send.
fn check_content_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let given = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    match has_type(given, headers.contains_key(header::ORIGIN), &["application/json"]) {
        true => Ok(()),
        false => Err(Refusal::NotJson),
    }
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
