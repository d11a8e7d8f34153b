//! What the contracts of a list offer, as far as that is known: pure, time and randomness are passed in.

mod asking;
mod confirming;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use rpc_wire::signature::Effect;
use tokio::time::Instant;

use crate::CallError;
use crate::method_list::Methods;

/// Methods noted as not offered by one instance; further ones are not noted.
const MAX_NOTES: usize = 256;
/// How long a note counts: what an instance said may have been true for a moment only.
const NOTE_TTL: Duration = Duration::from_secs(30);

/// One instance, as long as nothing shows that another program runs at its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Another one after a restart or a change of the digest.
    pub(crate) id: u64,
    /// The contract it shows.
    pub(crate) digest: Option<Arc<str>>,
}

/// Whose methods are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Contract {
    /// That of every instance that shows this digest.
    Digest(Arc<str>),
    /// That of one instance: it shows no digest, or one that its own list contradicts.
    Own(u64),
}

#[derive(Debug)]
enum Entry {
    Known {
        methods: Arc<Methods>,
        at: Instant,
        /// To be asked for again, because a call found no instance.
        is_outdated: bool,
    },
    Unknown(Search),
}

/// A contract that none of its instances could tell so far: they are asked until one can. When all of them
/// were, it counts as unknown, and they are asked again after a pause.
#[derive(Debug)]
struct Search {
    /// Those that could not tell in this round.
    tried: HashSet<u64>,
    /// Rounds in which every instance was asked.
    rounds: u32,
    /// When the last of them ended.
    at: Instant,
}

/// What an instance replied when it was asked itself.
#[derive(Debug)]
struct Word {
    at: Instant,
    /// Why it could not tell.
    error: Option<CallError>,
}

/// An instance that is being asked.
#[derive(Debug)]
struct Asking {
    contract: Contract,
    since: Instant,
}

/// What is known of the contracts of a list. Entries are forgotten with the last instance of a contract,
/// so that the list's own limit bounds them.
#[derive(Debug, Default)]
pub(super) struct Contracts {
    entries: HashMap<Contract, Entry>,
    asking: HashMap<u64, Asking>,
    /// Instances whose own list is not that of the digest they show, which is kept.
    misfits: HashMap<u64, Arc<str>>,
    /// Their digests.
    contradicted: HashSet<Arc<str>>,
    /// Instances that were asked themselves.
    words: HashMap<u64, Word>,
    /// Instances to ask themselves, although another one of their digest has replied.
    to_confirm: HashSet<u64>,
    /// Methods that instances said they do not have, and when.
    notes: HashMap<u64, HashMap<String, Instant>>,
    /// Contracts are asked for even if there is only one.
    pub(super) is_wanted: bool,
}

/// Which of some instances offer a method, by index.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Offering {
    pub(super) offered_by: Vec<usize>,
    /// They could not tell, so that only a call can show it.
    pub(super) unknown: Vec<usize>,
    /// They are being asked, or will be.
    pub(super) pending: Vec<usize>,
    /// Instances that offer it by no list known so far are being asked for their own.
    pub(super) is_confirming: bool,
}

/// What to ask now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Due {
    /// Contracts, each with the index of the instance to ask.
    pub(super) ask: Vec<(Contract, usize)>,
    /// Some contract counts as unknown from now on.
    pub(super) gave_up: bool,
    /// If nobody has replied by then, other instances are to be asked as well.
    pub(super) hedge_at: Option<Instant>,
}

impl Contracts {
    /// Whether the instances need no routing: there is one, or all show the same digest and none of them
    /// is known to contradict it.
    pub(super) fn is_uniform(&self, instances: &[&Identity]) -> bool {
        let [first, others @ ..] = instances else { return true };
        others.is_empty()
            || first.digest.is_some()
                && others.iter().all(|other| other.digest == first.digest)
                && (self.misfits.is_empty() && self.notes.is_empty()
                    || instances.iter().all(|instance| !self.contradicts(instance)))
    }

