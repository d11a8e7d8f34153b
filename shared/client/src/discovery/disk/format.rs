//! The text of a kept list: one line that says what it is, then what a registry would have sent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rpc_wire::instance::{EntryLimits, read_entries};
use serde::{Deserialize, Serialize};

use crate::discovery::listed::Listed;

/// A longer file is not read. Of a list that would take more, the instances that fit are kept: some ten
/// thousand.
pub(super) const MAX_FILE_BYTES: usize = 4 << 20;
const VERSION: u32 = 1;

/// What list it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subject {
    /// The registry, `host:port`.
    pub(super) registry: String,
    /// The only service whose instances were asked for.
    pub(super) service: Option<String>,
    /// The mark of who asked, to whom the registry may have listed what it does not list to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) identity: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    rpcd_list: u32,
    #[serde(flatten)]
    subject: Subject,
    /// Seconds since 1970: monotonic clocks start anew with the machine.
    saved: u64,
}

/// A list as it was kept.
#[derive(Debug)]
pub(in crate::discovery) struct Saved {
    pub(in crate::discovery) instances: Vec<Listed>,
    /// How long ago; zero if the clock was set back since.
    pub(in crate::discovery) age: Duration,
}

/// The text of a list.
pub(super) fn write<'a>(
    subject: &Subject,
    instances: impl Iterator<Item = &'a Listed>,
    now: SystemTime,
) -> serde_json::Result<String> {
    let saved = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let head = Head { rpcd_list: VERSION, subject: subject.clone(), saved };
    let mut text = serde_json::to_string(&head)?;
    let mut separator = "\n[\n";
    for instance in instances {
        let entry = instance.to_json()?;
        if text.len() + separator.len() + entry.len() + END.len() > MAX_FILE_BYTES {
            continue;
        }
        text.push_str(separator);
        text.push_str(&entry);
        separator = ",\n";
    }
    text.push_str(END);
    Ok(text)
}

const END: &str = "\n]\n";

/// The list that this text is; `None` if it is none, is of another subject or version, or has no instance.
pub(super) fn read(bytes: &[u8], subject: &Subject, now: SystemTime) -> Option<Saved> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let (head, list) = bytes.split_at_checked(end)?;
    let Head { rpcd_list, subject: of, saved } = serde_json::from_slice(head).ok()?;
    if rpcd_list != VERSION || of != *subject {
        return None;
    }
    let (instances, _) = read_entries::<Listed>(list, EntryLimits::default()).ok()?;
    let saved = UNIX_EPOCH.checked_add(Duration::from_secs(saved))?;
    let age = now.duration_since(saved).unwrap_or_default();
    (!instances.is_empty()).then_some(Saved { instances, age })
}

#[cfg(test)]
mod tests {
    use rpc_wire::instance::MAX_ENTRY_BYTES;

    use super::*;

    fn subject() -> Subject {
        Subject { registry: "r:9999".to_owned(), service: None, identity: None }
    }

    fn listed(port: u16, parameters: &str) -> Listed {
        let text = format!(
            r#"{{"protocol":"json","host":"h","port":{port},"status":true,"parameters":{parameters}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn what_is_written_is_read_with_its_age() {
        let list = [listed(1, r#"{"weight":3,"x":[1, 2]}"#), listed(2, "null")];
        let text = write(&subject(), list.iter(), at(1000)).unwrap();
        let saved = read(text.as_bytes(), &subject(), at(1060)).unwrap();
        assert_eq!(saved.instances, list);
        assert_eq!(saved.age, Duration::from_secs(60));
        let earlier = read(text.as_bytes(), &subject(), at(10)).unwrap();
        assert_eq!(earlier.age, Duration::ZERO, "the clock was set back");
    }

    #[test]
    fn a_list_of_another_registry_service_identity_or_version_is_none() {
        let list = [listed(1, "{}")];
        let text = write(&subject(), list.iter(), at(0)).unwrap();
        let other = Subject { registry: "s:9999".to_owned(), ..subject() };
        assert!(read(text.as_bytes(), &other, at(0)).is_none());
        let other = Subject { service: Some("orders".to_owned()), ..subject() };
        assert!(read(text.as_bytes(), &other, at(0)).is_none());
        let other = Subject { identity: Some("0123456789ab".to_owned()), ..subject() };
        assert!(read(text.as_bytes(), &other, at(0)).is_none());
        let later = text.replace("\"rpcd_list\":1", "\"rpcd_list\":2");
        assert!(read(later.as_bytes(), &subject(), at(0)).is_none());
    }

    #[test]
    fn an_empty_list_is_none() {
        let text = write(&subject(), [].iter(), at(0)).unwrap();
        assert!(read(text.as_bytes(), &subject(), at(0)).is_none());
    }

    #[test]
    fn of_a_list_that_is_too_large_the_instances_that_fit_are_kept() {
        let parameters = format!(r#"{{"x":"{}"}}"#, "y".repeat(4000));
        let list: Vec<Listed> = (1..2000).map(|port| listed(port, &parameters)).collect();
        let text = write(&subject(), list.iter(), at(0)).unwrap();
        assert!((MAX_FILE_BYTES - 5000..=MAX_FILE_BYTES).contains(&text.len()));
        let saved = read(text.as_bytes(), &subject(), at(0)).unwrap();
        assert_eq!(saved.instances, list[..saved.instances.len()]);
    }

    #[test]
    fn any_bytes_are_a_kept_list_that_is_written_again_alike_or_none() {
        rpc_fuzz::bytes("kept_list", |bytes| {
            let Some(saved) = read(bytes, &subject(), at(5000)) else { return };
            assert!(!saved.instances.is_empty());
            let text = write(&subject(), saved.instances.iter(), at(5000)).unwrap();
            let again = read(text.as_bytes(), &subject(), at(5000));
            // What an entry did not say takes bytes, too.
            let fits = |it: &&Listed| it.to_json().unwrap().len() <= MAX_ENTRY_BYTES;
            assert!(
                again
                    .iter()
                    .flat_map(|saved| &saved.instances)
                    .eq(saved.instances.iter().filter(fits))
            );
        });
    }
}
