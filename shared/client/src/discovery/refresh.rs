//! The task that refreshes the list.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rpc_wire::mutants::mutant;
use rpc_wire::paths::PROTO_JSON;
use tokio::time::Instant;

use super::doubt::anyone_answers;
use super::listed::Listed;
use super::shared::Shared;
use crate::registry::{Answer, List, RegistryClient, RegistryClientError};
use crate::{ClientOptions, ListProblem};

/// A refresh interval of zero would spin; an endless one cannot be jittered.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Refreshes the list at intervals, and at once when a call needs it.
pub(super) struct Refresh {
    shared: Arc<Shared>,
    registry: RegistryClient,
    etag: Option<String>,
    /// Its last list has nobody that could be called.
    lists_nobody: bool,
    /// Entries of its last list that were skipped.
    invalid: usize,
}

/// What becomes of the list.
enum Outcome {
    Confirmed,
    Replaced { instances: Vec<Listed>, is_warming: bool },
    Kept(ListProblem),
}

impl Refresh {
    pub(super) fn new(shared: Arc<Shared>, registry: RegistryClient) -> Self {
        Self { shared, registry, etag: None, lists_nobody: false, invalid: 0 }
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
        let service = self.shared.context.options.service.as_deref();
        let answer = self.registry.list(PROTO_JSON, service, self.etag.as_deref()).await;
        let outcome = self.judge(answer).await;
        self.apply(outcome);
        self.shared.refreshed.send_replace(Some(Instant::now()));
        self.shared.learn_wanted.notify_one();
    }

    async fn judge(&mut self, answer: Result<Answer<Listed>, RegistryClientError>) -> Outcome {
        let (instances, is_warming) = match answer {
            Err(error) => return Outcome::Kept(ListProblem::Registry(error)),
            Ok(Answer { list: List::NotModified, .. }) if !self.lists_nobody => {
                return Outcome::Confirmed;
            }
            // Whoever answered when it began to list nobody may have ended since.
            Ok(Answer { list: List::NotModified, .. }) => (Vec::new(), false),
            Ok(Answer { list: List::Changed { mut instances, etag, invalid }, is_warming }) => {
                // What is kept now must be asked for again when the registry knows better.
                self.etag = etag.filter(|_| !is_warming);
                // An older registry lists them all.
                let service = self.shared.context.options.service.as_deref();
                instances.retain(|it| service.is_none() || it.service() == service);
                self.invalid = invalid;
                self.lists_nobody = instances.is_empty();
                (instances, is_warming)
            }
        };
        // It may have just started, and older ones do not say so.
        let is_doubted = instances.is_empty() && !is_warming && !mutant("empty-list-believed");
        let list = self.shared.list.load_full();
        if is_doubted && anyone_answers(&list, self.shared.context.options.max_probes).await {
            return Outcome::Kept(ListProblem::ListsNobody);
        }
        Outcome::Replaced { instances, is_warming }
    }

    fn apply(&self, outcome: Outcome) {
        let (context, invalid) = (&self.shared.context, self.invalid);
        let now = Instant::now();
        self.shared.update(|list, contracts| {
            let next = match outcome {
                Outcome::Confirmed => list.confirmed(now),
                Outcome::Kept(problem) => list.kept(problem, invalid),
                Outcome::Replaced { instances, is_warming } => {
                    let refreshed = list.refreshed(instances, invalid, (context, contracts), now);
                    if is_warming { refreshed.with_others_of(list, contracts) } else { refreshed }
                }
            };
            self.log_change(list.problem.as_ref(), next.problem.as_ref());
            let notes_expired = contracts.retain(&next.all.identities(), now);
            Some(if notes_expired { next.with_usable(contracts) } else { next })
        });
    }

    /// Logs changes of state only, however long an outage lasts.
    fn log_change(&self, before: Option<&ListProblem>, problem: Option<&ListProblem>) {
        let registry = &self.shared.url;
        let is_same = before.map(std::mem::discriminant) == problem.map(std::mem::discriminant);
        match problem {
            _ if is_same => {}
            None => tracing::info!(registry, "the registry's list is used again"),
            Some(ListProblem::Registry(error)) => {
                tracing::warn!(registry, %error, "cannot refresh the instances; keeping the last list");
            }
            Some(problem) => tracing::warn!(registry, "{problem}; keeping the last list"),
        }
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