    fn contradicts(&self, instance: &Identity) -> bool {
        let lacks_offered = || {
            let notes = self.notes.get(&instance.id)?;
            let methods = self.known(&self.contract_of(instance))?;
            Some(notes.keys().any(|method| methods.get(method).is_some()))
        };
        self.misfits.contains_key(&instance.id) || lacks_offered().unwrap_or(false)
    }

    fn contract_of(&self, instance: &Identity) -> Contract {
        match &instance.digest {
            Some(digest) if !self.misfits.contains_key(&instance.id) => {
                Contract::Digest(Arc::clone(digest))
            }
            _ => Contract::Own(instance.id),
        }
    }

    fn known(&self, contract: &Contract) -> Option<&Arc<Methods>> {
        match self.entries.get(contract)? {
            Entry::Known { methods, .. } => Some(methods),
            Entry::Unknown(_) => None,
        }
    }

    fn is_noted(&self, instance: &Identity, method: &str) -> bool {
        self.notes.get(&instance.id).is_some_and(|methods| methods.contains_key(method))
    }

    /// Which instances offer `method`.
    pub(super) fn offering(&self, method: &str, instances: &[&Identity]) -> Offering {
        let mut offering = Offering::default();
        for (index, instance) in instances.iter().enumerate() {
            let is_noted = self.is_noted(instance, method);
            match self.entries.get(&self.contract_of(instance)) {
                Some(Entry::Known { methods, .. })
                    if !is_noted && methods.get(method).is_some() =>
                {
                    offering.offered_by.push(index);
                }
                Some(Entry::Known { is_outdated, .. }) => {
                    let is_open = *is_outdated || self.to_confirm.contains(&instance.id);
                    offering.is_confirming |= is_open;
                    if !is_open && !is_noted && self.is_unheard(instance) {
                        offering.unknown.push(index);
                    }
                }
                Some(Entry::Unknown(search)) if search.rounds > 0 => {
                    offering.unknown.extend((!is_noted).then_some(index));
                }
                None | Some(Entry::Unknown(_)) => offering.pending.push(index),
            }
        }
        offering
    }

    /// What a call of `method` on this instance changes; `None`: its contract is still being asked for.
    pub(super) fn effect(&self, method: &str, instance: &Identity) -> Option<Effect> {
        match self.entries.get(&self.contract_of(instance))? {
            Entry::Known { methods, .. } => {
                Some(methods.get(method).map_or(Effect::Unknown, |known| known.effect))
            }
            Entry::Unknown(search) => (search.rounds > 0).then_some(Effect::Unknown),
        }
    }

    /// Whether one of the instances can tell the contract of `instance`.
    pub(super) fn can_tell(&self, instances: &[&Identity], instance: &Identity) -> bool {
        let contract = self.contract_of(instance);
        instances.iter().any(|other| self.contract_of(other) == contract)
    }

    /// How many of the instances are known not to offer `method`: by their own word, by their own list, or by
    /// that of their digest, which no instance has contradicted.
    pub(super) fn asked(&self, method: &str, instances: &[&Identity]) -> usize {
        let is_asked = |instance: &&&Identity| {
            self.is_noted(instance, method)
                || self.known(&self.contract_of(instance)).is_some() && !self.is_doubtful(instance)
        };
        instances.iter().filter(is_asked).count()
    }

    /// The lists of the instances' contracts, as far as they are known, each once.
    pub(super) fn lists(&self, instances: &[&Identity]) -> Vec<Arc<Methods>> {
        let contracts: HashSet<_> =
            instances.iter().map(|instance| self.contract_of(instance)).collect();
        contracts.iter().filter_map(|contract| self.known(contract)).cloned().collect()
    }

