//! What a registry must not forget, as plain data: the model that a store is compared with.

use std::collections::BTreeMap;

use rand::{Rng, RngExt};

/// One of the possible instances, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u16);

/// The content of a record: a number of its own, so that an older content is told from a newer one, and
/// how many bytes it has beside that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Its number.
    pub number: u64,
    /// Further bytes.
    pub padding: u16,
}

/// A record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub kind: Kind,
    /// The instance it is about.
    pub key: Key,
    /// Its content.
    pub content: Content,
}

/// What a record says of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It is registered.
    Instance,
    /// An operator set something.
    Override,
    /// It unregistered lately.
    Departure,
}

/// All records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// What is registered.
    pub instances: BTreeMap<Key, Content>,
    /// What operators set.
    pub overrides: BTreeMap<Key, Content>,
    /// What unregistered lately.
    pub departures: BTreeMap<Key, Content>,
}

/// One thing that happens in a registry with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// An instance registers, or registers other parameters.
    Register(Key, Content),
    /// It unregisters, and that is remembered.
    Unregister(Key, Content),
    /// It expires: nothing is remembered.
    Expire(Key),
    /// What is remembered of it is forgotten.
    Forget(Key),
    /// An operator sets an override.
    Override(Key, Content),
    /// An operator takes it back.
    Clear(Key),
}

impl Records {
    /// Does an operation.
    pub fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Register(key, content) => {
                self.instances.insert(key, content);
            }
            Operation::Unregister(key, content) => {
                self.instances.remove(&key);
                self.departures.insert(key, content);
            }
            Operation::Expire(key) => {
                self.instances.remove(&key);
            }
            Operation::Forget(key) => {
                self.departures.remove(&key);
            }
            Operation::Override(key, content) => {
                self.overrides.insert(key, content);
            }
            Operation::Clear(key) => {
                self.overrides.remove(&key);
            }
        }
    }

    /// These records after operations.
    #[must_use]
    pub fn after(&self, operations: &[Operation]) -> Self {
        let mut records = self.clone();
        operations.iter().for_each(|operation| records.apply(*operation));
        records
    }

    /// Each of them.
    pub fn all(&self) -> impl Iterator<Item = Record> {
        let maps = [
            (Kind::Instance, &self.instances),
            (Kind::Override, &self.overrides),
            (Kind::Departure, &self.departures),
        ];
        let record = |kind| {
            move |(key, content): (&Key, &Content)| Record { kind, key: *key, content: *content }
        };
        maps.into_iter().flat_map(move |(kind, map)| map.iter().map(record(kind)))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.instances.len() + self.overrides.len() + self.departures.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records that these have and others do not, and the reverse, for a message.
    pub fn difference(&self, others: &Self) -> String {
        let maps = [
            ("instance", &self.instances, &others.instances),
            ("override", &self.overrides, &others.overrides),
            ("departure", &self.departures, &others.departures),
        ];
        let mut texts = Vec::new();
        for (what, here, there) in maps {
            let keys = here.keys().chain(there.keys().filter(|key| !here.contains_key(key)));
            for key in keys.filter(|key| here.get(key) != there.get(key)) {
                let [here, there] = [here, there].map(|map| match map.get(key) {
                    Some(content) => format!("#{}", content.number),
                    None => "missing".to_owned(),
                });
                texts.push(format!("{what} {}: {here}, not {there}", key.0));
            }
        }
        const SHOWN: usize = 8;
        let more = texts.len().saturating_sub(SHOWN);
        texts.truncate(SHOWN);
        let text = texts.join("; ");
        if more > 0 { format!("{text}; and {more} more") } else { text }
    }
}

impl Operation {
    /// The record that it writes, if any.
    pub fn record(&self) -> Option<Record> {
        let (kind, key, content) = match *self {
            Self::Register(key, content) => (Kind::Instance, key, content),
            Self::Unregister(key, content) => (Kind::Departure, key, content),
            Self::Override(key, content) => (Kind::Override, key, content),
            Self::Expire(_) | Self::Forget(_) | Self::Clear(_) => return None,
        };
        Some(Record { kind, key, content })
    }
}

/// Draws operations on a number of keys.
#[derive(Debug, Clone)]
pub struct Operations {
    keys: u16,
    max_padding: u16,
    number: u64,
}

impl Operations {
    /// On that many keys, with at most that much padding.
    pub fn new(keys: u16, max_padding: u16) -> Self {
        Self { keys, max_padding, number: 0 }
    }

    /// The operations of one commit: few in most cases, many in some.
    pub fn batch(&mut self, random: &mut impl Rng) -> Vec<Operation> {
        let most = if random.random_bool(0.02) { 100 } else { 10 };
        (0..random.random_range(1..=most)).map(|_| self.draw(random)).collect()
    }

    fn draw(&mut self, random: &mut impl Rng) -> Operation {
        let key = Key(random.random_range(0..self.keys));
        self.number += 1;
        let padded = random.random_ratio(1, 8);
        let padding = if padded { random.random_range(0..=self.max_padding) } else { 0 };
        let content = Content { number: self.number, padding };
        match random.random_range(0..16) {
            0..8 => Operation::Register(key, content),
            8..11 => Operation::Unregister(key, content),
            11 => Operation::Expire(key),
            12 => Operation::Forget(key),
            13..15 => Operation::Override(key, content),
            _ => Operation::Clear(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_the_records() {
        let content = |number| Content { number, padding: 0 };
        let before = Records::default().after(&[
            Operation::Register(Key(1), content(1)),
            Operation::Override(Key(2), content(2)),
        ]);
        assert_eq!(before.difference(&before), "");
        let after = before.after(&[
            Operation::Unregister(Key(1), content(3)),
            Operation::Override(Key(2), content(4)),
        ]);
        let expected =
            "instance 1: #1, not missing; override 2: #2, not #4; departure 1: missing, not #3";
        assert_eq!(before.difference(&after), expected);
    }
}
