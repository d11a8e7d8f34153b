//! Services: the names by which instances and methods are grouped.

use std::cmp::Ordering;
use std::sync::Arc;

use rpc_wire::instance::Instance;

/// The service of an instance, or none: older servers do not say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Service(Option<Arc<str>>);

impl Service {
    /// The service that an instance says it belongs to.
    pub fn of(instance: &Instance) -> Self {
        Self(instance.service().map(Arc::from))
    }

    /// The service of this name.
    pub fn named(name: &str) -> Self {
        Self(Some(Arc::from(name)))
    }

    /// Its name.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Its name on the screen.
    pub fn shown(&self) -> &str {
        self.name().unwrap_or("(unnamed)")
    }
}

/// By name; instances without one come last.
impl Ord for Service {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = |service: &Self| service.0.is_none();
        order(self).cmp(&order(other)).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for Service {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A method of a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MethodId {
    /// The service.
    pub service: Service,
    /// The method's name.
    pub name: String,
}

impl MethodId {
    /// A method of a service.
    pub fn new(service: &Service, name: impl Into<String>) -> Self {
        Self { service: service.clone(), name: name.into() }
    }
}

/// A method whose service is not known.
impl From<&str> for MethodId {
    fn from(name: &str) -> Self {
        Self { service: Service::default(), name: name.to_owned() }
    }
}
