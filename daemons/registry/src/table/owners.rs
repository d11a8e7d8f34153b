//! How many instances each other registry owns.

use std::collections::HashMap;
use std::sync::Arc;

use super::owner::Owner;

/// How many instances each other registry owns.
#[derive(Debug, Default)]
pub(super) struct Owners {
    counts: HashMap<Arc<str>, usize>,
    elsewhere: usize,
}

impl Owners {
    /// Gives an instance another owner, and returns the one before. All instances of a registry share its name.
    pub(super) fn set(&mut self, owner: &mut Owner, to: Owner) -> Owner {
        let to = match to {
            Owner::Elsewhere(name) => Owner::Elsewhere(self.add(name)),
            here => here,
        };
        self.remove(owner);
        std::mem::replace(owner, to)
    }

    /// An instance is not listed any more.
    pub(super) fn remove(&mut self, owner: &Owner) {
        let Owner::Elsewhere(name) = owner else { return };
        self.elsewhere -= 1;
        if let Some(count) = self.counts.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(name);
            }
        }
    }

    /// Instances that other registries own.
    pub(super) fn elsewhere(&self) -> usize {
        self.elsewhere
    }

    /// The other registries that own any.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.counts.keys()
    }

    fn add(&mut self, name: Arc<str>) -> Arc<str> {
        self.elsewhere += 1;
        let known = self.counts.get_key_value(&name).map(|(known, _)| Arc::clone(known));
        let name = known.unwrap_or(name);
        *self.counts.entry(Arc::clone(&name)).or_default() += 1;
        name
    }
}
