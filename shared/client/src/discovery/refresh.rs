//! The task that refreshes the list.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rpc_wire::paths::PROTO_JSON;
use tokio::time::Instant;

use super::shared::Shared;
use crate::registry::{List as Listed, RegistryClient, RegistryClientError};

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
        let result = self.registry.find_all_if_changed(PROTO_JSON, self.etag.as_deref()).await;
        self.note(&result);
        let now = Instant::now();
        self.shared.update(|list| {
            Some(match result {
                Ok(Listed::NotModified) => list.confirmed(now),
                Ok(Listed::Changed { instances, etag, invalid }) => {
                    self.etag = etag;
                    list.refreshed(instances, invalid, &self.shared.context, now)
                }
                Err(error) => list.stale(error, now),
            })
        });
        self.shared.refreshes.send_modify(|done| *done += 1);
    }

    /// Logs changes of state only, however long an outage lasts.
    fn note(&mut self, result: &Result<Listed, RegistryClientError>) {
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
        let refresh = self.shared.context.options.refresh_interval.clamp(SHORTEST, LONGEST);
        refresh.mul_f64(rand::rng().random_range(0.9..=1.1))
    }
}
