//! What every connection of one server shares.

use std::sync::Arc;
#[cfg(feature = "http")]
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use rpc_host::logging::LogRing;
use rpc_host::refusals::Refusals;
#[cfg(feature = "tls")]
use rpc_host::tls::TlsEntrance;
#[cfg(feature = "http")]
use rpc_host::web::WebPolicy;
use rpc_security::{Guard, Object, Permission};
use rpc_wire::WIRE_VERSION;
use rpc_wire::instance::is_service_name;
#[cfg(feature = "announce")]
use rpc_wire::instance::{Parameters, SERVICE_KEY, VERSION_KEY, WIRE_KEY};
#[cfg(all(feature = "announce", feature = "tls"))]
use rpc_wire::instance::{TLS_KEY, Tls};
use rpc_wire::report::{Health, HealthStatus, ServerStats};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Limits;
use crate::admission::Admission;
use crate::buffers::Buffers;
use crate::catalogue::{About, Catalogue};
use crate::drain::Drain;
use crate::extract::States;
use crate::lag::Lag;
use crate::layer::Next;
use crate::method::{Method, Methods};
#[cfg(feature = "http")]
use crate::metrics::Facts;
use crate::metrics::Metrics;
use crate::older_clients::OlderClients;
use crate::places::calls::CallPlaces;

/// Who the server is: for the registry, discovery and health.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The name of its service.
    pub(crate) service: String,
    /// What people read instead of the service's name; `None`: the name.
    pub(crate) title: Option<String>,
    pub(crate) version: String,
}

impl Identity {
    pub(crate) fn about(&self) -> About<'_> {
        let title = self.title.as_deref().unwrap_or(&self.service);
        About { title, version: &self.version }
    }
}

/// What the builder was told of it.
#[derive(Debug, Default)]
pub(crate) struct GivenIdentity {
    pub(crate) service: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) version: Option<String>,
}

impl From<GivenIdentity> for Identity {
    fn from(given: GivenIdentity) -> Self {
        Self {
            service: given.service.unwrap_or_else(program_name),
            title: given.title,
            version: given.version.unwrap_or_else(|| "0.0.0".to_owned()),
        }
    }
}

/// The name of the program's file.
fn program_name() -> String {
    let program = std::env::current_exe().ok();
    let name = program.as_ref().and_then(|path| path.file_stem()?.to_str());
    name.filter(|name| is_service_name(name)).unwrap_or("rpc-server").to_owned()
}

/// What all sessions of a server share.
pub(crate) struct ServerState {
    pub(crate) identity: Identity,
    pub(crate) methods: Methods,
    /// What methods take as `State`.
    pub(crate) states: States,
    /// The layers around all methods; `None`: calls go straight to them.
    pub(crate) layers: Option<Next>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    /// Open files that connections leave to something else.
    pub(crate) kept_files: AtomicUsize,
    /// What is kept for all connections.
    pub(crate) buffers: Arc<Buffers>,
    /// Places for calls in flight.
    pub(crate) places: CallPlaces,
    pub(crate) admission: Admission,
    pub(crate) lag: Lag,
    pub(crate) log_ring: Option<LogRing>,
    /// Who may do what.
    pub(crate) guard: Guard,
    pub(crate) refusals: Refusals,
    /// Which requests a foreign web page may have caused.
    #[cfg(feature = "http")]
    pub(crate) web: WebPolicy,
    /// An unknown host was logged.
    #[cfg(feature = "http")]
    pub(crate) host_logged: AtomicBool,
    /// Methods that come and go, and what discovery shows of all.
    pub(crate) catalogue: Arc<Catalogue>,
    /// Whether it takes no new calls for now.
    pub(crate) drain: Arc<Drain>,
    pub(crate) older_clients: OlderClients,
    /// The entrance by TLS, if there is one.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Arc<TlsEntrance>>,
    /// What goes on behind the HTTP requests that brought it.
    pub(crate) notifications: TaskTracker,
    /// The server is shutting down: calls in flight get their replies, new ones are refused.
    pub(crate) draining: CancellationToken,
    /// The drain took too long: everything stops now.
    pub(crate) aborted: CancellationToken,
}

