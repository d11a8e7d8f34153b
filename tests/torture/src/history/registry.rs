//! What is tortured: the registry as data, with a store that outlives it; perhaps with a planted defect.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rpc_registry::RegistryOptions;
use rpc_registry::simulation::{
    Answer, Change, Clocks, Kind, Outcome, Record, RecordKey, Registry,
};
use rpc_wire::instance::InstanceKey;

use crate::runs::Wrong;

/// What a registry does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Nothing of an earlier process is listed again.
    EmptyAfterARestart,
    /// A departure is not stored.
    ADepartureNotStored,
    /// What a batch removes stays stored.
    RemovalsNotStored,
    /// A heartbeat of an instance that is known is not counted.
    HeartbeatsNotCounted,
    /// Replies to probes count as none.
    RepliesIgnored,
    /// Refused probes count as no reply, so that the brake holds what is gone.
    RefusalsIgnored,
    /// What unregistered is listed again without a probe.
    GhostsBelieved,
    /// A pause of the registry counts as silence of the others.
    PausesIgnored,
    /// An event is not sent.
    AnEventLost,
    /// A list is served once more after it changed.
    AnOldList,
}

impl Defect {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::EmptyAfterARestart,
        Self::ADepartureNotStored,
        Self::RemovalsNotStored,
        Self::HeartbeatsNotCounted,
        Self::RepliesIgnored,
        Self::RefusalsIgnored,
        Self::GhostsBelieved,
        Self::PausesIgnored,
        Self::AnEventLost,
        Self::AnOldList,
    ];
}

/// A registry and what it has stored.
#[derive(Debug)]
pub struct Simulated {
    options: RegistryOptions,
    registry: Registry,
    stored: BTreeMap<RecordKey, Record>,
    start: Instant,
    /// What the registry's wall clock shows at the start of the run, since 1970.
    wall: Duration,
    defect: Option<Defect>,
    /// What a defect needs.
    heard: BTreeSet<Vec<u8>>,
    old_list: Vec<u8>,
}

