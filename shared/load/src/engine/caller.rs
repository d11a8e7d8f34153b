//! What makes the calls of a run: a connection, or a fake in tests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rpc_client::{CallError, Client, ClientError, ClientOptions, Request, Target};

use super::run::Run;

/// Makes calls, any number concurrently.
pub(super) trait Caller: Clone + Send + Sync + 'static {
    fn call(&self) -> impl Future<Output = Outcome> + Send;

    /// Whether a further call may reach another instance than the last one did.
    fn has_choice(&self) -> bool;
}

/// How a call ended.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The instance that replied or should have; `None` if the error names it, or there is none.
    pub(super) peer: Option<String>,
    /// Attempts beyond the first that this caller made since its last outcome. With several calls in
    /// flight some may be another one's; all of them together are every one.
    pub(super) retries: u64,
    /// Where attempts failed that were made again on another instance, and how many; likewise.
    pub(super) retried_at: Vec<(String, u64)>,
    /// What of its time was spent on attempts before the one that replied.
    pub(super) earlier: Duration,
    pub(super) error: Option<CallError>,
}

/// A client of its own, so that it has its own connection to each instance.
#[derive(Debug, Clone)]
pub(super) struct ClientCaller {
    client: Client,
    request: Request,
    /// The only instance it can reach.
    only: Option<String>,
    /// Retries that its outcomes have reported. A call that fails does not say how many it took, but the
    /// client counts them.
    reported: Arc<AtomicU64>,
    /// The same by instance.
    reported_at: Arc<Mutex<HashMap<String, u64>>>,
}

/// The clients of thread `index`, on the current runtime.
pub(super) fn clients(
    run: &Run,
    index: usize,
    target: &Target,
    options: &ClientOptions,
) -> Result<Vec<ClientCaller>, ClientError> {
    let plan = &run.plan;
    if let Some(on) = &plan.on {
        Target::direct(on)?;
    }
    let request = Request {
        method: plan.method.clone(),
        args: plan.args.clone(),
        timeout: plan.timeout,
        idempotent: plan.idempotent,
        service: None,
        on: plan.on.clone(),
        listed: None,
        traceparent: None,
        wire: None,
        attempts: None,
    };
    let only = match (&plan.on, target) {
        (Some(on), _) => Some(on.clone()),
        (None, target) => target.address(),
    };
    let client = || {
        let client = Client::new(target.clone(), options.clone())?;
        let (reported, reported_at) = (Arc::default(), Arc::default());
        let (request, only) = (request.clone(), only.clone());
        Ok(ClientCaller { client, request, only, reported, reported_at })
    };
    (0..run.share(plan.connections, index)).map(|_| client()).collect()
}

/// Closes them; a peer that does not close in time must not keep the thread alive.
pub(super) async fn close(clients: Vec<ClientCaller>) {
    let all = clients.iter().map(|caller| caller.client.close());
    let _ = tokio::time::timeout(Duration::from_secs(1), futures_util::future::join_all(all)).await;
}

impl ClientCaller {
    /// Where attempts failed that were made again elsewhere, since this was asked before.
    fn retried_at(&self) -> Vec<(String, u64)> {
        let mut reported = self.reported_at.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.client.instances();
        let new = known.iter().filter(|known| known.retried > 0).filter_map(|known| {
            let address = known.instance.key().to_string();
            let before = reported.insert(address.clone(), known.retried).unwrap_or_default();
            // One that was listed anew begins again.
            let new = known.retried.checked_sub(before).unwrap_or(known.retried);
            (new > 0).then_some((address, new))
        });
        new.collect()
    }
}

impl Caller for ClientCaller {
    async fn call(&self) -> Outcome {
        let result = self.client.request(self.request.clone()).await;
        let made = self.client.stats().retries;
        // All calls of a client run on one thread.
        let retries = made - self.reported.swap(made, Ordering::Relaxed);
        let retried_at = if retries > 0 { self.retried_at() } else { Vec::new() };
        let (peer, earlier, error) = match result {
            Ok(response) => (Some(response.peer), response.timing.earlier, None),
            Err(error) => (self.only.clone(), Duration::ZERO, Some(error)),
        };
        Outcome { peer, retries, retried_at, earlier, error }
    }

    fn has_choice(&self) -> bool {
        self.only.is_none() && self.client.instances().len() > 1
    }
}
