//! What is known of the method of a call: learned in a part of its time, and never a reason to fail
//! unless a service must be chosen.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rpc_client::registry::{RegistryClient, RegistryClientError};
use rpc_client::{
    Args, CallError, Catalog, Client, ClientOptions, Code, Dialect, ListProblem, ListSource,
    NoSuchMethod, Phase, Request, Response, Rounded, Target,
};
use rpc_wire::instance::Instance;
use rpc_wire::paths::{ALL_YOUR_METHODS, PROTO_JSON, RPC_DISCOVER, RPC_WHOAMI};
use rpc_wire::signature::Signature;

use super::{mistaken, no_instance, offers, reserved};
use crate::arguments::Arguments;
use crate::failure::Failure;

/// How long a call waits to learn what all instances offer, if one offers its method.
const GRACE: Duration = Duration::from_millis(250);

/// More unnamed instances than this are taken for replicas of one older server: each would have to be asked.
const UNNAMED: usize = 16;

/// What was discovered, and the time that is left of a call.
#[derive(Debug)]
pub(super) struct Discovery<'a> {
    client: &'a Client,
    /// The client's.
    options: &'a ClientOptions,
    started: Instant,
    timeout: Duration,
    /// What look-ups may still take of it.
    budget: Duration,
    /// What the registry lists; empty: it was not asked.
    listed: Option<Vec<Instance>>,
    /// Whether one instance speaks for all of its service.
    asks_one: bool,
    /// Empty: nothing was asked for.
    found: Option<Result<Found, CallError>>,
    /// How long it took, by step.
    spent: Spent,
}

/// Who offers what.
#[derive(Debug)]
enum Found {
    /// The methods of the one server.
    OfOne(Vec<Signature>),
    /// Those of all instances.
    OfAll(Catalog),
}

/// Who does not have a method.
#[derive(Debug)]
pub(super) enum Missing {
    /// The one server.
    AtServer,
    /// Every instance; the error says so.
    Everywhere(CallError),
    /// The instances that could be asked; others could not.
    WhereAsked,
}

/// What the time of a discovery was spent on. The connection is one that the call needs, too.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    /// Before it was sent, without `connect`.
    pub(super) queue: Duration,
    /// Opening a connection and learning the dialect.
    pub(super) connect: Duration,
    /// The discovery itself.
    pub(super) discovery: Duration,
}

impl<'a> Discovery<'a> {
    /// Nothing is asked yet; the call has `timeout` from now on, and look-ups at most a quarter of it.
    pub(super) fn new(client: &'a Client, options: &'a ClientOptions, timeout: Duration) -> Self {
        let (started, spent) = (Instant::now(), Spent::default());
        let (listed, asks_one, found) = (None, false, None);
        let budget = timeout / 4;
        Self { client, options, started, timeout, budget, listed, asks_one, found, spent }
    }

    /// The same where no call waits: look-ups may take all of the time.
    pub(super) fn without_a_call(self) -> Self {
        Self { budget: self.timeout, ..self }
    }

    /// The same where the methods of the one server are known.
    pub(super) fn described(self, methods: Vec<Signature>) -> Self {
        Self { found: Some(Ok(Found::OfOne(methods))), ..self }
    }

    /// Whether it makes a difference: to how the arguments are read, or to whom is called. Instances of one
    /// service are not asked what they offer just to call them.
    pub(super) async fn is_needed(&mut self, arguments: &Arguments) -> bool {
        if arguments.need_schema() {
            return true;
        }
        let listed = self.listed().await;
        let services = listed.iter().map(Instance::service).collect::<BTreeSet<_>>();
        services.len() > 1 || may_differ_without_a_name(listed)
    }

    /// The method that is about to be called, as [`method`](Self::method), whatever its arguments are. A
    /// stream that is called as another method may run, and its items would be lost: servers of other makes
    /// do not refuse that. So each run asks, once; of a service whose instances need not be told apart, one.
    ///
    /// # Errors
    /// As [`method`](Self::method), or it is not a server that is called.
    pub(super) async fn before_a_call(
        &mut self,
        name: &str,
        arguments: &Arguments,
    ) -> Result<Option<&Signature>, Failure> {
        self.asks_one = !self.is_needed(arguments).await;
        self.method(name).await
    }

    /// What the registry lists of the service that is called; nothing for one server, or if it is unknown.
    pub(super) async fn listed(&mut self) -> &[Instance] {
        if self.listed.is_none() {
            let (started, within) = (Instant::now(), self.budget / 2);
            let listed = tokio::time::timeout(within, self.list()).await;
            self.budget = self.budget.saturating_sub(started.elapsed());
            self.listed = Some(listed.unwrap_or_default());
        }
        self.listed.as_deref().unwrap_or_default()
    }

