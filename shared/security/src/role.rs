//! What may be done at all.

use std::fmt;
use std::str::FromStr;

/// What may be done, in the coarsest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Call methods.
    Call,
    /// Read: lists, watches, discovery, statistics, logs, metrics.
    Observe,
    /// Register instances, send their heartbeats, unregister them: one's own.
    Register,
    /// Override the state of instances, and unregister those of others.
    Operate,
}

impl Role {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Call, Self::Observe, Self::Register, Self::Operate];

    /// As in the file of tokens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Observe => "observe",
            Self::Register => "register",
            Self::Operate => "operate",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a role; the roles are call, observe, register and operate")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == word).ok_or(UnknownRole)
    }
}

/// A set of roles. None implies another: who operates and also looks has both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Roles(u8);

impl Roles {
    /// No role.
    pub const NONE: Self = Self(0);

    /// Whether `role` is among them.
    pub fn has(self, role: Role) -> bool {
        self.0 & role.bit() != 0
    }

    /// Those there are, in the order of [`Role::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<T: IntoIterator<Item = Role>>(roles: T) -> Self {
        Self(roles.into_iter().fold(0, |bits, role| bits | role.bit()))
    }
}

/// Names separated by commas; `none`.
impl FromStr for Roles {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        match text.trim() {
            "none" => Ok(Self::NONE),
            names => names.split(',').map(|name| name.trim().parse()).collect(),
        }
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("none");
        }
        for (at, role) in self.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            f.write_str(role.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_roles_is_read_as_it_is_written() {
        for bits in 0..1 << Role::ALL.len() {
            let roles = Roles(bits);
            assert_eq!(roles.to_string().parse(), Ok(roles));
            assert_eq!(roles.iter().collect::<Roles>(), roles);
        }
    }

    #[test]
    fn what_is_no_role_is_refused() {
        for text in ["", "Call", "call,", "call,none", "admin", "call observe"] {
            assert_eq!(text.parse::<Roles>(), Err(UnknownRole), "{text:?}");
        }
    }
}