    /// What the instance offers; `Err(None)`: it is still being asked for.
    pub(super) fn offer(&self, instance: &Identity) -> Result<Arc<Methods>, Option<CallError>> {
        let known = self.known(&self.contract_of(instance));
        // Its own error, not that of another instance of its contract.
        let own = || self.words.get(&instance.id).and_then(|word| word.error.clone());
        known.map(Arc::clone).ok_or_else(own)
    }

    /// Whether some contract of the instances is being asked for and was never known.
    pub(super) fn is_pending(&self, instances: &[&Identity]) -> bool {
        instances.iter().any(|instance| match self.entries.get(&self.contract_of(instance)) {
            _ if self.to_confirm.contains(&instance.id) => true,
            Some(Entry::Known { is_outdated, .. }) => *is_outdated,
            Some(Entry::Unknown(search)) => search.rounds == 0,
            None => true,
        })
    }

    /// Notes that the instance said it has no such method. Its own list is asked for again if it is not
    /// younger than `pause`.
    pub(super) fn note_unoffered(
        &mut self,
        instance: &Identity,
        method: &str,
        (now, pause): (Instant, Duration),
    ) {
        if let Some(Entry::Known { methods, at, is_outdated }) =
            self.entries.get_mut(&Contract::Own(instance.id))
        {
            let is_wrong = methods.get(method).is_some();
            *is_outdated |= is_wrong && now.saturating_duration_since(*at) >= pause;
        }
        let notes = self.notes.entry(instance.id).or_default();
        if notes.len() < MAX_NOTES || notes.contains_key(method) {
            notes.insert(method.to_owned(), now);
        }
    }

    /// Before a call is given up: the lists of instances without a digest that are not younger than
    /// `since` are to be asked for again, and older notes no longer count. Whether there are any.
    pub(super) fn doubt(&mut self, instances: &[&Identity], since: Instant) -> bool {
        let mut any = false;
        for instance in instances {
            let own = Contract::Own(instance.id);
            if let Some(Entry::Known { at, is_outdated, .. }) = self.entries.get_mut(&own)
                && *at <= since
            {
                *is_outdated = true;
                any = true;
            }
            if let Some(notes) = self.notes.get_mut(&instance.id) {
                let before = notes.len();
                notes.retain(|_, at| *at > since);
                any |= notes.len() < before;
            }
        }
        any
    }

    /// Forgets whatever belongs to none of these instances, and old notes. Whether there were old notes.
    pub(super) fn retain(&mut self, instances: &[&Identity], now: Instant) -> bool {
        let count = |notes: &HashMap<u64, HashMap<String, Instant>>| -> usize {
            notes.values().map(HashMap::len).sum()
        };
        let before = count(&self.notes);
        self.notes.values_mut().for_each(|notes| {
            notes.retain(|_, at| now.saturating_duration_since(*at) < NOTE_TTL);
        });
        let expired = count(&self.notes) < before;
        self.notes.retain(|_, notes| !notes.is_empty());
        let ids: HashSet<u64> = instances.iter().map(|instance| instance.id).collect();
        self.misfits.retain(|id, _| ids.contains(id));
        self.contradicted.retain(|digest| self.misfits.values().any(|it| it == digest));
        self.words.retain(|id, _| ids.contains(id));
        self.to_confirm.retain(|id| ids.contains(id));
        self.notes.retain(|id, _| ids.contains(id));
        let contracts: HashSet<Contract> =
            instances.iter().map(|instance| self.contract_of(instance)).collect();
        self.entries.retain(|contract, _| contracts.contains(contract));
        expired
    }
}

/// Values by key, in the order in which the keys first appear.
fn grouped(pairs: impl Iterator<Item = (Contract, usize)>) -> Vec<(Contract, Vec<usize>)> {
    let mut places: HashMap<Contract, usize> = HashMap::new();
    let mut groups: Vec<(Contract, Vec<usize>)> = Vec::new();
    for (contract, index) in pairs {
        let place = *places.entry(contract.clone()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some((_, indices)) => indices.push(index),
            None => groups.push((contract, vec![index])),
        }
    }
    groups
}
