//! The registry as data, for tests/torture: what tasks and sockets do around the table is done here one
//! after another, at times and with outcomes of probes that the caller chooses.

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rpc_wire::instance::{InstanceKey, OverrideState, WatchEvent, first_incarnation};

use super::Reader;
use super::history::{History, frame};
use crate::RegistryOptions;
use crate::error::Refusal;
use crate::record::{Change, Record};
use crate::registration::Registration;
use crate::table::{self, Due, List, Override, Restored, Row, Scope, Standing, Table, Ticket};

/// A time on both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    /// The monotonic one.
    pub now: Instant,
    /// The wall clock.
    pub wall: SystemTime,
}

/// What a registration is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is listed.
    Listed,
    /// It unregistered lately, and accepts no connection.
    HeldBack,
    /// It is of an earlier life than one that is known.
    Outlived {
        /// The incarnation of that.
        current: u64,
    },
    /// Another reason.
    Refused(String),
}

/// What a probe finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It replies.
    Alive,
    /// It refuses the connection.
    Refused,
    /// It does not reply.
    NoReply,
}

/// A registry without sockets, threads and clocks.
#[derive(Debug)]
pub struct Registry {
    options: RegistryOptions,
    table: Table,
    history: History,
}

impl Registry {
    /// One with the records of an earlier one.
    ///
    /// # Errors
    /// A record cannot be read.
    pub fn new(options: RegistryOptions, records: &[Record], at: Clocks) -> Result<Self, String> {
        let restored = records.iter().map(Restored::read).collect::<Result<_, _>>()?;
        let mut table = Table::new(&options, at.now);
        table.set_wall(at.wall, at.now);
        table.save_changes(options.max_unsaved);
        table.restore(restored, at.wall, at.now);
        let history = History::starting_at(table.revision(), &options);
        Ok(Self { options, table, history })
    }

    /// A registration or heartbeat; `accepts` is whether the instance would accept a connection now.
    pub fn register(&mut self, body: &[u8], peer: IpAddr, accepts: bool, at: Clocks) -> Answer {
        let Clocks { now, wall } = at;
        self.table.set_wall(wall, now);
        if let Some((_, revived)) = self.table.renew(body, now) {
            self.history.extend(revived);
            return Answer::Listed;
        }
        self.register_anew(body, peer, accepts, at).unwrap_or_else(|refusal| match refusal {
            Refusal::EarlierLife { current, .. } => Answer::Outlived { current },
            other => Answer::Refused(other.to_string()),
        })
    }

    fn register_anew(
        &mut self,
        body: &[u8],
        peer: IpAddr,
        accepts: bool,
        Clocks { now, wall }: Clocks,
    ) -> Result<Answer, Refusal> {
        let registration = Registration::parse(body, &self.options)?;
        let key = &registration.key;
        let is_in_doubt =
            registration.incarnation.is_none() && self.table.unregistered_recently(key, now);
        if is_in_doubt && !accepts {
            self.table.hold_back(key.clone(), now);
            return Ok(Answer::HeldBack);
        }
        self.table.refuse_implausible(&registration, self.latest_incarnation(wall), now)?;
        self.history.extend(self.table.register(registration, body, peer, now)?);
        Ok(Answer::Listed)
    }

    /// An instance unregisters.
    ///
    /// # Errors
    /// It is refused.
    pub fn unregister(&mut self, body: &[u8], Clocks { now, wall }: Clocks) -> Result<(), String> {
        self.table.set_wall(wall, now);
        let registration =
            Registration::parse(body, &self.options).map_err(|refusal| refusal.to_string())?;
        let latest = self.latest_incarnation(wall);
        self.table
            .refuse_implausible(&registration, latest, now)
            .map_err(|refusal| refusal.to_string())?;
        let Registration { key, incarnation, .. } = &registration;
        self.history.extend(self.table.unregister(key, *incarnation, now));
        Ok(())
    }

    /// An operator takes an instance out of use.
    ///
    /// # Errors
    /// There are too many overrides.
    pub fn drain(&mut self, key: InstanceKey, Clocks { now, wall }: Clocks) -> Result<(), String> {
        let what =
            Override { state: OverrideState::Draining, reason: None, by: None, until_ms: None };
        let standing = Standing::new(what, now, wall);
        let set = self.table.set_override(key, standing, now);
        self.history.extend(set.map_err(|refusal| refusal.to_string())?.change);
        Ok(())
    }

