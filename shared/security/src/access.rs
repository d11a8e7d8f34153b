//! What a daemon allows: the one decision behind every door.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

use crate::identity::{Identity, is_in};
use crate::object::Object;
use crate::role::{Role, Roles};

/// What a route or a method needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Nothing: whoever reaches the port. Only for what says no more than that the daemon lives.
    Open,
    /// A role.
    Needs(Role),
    /// One of two roles; who has neither is told the first.
    Either(Role, Role),
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// Who it has shown to be.
    pub identity: Option<&'a Identity>,
    /// Where it connects from.
    pub address: IpAddr,
}

/// How strictly is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Auth {
    /// Everyone may do everything.
    #[default]
    Off,
    /// The same; what [`Auth::Required`] would refuse is said.
    Warn,
    /// What is not allowed is refused.
    Required,
}

impl FromStr for Auth {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "off" => Ok(Self::Off),
            "warn" => Ok(Self::Warn),
            "required" => Ok(Self::Required),
            _ => Err("must be off, warn or required"),
        }
    }
}

impl fmt::Display for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Required => "required",
        })
    }
}

/// What a daemon allows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Access {
    /// How strictly is decided; default: not at all.
    pub auth: Auth,
    /// What callers may do who show no token, such as older programs, which cannot; default: nothing.
    pub anonymous: Roles,
    /// From where only; default, empty: from anywhere.
    pub anonymous_networks: Vec<IpNet>,
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Allowed,
    /// It may, as long as `auth` is `warn`; to be said.
    Warned(Denied),
    /// It may not.
    Refused(Denied),
}

impl Decision {
    /// Whether the request is served.
    pub fn is_allowed(self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// Why not. It says nothing about other objects, nor whether this one exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody is known to ask: 401.
    #[error(
        "this needs a token with the role {0}; set RPCD_TOKEN or {file} (by HTTP: Authorization: Bearer TOKEN); for programs that cannot show one see [security] anonymous",
        file = file_key(*.0)
    )]
    Unknown(Role),
    /// Who asks is known and lacks the role: 403.
    #[error(
        "this token or certificate lacks the role {0}; ask who gave it to you for one that has it"
    )]
    MissingRole(Role),
    /// Who asks has the role, not for this service or host: 403.
    #[error(
        "the role {0} is limited to other services or hosts for this token or certificate; ask who gave it to you"
    )]
    OutOfBounds(Role),
}

/// The key of the file with the token that would be shown: servers register with one of their own.
fn file_key(role: Role) -> &'static str {
    match role {
        Role::Register => "[registry] token_file, the one of [client] is for calls",
        Role::Call | Role::Observe | Role::Operate => "token_file",
    }
}

impl Denied {
    /// The role that it is about.
    pub fn role(self) -> Role {
        let (Self::Unknown(role) | Self::MissingRole(role) | Self::OutOfBounds(role)) = self;
        role
    }
}

impl Access {
    /// Whether `caller` may do what needs `permission`, with `object`. What is not allowed is denied.
    pub fn decide(
        &self,
        caller: Caller<'_>,
        permission: Permission,
        object: Object<'_>,
    ) -> Decision {
        let allowed = match permission {
            _ if self.auth == Auth::Off => return Decision::Allowed,
            Permission::Open => return Decision::Allowed,
            Permission::Needs(role) => self.allows(caller, role, object),
            Permission::Either(role, other) => self
                .allows(caller, role, object)
                .or_else(|denied| self.allows(caller, other, object).map_err(|_| denied)),
        };
        match (self.auth, allowed) {
            (Auth::Off, _) | (_, Ok(())) => Decision::Allowed,
            (Auth::Warn, Err(denied)) => Decision::Warned(denied),
            (Auth::Required, Err(denied)) => Decision::Refused(denied),
        }
    }

    fn allows(&self, caller: Caller<'_>, role: Role, object: Object<'_>) -> Result<(), Denied> {
        // A token never takes away what anyone may do without one.
        if self.anonymous.has(role) && self.is_anonymous_network(caller.address) {
            return Ok(());
        }
        let Some(identity) = caller.identity else { return Err(Denied::Unknown(role)) };
        if !identity.roles.has(role) {
            return Err(Denied::MissingRole(role));
        }
        if !identity.covers(object) {
            return Err(Denied::OutOfBounds(role));
        }
        Ok(())
    }

    fn is_anonymous_network(&self, address: IpAddr) -> bool {
        self.anonymous_networks.is_empty() || is_in(&self.anonymous_networks, address)
    }
}

#[cfg(test)]
mod tests;
