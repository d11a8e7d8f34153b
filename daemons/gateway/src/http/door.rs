//! Who is let in: no foreign web pages, and callers that may call.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime};

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rpc_host::refusals::{self, Refusals};
use rpc_host::strangers::Visit;
use rpc_host::web::{self, Asked, Verdict, WebPolicy};
use rpc_security::secret::bearer;
use rpc_security::{AuditLog, Caller, Decision, Denied, Guard, Object, Permission, Role, Shown};
use tokio::time::sleep;
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{Http, PATH, refusal};
use crate::HttpOptions;
use crate::audit::Who;
use crate::problem::Problem;

/// What a call of a tool needs.
pub(super) const CALLS: Permission = Permission::Needs(Role::Call);

const FETCH_SITE: HeaderName = HeaderName::from_static(web::FETCH_SITE);

/// Where a connection comes from.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) ip: IpAddr,
    pub(super) on_loopback: bool,
    /// The connection.
    pub(super) visit: Arc<Visit>,
}

pub(super) struct Door {
    guard: Guard,
    audit: Option<AuditLog>,
    web: WebPolicy,
    refusals: Refusals,
    /// An unknown host was logged.
    host_logged: AtomicBool,
}

/// Who sends a request.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    guard: Guard,
    audit: Option<AuditLog>,
    address: IpAddr,
    shown: Option<Shown>,
}

impl Door {
    pub(super) fn new(options: &HttpOptions) -> Self {
        Self {
            guard: options.guard.clone(),
            audit: options.audit.clone(),
            web: WebPolicy::new(options.allowed_origins.clone(), options.allowed_hosts.clone()),
            refusals: Refusals::default(),
            host_logged: AtomicBool::new(false),
        }
    }

    /// Tells browsers that pages of the allowed origins may read the answers.
    pub(super) fn cors(&self) -> CorsLayer {
        let web = self.web.clone();
        let is_allowed = move |origin: &HeaderValue, head: &Parts| {
            let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
            origin.to_str().is_ok_and(|origin| web.allows(origin, host))
        };
        let own = ["mcp-protocol-version", "mcp-method", "mcp-name", "traceparent"];
        let own = own.map(HeaderName::from_static);
        let usual = [header::CONTENT_TYPE, header::AUTHORIZATION, header::ACCEPT];
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(is_allowed))
            .allow_methods([Method::POST])
            .allow_headers(usual.into_iter().chain(own).collect::<Vec<_>>())
    }

    /// The sender of a request with these headers, if it may call at all.
    ///
    /// # Errors
    /// What it is answered.
    pub(super) async fn let_in(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
    ) -> Result<Visitor, Response> {
        let guard = self.guard.clone();
        let given = headers.get_all(header::AUTHORIZATION).iter().map(HeaderValue::as_bytes);
        let shown = match guard.is_open() {
            true => None,
            false => bearer(given).map(|it| Shown::new(&guard, &it, SystemTime::now())),
        };
        let audit = self.audit.clone();
        let mut visitor = Visitor { guard, audit, address: peer.ip, shown };
        let Err(denied) = visitor.may_come() else {
            peer.visit.become_known();
            return Ok(visitor);
        };
        let noted = self.refusals.note(peer.ip, Instant::now());
        if noted.is_ok() {
            visitor.who().refused(&format!("POST {PATH}: {denied}")).await;
        }
        sleep(refusals::DELAY).await;
        if let Err(too_many) = noted {
            let problem = Problem::invalid_request(too_many.to_string());
            return Err(refusal(StatusCode::TOO_MANY_REQUESTS, &problem));
        }
        let problem = Problem::invalid_request(denied.to_string());
        Err(match denied {
            Denied::Unknown(_) => {
                let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
                (challenge, refusal(StatusCode::UNAUTHORIZED, &problem)).into_response()
            }
            _ => refusal(StatusCode::FORBIDDEN, &problem),
        })
    }

    fn judge(&self, headers: &HeaderMap, on_loopback: bool) -> Result<(), &'static str> {
        let text = |name: HeaderName| headers.get_all(name).iter().map(|value| value.to_str().ok());
        let asked = Asked::read([header::HOST, header::ORIGIN, FETCH_SITE].map(text), on_loopback);
        match self.web.judge(asked) {
            Verdict::Serve => Ok(()),
            Verdict::ServeUnknownHost => {
                if !self.host_logged.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        host = asked.host,
                        "a request names a host that is not known here"
                    );
                }
                Ok(())
            }
            Verdict::Refuse(why) => Err(why),
        }
    }
}

/// A web page must not use a gateway on localhost.
pub(super) async fn refuse_foreign_pages(
    State(http): State<Arc<Http>>,
    request: Request,
    next: Next,
) -> Response {
    let on_loopback = request.extensions().get::<Peer>().is_some_and(|peer| peer.on_loopback);
    match http.door.judge(request.headers(), on_loopback) {
        Ok(()) => next.run(request).await,
        Err(why) => refusal(StatusCode::FORBIDDEN, &Problem::invalid_request(why)),
    }
}

impl Visitor {
    fn caller<'a>(&self, shown: Option<&'a mut Shown>) -> Caller<'a> {
        let identity = shown.and_then(|it| it.identity(&self.guard, SystemTime::now).ok());
        Caller { identity: identity.map(|it| &**it), address: self.address }
    }

    /// Whether it may come in; counted and logged.
    fn may_come(&mut self) -> Result<(), Denied> {
        let mut shown = self.shown.take();
        let decision = self.guard.decide(self.caller(shown.as_mut()), CALLS, Object::Everything);
        self.shown = shown;
        match decision {
            Decision::Allowed | Decision::Warned(_) => Ok(()),
            Decision::Refused(denied) => Err(denied),
        }
    }

    /// Whether it still may, which is looked up again only if that may have changed.
    pub(super) fn may_stay(&mut self) -> bool {
        let mut shown = self.shown.take();
        let stays = self.guard.shows(self.caller(shown.as_mut()), CALLS, Object::Everything);
        self.shown = shown;
        stays
    }

    /// Whether it may call methods of that service.
    pub(super) fn may_call(&self, service: Option<&str>) -> bool {
        if self.guard.is_open() {
            return true;
        }
        let mut shown = self.shown.clone();
        self.guard.shows(self.caller(shown.as_mut()), CALLS, Object::Server { service })
    }

    /// Who it is, and where that is noted.
    pub(super) fn who(&self) -> Who {
        let mut shown = self.shown.clone();
        let name = self.caller(shown.as_mut()).identity.map(|it| it.name.clone());
        Who { name, address: Some(self.address), audit: self.audit.clone() }
    }
}
