//! What of the table outlives its process: to records, and back from them.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rpc_wire::instance::InstanceKey;
use rpc_wire::mutants::mutant;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::departures::Departure;
use super::entry::Entry;
use super::standing::{Override, Standing};
use super::unsaved::Unsaved;
use super::wall::Wall;
use super::{Slot, Table};
use crate::RegistryOptions;
use crate::record::{Change, Kind, Record, RecordKey};
use crate::registration::Registration;

/// What the store does not have yet, as of one time.
#[derive(Debug)]
pub(crate) struct Batch {
    /// With it the store has that many changes.
    pub(crate) changes: u64,
    content: Vec<(RecordKey, Option<Kept>)>,
    /// These are all records.
    pub(crate) is_everything: bool,
}

/// What a record says, shared with the table until it is written.
#[derive(Debug)]
pub(super) enum Kept {
    /// And its stamp.
    Instance(Arc<Entry>, u64),
    Override(Arc<Standing>),
    Departure(StoredDeparture),
}

/// An instance as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct StoredInstance<'a> {
    /// Its place among the others of its protocol.
    serial: u64,
    peer: IpAddr,
    registered_ms: u64,
    /// Its stamp, unless that is when it was registered; not in the records of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changed_ms: Option<u64>,
    /// Who registered it; not in the records of earlier versions.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    identity: Option<Cow<'a, str>>,
    #[serde(borrow)]
    instance: &'a RawValue,
}

/// A departure as it is stored; the rest of it is in its key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StoredDeparture {
    at_ms: u64,
    /// Its stamp, unless that is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stamp_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incarnation: Option<u64>,
}

/// A record that was understood.
#[derive(Debug)]
pub(crate) enum Restored {
    Instance(RestoredInstance),
    Override(InstanceKey, Override),
    Departure(Departure),
}

/// An instance that was registered with an earlier process.
#[derive(Debug)]
pub(crate) struct RestoredInstance {
    pub(super) registration: Registration,
    serial: u64,
    pub(super) peer: IpAddr,
    pub(super) registered_ms: u64,
    pub(super) changed_ms: u64,
}

#[cfg_attr(
    not(any(feature = "redb", feature = "etcd")),
    expect(dead_code, reason = "without a store nothing is read back")
)]
impl Restored {
    /// Reads a record.
    ///
    /// # Errors
    /// Says what about it is not as it was written.
    pub(crate) fn read(record: &Record) -> Result<Self, String> {
        let Record { key: RecordKey { kind, instance: key }, value } = record;
        let wrong = |error: serde_json::Error| error.to_string();
        Ok(match kind {
            Kind::Instance => {
                let stored: StoredInstance<'_> = serde_json::from_slice(value).map_err(wrong)?;
                let StoredInstance { serial, peer, registered_ms, changed_ms, identity, instance } =
                    stored;
                // It was within the limits of its time, whatever they are now.
                let limits = RegistryOptions {
                    max_host_bytes: usize::MAX,
                    max_parameters_bytes: usize::MAX,
                    ..RegistryOptions::default()
                };
                let mut registration = Registration::parse(instance.get().as_bytes(), &limits)
                    .map_err(|refusal| refusal.to_string())?;
                registration.identity = identity.as_deref().map(Arc::from);
                if registration.key != *key {
                    return Err(format!("it is of {}", registration.key));
                }
                let changed_ms = changed_ms.unwrap_or(registered_ms);
                Self::Instance(RestoredInstance {
                    registration,
                    serial,
                    peer,
                    registered_ms,
                    changed_ms,
                })
            }
            Kind::Override => {
                Self::Override(key.clone(), serde_json::from_slice(value).map_err(wrong)?)
            }
            Kind::Departure | Kind::ClassicDeparture => {
                let StoredDeparture { at_ms, stamp_ms, incarnation } =
                    serde_json::from_slice(value).map_err(wrong)?;
                let at = UNIX_EPOCH.checked_add(Duration::from_millis(at_ms));
                let at = at.ok_or_else(|| "its time is no time".to_owned())?;
                let stamp = stamp_ms.unwrap_or(at_ms);
                Self::Departure(Departure { key: key.clone(), incarnation, at, stamp })
            }
        })
    }
}

impl Batch {
    /// What it changes.
    pub(crate) fn into_changes(self) -> Vec<Change> {
        let change =
            |(key, kept): (_, Option<Kept>)| Change { key, value: kept.map(|kept| kept.to_json()) };
        self.content.into_iter().map(change).collect()
    }

