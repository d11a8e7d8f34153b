//! Which of several registries an instance belongs to.

use std::sync::Arc;

/// The registry that takes an instance's heartbeats. One that shares nothing takes all itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This one.
    #[default]
    Here,
    /// This one, although no heartbeat came yet: the one before has ended.
    Adopted,
    /// Another one, by its id.
    Elsewhere(Arc<str>),
}

impl Owner {
    /// Whether it is another registry.
    pub(crate) fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Elsewhere(_))
    }

    /// Whether the instance's heartbeats come to this registry.
    pub(crate) fn is_heard(&self) -> bool {
        *self == Self::Here
    }
}
