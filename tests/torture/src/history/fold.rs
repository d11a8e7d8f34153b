//! A watcher of a real registry, beside a reader of its list: what the events add up to at a revision is the list of
//! that revision.

use std::collections::{BTreeMap, VecDeque};

use rpc_wire::instance::{Instance, InstanceKey, WatchEvent};

use super::watch::Watch;
use crate::runs::Wrong;

/// Lists that wait for the next event, at most.
const MAX_WAITING: usize = 64;

/// A watcher and the lists that are to be compared.
#[derive(Debug, Default)]
pub struct Fold {
    watch: Watch,
    /// Of the registry's process.
    epoch: String,
    waiting: VecDeque<(u64, BTreeMap<InstanceKey, Instance>)>,
    /// Lists that were compared.
    pub compared: u64,
}

impl Fold {
    /// An event arrives, with its id.
    ///
    /// # Errors
    /// It does not follow from those before it, or a list of a revision before it is not what they add up to.
    pub fn event(&mut self, id: &str, event: WatchEvent) -> Result<(), Wrong> {
        let (epoch, revision) = revision(id).ok_or_else(|| format!("event without id: {id:?}"))?;
        let is_snapshot = matches!(event, WatchEvent::Snapshot(_));
        if epoch != self.epoch {
            if !is_snapshot {
                return Err(format!("a change of another process first: {id} {event:?}"));
            }
            *self = Self { epoch: epoch.to_owned(), compared: self.compared, ..Self::default() };
        } else if is_snapshot {
            // What came before it is not known.
            self.waiting.retain(|(listed, _)| *listed >= revision);
        } else {
            self.compare(revision)?;
        }
        self.watch.follow(revision, event)
    }

    /// A list was read, with its ETag.
    pub fn list(&mut self, etag: &str, list: &[Instance]) {
        let Some((epoch, revision)) = revision(etag.trim_start_matches("W/").trim_matches('"'))
        else {
            return;
        };
        // Of an earlier one it is not known any more.
        if epoch == self.epoch && self.watch.revision.is_some_and(|known| known <= revision) {
            if self.waiting.len() == MAX_WAITING {
                self.waiting.pop_front();
            }
            let list = list.iter().map(|instance| (instance.key(), instance.clone()));
            self.waiting.push_back((revision, list.collect()));
        }
    }

    /// Compares the lists of all revisions before this one.
    fn compare(&mut self, before: u64) -> Result<(), Wrong> {
        let due = |(revision, _): &(u64, _)| *revision < before;
        while let Some((revision, list)) = self.waiting.pop_front_if(|waiting| due(waiting)) {
            self.compared += 1;
            let folded: BTreeMap<_, _> =
                self.watch.ready().map(|(key, instance)| (key.clone(), instance.clone())).collect();
            if list != folded {
                return Err(format!(
                    "the list of revision {revision} is {list:?}, and by the events {folded:?}"
                ));
            }
        }
        Ok(())
    }

    /// The instances by the events so far.
    pub fn keys(&self) -> impl Iterator<Item = &InstanceKey> {
        self.watch.keys()
    }
}

/// The process and the revision that an id or an ETag names.
fn revision(id: &str) -> Option<(&str, u64)> {
    let (epoch, revision) = id.rsplit_once('.')?;
    Some((epoch, revision.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use rpc_wire::instance::{InstanceRecord, InstanceState};

    use super::*;

    fn record(port: u16) -> InstanceRecord {
        InstanceRecord {
            instance: Instance::new("h", port),
            age_ms: Some(0),
            ttl_ms: 0,
            registered_ms_ago: 0,
            heartbeats: Some(1),
            state: InstanceState::Up,
            incarnation: None,
            overridden: None,
            held_ms: None,
            durable: true,
            owner: None,
        }
    }

    #[test]
    fn a_list_is_compared_with_the_events_up_to_its_revision() {
        for (ports, is_right) in [(vec![1, 2], true), (vec![1], false)] {
            let mut fold = Fold::default();
            fold.event("e.4", WatchEvent::Snapshot(vec![record(1)])).unwrap();
            fold.event("e.5", WatchEvent::Registered(record(2))).unwrap();
            let list: Vec<_> = ports.iter().map(|port| Instance::new("h", *port)).collect();
            fold.list("\"e.6\"", &list);
            // Revision 6 may be of another protocol.
            let next = fold.event("e.7", WatchEvent::Registered(record(3)));
            assert_eq!((next.is_ok(), fold.compared), (is_right, 1), "{next:?}");
        }
    }

    #[test]
    fn whoever_takes_no_calls_is_in_no_list() {
        let mut fold = Fold::default();
        fold.event("e.4", WatchEvent::Snapshot(vec![record(1)])).unwrap();
        let drained = InstanceRecord { state: InstanceState::Draining, ..record(1) };
        fold.event("e.5", WatchEvent::Updated(drained)).unwrap();
        fold.list("\"e.5\"", &[]);
        assert_eq!(fold.event("e.6", WatchEvent::Updated(record(1))), Ok(()));
        assert_eq!(fold.compared, 1);
    }

    #[test]
    fn another_process_begins_with_a_snapshot() {
        let mut fold = Fold::default();
        fold.event("e.4", WatchEvent::Snapshot(vec![record(1)])).unwrap();
        fold.list("\"e.4\"", &[]);
        assert!(fold.event("f.1", WatchEvent::Registered(record(3))).is_err());
        fold.event("f.1", WatchEvent::Snapshot(vec![record(2)])).unwrap();
        assert_eq!(fold.keys().map(|key| key.port).collect::<Vec<_>>(), [2]);
        assert_eq!(fold.compared, 0);
    }
}
