//! What a request is about.

use std::net::IpAddr;

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Object<'a> {
    /// The daemon as such, or a list whose items are decided one by one.
    #[default]
    Everything,
    /// What concerns every instance at once, such as a log of all: outside of any limit.
    AllInstances,
    /// A server and its methods.
    Server {
        /// The service that it is an instance of.
        service: Option<&'a str>,
    },
    /// An instance in the registry.
    Instance {
        /// Its service.
        service: Option<&'a str>,
        /// Its address; `None` if its host is a name.
        host: Option<IpAddr>,
    },
}
