//! The instances of each protocol and of each of its services, in order of registration, and their
//! prepared lists.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use bytes::Bytes;

use super::Scope;

/// A list as it is sent: a JSON array, and the revision of its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List {
    /// 0 for an empty list.
    pub(crate) revision: u64,
    pub(crate) body: Bytes,
}

impl List {
    /// The list of these elements.
    pub(crate) fn build(revision: u64, elements: &[Bytes]) -> Self {
        let size: usize = elements.iter().map(|element| element.len() + 1).sum();
        let mut body = Vec::with_capacity(size + 2);
        body.push(b'[');
        for (position, element) in elements.iter().enumerate() {
            if position > 0 {
                body.push(b',');
            }
            body.extend_from_slice(element);
        }
        body.push(b']');
        Self { revision, body: body.into() }
    }

    fn empty() -> Self {
        Self { revision: 0, body: Bytes::from_static(b"[]") }
    }
}

/// The protocols that have instances. Clients choose the names of protocols and services, so those
/// without instances are forgotten.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// In order, so that a reader can go on where it was.
    protocols: BTreeMap<String, Protocol>,
    /// The lists of readers who do not see everything: the last ones, at most [`MAX_LIMITED`].
    limited: HashMap<Scope, List>,
}

/// Lists kept for readers who do not see everything; beyond it they are forgotten, and made anew when
/// they are asked for.
const MAX_LIMITED: usize = 64;

#[derive(Debug, Default)]
struct Protocol {
    all: Members,
    services: HashMap<String, Members>,
}

/// The instances that share a list.
#[derive(Debug, Default)]
struct Members {
    revision: u64,
    /// Slots by the serial number of their registration.
    slots: BTreeMap<u64, usize>,
    prepared: Option<List>,
}

impl Lists {
    pub(super) fn insert(
        &mut self,
        protocol: &str,
        service: Option<&str>,
        serial: u64,
        slot: usize,
    ) {
        let known = self.protocols.entry(protocol.to_owned()).or_default();
        known.all.slots.insert(serial, slot);
        if let Some(service) = service {
            known.services.entry(service.to_owned()).or_default().slots.insert(serial, slot);
        }
    }

    pub(super) fn remove(&mut self, protocol: &str, service: Option<&str>, serial: u64) {
        let Some(known) = self.protocols.get_mut(protocol) else { return };
        known.all.slots.remove(&serial);
        if let Some(service) = service
            && let Some(members) = known.services.get_mut(service)
        {
            members.slots.remove(&serial);
            if members.slots.is_empty() {
                known.services.remove(service);
            }
        }
        if known.all.slots.is_empty() {
            self.protocols.remove(protocol);
        }
    }

    /// An instance of this protocol and service changed, came or left.
    pub(super) fn changed(&mut self, protocol: &str, service: Option<&str>, revision: u64) {
        let Some(known) = self.protocols.get_mut(protocol) else { return };
        known.all.changed(revision);
        if let Some(members) = service.and_then(|service| known.services.get_mut(service)) {
            members.changed(revision);
        }
    }

    pub(super) fn revision(&self, scope: &Scope) -> u64 {
        self.members(scope).map(|members| members.revision).max().unwrap_or(0)
    }

    pub(super) fn slots(&self, scope: &Scope) -> impl Iterator<Item = usize> {
        self.members(scope).flat_map(|members| members.slots.values().copied())
    }

    /// The slots after that of a protocol with a number, of registrations up to another number.
    pub(super) fn slots_after(
        &self,
        scope: &Scope,
        after: Option<&(String, u64)>,
        until: u64,
    ) -> impl Iterator<Item = usize> {
        let (protocol, number) =
            after.map_or(("", 0), |(protocol, number)| (protocol.as_str(), *number));
        self.members_from(scope, protocol).flat_map(move |(of, members)| {
            let after = if of == protocol { number } else { 0 };
            let numbers = (Bound::Excluded(after), Bound::Included(until.max(after + 1)));
            let slots = members.slots.range(numbers);
            slots.filter(move |(number, _)| **number <= until).map(|(_, slot)| *slot)
        })
    }

    /// Forgets the prepared lists.
    pub(super) fn forget_prepared(&mut self) {
        for known in self.protocols.values_mut() {
            known.all.prepared = None;
            known.services.values_mut().for_each(|members| members.prepared = None);
        }
        self.limited.clear();
    }

    /// The list of a scope with a protocol, if it is current.
    pub(super) fn prepared(&self, scope: &Scope) -> Option<List> {
        // Its readers are few, and it changes also with the owners.
        if scope.is_local {
            return None;
        }
        if scope.sight.is_some() {
            let is_current = |list: &&List| list.revision == self.revision(scope);
            return self.limited.get(scope).filter(is_current).cloned();
        }
        match self.members(scope).next() {
            Some(members) => members.prepared.clone(),
            None => Some(List::empty()),
        }
    }

    pub(super) fn keep(&mut self, scope: &Scope, list: &List) {
        if scope.sight.is_some() {
            if !scope.is_local {
                if self.limited.len() >= MAX_LIMITED {
                    self.limited.clear();
                }
                self.limited.insert(scope.clone(), list.clone());
            }
            return;
        }
        let Some(protocol) = scope.protocol.as_ref().filter(|_| !scope.is_local) else { return };
        let Some(known) = self.protocols.get_mut(protocol) else { return };
        let members = match &scope.service {
            Some(service) => known.services.get_mut(service),
            None => Some(&mut known.all),
        };
        if let Some(members) = members.filter(|members| members.revision == list.revision) {
            members.prepared = Some(list.clone());
        }
    }

    /// The members of a scope: one group if it names a protocol.
    fn members(&self, scope: &Scope) -> impl Iterator<Item = &Members> {
        self.members_from(scope, "").map(|(_, members)| members)
    }

    /// The same with their protocols, from one on.
    fn members_from(&self, scope: &Scope, first: &str) -> impl Iterator<Item = (&str, &Members)> {
        let Scope { protocol, service, .. } = scope;
        let range = match protocol.as_deref() {
            Some(one) => (Bound::Included(one), Bound::Included(one)),
            None => (Bound::Included(first), Bound::Unbounded),
        };
        self.protocols.range::<str, _>(range).filter_map(move |(protocol, known)| {
            let members = match service {
                Some(service) => known.services.get(service),
                None => Some(&known.all),
            };
            members.map(|members| (protocol.as_str(), members))
        })
    }
}

impl Members {
    fn changed(&mut self, revision: u64) {
        self.revision = revision;
        self.prepared = None;
    }
}
