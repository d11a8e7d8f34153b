//! What a registry must not forget, as plain data: the model that a store is compared with.

use std::collections::BTreeMap;
use std::fmt;

use rand::{Rng, RngExt};

/// An instance's place among all possible ones.
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

/// All records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    /// The instances, in order of their first registration.
    pub instances: Vec<(Key, Content)>,
    /// What operators set.
    pub overrides: BTreeMap<Key, Content>,
    /// What unregistered lately.
    pub departures: BTreeMap<Key, Content>,
}

/// A change of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
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
    /// Makes a change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Register(key, content) => {
                match self.instances.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, known)) => *known = content,
                    None => self.instances.push((key, content)),
                }
            }
            Change::Unregister(key, content) => {
                self.instances.retain(|(known, _)| *known != key);
                self.departures.insert(key, content);
            }
            Change::Expire(key) => self.instances.retain(|(known, _)| *known != key),
            Change::Forget(key) => {
                self.departures.remove(&key);
            }
            Change::Override(key, content) => {
                self.overrides.insert(key, content);
            }
            Change::Clear(key) => {
                self.overrides.remove(&key);
            }
        }
    }

    /// These records after changes.
    pub fn with(&self, changes: &[Change]) -> Self {
        let mut records = self.clone();
        changes.iter().for_each(|change| records.apply(*change));
        records
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.instances.len() + self.overrides.len() + self.departures.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first difference, for a message.
    pub fn difference(&self, other: &Self) -> String {
        let instance = |at: usize| (self.instances.get(at), other.instances.get(at));
        for at in 0..self.instances.len().max(other.instances.len()) {
            if let (one, two) = instance(at)
                && one != two
            {
                return format!("instance {at} is {} and {}", Shown(one), Shown(two));
            }
        }
        let maps = [
            ("override", &self.overrides, &other.overrides),
            ("departure", &self.departures, &other.departures),
        ];
        for (what, one, two) in maps {
            for key in one.keys().chain(two.keys()) {
                if one.get(key) != two.get(key) {
                    let [one, two] = [one, two].map(|map| map.get_key_value(key));
                    return format!(
                        "{what} of {} is {} and {}",
                        key.0,
                        Shown(one.map(|(key, content)| (*key, *content)).as_ref()),
                        Shown(two.map(|(key, content)| (*key, *content)).as_ref())
                    );
                }
            }
        }
        "none".to_owned()
    }
}

struct Shown<'a>(Option<&'a (Key, Content)>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some((key, content)) => write!(f, "{} with content {}", key.0, content.number),
            None => f.write_str("missing"),
        }
    }
}

/// Draws changes among a number of keys.
#[derive(Debug, Clone)]
pub struct Changes {
    keys: u16,
    max_padding: u16,
    number: u64,
}

impl Changes {
    /// Of that many keys, with at most that much padding.
    pub fn new(keys: u16, max_padding: u16) -> Self {
        Self { keys, max_padding, number: 0 }
    }

    /// One change.
    pub fn draw(&mut self, random: &mut impl Rng) -> Change {
        let key = Key(random.random_range(0..self.keys));
        self.number += 1;
        let padding = match random.random_range(0..8) {
            0 => random.random_range(0..=self.max_padding),
            _ => 0,
        };
        let content = Content { number: self.number, padding };
        match random.random_range(0..16) {
            0..8 => Change::Register(key, content),
            8..11 => Change::Unregister(key, content),
            11 => Change::Expire(key),
            12 => Change::Forget(key),
            13..15 => Change::Override(key, content),
            _ => Change::Clear(key),
        }
    }

    /// The changes of one commit: few in most cases, many in some.
    pub fn batch(&mut self, random: &mut impl Rng) -> Vec<Change> {
        let most = if random.random_bool(0.02) { 100 } else { 10 };
        (0..random.random_range(1..=most)).map(|_| self.draw(random)).collect()
    }
}
