//! Lists of instances read entry by entry, within limits: one that cannot be read must not hide the
//! others.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::memory_of_value;
use crate::target::is_host;

/// Bytes of an entry as JSON: what is larger is skipped, whatever it says.
pub const MAX_ENTRY_BYTES: usize = 8 * 1024;
/// Memory of an entry, in bytes: a usual one takes 2 KiB.
const MAX_ENTRY_MEMORY: usize = 64 * 1024;
/// Memory of an instance's parameters, in bytes, by [`memory_of_value`]: with more, readers would skip the
/// instance, of which they get some 8 KiB besides.
pub const MAX_PARAMETERS_MEMORY: usize = 56 * 1024;

/// How much of a list is kept; what is beyond that is skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryLimits {
    /// Entries.
    pub entries: usize,
    /// Memory of all entries, in bytes. An entry takes at most 64 KiB.
    pub memory: usize,
}

impl Default for EntryLimits {
    /// 200,000 entries, as many as a registry takes, in 256 MiB.
    fn default() -> Self {
        Self { entries: 200_000, memory: 256 << 20 }
    }
}

/// An entry of a list, or what an event is about.
pub trait Entry: DeserializeOwned {
    /// Where the instance listens.
    fn address(&self) -> (&str, u16);

    /// The memory, in bytes, that an entry with this text takes.
    fn memory(text: &str) -> usize {
        // The entry's own object is no value.
        memory_of_value(text.strip_prefix('{').unwrap_or(text))
    }
}

/// How many entries were skipped, and why the first of them.
#[derive(Debug, Default)]
pub struct Skipped {
    /// How many.
    pub count: usize,
    /// Why; `None` if none was.
    pub why: Option<EntryError>,
}

/// Why an entry is skipped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// It is too large to be kept.
    #[error("it has {0} bytes, at most {MAX_ENTRY_BYTES} are read")]
    TooLarge(usize),
    /// It, or the list with it, takes too much memory.
    #[error("its parameters take too much memory")]
    Memory,
    /// The list has more entries than are kept.
    #[error("the list has more than {0} entries")]
    TooMany(usize),
    /// Nothing can be connected to there.
    #[error("its host is neither an IP address nor a name, or its port is 0")]
    Address,
    /// It is no such entry.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// The entries of a JSON array that can be read, and how many were skipped.
///
/// # Errors
/// It is no JSON array.
pub fn read_entries<T: Entry>(
    json: &[u8],
    limits: EntryLimits,
) -> serde_json::Result<(Vec<T>, Skipped)> {
    let mut input = serde_json::Deserializer::from_slice(json);
    let entries = Reader { limits, entry: PhantomData }.deserialize(&mut input)?;
    input.end()?;
    Ok(entries)
}

struct Reader<T> {
    limits: EntryLimits,
    entry: PhantomData<T>,
}

impl<'de, T: Entry> DeserializeSeed<'de> for Reader<T> {
    type Value = (Vec<T>, Skipped);

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_seq(self)
    }
}

impl<'de, T: Entry> Visitor<'de> for Reader<T> {
    type Value = (Vec<T>, Skipped);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of instances")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Self::Value, A::Error> {
        let (mut read, mut skipped) = (Vec::new(), Skipped::default());
        while let Some(text) = list.next_element::<&RawValue>()? {
            let text = text.get();
            let entry = match T::memory(text) {
                _ if read.len() >= self.limits.entries => {
                    Err(EntryError::TooMany(self.limits.entries))
                }
                memory if memory > self.limits.memory => Err(EntryError::Memory),
                memory => read_entry(text).inspect(|_| self.limits.memory -= memory),
            };
            match entry {
                Ok(entry) => read.push(entry),
                Err(error) => {
                    skipped.count += 1;
                    skipped.why.get_or_insert(error);
                }
            }
        }
        Ok((read, skipped))
    }
}

/// One entry.
///
/// # Errors
/// Why it is skipped.
pub fn read_entry<T: Entry>(json: &str) -> Result<T, EntryError> {
    if json.len() > MAX_ENTRY_BYTES {
        return Err(EntryError::TooLarge(json.len()));
    }
    if T::memory(json) > MAX_ENTRY_MEMORY {
        return Err(EntryError::Memory);
    }
    let entry: T = serde_json::from_str(json)?;
    let (host, port) = entry.address();
    if port == 0 || !is_host(host) {
        return Err(EntryError::Address);
    }
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::instance::Instance;

    #[test]
    fn what_cannot_be_read_is_skipped_and_counted() {
        let with = |host: &str, more: &str| {
            format!(r#"{{"protocol":"json","host":"{host}","port":1,"parameters":{{{more}}}}}"#)
        };
        let deep = format!(r#""a":{}{}"#, "[".repeat(130), "]".repeat(130));
        let large = format!(r#""a":"{}""#, "x".repeat(MAX_ENTRY_BYTES));
        let long = "h".repeat(254);
        let skipped = [
            with("h", &deep),
            with("h", &large),
            with("$(id)", ""),
            with(&long, ""),
            r#"{"protocol":"json","host":"h","port":0}"#.to_owned(),
            "7".to_owned(),
        ];
        for entry in &skipped {
            assert!(read_entry::<Instance>(entry).is_err(), "{entry}");
        }
        let list = format!("[{},{}, {}]", with("a", ""), skipped.join(","), with("b", ""));
        let (read, skipped) =
            read_entries::<Instance>(list.as_bytes(), EntryLimits::default()).unwrap();
        assert_eq!(read.iter().map(|it| it.host.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(skipped.count, 6);
        assert!(matches!(skipped.why, Some(EntryError::Json(_))), "the first");
        assert!(read_entries::<Instance>(b"{}", EntryLimits::default()).is_err());
    }

    fn read(list: &serde_json::Value, limits: EntryLimits) -> (Vec<String>, usize, String) {
        let list = list.to_string();
        let (read, skipped) = read_entries::<Instance>(list.as_bytes(), limits).unwrap();
        let hosts = read.into_iter().map(|instance| instance.host).collect();
        (hosts, skipped.count, skipped.why.map_or(String::new(), |why| why.to_string()))
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
        let (hosts, skipped, why) = read(&list, EntryLimits::default());
        assert_eq!((hosts, skipped), (vec!["b".to_owned()], 3));
        assert_eq!(why, "its parameters take too much memory");
    }

    #[test]
    fn a_list_takes_no_more_memory_than_it_may() {
        let list: Vec<_> = (0..100).map(|_| entry("a", json!({"a": vec![0; 1000]}))).collect();
        let of_one = Instance::memory(&list[0].to_string());
        let limits = EntryLimits { memory: of_one * 70 + 1, ..EntryLimits::default() };
        let (hosts, skipped, _) = read(&json!(list), limits);
        assert_eq!((hosts.len(), skipped), (70, 30));
    }

    #[test]
    fn a_list_has_no_more_entries_than_it_may() {
        let limits = EntryLimits { entries: 2, ..EntryLimits::default() };
        let list = json!(["a", "b", "c", "d"].map(|host| entry(host, json!(null))));
        let (hosts, skipped, why) = read(&list, limits);
        assert_eq!((hosts.len(), skipped), (2, 2));
        assert_eq!(why, "the list has more than 2 entries");
    }
}
