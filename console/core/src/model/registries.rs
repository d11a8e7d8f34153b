//! The registries of the settings, by name: `[registry]` and every `[registry.NAME]`; and a server
//! opened without one.

use rpc_wire::target::Target;

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
}

/// The section for what has none of its own.
const SECTION: &str = "client";

impl NamedRegistry {
    /// Without a colour, without asking, and without a section of its own.
    pub fn new(name: impl Into<String>, target: Target) -> Self {
        let section = SECTION.to_owned();
        Self { name: name.into(), target, colour: None, confirm: false, section }
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
