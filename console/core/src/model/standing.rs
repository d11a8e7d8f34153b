//! Who the console is for an instance, and what it may do there.

use rpc_wire::report::Whoami;

use crate::text;

/// The role that calls of methods need, unless a method asks for another.
const CALL: &str = "call";
/// Roles and services shown of one instance; a stranger may name more.
const SHOWN: usize = 8;
/// Characters of a name that are shown.
const NAME: usize = 32;

/// What an instance said when it was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Standing {
    /// Nothing yet, or it is an older one.
    #[default]
    Unknown,
    /// Everyone may do everything there.
    Open,
    /// It knows who the console is, or what anyone may do.
    Known {
        /// The name of the console's token there; `None`: it has shown none.
        name: Option<String>,
        /// What it may do, for people.
        roles: String,
        /// Whether it may call methods.
        may_call: bool,
    },
    /// It does not serve the console, for this reason.
    Refused(String),
}

impl Standing {
    /// Of a reply, whose texts are cut.
    pub fn of(whoami: &Whoami) -> Self {
        if whoami.auth == "off" {
            return Self::Open;
        }
        let listed = |names: &[String]| {
            let shown: Vec<_> =
                names.iter().take(SHOWN).map(|name| text::prefix(name, NAME)).collect();
            shown.join(", ")
        };
        let mut roles = match whoami.roles.is_empty() {
            true => "no role".to_owned(),
            false => listed(&whoami.roles),
        };
        if let Some(services) = &whoami.services {
            roles = format!("{roles}; services {}", listed(services));
        }
        Self::Known {
            name: whoami.name.as_ref().map(|name| text::prefix(name, NAME).to_owned()),
            roles,
            may_call: whoami.roles.iter().any(|role| role == CALL),
        }
    }

    /// Whether methods may be called, as far as is known.
    pub fn may_call(&self) -> bool {
        match self {
            Self::Unknown | Self::Open => true,
            Self::Known { may_call, .. } => *may_call,
            Self::Refused(_) => false,
        }
    }

    /// For the detail of an instance; `None` where there is nothing to say.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Unknown | Self::Open => None,
            Self::Known { name: Some(name), roles, .. } => Some(format!("you are {name}: {roles}")),
            Self::Known { name: None, roles, .. } => Some(format!("without a token: {roles}")),
            Self::Refused(why) => Some(format!("refused: {why}")),
        }
    }

    /// For the header: of what several instances said, the gravest counts.
    pub fn graver<'a>(&'a self, other: &'a Self) -> &'a Self {
        if other.gravity() > self.gravity() { other } else { self }
    }

    fn gravity(&self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Open => 1,
            Self::Known { .. } => 2,
            Self::Refused(_) => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whoami(name: Option<&str>, roles: &[&str]) -> Whoami {
        Whoami {
            auth: "required".to_owned(),
            name: name.map(str::to_owned),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            ..Whoami::default()
        }
    }

    #[test]
    fn what_an_instance_says_is_told_in_a_line() {
        let known = Standing::of(&whoami(Some("ci"), &["observe"]));
        assert_eq!(known.text().as_deref(), Some("you are ci: observe"));
        assert!(!known.may_call() && Standing::of(&whoami(None, &["call"])).may_call());
        let limited =
            Whoami { services: Some(vec!["orders".to_owned()]), ..whoami(Some("ci"), &["call"]) };
        let limited = Standing::of(&limited).text();
        assert_eq!(limited.as_deref(), Some("you are ci: call; services orders"));
        let off = Whoami { auth: "off".to_owned(), ..whoami(None, &[]) };
        assert_eq!((Standing::of(&off).text(), Standing::of(&off).may_call()), (None, true));
    }

    #[test]
    fn what_a_stranger_says_of_itself_is_cut() {
        let long = "x".repeat(10_000);
        let many = Whoami { roles: vec![long.clone(); 1000], ..whoami(Some(&long), &[]) };
        assert!(Standing::of(&many).text().unwrap().len() < 500);
    }

    #[test]
    fn the_gravest_of_several_counts() {
        let refused = Standing::Refused("no".to_owned());
        let known = Standing::of(&whoami(Some("ci"), &["call"]));
        assert_eq!(known.graver(&refused), &refused);
        assert_eq!(Standing::Open.graver(&known).graver(&Standing::Unknown), &known);
    }
}
