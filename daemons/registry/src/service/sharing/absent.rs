//! Registries that are gone without a word. They may have ended, or be cut off from etcd and take heartbeats all the same.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// After this time one that is gone has ended.
const GONE_FOR: Duration = Duration::from_secs(600);

/// Who is there, and who is gone without a word.
#[derive(Debug, Default)]
pub(super) struct Absent {
    /// The other registries, by id, and their addresses.
    present: BTreeMap<String, String>,
    /// Addresses, and since when nothing was heard of them.
    gone: HashMap<String, Instant>,
}

impl Absent {
    /// A registry lives.
    pub(super) fn lives(&mut self, id: &str, address: &str) {
        self.gone.remove(address);
        self.present.insert(id.to_owned(), address.to_owned());
    }

    /// It says that it ends.
    pub(super) fn says_farewell(&mut self, id: &str) {
        self.present.remove(id);
    }

    /// It does not say that it lives any more.
    pub(super) fn is_missed(&mut self, id: &str, now: Instant) {
        let Some(address) = self.present.remove(id) else { return };
        // It was started again before its former life was missed.
        if !self.present.values().any(|other| *other == address) {
            self.gone.insert(address, now);
        }
    }

    /// These are all that live: a session has found them.
    pub(super) fn found(&mut self, live: &BTreeMap<String, String>, now: Instant) {
        let missed = self.present.keys().filter(|id| !live.contains_key(*id)).cloned();
        for id in missed.collect::<Vec<_>>() {
            self.is_missed(&id, now);
        }
    }

    /// Whether there are other registries.
    pub(super) fn has_others(&self) -> bool {
        !self.present.is_empty() || !self.gone.is_empty()
    }

    /// Whether any has been gone for a while, and not for long.
    pub(super) fn are_some_gone(&mut self, now: Instant) -> bool {
        self.gone.retain(|_, since| now.saturating_duration_since(*since) < GONE_FOR);
        !self.gone.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ends_with_a_word_or_comes_back_is_not_gone_and_who_does_not_is_for_a_while() {
        let now = Instant::now();
        let mut absent = Absent::default();
        for (id, address) in [("1", "a"), ("2", "b"), ("3", "c")] {
            absent.lives(id, address);
        }
        absent.says_farewell("1");
        absent.is_missed("1", now);
        assert!(!absent.are_some_gone(now));
        // Started again at once.
        absent.lives("4", "b");
        absent.is_missed("2", now);
        assert!(!absent.are_some_gone(now));
        absent.found(&BTreeMap::from([("4".to_owned(), "b".to_owned())]), now);
        assert!(absent.are_some_gone(now) && absent.has_others());
        absent.lives("5", "c");
        assert!(!absent.are_some_gone(now));
        absent.is_missed("5", now);
        assert!(absent.are_some_gone(now + GONE_FOR / 2));
        assert!(!absent.are_some_gone(now + GONE_FOR));
    }
}
