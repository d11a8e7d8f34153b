//! Lists of instances read entry by entry: one that cannot be read must not hide the others.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::{Beat, Instance, InstanceKey, InstanceRecord};
use crate::target::is_host;

/// Bytes of an entry as JSON: what is larger is skipped, whatever it says.
pub const MAX_ENTRY_BYTES: usize = 8 * 1024;

/// An entry of a list, or what an event is about.
pub trait Entry: DeserializeOwned {
    /// Where the instance listens.
    fn address(&self) -> (&str, u16);
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
pub fn read_entries<T: Entry>(json: &[u8]) -> serde_json::Result<(Vec<T>, Skipped)> {
    let all: Vec<&RawValue> = serde_json::from_slice(json)?;
    let mut read = Vec::with_capacity(all.len());
    let mut skipped = Skipped::default();
    for entry in all {
        match read_entry(entry.get()) {
            Ok(entry) => read.push(entry),
            Err(error) => {
                skipped.count += 1;
                skipped.why.get_or_insert(error);
            }
        }
    }
    Ok((read, skipped))
}

/// One entry.
///
/// # Errors
/// Why it is skipped.
pub fn read_entry<T: Entry>(json: &str) -> Result<T, EntryError> {
    if json.len() > MAX_ENTRY_BYTES {
        return Err(EntryError::TooLarge(json.len()));
    }
    let entry: T = serde_json::from_str(json)?;
    let (host, port) = entry.address();
    if port == 0 || !is_host(host) {
        return Err(EntryError::Address);
    }
    Ok(entry)
}

impl Entry for Instance {
    fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl Entry for InstanceRecord {
    fn address(&self) -> (&str, u16) {
        self.instance.address()
    }
}

impl Entry for InstanceKey {
    fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }
}

impl Entry for Beat {
    fn address(&self) -> (&str, u16) {
        self.key.address()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let (read, skipped) = read_entries::<Instance>(list.as_bytes()).unwrap();
        assert_eq!(read.iter().map(|it| it.host.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(skipped.count, 6);
        assert!(matches!(skipped.why, Some(EntryError::Json(_))), "the first");
        assert!(read_entries::<Instance>(b"{}").is_err());
    }
}