    /// An operator brings it back.
    pub fn undrain(&mut self, key: &InstanceKey, Clocks { now, .. }: Clocks) {
        let cleared = self.table.clear_override(key, now);
        self.history.extend(cleared.and_then(|cleared| cleared.change));
    }

    /// When the next check is due.
    pub fn next_check(&self) -> Instant {
        self.table.next_check()
    }

    /// Checks deadlines, probes who is overdue, and removes or holds as that says.
    pub fn check(&mut self, now: Instant, probe: impl FnMut(&InstanceKey) -> Outcome) {
        let due = self.table.check(now).probes;
        self.probe(Due::in_order(due).collect(), now, probe);
    }

    /// The connection on which instances sent their heartbeats ended: they are probed now.
    pub fn disconnected(
        &mut self,
        key: &InstanceKey,
        now: Instant,
        probe: impl FnMut(&InstanceKey) -> Outcome,
    ) {
        self.probe(self.table.ticket(key).into_iter().collect(), now, probe);
    }

    fn probe(
        &mut self,
        tickets: Vec<Ticket>,
        now: Instant,
        mut probe: impl FnMut(&InstanceKey) -> Outcome,
    ) {
        for ticket in tickets {
            let Some(target) = self.table.probe(ticket) else { continue };
            let outcome = match probe(&target.key) {
                Outcome::Alive => table::Outcome::Alive,
                Outcome::Refused => table::Outcome::Refused,
                Outcome::NoReply => table::Outcome::NoReply,
            };
            self.history.extend(self.table.conclude(ticket, outcome, now));
        }
        loop {
            let settled = self.table.settle(now, 3);
            self.history.extend(settled.changes);
            if !settled.more {
                return;
            }
        }
    }

    /// Whether the brake holds instances.
    pub fn is_braking(&self) -> bool {
        self.table.brake().is_some()
    }

    /// An operator ends the brake.
    pub fn release_brake(&mut self, now: Instant) {
        self.table.release_brake(now);
        self.probe(Vec::new(), now, |_| Outcome::NoReply);
    }

    /// The list of a protocol, as older clients get it, and its revision.
    pub fn list(&mut self, protocol: &str) -> (u64, Bytes) {
        let scope = Scope { protocol: Some(protocol.to_owned()), ..Scope::default() };
        if let Some(list) = self.table.prepared(&scope) {
            return (list.revision, list.body);
        }
        let (revision, elements) = self.table.elements(&scope);
        let list = List::build(revision, &elements);
        self.table.keep(&scope, &list);
        (list.revision, list.body)
    }

    /// The revision of the last change.
    pub fn revision(&self) -> u64 {
        self.table.revision()
    }

    /// The instances of all protocols as a watcher's first event has them.
    pub fn snapshot(&self, service: Option<&str>, now: Instant) -> Vec<u8> {
        let scope = Scope { service: service.map(str::to_owned), ..Scope::default() };
        let rows = self.table.rows(&scope);
        let records = rows.iter().map(|row| row.record(self.options.ttl, now)).collect::<Vec<_>>();
        frame(&WatchEvent::Snapshot(records), "0", self.table.revision(), 0).to_vec()
    }

    /// The events after a revision; `None` if not all of them are kept.
    pub fn events_after(&self, service: Option<&str>, revision: u64) -> Option<Vec<Vec<u8>>> {
        let scope = Scope { service: service.map(str::to_owned), ..Scope::default() };
        let events = self.history.since(revision)?;
        let frames = events.filter_map(|event| {
            let kind = scope.kind_of(&event.change)?;
            let record = |row, at| Row::record(row, self.options.ttl, at);
            Some(event.frame(kind, "0", Reader::default(), record).to_vec())
        });
        Some(frames.collect())
    }

    /// What is to be written to the store: changes, or all records in place of what it has.
    pub fn take_unsaved(&mut self) -> Option<(Vec<Change>, bool)> {
        let batch = self.table.take_unsaved()?;
        let is_everything = batch.is_everything;
        Some((batch.into_changes(), is_everything))
    }

    fn latest_incarnation(&self, wall: SystemTime) -> u64 {
        let since_1970: Duration = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        first_incarnation(since_1970.saturating_add(self.options.max_clock_ahead))
    }
}
