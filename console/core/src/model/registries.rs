//! The registries of the settings, by name: `[registry]` and every `[registry.NAME]`; and a server
//! opened without one.

use rpc_wire::target::Target;

use super::access::Access;
use super::link::Obstacle;

/// A registry of the settings, or a server opened by its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRegistry {
    /// The name.
    pub name: String,
    /// The registry's URL, or the server's address.
    pub target: Target,
    /// The colour of its name.
    pub colour: Option<Colour>,
    /// Whether calls and load tests ask first.
    pub confirm: bool,
    /// The section of config.ini with its token and TLS.
    pub section: String,
    /// How programs reach it and its servers.
    pub access: Access,
}

/// The section for what has none of its own.
const SECTION: &str = "client";

impl NamedRegistry {
    /// Without a colour, without asking, and without a section of its own.
    pub fn new(name: impl Into<String>, target: Target) -> Self {
        let section = SECTION.to_owned();
        let access = Access::default();
        Self { name: name.into(), target, colour: None, confirm: false, section, access }
    }
}

/// The colour of a registry's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the colours")]
pub enum Colour {
    Red,
    Yellow,
    Green,
    Blue,
    Magenta,
    Cyan,
}

impl Colour {
    /// Its name, for screens without colours.
    pub fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Blue => "blue",
            Self::Magenta => "magenta",
            Self::Cyan => "cyan",
        }
    }
}

/// The registries of the settings, and which one is current.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registries {
    list: Vec<NamedRegistry>,
    current: usize,
}

impl Registries {
    /// The registries, with the index of the current one.
    pub fn new(list: Vec<NamedRegistry>, current: usize) -> Self {
        let current = current.min(list.len().saturating_sub(1));
        Self { list, current }
    }

    /// All of them, in the order of the settings.
    pub fn all(&self) -> &[NamedRegistry] {
        &self.list
    }

    /// The index of the current one.
    pub fn current_index(&self) -> usize {
        self.current
    }

    /// The current one.
    pub fn current(&self) -> Option<&NamedRegistry> {
        self.list.get(self.current)
    }

    /// Sets how each is reached.
    pub fn set_access(&mut self, access: impl Fn(&NamedRegistry) -> Access) {
        for named in &mut self.list {
            named.access = access(named);
        }
    }

    /// How the current one and its servers are reached.
    pub fn access(&self) -> Access {
        self.current().map(|current| current.access.clone()).unwrap_or_default()
    }

    /// What a person does about what keeps the console from the current one; `None`: start it.
    pub fn remedy(&self, obstacle: Obstacle) -> Option<String> {
        let withheld = self.withheld().filter(|_| obstacle == Obstacle::Refused);
        withheld.map(str::to_owned).or_else(|| obstacle.remedy(self.section()))
    }

    /// Why no token is shown to the current one, although there is one.
    pub fn withheld(&self) -> Option<&str> {
        self.current()?.access.withheld.as_deref()
    }

    /// The section of config.ini with token and TLS of the current one.
    pub fn section(&self) -> &str {
        self.current().map_or(SECTION, |current| &current.section)
    }

    /// Makes another one current and returns it; `None` if the index is out of range.
    pub fn select(&mut self, index: usize) -> Option<&NamedRegistry> {
        self.list.get(index)?;
        self.current = index;
        self.current()
    }
}