    /// All records, if it has them all.
    pub(crate) fn into_records(self) -> Vec<Record> {
        let record = |(key, kept): (_, Option<Kept>)| Some(Record { key, value: kept?.to_json() });
        self.content.into_iter().filter_map(record).collect()
    }
}

impl Kept {
    pub(super) fn to_json(&self) -> Bytes {
        let json = match self {
            Self::Instance(entry, changed_ms) => {
                let Entry { serial, peer, registered, identity, reply, .. } = &**entry;
                // It was written here.
                let instance = serde_json::from_slice(reply).unwrap_or(RawValue::NULL);
                let registered_ms = registered.wall_ms;
                let (serial, peer) = (*serial, *peer);
                let identity = identity.as_deref().map(Cow::Borrowed);
                let changed_ms = (*changed_ms != registered_ms).then_some(*changed_ms);
                let stored =
                    StoredInstance { serial, peer, registered_ms, changed_ms, identity, instance };
                serde_json::to_vec(&stored)
            }
            Self::Override(standing) => serde_json::to_vec(&standing.what),
            Self::Departure(departure) => serde_json::to_vec(departure),
        };
        // Plain data and JSON serialise.
        json.unwrap_or_default().into()
    }
}

impl Table {
    /// Tells the table what the wall clock shows at `now`. To be repeated: the clock may be set.
    pub(crate) fn set_wall(&mut self, wall: SystemTime, now: Instant) {
        let before = std::mem::replace(&mut self.wall, Wall::new(wall, now));
        if mutant("expiry-by-wall-clock") {
            let ahead = self.wall.moment(now).wall_ms.saturating_sub(before.moment(now).wall_ms);
            for slot in self.slots.iter_mut().flatten() {
                let deadline = slot.deadline.checked_sub(Duration::from_millis(ahead));
                slot.deadline = deadline.unwrap_or(now);
            }
        }
    }

    /// Notes changes for [`take_unsaved`](Self::take_unsaved) from now on, at most so many keys of them.
    pub(crate) fn save_changes(&mut self, max_unsaved: usize) {
        self.unsaved = Unsaved::new(Some(max_unsaved));
    }

    /// Lists what an earlier process had, each with a full TTL from `now`; see
    /// [`set_wall`](Self::set_wall) for when that was. To be called before anything else is listed.
    pub(crate) fn restore(&mut self, restored: Vec<Restored>, wall: SystemTime, now: Instant) {
        let mut instances = Vec::new();
        for one in restored {
            match one {
                Restored::Instance(instance) => instances.push(instance),
                Restored::Override(key, what) => {
                    self.restore_override(key, Standing::new(what, now, wall));
                }
                Restored::Departure(departure) => self.restore_departure(departure, wall, now),
            }
        }
        instances.sort_by_key(|instance| instance.serial);
        for instance in instances {
            self.restore_instance(instance, now);
        }
        // The store has all of this, except that some departures are forgotten by now.
        for (key, has_incarnation) in self.departures.take_touched() {
            if self.departures.get(&key, has_incarnation).is_none() {
                self.unsaved.note(departure_kind(has_incarnation), &key);
            }
        }
    }

    /// Remembers what left while an earlier process kept the list; `wall` is the time at `now`.
    pub(super) fn restore_departure(
        &mut self,
        departure: Departure,
        wall: SystemTime,
        now: Instant,
    ) {
        let Departure { key, incarnation, at, stamp } = departure;
        // Of a later time if the clock was set back: then the whole window is left.
        let ago = wall.duration_since(at).unwrap_or_default();
        self.departures.note(key, incarnation, true, (ago, stamp), now);
    }

    fn restore_instance(&mut self, restored: RestoredInstance, now: Instant) {
        let RestoredInstance { registration, serial, peer, registered_ms, changed_ms } = restored;
        // Where numbers are missing or not in order, they follow each other.
        let serial = serial.max(self.serial + 1);
        let registered = self.wall.past(registered_ms, now);
        let body = self.digests.of(&registration.reply);
        let entry = Entry::new(registration, peer, registered, serial);
        let index = self.place(entry, body, now);
        self.by_body.insert(body, index);
        self.revision += 1;
        if let Some(Some(Slot { entry, stamp, .. })) = self.slots.get_mut(index) {
            *stamp = changed_ms;
            let Entry { key, service, .. } = &**entry;
            self.lists.changed(&key.protocol, service.as_deref(), self.revision);
        }
    }

