//! The registries there are to watch, by name: `[registry]` and every `[registry.NAME]`.

/// A registry by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRegistry {
    /// What the settings call it.
    pub name: String,
    /// Its URL.
    pub url: String,
}

/// The registries to choose from, and which one is watched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registries {
    list: Vec<NamedRegistry>,
    current: usize,
}

impl Registries {
    /// Those of the settings; `current` is watched first.
    pub fn new(list: Vec<NamedRegistry>, current: usize) -> Self {
        let current = current.min(list.len().saturating_sub(1));
        Self { list, current }
    }

    /// All of them, in the order of the settings.
    pub fn all(&self) -> &[NamedRegistry] {
        &self.list
    }

    /// The place of the one that is watched.
    pub fn current_index(&self) -> usize {
        self.current
    }

    /// The one that is watched.
    pub fn current(&self) -> Option<&NamedRegistry> {
        self.list.get(self.current)
    }

    /// Turns to another one and answers it; `None` when there is none there.
    pub fn select(&mut self, index: usize) -> Option<&NamedRegistry> {
        self.list.get(index)?;
        self.current = index;
        self.current()
    }
}
