//! Which instances are asked themselves although another one with their digest has replied: a digest may
//! be that of another program, or of the one that ran there before.

use rand::{Rng, RngExt};
use tokio::time::Instant;

use super::asking::LONGEST_PAUSE;
use super::{Asking, Contract, Contracts, Due, Entry, Identity, Word};
use crate::CallError;

/// Instances that are asked themselves before one call is given up.
pub(in crate::discovery) const MAX_CONFIRMATIONS: usize = 64;

impl Contracts {
    /// Has instances asked themselves that were not, or not since `since`: at most [`MAX_CONFIRMATIONS`] at a
    /// time, those first that never were, at random. Whether there are any.
    pub(in crate::discovery) fn confirm(
        &mut self,
        instances: &[&Identity],
        since: Option<Instant>,
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
    ) -> bool {
        let waiting = instances.iter().filter(|it| self.to_confirm.contains(&it.id)).count();
        let mut open: Vec<(Option<Instant>, u64)> = instances
            .iter()
            .filter(|instance| self.may_confirm(instance, since, now))
            .map(|instance| (self.words.get(&instance.id).map(|word| word.at), instance.id))
            .collect();
        for index in 1..open.len() {
            open.swap(index, rng.random_range(0..=index));
        }
        open.sort_by_key(|(at, _)| *at);
        let chosen = open.into_iter().map(|(_, id)| id);
        self.to_confirm.extend(chosen.take(MAX_CONFIRMATIONS.saturating_sub(waiting)));
        instances.iter().any(|instance| self.to_confirm.contains(&instance.id))
    }

    /// Takes what the instance said of its contract in a reply to a probe. Whether that contradicts the digest
    /// it shows: then it is to be asked itself.
    pub(in crate::discovery) fn probed(
        &mut self,
        instance: &Identity,
        contract: &str,
        at: Instant,
    ) -> bool {
        let Contract::Digest(digest) = self.contract_of(instance) else { return false };
        if *digest == *contract {
            self.words.insert(instance.id, Word { at, error: None });
            return false;
        }
        self.to_confirm.insert(instance.id)
    }

    fn may_confirm(&self, instance: &Identity, since: Option<Instant>, now: Instant) -> bool {
        let contract = self.contract_of(instance);
        let is_presumed = matches!(contract, Contract::Digest(_))
            && !matches!(self.entries.get(&contract), Some(Entry::Unknown(_)));
        let is_open = match self.words.get(&instance.id) {
            None => true,
            // One that does not reply would hold up every call that is about to be given up.
            Some(word) if word.error.is_some() => {
                since.is_some() && now.saturating_duration_since(word.at) >= LONGEST_PAUSE
            }
            Some(word) => since.is_some_and(|since| word.at <= since),
        };
        is_presumed && is_open && !self.to_confirm.contains(&instance.id)
    }

    /// Asks the instances that are to confirm their digest, as far as there is room.
    pub(super) fn start_confirming(
        &mut self,
        instances: &[(&Identity, bool)],
        room: usize,
        now: Instant,
        due: &mut Due,
    ) {
        if self.to_confirm.is_empty() {
            return;
        }
        for (index, (instance, _)) in instances.iter().enumerate() {
            if due.ask.len() >= room {
                return;
            }
            if self.to_confirm.contains(&instance.id) && !self.asking.contains_key(&instance.id) {
                let contract = self.contract_of(instance);
                self.asking.insert(instance.id, Asking { contract: contract.clone(), since: now });
                due.ask.push((contract, index));
            }
        }
    }

    /// Whether the digest that the instance shows says nothing of what it offers: another instance has
    /// contradicted it, and this one has not replied itself.
    pub(super) fn is_doubtful(&self, instance: &Identity) -> bool {
        instance.digest.as_ref().is_some_and(|digest| self.contradicted.contains(digest))
            && !self.misfits.contains_key(&instance.id)
            && self.words.get(&instance.id).is_none_or(|word| word.error.is_some())
    }

    /// Whether it is doubtful because the instance was asked and could not tell.
    pub(super) fn is_unheard(&self, instance: &Identity) -> bool {
        self.is_doubtful(instance) && self.words.contains_key(&instance.id)
    }

    /// Why the first of these instances could not tell what it offers.
    pub(in crate::discovery) fn first_failure(
        &self,
        instances: &[&Identity],
        indices: &[usize],
    ) -> Option<CallError> {
        indices.iter().find_map(|&index| self.words.get(&instances.get(index)?.id)?.error.clone())
    }
}
