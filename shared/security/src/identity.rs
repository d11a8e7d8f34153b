//! A name with roles, which may be limited to services and hosts.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::SystemTime;

use ipnet::IpNet;

use crate::object::Object;
use crate::role::Roles;

/// Someone who is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name, for people, logs and ownership: two tokens of one name are one identity.
    pub name: String,
    /// What it may do.
    pub roles: Roles,
    /// To or with which services only; `None`: any.
    pub services: Option<BTreeSet<String>>,
    /// With instances at which addresses only; empty: any.
    pub hosts: Vec<IpNet>,
    /// Until when it is good; `None`: for ever.
    pub expires: Option<SystemTime>,
}

impl Identity {
    /// Whether it is no longer good at `now`.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|end| now >= end)
    }

    /// Whether its limits allow `object`. What has no service is outside of any limit to services, and
    /// what has no address outside of any to hosts: a limit never widens for lack of knowledge.
    pub(crate) fn covers(&self, object: Object<'_>) -> bool {
        covers_service(self.services.as_ref(), object) && covers_host(&self.hosts, object)
    }

    /// What it is limited to; `None`: nothing.
    pub fn bounds(&self) -> Option<Bounds> {
        let Self { services, hosts, .. } = self;
        let is_bound = services.is_some() || !hosts.is_empty();
        is_bound.then(|| Bounds { services: services.clone(), hosts: hosts.clone() })
    }
}

/// Services and hosts that someone is limited to. Who has the same sees the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Bounds {
    services: Option<BTreeSet<String>>,
    hosts: Vec<IpNet>,
}

impl Bounds {
    /// Whether `object` is within them.
    pub fn cover(&self, object: Object<'_>) -> bool {
        covers_service(self.services.as_ref(), object) && covers_host(&self.hosts, object)
    }
}

fn covers_service(services: Option<&BTreeSet<String>>, object: Object<'_>) -> bool {
    let Some(services) = services else { return true };
    match object {
        Object::Everything => true,
        Object::AllInstances => false,
        Object::Server { service } | Object::Instance { service, .. } => {
            service.is_some_and(|service| services.contains(service))
        }
    }
}

fn covers_host(hosts: &[IpNet], object: Object<'_>) -> bool {
    if hosts.is_empty() {
        return true;
    }
    match object {
        Object::Everything | Object::Server { .. } => true,
        Object::AllInstances => false,
        Object::Instance { host, .. } => host.is_some_and(|host| is_in(hosts, host)),
    }
}

/// Whether `address` is in one of `networks`. An IPv4 address within IPv6 is what it is.
pub(crate) fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}
