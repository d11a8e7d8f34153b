//! The task that keeps the list fresh.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rpc_wire::paths::PROTO_JSON;
use tokio::time::Instant;

use super::shared::Shared;
use crate::registry::{List as Answer, RegistryClient, RegistryError};

/// A refresh interval of nothing would spin, one of for ever cannot be jittered.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Asks the registry again and again, at once when somebody wants it.
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
        let answer = self.registry.find_all_if_changed(PROTO_JSON, self.etag.as_deref()).await;
        self.note(&answer);
        let now = Instant::now();
        self.shared.update(|list| {
            Some(match answer {
                Ok(Answer::NotModified) => list.confirmed(now),
                Ok(Answer::Changed { instances, etag }) => {
                    self.etag = etag;
                    list.refreshed(instances, &self.shared.context, now)
                }
                Err(error) => list.stale(error.to_string(), now),
            })
        });
        self.shared.refreshes.send_modify(|done| *done += 1);
    }

    /// One line per change of state, however long an outage lasts.
    fn note(&mut self, answer: &Result<Answer, RegistryError>) {
        let registry = &self.shared.url;
        match answer {
            Ok(_) if self.failing => tracing::info!(registry, "registry answers again"),
            Err(error) if !self.failing => {
                tracing::warn!(registry, %error, "cannot refresh the instances; keeping the last list");
            }
            _ => {}
        }
        self.failing = answer.is_err();
    }

    /// The refresh interval, a tenth more or less so that clients do not ask in step.
    fn pause(&self) -> Duration {
        let refresh = self.shared.context.options.refresh_interval.clamp(SHORTEST, LONGEST);
        refresh.mul_f64(rand::rng().random_range(0.9..=1.1))
    }
}
