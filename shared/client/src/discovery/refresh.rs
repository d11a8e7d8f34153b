//! The task that refreshes the list.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rpc_wire::instance::InstanceKey;
use rpc_wire::mutants::mutant;
use rpc_wire::paths::PROTO_JSON;
use tokio::time::Instant;

use super::disk::Disk;
use super::doubt::anyone_answers;
use super::list::Origin;
use super::listed::Listed;
use super::pace::Pace;
use super::shared::Shared;
use crate::backoff::Backoff;
use crate::registry::{Answer, List, RegistryClient, RegistryClientError};
use crate::{ClientOptions, ListProblem};

/// A refresh interval of zero would spin; an endless one cannot be jittered.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// A registry is not asked to wait any longer for a change.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// What changes together, such as several servers that start, is read together.
const GATHERING: Duration = Duration::from_millis(20);

/// Refreshes the list at intervals, and at once when a call needs it. A registry that can is asked to wait for
/// that interval and to reply as soon as its list changes.
pub(super) struct Refresh {
    shared: Arc<Shared>,
    registry: RegistryClient,
    disk: Option<Arc<Disk>>,
    etag: Option<String>,
    /// Its last list has nobody that could be called.
    lists_nobody: bool,
    /// Entries of its last list that were skipped.
    invalid: usize,
    /// Requests that failed in a row.
    failures: u32,
    /// Requests for calls that need an instance.
    looks: Pace,
    /// Requests that follow a change at once.
    changes: Pace,
}

/// What becomes of the list.
enum Outcome {
    Confirmed,
    Replaced { instances: Vec<Listed>, is_warming: bool },
    Kept(ListProblem),
}

impl Refresh {
    pub(super) fn new(
        shared: Arc<Shared>,
        registry: RegistryClient,
        disk: Option<Arc<Disk>>,
    ) -> Self {
        let now = Instant::now();
        let every = interval(&shared.context.options).min(super::MIN_REFRESH_GAP);
        Self {
            shared,
            registry,
            disk,
            etag: None,
            lists_nobody: false,
            invalid: 0,
            failures: 0,
            looks: Pace::new(super::MIN_REFRESH_GAP, now),
            changes: Pace::new(every, now),
        }
    }

    pub(super) async fn run(mut self) {
        let mut wait = Duration::ZERO;
        loop {
            let (began, pause) = (Instant::now(), self.pause());
            let answer = tokio::select! {
                answer = self.ask(wait) => Some(answer),
                // It must not wait for a change.
                () = self.shared.refresh_wanted.notified(), if !wait.is_zero() => None,
            };
            let mut is_wanted = answer.is_none();
            if let Some(answer) = answer {
                let outcome = self.judge(answer).await;
                let next = self.next(&outcome, began + pause);
                self.apply(outcome, began);
                tokio::select! {
                    () = tokio::time::sleep_until(next) => {}
                    () = self.shared.refresh_wanted.notified() => is_wanted = true,
                }
            }
            wait = if is_wanted {
                tokio::time::sleep(self.looks.wait(Instant::now())).await;
                self.looks.take(Instant::now());
                Duration::ZERO
            } else {
                self.etag.as_ref().map_or(Duration::ZERO, |_| pause.min(LONGEST_WAIT))
            };
        }
    }

    /// Asks for the list; while there is none and the registry does not reply, that on disk is used.
    async fn ask(&self, wait: Duration) -> Result<Answer<Listed>, RegistryClientError> {
        let options = &self.shared.context.options;
        let service = options.service.as_deref();
        let etag = self.etag.as_deref();
        let mut answer = pin!(self.registry.list(PROTO_JSON, service, etag, wait));
        let list = self.shared.list.load_full();
        // A registry that has refused before has answered: it is not silent just because a call waits.
        let was_refused = list.problem.as_ref().is_some_and(ListProblem::is_refusal);
        if matches!(list.origin, Origin::Nowhere) && !was_refused {
            tokio::select! {
                answer = &mut answer => return answer,
                () = tokio::time::sleep(options.failover_after) => {}
                () = self.shared.disk_wanted.notified() => {}
            }
            let url = self.shared.url.clone();
            let problem = ListProblem::Registry(RegistryClientError::Timeout { url });
            self.use_disk(problem, &HashSet::new()).await;
        }
        answer.await
    }

