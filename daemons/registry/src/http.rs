//! Routes to the service: the three of the older system first, then what was added.
//!
//! The three are matched by hand, before axum's router: they are what a registry does all day.

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

use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use axum::routing::get;
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use rpc_wire::paths;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::debug;

pub(crate) use connection::serve_connection;

use crate::error::Refusal;
use crate::service::Service;

/// The registry as HTTP, shared by all connections.
#[derive(Debug)]
pub(crate) struct Http {
    context: Arc<Context>,
    router: Router,
}

/// What the routes work with.
#[derive(Debug)]
struct Context {
    service: Arc<Service>,
    /// A permit per open event stream.
    streams: Arc<Semaphore>,
    /// Cancelled when the registry ends: streams end, long-polls are answered.
    ending: CancellationToken,
}

/// Whole bytes where there is one piece, else axum's body.
type Answer = Response<Either<Full<Bytes>, Body>>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Http {
    pub(crate) fn new(service: Arc<Service>, ending: CancellationToken) -> Self {
        let max_streams = service.options.max_watchers.min(Semaphore::MAX_PERMITS);
        let streams = Arc::new(Semaphore::new(max_streams));
        let context = Arc::new(Context { service, streams, ending });
        let not_found = || async { Refusal::NotFound };
        let router = Router::new()
            .route(paths::INSTANCES, get(v1::instances))
            .route(paths::WATCH, get(v1::watch))
            .route(paths::LOGS, get(v1::logs))
            .route(paths::HEALTHZ, get(health::live))
            .route(paths::READYZ, get(health::ready))
            .route(paths::METRICS, get(health::metrics))
            .fallback(not_found)
            .method_not_allowed_fallback(not_found)
            .with_state(Arc::clone(&context));
        Self { context, router }
    }

    /// The service behind it.
    pub(crate) fn service(&self) -> &Arc<Service> {
        &self.context.service
    }

    /// Answers one request of a peer.
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Answer {
        let (head, mut body) = request.into_parts();
        let answer = match self.route(&head, &mut body, peer).await {
            Ok(answer) => answer,
            Err(refusal) => refuse::answer(&refusal),
        };
        body::discard(&head, &mut body, &self.context.service.options).await;
        let status = answer.status().as_u16();
        if status >= 400 {
            self.context.service.metrics.refuse(status);
        }
        debug!(%peer, method = %head.method, path = head.uri.path(), status, "request");
        answer
    }

    async fn route(
        &self,
        head: &Parts,
        body: &mut Incoming,
        peer: IpAddr,
    ) -> Result<Answer, Refusal> {
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
            _ => {
                let request = Request::from_parts(head.clone(), Body::empty());
                let Ok(answer) = self.router.clone().oneshot(request).await;
                Ok(answer.map(Either::Right))
            }
        }
    }

    /// A browser names the page a request comes from: only configured ones may use a registry.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let allowed = &self.context.service.options.allowed_origins;
        let is_allowed = |origin: &HeaderValue| allowed.iter().any(|known| origin == known);
        let allowed = headers.get_all(header::ORIGIN).iter().all(is_allowed);
        if allowed { Ok(()) } else { Err(Refusal::Origin) }
    }
}

/// What is posted must not be something a web page's form can send. Older programs need not say
/// what they send (http.client does not), so no content type at all is taken for JSON, except from
/// a browser.
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

fn json(body: Bytes) -> Answer {
    with_type(StatusCode::OK, JSON, body)
}

fn with_type(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer
}
