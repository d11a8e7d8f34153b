//! What the callers and the tasks that maintain the list share.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::contracts::{Contracts, Identity};
use super::health::Cause;
use super::list::List;
use super::member::Member;
use super::outlier::{self, Others, Verdict, judge_failures, judge_slowness, slow_from};
use crate::blame::Blame;
use crate::context::Context;
use crate::pool::{Peer, Run};
use crate::{CallError, EjectionOptions};

/// An instance is compared with at most so many others.
const MAX_COMPARED: usize = 64;

/// What the callers and the two tasks share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) context: Arc<Context>,
    pub(super) url: String,
    pub(super) list: ArcSwap<List>,
    /// Locked while the list is replaced, so that no change is lost; never across an await. Whoever changes
    /// what is known of contracts replaces the list, which keeps what follows from it.
    pub(super) contracts: Mutex<Contracts>,
    /// Changes of what is known of contracts.
    pub(super) learned: watch::Sender<u64>,
    pub(super) learn_wanted: Notify,
    /// When the last refresh began, whether it succeeded or failed; changes also when the list on disk is used.
    pub(super) refreshed: watch::Sender<Option<Instant>>,
    pub(super) refresh_wanted: Notify,
    /// A call has waited so long for the first list that the one on disk is good enough.
    pub(super) disk_wanted: Notify,
    /// Instances that left the list while they were called. They are pinged until their calls end.
    pub(super) left: Mutex<Vec<Arc<Member>>>,
    /// An instance was ejected, or is to be probed earlier.
    pub(super) health_changed: Notify,
    /// Silent peers are looked for; not while no calls are made.
    pub(super) is_watched: AtomicBool,
    /// Calls are made again.
    pub(super) calls_begin: Notify,
}

impl Shared {
    /// Replaces the list by what `change` makes of it, if anything.
    pub(super) fn update(&self, change: impl FnOnce(&List, &mut Contracts) -> Option<List>) {
        let mut contracts = self.contracts();
        if let Some(next) = change(&self.list.load(), &mut contracts) {
            self.list.store(Arc::new(next));
        }
    }

    /// Replaces the list because an instance gets calls from now on, or none.
    pub(super) fn update_usable(&self) {
        self.update(|list, contracts| Some(list.with_usable(contracts)));
    }

    /// Ejects the instance; whether that is news. Then the list is to be replaced.
    fn eject(&self, member: &Member, cause: Cause, reason: &str) -> bool {
        let options = self.options();
        let is_news =
            member.health().eject((cause, reason), Instant::now(), options, &mut rand::rng());
        if is_news {
            tracing::info!(instance = %member.peer.name(), reason, "instance ejected");
        }
        is_news
    }

    /// Instances were ejected.
    fn note_ejections(&self) {
        self.update_usable();
        self.health_changed.notify_one();
        // The registry may know who takes their place.
        self.refresh_wanted.notify_one();
    }

