//! Which instances a reader asks for, and may see: those of a protocol, of a service, or all.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use rpc_security::{Bounds, Object};

use super::{Change, ChangeKind, Entry, Owner};

/// What a reader asks for; `None` means any.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Scope {
    pub(crate) protocol: Option<String>,
    pub(crate) service: Option<String>,
    /// Only those whose heartbeats come to this registry.
    pub(crate) is_local: bool,
    /// Only those that the reader may see.
    pub(crate) sight: Option<Arc<Sight>>,
}

/// What a reader may see who does not see everything.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sight(Bounds);

impl Sight {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self(bounds)
    }

    /// A number that another sight hardly has, the same in each process of this version.
    pub(crate) fn number(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// Whether it has an instance at that host, of that service.
    pub(crate) fn covers(&self, host: &str, service: Option<&str>) -> bool {
        self.0.cover(Object::Instance { service, host: host.parse().ok() })
    }
}

impl Scope {
    /// The instances of a protocol, of whatever service.
    #[cfg(test)]
    pub(crate) fn protocol(name: impl Into<String>) -> Self {
        Self { protocol: Some(name.into()), ..Self::default() }
    }

    /// Whether it has this entry with that owner.
    pub(crate) fn contains(&self, entry: &Entry, owner: &Owner) -> bool {
        self.is_of(&entry.key.protocol, entry.service.as_deref()) && self.shows(entry, owner)
    }

    /// Whether its reader sees an entry of its protocol and service, with that owner.
    pub(super) fn shows(&self, entry: &Entry, owner: &Owner) -> bool {
        (!self.is_local || !owner.is_elsewhere()) && self.sees(entry)
    }

    fn sees(&self, entry: &Entry) -> bool {
        let service = entry.service.as_deref();
        self.sight.as_ref().is_none_or(|sight| sight.covers(&entry.key.host, service))
    }

    /// What a change is to its readers; `None`: nothing. To a reader of one service, an instance that
    /// moves to another has left, and so it is with registries.
    pub(crate) fn kind_of(&self, change: &Change) -> Option<ChangeKind> {
        let Change { row, replaced, moved_from, .. } = change;
        let was = (replaced.is_some() || moved_from.is_some()).then(|| {
            let entry = replaced.as_ref().unwrap_or(&row.entry);
            self.contains(entry, moved_from.as_ref().unwrap_or(&row.owner))
        });
        match (was, self.contains(&row.entry, &row.owner)) {
            (Some(false), true) => Some(ChangeKind::Registered),
            (Some(true), false) => Some(ChangeKind::Unregistered),
            (_, true) => Some(change.kind),
            (_, false) => None,
        }
    }

    /// Whether it has the instances of this protocol and service.
    pub(crate) fn is_of(&self, protocol: &str, service: Option<&str>) -> bool {
        self.protocol.as_deref().is_none_or(|wanted| wanted == protocol)
            && self.service.as_deref().is_none_or(|wanted| Some(wanted) == service)
    }
}
