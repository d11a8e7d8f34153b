//! Which contracts are asked for, of whom, and what becomes of the replies.

use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, RngExt};
use tokio::time::Instant;

use super::{Contract, Contracts, Due, Entry, Identity, grouped};
use crate::CallError;
use crate::method_list::Methods;

/// Instances of one contract that are asked for its methods before it counts as unknown for a while.
pub(super) const MAX_ASKED: usize = 3;
/// The longest pause between two rounds of asking for a contract that nobody could tell.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Contracts {
    /// Which contracts to ask for now, at most `room`: those that are unknown, outdated, or failed a while
    /// ago. `pause` is the shortest time until a failed one is asked for again. Each instance comes with
    /// whether it takes calls.
    pub(in crate::discovery) fn due(
        &mut self,
        instances: &[(&Identity, bool)],
        (room, pause): (usize, Duration),
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
    ) -> Due {
        let mut due = Due::default();
        let needed = instances.iter().enumerate().filter_map(|(index, (instance, _))| {
            let contract = self.contract_of(instance);
            self.needs_asking(&contract, pause, now).then_some((contract, index))
        });
        for (contract, indices) in grouped(needed) {
            if due.ask.len() >= room {
                break;
            }
            let (asked, error) = match self.entries.get(&contract) {
                Some(Entry::Unknown { asked, error }) => (asked.as_slice(), Some(error)),
                _ => (&[][..], None),
            };
            let mut left: Vec<usize> = indices;
            left.retain(|&index| {
                instances.get(index).is_some_and(|(it, _)| !asked.contains(&it.id))
            });
            if let Some(error) = error.filter(|_| left.is_empty() || asked.len() >= MAX_ASKED) {
                let failed = Entry::Failed { rounds: 1, at: now, error: error.clone() };
                self.entries.insert(contract, failed);
                due.gave_up = true;
                continue;
            }
            let usable = |index: &usize| instances.get(*index).is_some_and(|(_, usable)| *usable);
            if left.iter().any(usable) {
                left.retain(usable);
            }
            // At random: clients that start together do not all ask the same instance.
            let chosen = left.get(rng.random_range(0..left.len().max(1))).copied();
            if let Some(chosen) = chosen {
                self.asking.insert(contract.clone());
                due.ask.push((contract, chosen));
            }
        }
        due
    }

    /// The instance takes calls again: if nobody could tell its contract, it is asked at once.
    pub(in crate::discovery) fn restored(&mut self, instance: &Identity) {
        let contract = self.contract_of(instance);
        if let Some(Entry::Failed { .. }) = self.entries.get(&contract) {
            self.entries.remove(&contract);
        }
    }

    fn needs_asking(&self, contract: &Contract, pause: Duration, now: Instant) -> bool {
        let needs = match self.entries.get(contract) {
            None | Some(Entry::Unknown { .. }) => true,
            Some(Entry::Known { is_outdated, .. }) => *is_outdated,
            Some(Entry::Failed { rounds, at, .. }) => {
                let doublings = rounds.saturating_sub(1).min(16);
                let pause = pause.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
                now.saturating_duration_since(*at) >= pause
            }
        };
        needs && !self.asking.contains(contract)
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
        self.asking.remove(&contract);
        match result {
            Ok(methods) => {
                let is_own =
                    !matches!(&contract, Contract::Digest(it) if **it == *methods.contract());
                if is_own && matches!(contract, Contract::Digest(_)) {
                    self.misfits.insert(instance.id);
                }
                if is_own {
                    self.notes.remove(&instance.id);
                }
                let contract = if is_own { Contract::Own(instance.id) } else { contract };
                let methods = self.shared(methods);
                self.entries
                    .insert(contract, Entry::Known { methods, at: now, is_outdated: false });
            }
            Err(error) => self.failed(contract, instance, error, now),
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

    fn failed(&mut self, contract: Contract, instance: &Identity, error: CallError, now: Instant) {
        match self.entries.get_mut(&contract) {
            // What it said before is better than nothing.
            Some(Entry::Known { is_outdated, at, .. }) => (*is_outdated, *at) = (false, now),
            Some(Entry::Failed { rounds, at, error: last }) => {
                (*rounds, *at, *last) = (rounds.saturating_add(1), now, error);
            }
            Some(Entry::Unknown { asked, error: last }) => {
                asked.push(instance.id);
                *last = error;
            }
            None => {
                let unknown = Entry::Unknown { asked: vec![instance.id], error };
                self.entries.insert(contract, unknown);
            }
        }
    }
}