    /// Notes that calls of these peers failed, and ejects those of which that says that they take none, or that
    /// fail where others do not. Calls that named them are not compared: no other instance got such calls.
    pub(super) fn note_failures<'a>(
        &self,
        failures: impl Iterator<Item = (&'a Arc<Peer>, &'a CallError)>,
        are_named: bool,
    ) {
        // Together: each change replaces the list.
        let judged = failures.map(|(peer, error)| self.judge_failure(peer, error, are_named));
        if judged.fold(false, |any, is_ejected| any | is_ejected) {
            self.note_ejections();
        }
    }

    /// Counts a failure; whether the peer is ejected for it.
    fn judge_failure(&self, peer: &Arc<Peer>, error: &CallError, is_named: bool) -> bool {
        let now = Instant::now();
        let blame = Blame::of(error, peer.is_connected());
        let run = match blame {
            Blame::Instance | Blame::Method if is_named => return false,
            Blame::Nobody => return false,
            Blame::Caller => {
                peer.load.answered(now);
                return false;
            }
            Blame::Gone | Blame::Instance | Blame::Method => peer.load.failed(now),
        };
        let list = self.list.load();
        let Some(member) = list.member_of(peer) else { return false };
        if blame == Blame::Gone {
            return self.eject(member, Cause::Gone, &error.to_string());
        }
        let is_its_fault = blame == Blame::Instance;
        // The only one of its service is one of several for calls that name none. Their methods may be others.
        let whatever_service = is_its_fault && others_of(&list, member).next().is_none();
        let others = || others(&list, member, whatever_service);
        if others().next().is_none() {
            return false;
        }
        let others = Others::of(others().map(|it| &it.peer.load), (&peer.load, run), now);
        match judge_failures(run, others, is_its_fault, self.options()) {
            Verdict::Eject => {
                let failures = outlier::failures(run, others);
                let reason = format!("{failures}; the last error: {error}");
                return self.eject(member, Cause::Outlier, &reason);
            }
            Verdict::Outweighed => peer.load.failures_are_outweighed(now),
            Verdict::Wait => {}
        }
        false
    }

    /// Notes that a call of `peer` was slow, and ejects it if it is where others are not.
    pub(super) fn note_slow(&self, peer: &Arc<Peer>, run: Run) {
        let (list, now) = (self.list.load(), Instant::now());
        let Some(member) = list.member_of(peer) else { return };
        // One that is set aside says nothing of what calls must take.
        let others = others_of(&list, member).filter(|other| other.gets_calls());
        let others = Others::of(others.map(|it| &it.peer.load), (&peer.load, run), now);
        match judge_slowness(run, others, self.options()) {
            Verdict::Eject => {
                let reason = outlier::slow_calls(run, others, peer.load.slow_from());
                if self.eject(member, Cause::Outlier, &reason) {
                    self.note_ejections();
                }
            }
            Verdict::Outweighed => peer.load.slowness_is_outweighed(now),
            Verdict::Wait => {}
        }
    }

    /// Whether calls of `peer` fail more often by far than those of half of the others: then another one may have the
    /// result that this one failed to give. Of all others together, one that failed a moment ago would count for all.
    pub(super) fn fares_worse(&self, peer: &Arc<Peer>) -> bool {
        let (list, now) = (self.list.load(), Instant::now());
        let Some(member) = list.member_of(peer) else { return false };
        let outcomes = |peer: &Peer| peer.load.outcomes(None, Duration::MAX, now);
        let own = outcomes(peer);
        let (mut others, mut better) = (0, 0);
        for other in others_of(&list, member) {
            others += 1;
            better += usize::from(own.fails_more_than(outcomes(&other.peer)));
        }
        2 * better >= others
    }

    /// Compares the latency of an instance with that of others.
    pub(super) fn compare_latency(&self, list: &List, member: &Arc<Member>, now: Instant) {
        let options = self.options();
        let others = others_of(list, member).filter(|other| other.gets_calls());
        let calls = options.min_calls.max(1);
        let fastest = others.filter_map(|other| other.peer.load.fastest_of(calls, now));
        let mut others: Vec<_> = fastest.collect();
        member.peer.load.is_slow_from(slow_from(&mut others, options));
        if let Some(run) = member.peer.load.slow_trial(now) {
            self.note_slow(&member.peer, run);
        }
    }

    /// Instances that have left the list are pinged until their calls end.
    pub(super) fn keep_pinging(&self, members: Vec<Arc<Member>>) {
        if !members.is_empty() {
            self.left.lock().unwrap_or_else(PoisonError::into_inner).extend(members);
            self.calls_begin.notify_one();
        }
    }

    pub(super) fn options(&self) -> &EjectionOptions {
        &self.context.options.ejection
    }

    /// Asks for the contracts of the list from now on, even if there is only one.
    pub(super) fn learn(&self) {
        self.contracts().is_wanted = true;
        self.learn_wanted.notify_one();
    }

    pub(super) fn contracts(&self) -> MutexGuard<'_, Contracts> {
        self.contracts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom the peer is, or was when it was listed.
    pub(super) fn identity_of(&self, peer: &Arc<Peer>) -> Option<Arc<Identity>> {
        self.list.load().identity_of(peer).cloned()
    }
}

/// The other instances of its service, some of them if there are very many.
fn others_of<'a>(list: &'a List, member: &'a Arc<Member>) -> impl Iterator<Item = &'a Arc<Member>> {
    others(list, member, false)
}

/// The same, or those of any service.
fn others<'a>(
    list: &'a List,
    member: &'a Arc<Member>,
    whatever_service: bool,
) -> impl Iterator<Item = &'a Arc<Member>> {
    let is_other = move |other: &&Arc<Member>| {
        !Arc::ptr_eq(other, member)
            && (whatever_service || other.instance.service() == member.instance.service())
    };
    list.all.members.iter().filter(is_other).take(MAX_COMPARED)
}