    async fn list(&self) -> Vec<Instance> {
        let Target::Registry { url } = self.client.target() else { return Vec::new() };
        let Ok(registry) = RegistryClient::new(url, self.options.registry()) else {
            return Vec::new();
        };
        let mut listed = registry.find_all(PROTO_JSON).await.unwrap_or_default();
        listed.retain(|instance| offers::is_of(instance, self.options.service.as_deref()));
        listed
    }

    /// The method of that name, if the target says it has it, or every server has it.
    ///
    /// # Errors
    /// Services offer it with different signatures: one must be chosen. Or a registry is called, or no
    /// instance is of the service.
    pub(super) async fn method(&mut self, name: &str) -> Result<Option<&Signature>, Failure> {
        if let Some(reserved) = reserved::find(name) {
            return Ok(Some(reserved));
        }
        let options = self.options;
        if let Err(error) = self.found(name).await {
            if let Some(failure) = mistaken::registry(error).await {
                return Err(failure);
            }
            if let Some(failure) = no_instance::of_error(error, options).await {
                return Err(failure);
            }
        }
        match self.found(name).await {
            Ok(Found::OfOne(methods)) => Ok(methods.iter().find(|method| method.name == name)),
            Ok(Found::OfAll(catalog)) => match catalog.method(name) {
                Some(method) => Ok(offers::chosen(method)?.map(|variant| variant.signature)),
                None => Ok(None),
            },
            Err(_) => Ok(None),
        }
    }

    /// The names that the one server has; none of a registry, whose client suggests names itself.
    pub(super) async fn methods(&mut self) -> &[Signature] {
        match self.found("").await {
            Ok(Found::OfOne(methods)) => methods,
            _ => &[],
        }
    }

    /// What to know before the method is called through a registry; see [`offers::unnamed_hint`].
    pub(super) fn hint(&self, name: &str) -> Option<String> {
        match &self.found {
            Some(Ok(Found::OfAll(catalog))) => offers::unnamed_hint(&catalog.method(name)?),
            _ => None,
        }
    }

    /// Whether all that was asked for says the same of the method: of instances that differ, another one than was
    /// asked may be called.
    pub(super) fn is_sure(&self, name: &str) -> bool {
        match &self.found {
            Some(Ok(Found::OfOne(methods))) => methods.iter().any(|method| method.name == name),
            Some(Ok(Found::OfAll(catalog))) => {
                catalog.method(name).is_some_and(|method| method.variants.len() == 1)
            }
            _ => false,
        }
    }

    /// Who is known not to have this method, if nobody is known to have it.
    pub(super) fn missing(&self, name: &str) -> Option<Missing> {
        match self.found.as_ref()?.as_ref().ok()? {
            Found::OfOne(methods) if methods.iter().any(|it| it.name == name) => None,
            Found::OfOne(_) => Some(Missing::AtServer),
            Found::OfAll(catalog) if catalog.method(name).is_some() => None,
            Found::OfAll(catalog) if catalog.unknown.is_empty() => {
                let service = self.options.service.clone();
                let error = NoSuchMethod { service, ..catalog.no_such_method(name) };
                Some(Missing::Everywhere(CallError::NoSuchMethod(Box::new(error))))
            }
            Found::OfAll(_) => Some(Missing::WhereAsked),
        }
    }

    /// The error with which calls of this caller are refused, if that is so: of a notification nobody tells. Who may
    /// not ask for the methods may call all the same, unless the server does not know who it is.
    pub(super) async fn refusal(&self) -> Option<CallError> {
        let error = match self.found.as_ref()? {
            Err(error) => error,
            Ok(Found::OfAll(catalog)) if catalog.replicas.is_empty() => {
                &catalog.unknown.first()?.reason
            }
            Ok(_) => return None,
        };
        if !is_refusal(error) {
            return None;
        }
        self.ask(RPC_WHOAMI).await.err().filter(is_refusal)
    }

    /// Who asks.
    pub(super) fn client(&self) -> &Client {
        self.client
    }

