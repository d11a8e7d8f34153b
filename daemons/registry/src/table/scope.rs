//! Which instances a reader asks for: those of a protocol, of a service, or all.

use super::Entry;

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
        self.is_of(&entry.instance.protocol, entry.service.as_deref())
    }

    /// Whether it has the instances of this protocol and service.
    pub(crate) fn is_of(&self, protocol: &str, service: Option<&str>) -> bool {
        self.protocol.as_deref().is_none_or(|wanted| wanted == protocol)
            && self.service.as_deref().is_none_or(|wanted| Some(wanted) == service)
    }
}
