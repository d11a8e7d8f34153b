//! What a caller is told of itself.

use std::time::SystemTime;

use rpc_wire::report::Whoami;

use super::Guard;
use crate::access::{Auth, Caller};
use crate::role::Role;

impl Guard {
    /// What a caller is told where everyone may do everything.
    pub fn whoami_of_anyone() -> Whoami {
        Whoami {
            auth: Auth::Off.to_string(),
            roles: names(Role::ALL.into_iter()),
            ..Whoami::default()
        }
    }

    /// What `caller` is told of itself, and nothing of others; `None`: it is a stranger, who may do nothing.
    pub fn whoami(&self, caller: Caller<'_>) -> Option<Whoami> {
        let roles = names(self.roles(caller).iter());
        let known = Whoami { auth: self.auth().to_string(), roles, ..Whoami::default() };
        let Some(identity) = caller.identity else {
            return (!known.roles.is_empty()).then_some(known);
        };
        let since_1970 = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).ok();
        let expires = identity.expires.and_then(since_1970);
        Some(Whoami {
            name: Some(identity.name.clone()),
            services: identity.services.as_ref().map(|names| names.iter().cloned().collect()),
            hosts: identity.hosts.iter().map(ToString::to_string).collect(),
            expires_ms: expires.and_then(|time| u64::try_from(time.as_millis()).ok()),
            ..known
        })
    }
}

fn names(roles: impl Iterator<Item = Role>) -> Vec<String> {
    roles.map(|role| role.to_string()).collect()
}