    /// Its options.
    pub(super) fn options(&self) -> &'a ClientOptions {
        self.options
    }

    /// Why nothing was discovered.
    pub(super) fn error(&self) -> Option<&CallError> {
        self.found.as_ref()?.as_ref().err()
    }

    /// Asked for at most once.
    async fn found(&mut self, method: &str) -> Result<&Found, &CallError> {
        let found = match self.found.take() {
            Some(found) => found,
            None => self.discover(method).await,
        };
        self.found.insert(found).as_ref()
    }

    /// A call does not wait for an instance that does not reply, once another one offers the method.
    async fn of_all(&self, method: &str) -> Result<Catalog, CallError> {
        loop {
            let asked = Instant::now();
            let found = self.client.catalog_within(GRACE).await;
            let is_over = asked.elapsed() < GRACE;
            match found {
                Ok(catalog) if is_over || catalog.method(method).is_some() => return Ok(catalog),
                Err(error) if is_over => return Err(error),
                // Some have not replied yet; the caller limits the time.
                Ok(_) | Err(_) => {}
            }
        }
    }

    async fn discover(&mut self, method: &str) -> Result<Found, CallError> {
        let started = Instant::now();
        // A server that does not reply to this one must leave time for the call.
        let within = self.budget;
        let found = tokio::time::timeout(within, async {
            match self.client.target() {
                Target::Direct { .. } | Target::JsonRpc { .. } => {
                    self.methods_of_one().await.map(Found::OfOne)
                }
                Target::Registry { .. } => self.of_instances(method).await,
            }
        })
        .await;
        self.budget = self.budget.saturating_sub(started.elapsed());
        let before = self.spent.queue + self.spent.connect;
        self.spent.discovery = started.elapsed().saturating_sub(before);
        found
            .unwrap_or_else(|_| Err(self.late(within)))
            .inspect_err(|error| tracing::debug!(%error, "no discovery"))
    }

    /// The error of a discovery that did not end within that time.
    fn late(&self, after: Duration) -> CallError {
        let target = self.client.target();
        let status = self.client.list_status().filter(|it| it.source == ListSource::None);
        match (target, status.map(|it| it.problem)) {
            (
                Target::Registry { .. },
                Some(Some(ListProblem::Registry(
                    error @ (RegistryClientError::Unreachable { .. }
                    | RegistryClientError::Insecure { .. }),
                ))),
            ) => CallError::Registry(error),
            (Target::Registry { url }, Some(_)) => {
                let (url, reason) = (url.clone(), format!("no reply within {}", Rounded(after)));
                CallError::Registry(RegistryClientError::Unreachable { url, reason })
            }
            _ => CallError::Timeout { peer: target.to_string(), phase: Phase::Reply, after },
        }
    }

    /// What one of the instances does not have, another one may.
    async fn of_instances(&mut self, method: &str) -> Result<Found, CallError> {
        if self.asks_one
            && let Ok(methods) = self.methods_of_one().await
            && methods.iter().any(|known| known.name == method)
        {
            return Ok(Found::OfOne(methods));
        }
        self.of_all(method).await.map(Found::OfAll)
    }

    /// As [`Client::methods`], which does not say what its time was spent on.
    async fn methods_of_one(&mut self) -> Result<Vec<Signature>, CallError> {
        let started = Instant::now();
        match self.ask(RPC_DISCOVER).await {
            Ok(reply) if reply.dialect != Dialect::Classic => {
                self.spent.queue = reply.timing.queue;
                self.spent.connect = reply.timing.connect;
                return reply.methods(self.options);
            }
            Ok(_) => {}
            // Its words for that are the client's to find.
            Err(error)
                if reserved::is_missing(&error)
                    && self.client.dialect() == Some(Dialect::JsonRpc) =>
            {
                return self.client.methods().await;
            }
            Err(error) if reserved::is_missing(&error) => {}
            Err(error) => return Err(error),
        }
        let refused = started.elapsed();
        let reply = self.ask(ALL_YOUR_METHODS).await?;
        // An error has no timing: what it took beyond such a reply was spent on connecting.
        let replying = reply.timing.server + reply.timing.transfer;
        self.spent.connect = reply.timing.connect + refused.saturating_sub(replying);
        reply.methods(self.options)
    }

    async fn ask(&self, method: &str) -> Result<Response, CallError> {
        let request = Request::new(method, Args::none())
            .map_err(|error| CallError::BadArguments(error.to_string()))?;
        self.client.request(Request { idempotent: true, ..request }).await
    }

    /// Whether anything was asked for.
    pub(super) fn was_made(&self) -> bool {
        self.found.is_some() || self.listed.is_some()
    }

    /// What is left of the call's time; never nothing, so that the call fails by itself.
    pub(super) fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.started.elapsed()).max(Duration::from_millis(1))
    }

    /// The time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// What its time was spent on.
    pub(super) fn spent(&self) -> Spent {
        self.spent
    }

    /// All the time there was.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }
}

fn is_refusal(error: &CallError) -> bool {
    matches!(error, CallError::Remote { fault, .. } if fault.code == Code::Unauthorised)
}

/// Whether some of the instances without a name may be another server than the rest of them.
fn may_differ_without_a_name(listed: &[Instance]) -> bool {
    let unnamed = || listed.iter().filter(|instance| instance.service().is_none());
    let count = unnamed().count();
    let first = unnamed().next().and_then(Instance::contract);
    (2..=UNNAMED).contains(&count)
        && (first.is_none() || unnamed().any(|instance| instance.contract() != first))
}
