//! A watcher: what its events add up to must be the list, whenever it looks.

use std::collections::BTreeMap;

use rpc_wire::instance::{
    EntryLimits, Instance, InstanceKey, InstanceRecord, InstanceState, WatchEvent,
};

use crate::runs::Wrong;

/// What a reader makes of the events so far.
#[derive(Debug, Default)]
pub struct Watch {
    /// Only this service, if any.
    pub service: Option<&'static str>,
    /// The revision it has; `None` before its first snapshot.
    pub revision: Option<u64>,
    instances: BTreeMap<InstanceKey, Seen>,
}

/// An instance as a watcher knows it. Ages differ with the time of looking.
type Seen = (Instance, InstanceState);

impl Watch {
    /// A watcher of a service, or of all instances, that has nothing yet.
    pub fn of(service: Option<&'static str>) -> Self {
        Self { service, ..Self::default() }
    }

    /// Takes an event as it is sent.
    ///
    /// # Errors
    /// It does not follow from those before it.
    pub fn take(&mut self, frame: &[u8]) -> Result<(), Wrong> {
        let (revision, event) = read(frame)?;
        self.follow(revision, event)
    }

    /// Takes an event that was read.
    ///
    /// # Errors
    /// It does not follow from those before it.
    pub fn follow(&mut self, revision: u64, event: WatchEvent) -> Result<(), Wrong> {
        let is_snapshot = matches!(event, WatchEvent::Snapshot(_));
        if self.revision.is_some_and(|known| !is_snapshot && revision <= known) {
            return Err(format!("event {revision} after {:?}: {event:?}", self.revision));
        }
        self.revision = Some(revision);
        let was_known = |found: Option<Seen>, expected: bool, key: &InstanceKey| {
            if found.is_some() == expected {
                return Ok(());
            }
            Err(format!("event {revision} of {key}, which the watcher knew: {}", found.is_some()))
        };
        match event {
            WatchEvent::Snapshot(records) => {
                self.instances = records.into_iter().map(seen).collect();
            }
            WatchEvent::Registered(record) => {
                let (key, seen) = seen(record);
                was_known(self.instances.insert(key.clone(), seen), false, &key)?;
            }
            WatchEvent::Updated(record) | WatchEvent::Suspect(record) => {
                let (key, seen) = seen(record);
                was_known(self.instances.insert(key.clone(), seen), true, &key)?;
            }
            WatchEvent::Unregistered(key) | WatchEvent::Expired(key, _) => {
                was_known(self.instances.remove(&key), true, &key)?;
            }
            WatchEvent::Beats(_) => {}
        }
        Ok(())
    }

    /// The instances it knows.
    pub fn keys(&self) -> impl Iterator<Item = &InstanceKey> {
        self.instances.keys()
    }

    /// Those that older readers are told of, as they were registered: all that take calls.
    pub fn ready(&self) -> impl Iterator<Item = (&InstanceKey, &Instance)> {
        let takes_calls = |state| matches!(state, InstanceState::Up | InstanceState::Suspect);
        let ready = self.instances.iter().filter(move |(_, (_, state))| takes_calls(*state));
        ready.map(|(key, (instance, _))| (key, instance))
    }

    /// Compares what it knows with a snapshot of now.
    ///
    /// # Errors
    /// They differ.
    pub fn compare(&self, snapshot: &[u8]) -> Result<(), Wrong> {
        let mut now = Self::of(self.service);
        now.take(snapshot)?;
        let keys = self.instances.keys().chain(now.instances.keys());
        for key in keys {
            let (folded, listed) = (self.instances.get(key), now.instances.get(key));
            if folded != listed {
                return Err(format!(
                    "{key} is {folded:?} by the events, and {listed:?} in the list"
                ));
            }
        }
        Ok(())
    }
}

fn seen(record: InstanceRecord) -> (InstanceKey, Seen) {
    (record.instance.key(), (record.instance, record.state))
}

/// The revision and the event of a Server-Sent Event.
fn read(frame: &[u8]) -> Result<(u64, WatchEvent), Wrong> {
    let wrong = || format!("no event: {}", String::from_utf8_lossy(frame));
    let text = std::str::from_utf8(frame).map_err(|_| wrong())?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let (Some(name), Some(id)) = (field("event: "), field("id: ")) else { return Err(wrong()) };
    let data: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let data = data.join("\n");
    let revision = id.rsplit('.').next().and_then(|revision| revision.parse().ok());
    let event = WatchEvent::parse(name, &data, EntryLimits::default());
    match (revision, event) {
        (Some(revision), Ok(Some((event, _)))) => Ok((revision, event)),
        _ => Err(wrong()),
    }
}
