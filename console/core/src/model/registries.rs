//! The registries of the settings, by name: `[registry]` and every `[registry.NAME]`.

/// A registry of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRegistry {
    /// The name.
    pub name: String,
    /// The URL.
    pub url: String,
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

    /// Makes another one current and returns it; `None` if the index is out of range.
    pub fn select(&mut self, index: usize) -> Option<&NamedRegistry> {
        self.list.get(index)?;
        self.current = index;
        self.current()
    }
}
