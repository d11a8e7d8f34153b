//! The task that refreshes the list.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rpc_wire::paths::PROTO_JSON;
use tokio::time::Instant;

use super::listed::Listed;
use super::shared::Shared;
use crate::ClientOptions;
use crate::registry::{Answer, List, RegistryClient, RegistryClientError};

/// A refresh interval of zero would spin; an endless one cannot be jittered.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Refreshes the list at intervals, and at once when a call needs it.
pub(super) struct Refresh {
    shared: Arc<Shared>,
    registry: RegistryClient,
    etag: Option<String>,
    failing: bool,
}

impl Refresh {
    pub(super) fn new(shared: Arc<Shared>, registry: RegistryClient) -> Self {
        Self { shared, registry, etag: None, failing: false }
    }

    pub(super) async fn run(mut self) {
        loop {
            self.refresh().await;
            tokio::select! {
                () = tokio::time::sleep(self.pause()) => {}
                () = self.shared.refresh_wanted.notified() => {}
            }
        }
    }

    async fn refresh(&mut self) {
        let shared = Arc::clone(&self.shared);
        let context = &shared.context;
        let service = context.options.service.as_deref();
        let etag = self.etag.as_deref();
        let result = self.registry.list(PROTO_JSON, service, etag).await;
        self.note(&result);
        let now = Instant::now();
        shared.update(|list, contracts| {
            let list = match result {
                Ok(Answer { list: List::NotModified, .. }) => list.confirmed(now),
                Ok(Answer { list: List::Changed { mut instances, etag, invalid }, is_warming }) => {
                    // What is kept now must be asked for again when the registry knows better.
                    self.etag = etag.filter(|_| !is_warming);
                    // An older registry lists them all.
                    instances.retain(|it| service.is_none() || it.service() == service);
                    let refreshed = list.refreshed(instances, invalid, (context, contracts), now);
                    if is_warming { refreshed.with_others_of(list, contracts) } else { refreshed }
                }
                Err(error) => list.stale(error, now),
            };
            let notes_expired = contracts.retain(&list.all.identities(), now);
            Some(if notes_expired { list.with_usable(contracts) } else { list })
        });
        shared.refreshes.send_modify(|done| *done += 1);
        shared.learn_wanted.notify_one();
    }

    /// Logs changes of state only, however long an outage lasts.
    fn note(&mut self, result: &Result<Answer<Listed>, RegistryClientError>) {
        let registry = &self.shared.url;
        match result {
            Ok(_) if self.failing => tracing::info!(registry, "registry is reachable again"),
            Err(error) if !self.failing => {
                tracing::warn!(registry, %error, "cannot refresh the instances; keeping the last list");
            }
            _ => {}
        }
        self.failing = result.is_err();
    }

    /// The refresh interval, with a jitter of a tenth so that clients do not ask in step.
    fn pause(&self) -> Duration {
        interval(&self.shared.context.options).mul_f64(rand::rng().random_range(0.9..=1.1))
    }
}

/// The refresh interval, within what can be waited for.
pub(super) fn interval(options: &ClientOptions) -> Duration {
    options.refresh_interval.clamp(SHORTEST, LONGEST)
}
