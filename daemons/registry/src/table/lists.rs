//! The instances of each protocol, in order of registration, and their prepared list.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

/// A list as it is sent: a JSON array, and the revision of its protocol's last change.
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

/// The protocols that have instances.
#[derive(Debug, Default)]
pub(super) struct Lists {
    protocols: HashMap<String, Protocol>,
}

#[derive(Debug, Default)]
struct Protocol {
    revision: u64,
    /// Slots by the serial number of their registration.
    members: BTreeMap<u64, usize>,
    prepared: Option<List>,
}

impl Lists {
    pub(super) fn insert(&mut self, protocol: &str, serial: u64, slot: usize) {
        self.protocols.entry(protocol.to_owned()).or_default().members.insert(serial, slot);
    }

    /// Forgets a protocol without instances: clients choose the names, so they must not pile up.
    pub(super) fn remove(&mut self, protocol: &str, serial: u64) {
        let Some(known) = self.protocols.get_mut(protocol) else { return };
        known.members.remove(&serial);
        if known.members.is_empty() {
            self.protocols.remove(protocol);
        }
    }

    pub(super) fn changed(&mut self, protocol: &str, revision: u64) {
        if let Some(known) = self.protocols.get_mut(protocol) {
            known.revision = revision;
            known.prepared = None;
        }
    }

    pub(super) fn revision(&self, protocol: &str) -> u64 {
        self.protocols.get(protocol).map_or(0, |known| known.revision)
    }

    pub(super) fn members(&self, protocol: &str) -> impl Iterator<Item = usize> {
        self.protocols.get(protocol).into_iter().flat_map(|known| known.members.values().copied())
    }

    pub(super) fn all_members(&self) -> impl Iterator<Item = usize> {
        self.protocols.values().flat_map(|known| known.members.values().copied())
    }

    pub(super) fn prepared(&self, protocol: &str) -> Option<List> {
        match self.protocols.get(protocol) {
            Some(known) => known.prepared.clone(),
            None => Some(List::empty()),
        }
    }

    pub(super) fn keep(&mut self, protocol: &str, list: &List) {
        if let Some(known) = self.protocols.get_mut(protocol)
            && known.revision == list.revision
        {
            known.prepared = Some(list.clone());
        }
    }
}
