//! Which methods are tools: those that only read, and what an operator allows or denies by name.

use std::fmt;
use std::str::FromStr;

use regex::Regex;
use rpc_wire::signature::Effect;

/// Which methods are offered as tools. By default those that say of themselves that they are read-only.
#[derive(Debug, Clone, Default)]
pub struct Exposure {
    /// All methods, whatever they change.
    pub all: bool,
    /// Methods with such names, too, whatever they change: `METHOD` or `SERVICE.METHOD`.
    pub allow: Vec<Glob>,
    /// No methods with such names, allowed or not.
    pub deny: Vec<Glob>,
}

/// A name in which `*` stands for any text and `?` for one character.
#[derive(Debug, Clone)]
pub struct Glob {
    text: String,
    regex: Regex,
}

/// A text that is no glob.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name with * and ?, such as orders.*")]
pub struct NotAGlob(String);

impl Glob {
    /// Bytes of a glob.
    const MAX_BYTES: usize = 512;

    /// Whether the whole name is such a one.
    pub fn matches(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }
}

impl FromStr for Glob {
    type Err = NotAGlob;

    fn from_str(text: &str) -> Result<Self, NotAGlob> {
        let wrong = || NotAGlob(text.to_owned());
        if text.is_empty() || text.len() > Self::MAX_BYTES {
            return Err(wrong());
        }
        let pattern = regex::escape(text).replace(r"\*", ".*").replace(r"\?", ".");
        let regex = Regex::new(&format!("(?s)^{pattern}$")).map_err(|_| wrong())?;
        Ok(Self { text: text.to_owned(), regex })
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Whether a method is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    Yes,
    /// It may change something, and nobody allowed it.
    NotAllowed,
    Denied,
}

impl Exposure {
    /// Whether a method of that name and effect is offered, which instances of these services have. It is denied
    /// by the name of one of them, and allowed by those of all.
    pub(crate) fn offers(&self, name: &str, services: &[Option<&str>], effect: Effect) -> Offered {
        let any = |globs: &[Glob], name: &str| globs.iter().any(|glob| glob.matches(name));
        let full = |service: &Option<&str>| Some(format!("{}.{name}", (*service)?));
        let is = |globs: &[Glob], service| full(service).is_some_and(|name| any(globs, &name));
        if any(&self.deny, name) || services.iter().any(|service| is(&self.deny, service)) {
            return Offered::Denied;
        }
        let is_allowed =
            || any(&self.allow, name) || services.iter().all(|service| is(&self.allow, service));
        match self.all || effect.is_read_only() || is_allowed() {
            true => Offered::Yes,
            false => Offered::NotAllowed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(texts: &[&str]) -> Vec<Glob> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_glob_is_the_whole_name() {
        let matches = |glob: &str, name: &str| glob.parse::<Glob>().unwrap().matches(name);
        assert!(matches("orders.*", "orders.get") && matches("*", "") && matches("g?t", "get"));
        assert!(!matches("orders.*", "my.orders.get") && !matches("orders.*", "ordersXget"));
        assert!(!matches("get", "get2") && !matches("[a-z]", "a") && matches("[a-z]", "[a-z]"));
        assert!("".parse::<Glob>().is_err() && "x".repeat(513).parse::<Glob>().is_err());
    }

    #[test]
    fn only_what_reads_is_offered_unless_it_is_allowed() {
        let offers = |exposure: &Exposure, effect| exposure.offers("orders.put", &[None], effect);
        let (reads, changes) = (Effect::ReadOnly, Effect::Idempotent);
        let default = Exposure::default();
        assert_eq!(offers(&default, reads), Offered::Yes);
        assert_eq!(offers(&default, changes), Offered::NotAllowed);
        assert_eq!(offers(&Exposure { all: true, ..default.clone() }, changes), Offered::Yes);
        let allowing = Exposure { allow: globs(&["orders.*"]), ..default.clone() };
        assert_eq!(offers(&allowing, changes), Offered::Yes);
        let denying = Exposure { all: true, allow: globs(&["*"]), deny: globs(&["*.put"]) };
        assert_eq!(offers(&denying, reads), Offered::Denied);
    }

    #[test]
    fn a_method_is_denied_by_one_service_and_allowed_by_all() {
        let both = [Some("orders"), Some("users")];
        let offers = |allow: &[&str], deny: &[&str], services: &[Option<&str>]| {
            let exposure = Exposure { all: false, allow: globs(allow), deny: globs(deny) };
            exposure.offers("put", services, Effect::Unknown)
        };
        assert_eq!(offers(&["orders.*"], &[], &both[..1]), Offered::Yes);
        assert_eq!(offers(&["orders.*"], &[], &both), Offered::NotAllowed);
        assert_eq!(offers(&["orders.*"], &[], &[Some("orders"), None]), Offered::NotAllowed);
        assert_eq!(offers(&["put"], &[], &both), Offered::Yes);
        assert_eq!(offers(&["put"], &["users.*"], &both), Offered::Denied);
    }
}
