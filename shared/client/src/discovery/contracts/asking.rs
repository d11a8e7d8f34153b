//! Which contracts are asked for, of whom, and what becomes of the replies.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, RngExt};
use tokio::time::Instant;

use super::{Asking, Contract, Contracts, Due, Entry, Identity, Search, Word, grouped};
use crate::CallError;
use crate::method_list::Methods;

/// If no instance has replied by then, as many again of its contract are asked as well.
const HEDGE_AFTER: Duration = Duration::from_millis(250);
/// What the method lists of all contracts may take in memory together, as [`Methods::memory`] estimates it; a
/// further one counts as unknown.
pub(super) const MAX_MEMORY: usize = 256 << 20;
/// The longest pause between two rounds of asking for a contract that nobody could tell.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Contracts {
    /// Whom to ask now, at most `room`: instances that are to confirm their digest, and instances of contracts
    /// that are unknown, outdated, or failed a while ago. `pause` is the shortest time until a failed one is
    /// asked for again. Each instance comes with whether it takes calls.
    pub(in crate::discovery) fn due(
        &mut self,
        instances: &[(&Identity, bool)],
        (room, pause): (usize, Duration),
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
    ) -> Due {
        let mut due = Due::default();
        self.start_confirming(instances, room, now, &mut due);
        let needed = instances.iter().enumerate().filter_map(|(index, (instance, _))| {
            let contract = self.contract_of(instance);
            self.needs_asking(&contract, pause, now).then_some((contract, index))
        });
        for (contract, mut left) in grouped(needed) {
            if due.ask.len() >= room {
                break;
            }
            let tried = match self.entries.get(&contract) {
                Some(Entry::Unknown(search)) => Some(&search.tried),
                _ => None,
            };
            let failures = tried.map_or(0, HashSet::len);
            left.retain(|&index| {
                instances.get(index).is_some_and(|(it, _)| {
                    !self.asking.contains_key(&it.id)
                        && !tried.is_some_and(|tried| tried.contains(&it.id))
                })
            });
            let (in_flight, latest) = self.in_flight(&contract);
            if left.is_empty() {
                due.gave_up |= in_flight == 0 && self.give_up(&contract, now);
                continue;
            }
            let mut missing = (failures + 1).saturating_sub(in_flight);
            if let (0, Some(latest)) = (missing, latest) {
                let at = latest + HEDGE_AFTER;
                if at <= now {
                    missing = in_flight;
                } else {
                    due.hedge_at = Some(due.hedge_at.map_or(at, |earliest| earliest.min(at)));
                }
            }
            let usable = |index: &usize| instances.get(*index).is_some_and(|(_, usable)| *usable);
            if left.iter().any(usable) {
                left.retain(usable);
            }
            for _ in 0..missing.min(room.saturating_sub(due.ask.len())).min(left.len()) {
                // At random: clients that start together do not all ask the same instance.
                let chosen = left.swap_remove(rng.random_range(0..left.len()));
                let id = instances.get(chosen).map(|(instance, _)| instance.id);
                let asking = Asking { contract: contract.clone(), since: now };
                self.asking.extend(id.map(|id| (id, asking)));
                due.ask.push((contract.clone(), chosen));
            }
        }
        due
    }

    /// How many instances are being asked for the contract, and since when the latest is.
    fn in_flight(&self, contract: &Contract) -> (usize, Option<Instant>) {
        let asking = || self.asking.values().filter(|asking| asking.contract == *contract);
        (asking().count(), asking().map(|asking| asking.since).max())
    }

    /// Ends a round in which no instance could tell the contract. Whether it counts as unknown from now on.
    fn give_up(&mut self, contract: &Contract, now: Instant) -> bool {
        let Some(Entry::Unknown(search)) = self.entries.get_mut(contract) else { return false };
        search.rounds = search.rounds.saturating_add(1);
        search.at = now;
        search.tried.clear();
        search.rounds == 1
    }

    /// The instance takes calls again: if nobody could tell its contract, it is asked at once.
    pub(in crate::discovery) fn restored(&mut self, instance: &Identity) {
        let contract = self.contract_of(instance);
        self.words.remove(&instance.id);
        if let Some(Entry::Unknown(search)) = self.entries.get(&contract)
            && search.rounds > 0
        {
            self.entries.remove(&contract);
        }
    }

    fn needs_asking(&self, contract: &Contract, pause: Duration, now: Instant) -> bool {
        match self.entries.get(contract) {
            None => true,
            Some(Entry::Known { is_outdated, .. }) => *is_outdated,
            Some(Entry::Unknown(search)) if search.rounds == 0 || !search.tried.is_empty() => true,
            Some(Entry::Unknown(search)) => {
                let doublings = search.rounds.saturating_sub(1).min(16);
                let pause = pause.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
                now.saturating_duration_since(search.at) >= pause
            }
        }
    }

    /// Takes the reply of the instance that was asked for `contract`. A list that is not that of the digest
    /// counts for this instance alone.
    pub(in crate::discovery) fn learned(
        &mut self,
        contract: Contract,
        instance: &Identity,
        result: Result<Methods, CallError>,
        now: Instant,
    ) {
        self.asking.remove(&instance.id);
        self.to_confirm.remove(&instance.id);
        let error = result.as_ref().err().map(CallError::brief);
        self.words.insert(instance.id, Word { at: now, error });
        match result {
            Ok(methods) => {
                let is_own =
                    !matches!(&contract, Contract::Digest(it) if **it == *methods.contract());
                if let (true, Contract::Digest(digest)) = (is_own, &contract) {
                    self.misfits.insert(instance.id, Arc::clone(digest));
                    self.contradicted.insert(Arc::clone(digest));
                }
                if is_own {
                    self.notes.remove(&instance.id);
                }
                let contract = if is_own { Contract::Own(instance.id) } else { contract };
                let methods = self.shared(methods);
                self.entries
                    .insert(contract, Entry::Known { methods, at: now, is_outdated: false });
            }
            Err(_) => self.failed(contract, instance, now),
        }
    }

    /// Equal lists of many instances without a digest are kept once.
    fn shared(&self, methods: Methods) -> Arc<Methods> {
        let same = self.entries.values().find_map(|entry| match entry {
            Entry::Known { methods: known, .. } if **known == methods => Some(Arc::clone(known)),
            _ => None,
        });
        same.unwrap_or_else(|| Arc::new(methods))
    }

    /// Whether the list may be kept beside the others.
    pub(in crate::discovery) fn has_room_for(&self, methods: &Methods) -> bool {
        let known = || {
            self.entries.values().filter_map(|entry| match entry {
                Entry::Known { methods, .. } => Some(methods),
                Entry::Unknown(_) => None,
            })
        };
        // A list that several contracts share counts once.
        let all: usize = known().map(|list| list.memory() / Arc::strong_count(list)).sum();
        all.saturating_add(methods.memory()) <= MAX_MEMORY || known().any(|list| **list == *methods)
    }

    fn failed(&mut self, contract: Contract, instance: &Identity, now: Instant) {
        let unknown = || Entry::Unknown(Search { tried: HashSet::new(), rounds: 0, at: now });
        match self.entries.entry(contract).or_insert_with(unknown) {
            // What it said before is better than nothing.
            Entry::Known { is_outdated, at, .. } => (*is_outdated, *at) = (false, now),
            Entry::Unknown(search) => drop(search.tried.insert(instance.id)),
        }
    }
}
