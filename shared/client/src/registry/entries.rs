//! Lists, read entry by entry within their limits: what cannot be read, or would take too much memory, is
//! skipped.

use std::fmt;
use std::marker::PhantomData;

use rpc_wire::instance::{Entry, Instance, InstanceRecord, read_entry};
use rpc_wire::json::memory_of_value;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::RegistryClientOptions;
use crate::error::cut;

/// An entry of a list may take this much memory; a usual one takes 2 KiB.
const MAX_ENTRY: usize = 64 << 10;
/// All entries of a list may take this many times the bytes that it may have.
const FACTOR: usize = 8;

pub(super) const TOO_MUCH_MEMORY: &str = "its parameters take too much memory";

/// What a list is read into.
pub(crate) trait ListEntry: Entry {
    /// The memory that an entry with this text takes; at most 64 KiB are allowed.
    fn cost(text: &str) -> usize;
}

impl ListEntry for Instance {
    fn cost(text: &str) -> usize {
        cost_of_parameters(text)
    }
}

impl ListEntry for InstanceRecord {
    fn cost(text: &str) -> usize {
        cost_of_parameters(text)
    }
}

/// The entry's own object is no value.
fn cost_of_parameters(text: &str) -> usize {
    memory_of_value(text.strip_prefix('{').unwrap_or(text))
}

/// Whether one instance may be read from this text.
pub(super) fn is_affordable(text: &str) -> bool {
    cost_of_parameters(text) <= MAX_ENTRY
}

/// A list without the entries that were skipped.
#[derive(Debug)]
pub(super) struct Entries<T> {
    pub(super) read: Vec<T>,
    pub(super) skipped: usize,
    /// Why the first of them was.
    pub(super) why: Option<String>,
}

impl<T: ListEntry> Entries<T> {
    /// # Errors
    /// It is not a JSON list.
    pub(super) fn read(json: &[u8], options: &RegistryClientOptions) -> serde_json::Result<Self> {
        let mut input = serde_json::Deserializer::from_slice(json);
        let reader = Reader {
            max_instances: options.max_instances,
            room: options.max_list_bytes.saturating_mul(FACTOR),
            entry: PhantomData,
        };
        let entries = reader.deserialize(&mut input)?;
        input.end()?;
        Ok(entries)
    }

    fn skip(&mut self, why: impl FnOnce() -> String) {
        self.skipped += 1;
        self.why.get_or_insert_with(why);
    }
}

struct Reader<T> {
    max_instances: usize,
    /// Memory that is left for entries.
    room: usize,
    entry: PhantomData<T>,
}

impl<'de, T: ListEntry> DeserializeSeed<'de> for Reader<T> {
    type Value = Entries<T>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Entries<T>, D::Error> {
        input.deserialize_seq(self)
    }
}

impl<'de, T: ListEntry> Visitor<'de> for Reader<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of instances")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Entries<T>, A::Error> {
        let mut entries = Entries { read: Vec::new(), skipped: 0, why: None };
        while let Some(text) = list.next_element::<&RawValue>()? {
            let cost = T::cost(text.get());
            if entries.read.len() >= self.max_instances {
                let max = self.max_instances;
                entries.skip(|| format!("the list has more than max_instances = {max}"));
            } else if cost > MAX_ENTRY.min(self.room) {
                entries.skip(|| TOO_MUCH_MEMORY.to_owned());
            } else {
                match read_entry(text.get()) {
                    Ok(entry) => {
                        entries.read.push(entry);
                        self.room -= cost;
                    }
                    Err(error) => entries.skip(|| cut(&error.to_string())),
                }
            }
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(list: &str, options: &RegistryClientOptions) -> (Vec<String>, usize, String) {
        let entries = Entries::<Instance>::read(list.as_bytes(), options).unwrap();
        let hosts = entries.read.into_iter().map(|instance| instance.host).collect();
        (hosts, entries.skipped, entries.why.unwrap_or_default())
    }

    fn entry(host: &str, parameters: serde_json::Value) -> serde_json::Value {
        json!({"protocol": "json", "host": host, "port": 1, "parameters": parameters})
    }

    #[test]
    fn what_would_take_too_much_memory_is_skipped_and_the_rest_is_read() {
        let zeros = json!({"a": vec![0; 3000]});
        let objects = json!({"a": vec![json!({"a": 0}); 200]});
        let usual = json!({"wire": 1, "service": "s", "tags": vec!["a tag"; 100]});
        let list = json!([entry("a", zeros), entry("b", usual), entry("c", objects), 5]);
        let (hosts, skipped, why) = read(&list.to_string(), &RegistryClientOptions::default());
        assert_eq!((hosts, skipped), (vec!["b".to_owned()], 3));
        assert_eq!(why, "its parameters take too much memory");
    }

    #[test]
    fn a_list_takes_at_most_eight_times_its_bytes() {
        let list: Vec<_> = (0..100).map(|_| entry("a", json!({"a": vec![0; 1000]}))).collect();
        let text = json!(list).to_string();
        let max_list_bytes = text.len();
        let options = RegistryClientOptions { max_list_bytes, ..Default::default() };
        let (hosts, skipped, _) = read(&text, &options);
        let memory = hosts.len() * cost_of_parameters(&list[0].to_string());
        assert!(memory <= 8 * max_list_bytes && hosts.len() + skipped == 100, "{memory}");
        assert!(memory > 7 * max_list_bytes, "{memory}");
    }

    #[test]
    fn a_list_has_at_most_max_instances() {
        let options = RegistryClientOptions { max_instances: 2, ..Default::default() };
        let list = json!(["a", "b", "c", "d"].map(|host| entry(host, json!(null))));
        let (hosts, skipped, why) = read(&list.to_string(), &options);
        assert_eq!((hosts.len(), skipped), (2, 2));
        assert_eq!(why, "the list has more than max_instances = 2");
    }
}