    /// What the store does not have yet; `None` if it has everything.
    pub(crate) fn take_unsaved(&mut self) -> Option<Batch> {
        if self.unsaved.is_empty() {
            return None;
        }
        let keys = self.unsaved.take();
        let is_everything = keys.is_none();
        let content = match keys {
            Some(keys) => keys.into_iter().map(|key| (self.kept(&key), key)).collect::<Vec<_>>(),
            None => self.all_kept(),
        };
        let content = content.into_iter().map(|(kept, key)| (key, kept)).collect();
        Some(Batch { changes: self.unsaved.changes(), content, is_everything })
    }

    /// The store may have lost anything: the next batch has everything.
    pub(crate) fn save_everything(&mut self) {
        self.unsaved.note_everything();
    }

    /// Changes that are to be saved, so far.
    pub(crate) fn changes(&self) -> u64 {
        self.unsaved.changes()
    }

    /// What the record of a key says now.
    pub(super) fn kept(&self, RecordKey { kind, instance: key }: &RecordKey) -> Option<Kept> {
        Some(match kind {
            Kind::Instance => {
                let slot = self.slots.get(*self.by_key.get(key)?)?.as_ref()?;
                Kept::Instance(Arc::clone(&slot.entry), slot.stamp)
            }
            Kind::Override => Kept::Override(self.overrides.get(key)?),
            Kind::Departure => self.kept_departure(key, true)?,
            Kind::ClassicDeparture => self.kept_departure(key, false)?,
        })
    }

    /// Notes the departures that changed.
    pub(super) fn note_departures(&mut self) {
        for (key, has_incarnation) in self.departures.take_touched() {
            self.unsaved.note(departure_kind(has_incarnation), &key);
        }
    }

    fn kept_departure(&self, key: &InstanceKey, has_incarnation: bool) -> Option<Kept> {
        let (at, stamp, incarnation) = self.departures.get(key, has_incarnation)?;
        let at_ms = self.wall.moment(at).wall_ms;
        let stamp_ms = (stamp != at_ms).then_some(stamp);
        Some(Kept::Departure(StoredDeparture { at_ms, stamp_ms, incarnation }))
    }

    fn all_kept(&self) -> Vec<(Option<Kept>, RecordKey)> {
        let instances = self.by_key.keys().map(|key| (Kind::Instance, key));
        let overrides = self.overrides.keys().map(|key| (Kind::Override, key));
        let departures = self.departures.keys();
        let departures = departures.map(|(key, has)| (departure_kind(has), key));
        let all = instances.chain(overrides).chain(departures);
        let keys = all.map(|(kind, key)| RecordKey { kind, instance: key.clone() });
        keys.map(|key| (self.kept(&key), key)).collect()
    }
}

fn departure_kind(has_incarnation: bool) -> Kind {
    if has_incarnation { Kind::Departure } else { Kind::ClassicDeparture }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(identity: &str) -> Record {
        let json = format!(
            r#"{{"serial":1,"peer":"127.0.0.1","registered_ms":5,{identity}"instance":{{"protocol":"json","host":"h","port":1}}}}"#
        );
        let instance = InstanceKey { protocol: "json".to_owned(), host: "h".to_owned(), port: 1 };
        Record { key: RecordKey { kind: Kind::Instance, instance }, value: json.into() }
    }

    #[test]
    fn whose_an_instance_is_is_read_back_and_in_earlier_records_nobodys() {
        for (text, name) in [("", None), (r#""identity":"shop","#, Some("shop"))] {
            let Ok(Restored::Instance(restored)) = Restored::read(&stored(text)) else {
                panic!("{text}")
            };
            assert_eq!(restored.registration.identity.as_deref(), name);
            let at = Wall::new(SystemTime::now(), Instant::now()).past(5, Instant::now());
            let entry = Entry::new(restored.registration, [127, 0, 0, 1].into(), at, 1);
            let written = Kept::Instance(Arc::new(entry), 5).to_json();
            let written = std::str::from_utf8(&written).unwrap();
            assert_eq!(written.contains(r#""identity":"shop""#), name.is_some(), "{written}");
            assert!(!written.contains("changed_ms"), "{written}");
        }
    }
}
