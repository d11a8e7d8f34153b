//! Who the console is for a registry or an instance, and what it may do there.

use rpc_wire::report::Whoami;

use crate::text;

/// Services shown of one token; a stranger may name more.
const SHOWN: usize = 8;
/// Characters of a name that are shown.
const NAME: usize = 32;

/// What something in the console needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Calls of methods, unless a method asks for another role.
    Call,
    /// Lists, statistics, logs.
    Observe,
    /// To register one's own instances, and to unregister them.
    Register,
    /// To drain instances, and to unregister those of others.
    Operate,
}

impl Role {
    const ALL: [Self; 4] = [Self::Call, Self::Observe, Self::Register, Self::Operate];

    /// Its name in a file of tokens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Observe => "observe",
            Self::Register => "register",
            Self::Operate => "operate",
        }
    }

    /// Why somebody with a token may not.
    fn is_lacking(self) -> &'static str {
        match self {
            Self::Call => "your token lacks the role call",
            Self::Observe => "your token lacks the role observe",
            Self::Register => "your token lacks the role register",
            Self::Operate => "your token lacks the role operate",
        }
    }

    /// Why somebody without a token may not.
    fn is_needed(self) -> &'static str {
        match self {
            Self::Call => "this needs a token with the role call",
            Self::Observe => "this needs a token with the role observe",
            Self::Register => "this needs a token with the role register",
            Self::Operate => "this needs a token with the role operate",
        }
    }
}

/// What a registry or an instance said when it was asked.
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
        /// What it may do.
        roles: Vec<Role>,
        /// The same for people, with what it is limited to.
        text: String,
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
        let has = |role: &Role| whoami.roles.iter().any(|name| name == role.name());
        let roles: Vec<_> = Role::ALL.into_iter().filter(has).collect();
        let names: Vec<_> = roles.iter().map(|role| role.name()).collect();
        let mut text = match names[..] {
            [] => "no role".to_owned(),
            _ => names.join(", "),
        };
        let listed = |names: &[String]| {
            let shown: Vec<_> =
                names.iter().take(SHOWN).map(|name| text::prefix(name, NAME)).collect();
            shown.join(", ")
        };
        if let Some(services) = &whoami.services {
            text = format!("{text}; services {}", listed(services));
        }
        if !whoami.hosts.is_empty() {
            text = format!("{text}; hosts {}", listed(&whoami.hosts));
        }
        let name = whoami.name.as_ref().map(|name| text::prefix(name, NAME).to_owned());
        Self::Known { name, roles, text }
    }

    /// Whether what needs `role` may be done, as far as is known.
    pub fn may(&self, role: Role) -> bool {
        self.lacks(role).is_none()
    }

    /// Why what needs `role` may not be done, as far as is known.
    pub fn lacks(&self, role: Role) -> Option<&'static str> {
        match self {
            Self::Unknown | Self::Open => None,
            Self::Known { roles, .. } if roles.contains(&role) => None,
            Self::Known { name: Some(_), .. } => Some(role.is_lacking()),
            Self::Known { name: None, .. } => Some(role.is_needed()),
            Self::Refused(_) => Some("your token is refused, or missing"),
        }
    }

    /// For the detail of an instance; `None` where there is nothing to say.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Unknown | Self::Open => None,
            Self::Known { name: Some(name), text, .. } => Some(format!("you are {name}: {text}")),
            Self::Known { name: None, text, .. } => Some(format!("without a token: {text}")),
            Self::Refused(why) => Some(format!("refused: {why}")),
        }
    }

    /// For the header: of what several said, the gravest counts.
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
    fn what_is_said_is_told_in_a_line() {
        let text = |whoami: &Whoami| Standing::of(whoami).text();
        assert_eq!(text(&whoami(Some("ci"), &["observe"])).unwrap(), "you are ci: observe");
        assert_eq!(text(&whoami(None, &["call"])).unwrap(), "without a token: call");
        assert_eq!(text(&whoami(Some("ci"), &["a later role"])).unwrap(), "you are ci: no role");
        let limited = Whoami {
            services: Some(vec!["orders".to_owned()]),
            hosts: vec!["10.0.0.0/8".to_owned()],
            ..whoami(Some("ci"), &["call"])
        };
        let expected = "you are ci: call; services orders; hosts 10.0.0.0/8";
        assert_eq!(text(&limited).unwrap(), expected);
        assert_eq!(text(&Whoami { auth: "off".to_owned(), ..whoami(None, &[]) }), None);
    }

    #[test]
    fn what_a_role_is_missing_for_says_which() {
        let (named, nobody) = (whoami(Some("ci"), &["observe"]), whoami(None, &["observe"]));
        let (named, nobody) = (Standing::of(&named), Standing::of(&nobody));
        assert!(named.may(Role::Observe) && nobody.may(Role::Observe));
        assert_eq!(named.lacks(Role::Operate), Some("your token lacks the role operate"));
        let expected = Some("this needs a token with the role operate");
        assert_eq!(nobody.lacks(Role::Operate), expected);
        for role in Role::ALL {
            assert!(Standing::Unknown.may(role) && Standing::Open.may(role));
            assert!(!Standing::Refused("no".to_owned()).may(role));
            for said in [named.lacks(role), nobody.lacks(role)].into_iter().flatten() {
                assert!(said.ends_with(role.name()), "{said}");
            }
        }
    }

    #[test]
    fn what_a_stranger_says_of_itself_is_cut() {
        let long = "x".repeat(10_000);
        let many = Whoami {
            services: Some(vec![long.clone(); 1000]),
            hosts: vec![long.clone(); 1000],
            ..whoami(Some(&long), &[])
        };
        assert!(Standing::of(&many).text().unwrap().len() < 1000);
    }

    #[test]
    fn the_gravest_of_several_counts() {
        let refused = Standing::Refused("no".to_owned());
        let known = Standing::of(&whoami(Some("ci"), &["call"]));
        assert_eq!(known.graver(&refused), &refused);
        assert_eq!(Standing::Open.graver(&known).graver(&Standing::Unknown), &known);
    }
}
