//! Which instances a reader asks for: those of a protocol, of a service, or all.

use super::{Change, ChangeKind, Entry};

/// What a reader asks for; `None` means any.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Scope {
    pub(crate) protocol: Option<String>,
    pub(crate) service: Option<String>,
}

impl Scope {
    /// The instances of a protocol, of whatever service.
    #[cfg(test)]
    pub(crate) fn protocol(name: impl Into<String>) -> Self {
        Self { protocol: Some(name.into()), service: None }
    }

    /// Whether it has this entry.
    pub(crate) fn contains(&self, entry: &Entry) -> bool {
        self.is_of(&entry.key.protocol, entry.service.as_deref())
    }

    /// What a change is to its readers; `None`: nothing. To a reader of one service, an instance that
    /// moves to another has left.
    pub(crate) fn kind_of(&self, change: &Change) -> Option<ChangeKind> {
        let was = change.replaced.as_ref().map(|entry| self.contains(entry));
        match (was, self.contains(&change.row.entry)) {
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
