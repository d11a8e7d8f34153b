//! The instances that a call may go to: all, or those of one service, and which of them offer a method.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rand::{Rng, RngExt};
use rpc_wire::paths::RESERVED_PREFIX;
use tokio::time::Instant;

use super::contracts::{Contracts, Identity, Offering};
use super::health::{Standing, get_calls, share};
use super::member::Member;
use crate::ClientOptions;
use crate::balance::{Choice, running_totals};
use crate::pool::Peer;
use crate::wanted::Picked;

/// Methods whose candidates are kept; with more, they are determined again when needed.
const MAX_ROUTES: usize = 4096;

/// Instances, and whom to call of them.
#[derive(Debug)]
pub(super) struct View {
    pub(super) members: Arc<[Arc<Member>]>,
    /// Those that calls of any method may go to.
    anyone: Candidates,
    /// Those of them that are listed as newer servers, if not all or none are.
    newer: Option<Candidates>,
    /// Every call may go to anyone: there is one instance, or one contract.
    pub(super) is_uniform: bool,
    /// Those that calls of one method may go to.
    routes: RwLock<HashMap<String, Arc<Candidates>>>,
}

/// Instances to choose from.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// Those that get calls, see [`get_calls`].
    pub(super) members: Vec<Arc<Member>>,
    /// Running totals of their weights.
    weights: Vec<u64>,
    /// Which of them are in their slow start, and since when.
    slow_starts: Vec<(usize, Instant)>,
    /// The others, if there are some of both.
    pub(super) steady: Option<Box<Candidates>>,
    /// Whether they offer the method is unknown: none is known to, and these could not be asked.
    pub(super) is_guess: bool,
}

/// Where calls of a method go.
#[derive(Debug)]
pub(super) enum Route {
    To(Arc<Candidates>),
    /// No instance is known to offer it, and some are being asked.
    Unknown,
    Nowhere,
}

impl Default for View {
    fn default() -> Self {
        Self::new(Arc::default(), &Contracts::default())
    }
}

impl View {
    pub(super) fn new(members: Arc<[Arc<Member>]>, contracts: &Contracts) -> Self {
        let (newer, older): (Vec<_>, Vec<_>) =
            members.iter().cloned().partition(|member| member.instance.speaks_extended());
        let differ = !newer.is_empty() && !older.is_empty();
        Self {
            newer: differ.then(|| Candidates::of(newer)),
            anyone: Candidates::of(members.iter().cloned().collect()),
            is_uniform: contracts.is_uniform(&identities(&members)),
            members,
            routes: RwLock::default(),
        }
    }

    /// Those that calls of the method may go to, whatever they offer. Older servers have no reserved methods.
    pub(super) fn anyone(&self, method: &str) -> &Candidates {
        match &self.newer {
            Some(newer) if method.starts_with(RESERVED_PREFIX) => newer,
            _ => &self.anyone,
        }
    }

    pub(super) fn identities(&self) -> Vec<&Identity> {
        identities(&self.members)
    }

    /// Who offers `method`, if that was determined before.
    pub(super) fn known_route(&self, method: &str) -> Option<Arc<Candidates>> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner).get(method).cloned()
    }

    /// Who offers `method`.
    /// With `is_late`, whoever is still being asked counts as one that could not tell.
    pub(super) fn route(&self, method: &str, contracts: &Mutex<Contracts>, is_late: bool) -> Route {
        let offering = {
            let contracts = contracts.lock().unwrap_or_else(PoisonError::into_inner);
            contracts.offering(method, &self.identities())
        };
        let Offering { offered_by, mut unknown, pending, is_confirming } = offering;
        let is_guess = offered_by.is_empty();
        if is_guess && !is_late && (is_confirming || !pending.is_empty()) {
            return Route::Unknown;
        }
        unknown.extend(pending);
        let chosen = if is_guess { unknown } else { offered_by };
        if chosen.is_empty() {
            return Route::Nowhere;
        }
        let members = chosen.iter().filter_map(|&index| self.members.get(index)).cloned();
        let candidates = Arc::new(Candidates { is_guess, ..Candidates::of(members.collect()) });
        if is_late {
            return Route::To(candidates);
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        if routes.len() >= MAX_ROUTES {
            routes.clear();
        }
        routes.insert(method.to_owned(), Arc::clone(&candidates));
        Route::To(candidates)
    }
}