impl Simulated {
    /// A new one, at the time zero of a run.
    ///
    /// # Errors
    /// Never; nothing is stored.
    pub fn new(
        options: RegistryOptions,
        wall: Duration,
        defect: Option<Defect>,
    ) -> Result<Self, Wrong> {
        // Ages reach back before it.
        let start = Instant::now() + Duration::from_secs(3600);
        let clocks = Clocks { now: start, wall: UNIX_EPOCH + wall };
        let registry = Registry::new(options.clone(), &[], clocks)?;
        let (stored, heard, old_list) = (BTreeMap::new(), BTreeSet::new(), b"[]".to_vec());
        Ok(Self { options, registry, stored, start, wall, defect, heard, old_list })
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn clocks(&self, now: Duration) -> Clocks {
        Clocks { now: self.start + now, wall: UNIX_EPOCH + self.wall + now }
    }

    /// Sets the wall clock: what it would have shown at the start.
    pub fn set_wall(&mut self, wall: Duration) {
        self.wall = wall;
    }

    /// A registration or heartbeat of an instance that would accept a connection, or not.
    pub fn register(&mut self, peer: IpAddr, body: &[u8], accepts: bool, now: Duration) -> Answer {
        if self.has(Defect::HeartbeatsNotCounted) && !self.heard.insert(body.to_vec()) {
            return Answer::Listed;
        }
        let accepts = accepts || self.has(Defect::GhostsBelieved);
        self.registry.register(body, peer, accepts, self.clocks(now))
    }

    /// It unregisters.
    ///
    /// # Errors
    /// It is refused.
    pub fn unregister(&mut self, body: &[u8], now: Duration) -> Result<(), Wrong> {
        self.registry.unregister(body, self.clocks(now))
    }

    /// An operator takes it out of use.
    ///
    /// # Errors
    /// It is refused.
    pub fn drain(&mut self, key: &InstanceKey, now: Duration) -> Result<(), Wrong> {
        self.registry.drain(key.clone(), self.clocks(now))
    }

    /// An operator brings it back.
    pub fn undrain(&mut self, key: &InstanceKey, now: Duration) {
        self.registry.undrain(key, self.clocks(now));
    }

    /// When the next check is due.
    pub fn next_check(&self) -> Duration {
        self.registry.next_check().saturating_duration_since(self.start)
    }

    /// One check, with probes.
    pub fn check(&mut self, now: Duration, mut probe: impl FnMut(&InstanceKey) -> Outcome) {
        let defect = self.defect;
        let probe = |key: &InstanceKey| match (probe(key), defect) {
            (Outcome::Alive, Some(Defect::RepliesIgnored))
            | (Outcome::Refused, Some(Defect::RefusalsIgnored)) => Outcome::NoReply,
            (outcome, _) => outcome,
        };
        self.registry.check(self.start + now, probe);
    }

    /// The registry stands still from a time to another.
    pub fn pause(&mut self, until: Duration) {
        while self.has(Defect::PausesIgnored) && self.next_check() < until {
            self.registry.check(self.registry.next_check(), |_| Outcome::NoReply);
        }
    }

    /// The connection of an instance's heartbeats ends; it is probed.
    pub fn disconnected(&mut self, key: &InstanceKey, now: Duration, outcome: Outcome) {
        self.registry.disconnected(key, self.start + now, |_| outcome);
    }

    /// Whether the brake holds instances.
    pub fn is_braking(&self) -> bool {
        self.registry.is_braking()
    }

    /// An operator ends that.
    pub fn release_brake(&mut self, now: Duration) {
        self.registry.release_brake(self.start + now);
    }

    /// The list as older clients get it, and its revision.
    pub fn list(&mut self) -> (u64, Vec<u8>) {
        let (revision, list) = self.registry.list("json");
        let list = list.to_vec();
        if self.has(Defect::AnOldList) {
            return (revision, std::mem::replace(&mut self.old_list, list));
        }
        (revision, list)
    }

    /// The revision of the last change.
    pub fn revision(&self) -> u64 {
        self.registry.revision()
    }

    /// All instances, or those of a service, as the first event of a watcher.
    pub fn snapshot(&self, service: Option<&str>, now: Duration) -> Vec<u8> {
        self.registry.snapshot(service, self.start + now)
    }

    /// The events after a revision; `None` if they are not kept any more.
    pub fn events_after(&self, service: Option<&str>, revision: u64) -> Option<Vec<Vec<u8>>> {
        let mut events = self.registry.events_after(service, revision)?;
        if self.has(Defect::AnEventLost) && events.len() > 2 {
            events.remove(1);
        }
        Some(events)
    }

    /// Writes what is not stored yet.
    pub fn commit(&mut self) {
        let Some((changes, is_everything)) = self.registry.take_unsaved() else { return };
        if is_everything {
            self.stored.clear();
        }
        for Change { key, value } in changes {
            let is_departure = matches!(key.kind, Kind::Departure | Kind::ClassicDeparture);
            match value {
                Some(_) if is_departure && self.has(Defect::ADepartureNotStored) => {}
                Some(value) => {
                    self.stored.insert(key.clone(), Record { key, value });
                }
                None if self.has(Defect::RemovalsNotStored) => {}
                None => {
                    self.stored.remove(&key);
                }
            }
        }
    }

    /// Its process ends, and another begins.
    ///
    /// # Errors
    /// It cannot read what is stored.
    pub fn restart(&mut self, now: Duration) -> Result<(), Wrong> {
        let mut records: Vec<Record> = self.stored.values().cloned().collect();
        if self.has(Defect::EmptyAfterARestart) {
            records.clear();
        }
        self.registry = Registry::new(self.options.clone(), &records, self.clocks(now))?;
        Ok(())
    }
}