impl ServerState {
    /// The state of a server without anything else.
    pub(crate) fn new(identity: Identity, methods: Methods, limits: Limits) -> Self {
        let names = methods.signatures().map(|signature| signature.name.clone());
        let metrics = Metrics::new(names, Instant::now());
        Self {
            catalogue: Arc::new(Catalogue::new(&methods, identity.about())),
            identity,
            methods,
            states: States::default(),
            layers: None,
            kept_files: AtomicUsize::new(0),
            buffers: Buffers::new(limits.max_buffered_bytes),
            places: CallPlaces::new(&limits),
            limits,
            metrics,
            admission: Admission::default(),
            lag: Lag::new(),
            log_ring: None,
            guard: Guard::open(),
            refusals: Refusals::default(),
            #[cfg(feature = "http")]
            web: WebPolicy::default(),
            #[cfg(feature = "http")]
            host_logged: AtomicBool::new(false),
            drain: Arc::default(),
            older_clients: OlderClients::new(Instant::now()),
            #[cfg(feature = "tls")]
            tls: None,
            notifications: TaskTracker::new(),
            draining: CancellationToken::new(),
            aborted: CancellationToken::new(),
        }
    }

    /// The position of a method, its own or one that can be replaced.
    pub(crate) fn position(&self, name: &str, likely: usize) -> Option<usize> {
        let own = self.methods.find(name, likely).map(|(position, _)| position);
        own.or_else(|| Some(self.catalogue.find(name)?.get()?.0))
    }

    /// Whether a method is a stream; `None`: there is no such method.
    #[cfg(feature = "http")]
    pub(crate) fn is_stream(&self, name: &str) -> Option<bool> {
        let own = self.methods.find(name, 0).map(|(_, method)| method.signature().stream);
        own.or_else(|| Some(self.catalogue.find(name)?.get()?.1.signature().stream))
    }

    /// What a call of the method at that position needs; `None`: there is no such method any longer.
    pub(crate) fn permission(&self, position: usize) -> Option<Permission> {
        let own = self.methods.at(position).map(Method::permission);
        own.or_else(|| self.catalogue.load().at(position).map(Method::permission))
    }

    /// Methods served now, without those that every server has.
    pub(crate) fn method_count(&self) -> usize {
        self.methods.signatures().count() + self.catalogue.load().count()
    }

    /// What every call is about, and every request.
    pub(crate) fn object(&self) -> Object<'_> {
        Object::Server { service: Some(&self.identity.service) }
    }

    pub(crate) fn health(&self, now: Instant) -> Health {
        let draining = self.draining.is_cancelled() || self.drain.is_on();
        Health {
            status: if draining { HealthStatus::Draining } else { HealthStatus::Ok },
            wire: WIRE_VERSION,
            version: self.identity.version.clone(),
            service: Some(self.identity.service.clone()),
            contract: Some(self.catalogue.load().contract.to_string()),
            uptime_ms: u64::try_from(self.metrics.uptime(now).as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// What the registry is told of this server.
    #[cfg(feature = "announce")]
    pub(crate) fn facts(&self) -> Parameters {
        let Identity { service, version, .. } = &self.identity;
        let facts = [
            (WIRE_KEY, WIRE_VERSION.into()),
            (SERVICE_KEY, service.as_str().into()),
            (VERSION_KEY, version.as_str().into()),
        ];
        let facts = facts.map(|(key, value): (&str, serde_json::Value)| (key.to_owned(), value));
        #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "only for TLS"))]
        let mut facts: Parameters = facts.into_iter().collect();
        #[cfg(feature = "tls")]
        if self.tls.is_some() {
            let tls = if self.takes_tls_only() { Tls::Required } else { Tls::Offered };
            facts.insert(TLS_KEY.to_owned(), tls.name().into());
        }
        facts
    }

    /// Whether plain text is refused.
    pub(crate) fn takes_tls_only(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.as_ref().is_some_and(|entrance| entrance.is_only());
        #[cfg(not(feature = "tls"))]
        false
    }

    pub(crate) fn stats(&self, now: Instant) -> ServerStats {
        let in_flight = self.places.taken() as u64;
        self.metrics.snapshot(now, in_flight, self.log_lines_dropped())
    }

    /// What `/metrics` has beside the metrics.
    #[cfg(feature = "http")]
    pub(crate) fn metric_facts(&self, now: Instant) -> Facts<'_> {
        Facts {
            service: &self.identity.service,
            version: &self.identity.version,
            contract: self.catalogue.load().contract.clone(),
            uptime: self.metrics.uptime(now),
            calls_in_flight: self.places.taken(),
            buffered_bytes: self.buffers.kept(),
            lag: self.lag.at(now),
            log_lines_dropped: self.log_lines_dropped(),
            guard: self.guard.figures(),
            #[cfg(feature = "tls")]
            tls: self.tls.as_ref().map(|entrance| entrance.figures()),
        }
    }

    fn log_lines_dropped(&self) -> u64 {
        self.log_ring.as_ref().map_or(0, LogRing::dropped)
    }
}