impl Candidates {
    pub(super) fn of(members: Vec<Arc<Member>>) -> Self {
        let Some(first) = members.first() else { return Self::default() };
        let ratio = first.peer.options().ejection.max_ejected_ratio;
        let standings: Vec<_> = members.iter().map(|member| member.health().standing()).collect();
        let mut chosen = Vec::with_capacity(members.len());
        let mut slow_starts = Vec::new();
        let verdicts = get_calls(&standings, ratio).into_iter().zip(&standings);
        for (member, (gets_calls, standing)) in members.into_iter().zip(verdicts) {
            if let (true, Standing::Serves(Some(at))) = (gets_calls, standing) {
                slow_starts.push((chosen.len(), *at));
            }
            if gets_calls {
                chosen.push(member);
            }
        }
        let both = !slow_starts.is_empty() && slow_starts.len() < chosen.len();
        let steady = both.then(|| {
            let is_steady = |index: usize| slow_starts.iter().all(|(slow, _)| *slow != index);
            let steady = chosen.iter().enumerate().filter(|(index, _)| is_steady(*index));
            Box::new(Self::plain(steady.map(|(_, member)| Arc::clone(member)).collect(), false))
        });
        Self { slow_starts, steady, ..Self::plain(chosen, false) }
    }

    /// All of these, whatever their health.
    fn plain(members: Vec<Arc<Member>>, is_guess: bool) -> Self {
        Self { weights: weights(&members), members, is_guess, ..Self::default() }
    }

    /// The one to call. `turn` counts up with every call. One in its slow start gets a part of its calls.
    pub(super) fn choose(
        &self,
        turn: usize,
        options: &ClientOptions,
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
    ) -> Option<Picked> {
        let choice = Choice {
            count: self.members.len(),
            weights: &self.weights,
            turn,
            cost: |index: usize| {
                self.members.get(index).map_or(u64::MAX, |m| m.peer.load.cost(now))
            },
        };
        let index = choice.choose(options.balance, rng)?;
        let peer = Arc::clone(&self.members.get(index)?.peer);
        if let Some(steady) = &self.steady
            && let Some(at) = self.slow_start(index)
        {
            let is_chosen = if peer.load.is_untried() {
                peer.load.begin_trial(now, options.ejection.min_ejection)
            } else {
                rng.random_bool(share(at, now, &options.ejection))
            };
            if !is_chosen {
                let other = steady.choose(turn, options, now, rng);
                return other.map(|picked| Picked { has_other: true, ..picked });
            }
        }
        Some(Picked { peer, has_other: self.members.len() > 1, is_guess: self.is_guess })
    }

    /// Since when the candidate with that index is in its slow start, if it is.
    fn slow_start(&self, index: usize) -> Option<Instant> {
        self.slow_starts.iter().find(|(slow, _)| *slow == index).map(|(_, at)| *at)
    }

    /// The same without `tried`.
    pub(super) fn without(&self, tried: &[Arc<Peer>]) -> Self {
        let is_left = |member: &&Arc<Member>| !contains(tried, &member.peer);
        let members: Vec<_> = self.members.iter().filter(is_left).cloned().collect();
        Self::plain(members, self.is_guess)
    }

    /// Those of them that have a connection; `None` if that is none or all.
    pub(super) fn connected(&self) -> Option<Self> {
        let is_connected = |member: &&Arc<Member>| member.peer.is_connected();
        let members: Vec<_> = self.members.iter().filter(is_connected).cloned().collect();
        let differ = !members.is_empty() && members.len() < self.members.len();
        differ.then(|| Self::plain(members, self.is_guess))
    }

    /// Whether there is one besides `tried` that `is_fit`.
    pub(super) fn has_other(&self, tried: &[Arc<Peer>], is_fit: impl Fn(&Member) -> bool) -> bool {
        self.members.iter().any(|member| !contains(tried, &member.peer) && is_fit(member))
    }
}

fn identities(members: &[Arc<Member>]) -> Vec<&Identity> {
    members.iter().map(|member| &*member.identity).collect()
}

fn weights(members: &[Arc<Member>]) -> Vec<u64> {
    running_totals(members.iter().map(|member| member.instance.weight()))
}

fn contains(peers: &[Arc<Peer>], peer: &Arc<Peer>) -> bool {
    peers.iter().any(|known| Arc::ptr_eq(known, peer))
}