    async fn judge(&mut self, answer: Result<Answer<Listed>, RegistryClientError>) -> Outcome {
        let (instances, is_warming) = match answer {
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                let problem = ListProblem::Registry(error);
                if !problem.is_refusal() {
                    self.use_disk(problem.clone(), &HashSet::new()).await;
                }
                return Outcome::Kept(problem);
            }
            Ok(Answer { list: List::NotModified, .. }) if !self.lists_nobody => {
                self.failures = 0;
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
        self.failures = 0;
        if instances.is_empty()
            && !mutant("empty-list-believed")
            && let Some(problem) = self.doubt(is_warming).await
        {
            return Outcome::Kept(problem);
        }
        Outcome::Replaced { instances, is_warming }
    }

    /// Why a list of nobody is not believed, if it is not: the registry may have just started, and older ones do
    /// not say so. Those that it says are out of use are called by no list.
    async fn doubt(&self, is_warming: bool) -> Option<ListProblem> {
        let out_of_use = self.out_of_use().await;
        self.shared.update(|list, contracts| {
            let next = list.without(&out_of_use, contracts)?;
            self.shared.keep_pinging(list.called_and_not_in(&next));
            Some(next)
        });
        if is_warming {
            self.use_disk(ListProblem::Warming, &out_of_use).await;
            let list = self.shared.list.load();
            let is_from_registry = matches!(list.origin, Origin::Registry(_));
            return (!is_from_registry).then_some(ListProblem::Warming);
        }
        let problem = ListProblem::ListsNobody;
        let list = self.shared.list.load_full();
        if matches!(list.origin, Origin::Nowhere) {
            // An older registry that has just started does not say so either.
            let kept = self.list_on_disk(problem.clone(), &out_of_use).await?;
            if !anyone_answers(&kept, &self.shared.context.options).await {
                return None;
            }
            self.use_kept(kept);
            return Some(problem);
        }
        let answers = anyone_answers(&list, &self.shared.context.options).await;
        answers.then_some(problem)
    }

    /// Whom operators have taken out of use; an older registry does not say.
    async fn out_of_use(&self) -> HashSet<InstanceKey> {
        let overrides = self.registry.overrides().await.unwrap_or_default();
        overrides.into_iter().map(|it| it.key).collect()
    }

    /// Uses the list on disk if there is no other.
    async fn use_disk(&self, problem: ListProblem, out_of_use: &HashSet<InstanceKey>) {
        if matches!(self.shared.list.load().origin, Origin::Nowhere)
            && let Some(kept) = self.list_on_disk(problem, out_of_use).await
        {
            self.use_kept(kept);
        }
    }

    async fn list_on_disk(
        &self,
        problem: ListProblem,
        out_of_use: &HashSet<InstanceKey>,
    ) -> Option<super::List> {
        let mut saved = self.disk.as_ref()?.read().await?;
        let kept = saved.instances.len();
        saved.instances.retain(|instance| !out_of_use.contains(&instance.key()));
        if saved.instances.is_empty() && kept > 0 {
            return None;
        }
        let (context, contracts) = (&self.shared.context, self.shared.contracts());
        Some(super::List::from_disk(saved, problem, (context, &contracts), Instant::now()))
    }

    fn use_kept(&self, list: super::List) {
        let (registry, age) = (&self.shared.url, list.origin.age(Instant::now()));
        if let (Some(problem), Some(age)) = (&list.problem, age) {
            tracing::warn!(registry, %problem, ?age, "using the list of instances on disk");
        }
        self.shared.update(|_, _| Some(list));
        self.shared.refreshed.send_modify(|_| {});
        self.shared.learn_wanted.notify_one();
    }

    fn apply(&self, outcome: Outcome, began: Instant) {
        let (context, invalid) = (&self.shared.context, self.invalid);
        let now = Instant::now();
        self.shared.update(|list, contracts| {
            let next = match outcome {
                Outcome::Confirmed => list.confirmed(now),
                Outcome::Kept(problem) => {
                    let next = list.kept(problem, invalid);
                    self.shared.keep_pinging(list.called_and_not_in(&next));
                    next
                }
                Outcome::Replaced { instances, is_warming } => {
                    let next = list.refreshed(instances, invalid, (context, contracts), now);
                    let next = if is_warming { next.with_others_of(list, contracts) } else { next };
                    self.shared.keep_pinging(list.called_and_not_in(&next));
                    if let Some(disk) = &self.disk {
                        disk.write(&next.all.members, is_warming);
                    }
                    next
                }
            };
            self.log_change(list.problem.as_ref(), next.problem.as_ref());
            let notes_expired = contracts.retain(&next.identities(), now);
            Some(if notes_expired { next.with_usable(contracts) } else { next })
        });
        self.shared.refreshed.send_replace(Some(began));
        self.shared.learn_wanted.notify_one();
    }

    /// When to ask again; `in_turn` is an interval after the last request.
    fn next(&mut self, outcome: &Outcome, in_turn: Instant) -> Instant {
        let now = Instant::now();
        match outcome {
            Outcome::Kept(ListProblem::Registry(_)) => {
                let pause = interval(&self.shared.context.options);
                now + Backoff::reconnect().delay(self.failures).min(pause)
            }
            Outcome::Kept(ListProblem::Warming) => in_turn.min(now + super::MIN_REFRESH_GAP),
            // With the tag of its new list it waits for the next change.
            Outcome::Replaced { .. } if self.etag.is_some() => {
                let wait = self.changes.wait(now).max(GATHERING);
                self.changes.take(now);
                now + wait
            }
            // A registry that waits has done so by now.
            _ => in_turn,
        }
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
