//! Who is alive: which instances are overdue, what the outcome of a probe means, who is removed.
//!
//! ```text
//! up ── TTL over ──▶ overdue ── it replies ─▶ suspect ── suspect_window over ──▶ removed
//!                       │ ▲                    │   ▲
//!                  no reply └── (no reply) ────┘   │ it replies
//!                       ▼                          │
//!                    silent ── many at once ─▶ held by the brake ── brake_window over ──▶ removed
//!                       └──────── few ──────▶ removed
//! ```
//!
//! A heartbeat makes any of them up again; one that refuses the connection is removed from any of them.

mod judge;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rpc_wire::instance::{ExpiryReason, InstanceKey};

use super::brake::Verdict;
use super::target::is_same_machine;
use super::{Change, ChangeKind, Entry, Row, Slot, Table};
#[cfg(feature = "etcd")]
pub(crate) use judge::Apart;
pub(super) use judge::Judge;
pub(crate) use judge::Tally;

/// An instance is probed for lost connections at most once in this time: whoever opens and ends many
/// must not make this registry do the same to others.
const LOST_INTERVAL: Duration = Duration::from_secs(1);

/// How sure the registry is that an instance is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Liveness {
    /// Its TTL has not passed.
    Up,
    /// Its TTL has passed and it is probed; without an outcome until then, it counts as silent.
    Overdue(Instant),
    /// It gave no reply. It is removed or held as soon as it is clear how many others are silent, and
    /// then at the latest.
    Silent(Instant),
    /// It replied to a probe. It is kept until then; `None`: for ever.
    Suspect(Option<Instant>),
    /// It is silent, and kept until then: see [`Brake`](super::brake::Brake).
    Held(Instant),
    /// It is removed with the next batch.
    Condemned,
}

/// An instance at one moment. Once it has sent a heartbeat or registered anew, no outcome of a probe
/// from before counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    slot: usize,
    serial: u64,
    incarnation: Option<u64>,
    heartbeats: u64,
}

/// Whom to probe, and how.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    pub(crate) key: InstanceKey,
    pub(crate) address: SocketAddr,
    /// It is a server of ours, which replies to `rpc.health`; any other is only connected to.
    pub(crate) extended: bool,
}

/// The outcome of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// It replied, if only with an error.
    Alive,
    /// It refused the connection.
    Refused,
    /// It gave no reply in time, or cannot be reached.
    NoReply,
    /// It is this registry itself.
    Itself,
    /// The fault was ours, such as a lack of open files: it says nothing.
    Unknown,
}

/// The result of a check.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The instances to probe, in no order.
    pub(crate) probes: Vec<Due>,
    /// Instances found for the first time to send heartbeats too seldom.
    pub(crate) slow: Vec<Row>,
    /// How late the check was: every deadline was extended by that.
    pub(crate) late: Duration,
    /// The brake holds nobody any more.
    pub(crate) ended: Option<BrakeEnd>,
}

/// An instance to probe.
#[derive(Debug)]
pub(crate) struct Due {
    is_suspect: bool,
    since: Instant,
    ticket: Ticket,
}

impl Due {
    /// The order of turns: the one that is overdue longest first, suspects last. Not sorted by the check
    /// itself, which heartbeats wait for.
    pub(crate) fn in_order(mut all: Vec<Self>) -> impl Iterator<Item = Ticket> {
        all.sort_unstable_by_key(|due| (due.is_suspect, due.since));
        all.into_iter().map(|due| due.ticket)
    }
}

/// Why the brake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrakeEnd {
    /// Its window is over; those held until then are removed.
    Over {
        /// How many.
        held: usize,
    },
    /// All that it held are up again, reply to probes, or are gone.
    Recovered,
}

/// What one batch of decisions did.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) changes: Vec<Change>,
    /// The brake begins to hold.
    pub(crate) begun: Option<BrakeBegin>,
    /// Further decisions are due.
    pub(crate) more: bool,
}

/// What the brake found when it began to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrakeBegin {
    pub(crate) silent: usize,
    pub(crate) listed: usize,
}

/// The brake while it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrakeStatus {
    /// Instances it holds.
    pub(crate) held: usize,
    /// When it ends.
    pub(crate) until: Instant,
}

impl Table {
    /// When the next [`check`](Self::check) is due.
    pub(crate) fn next_check(&self) -> Instant {
        self.next_check
    }

    /// How long this process has been paused at least: heartbeats may be read before the check that is late.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.next_check)
    }

    /// Finds the instances whose deadlines have passed.
    ///
    /// A late check means that this process was paused, and heartbeats may be waiting unread: every
    /// deadline is extended by the delay, though never beyond its full time from now. It reads every
    /// slot: keeping them in order of deadline would make every heartbeat pay for one check in 5 s.
    pub(crate) fn check(&mut self, now: Instant) -> Checked {
        let late = self.pause(now);
        self.next_check = now + self.check;
        let Self { slots, judge, .. } = self;
        judge.brake.extend(late, now);
        let held = judge.tally.held;
        let mut probes = Vec::new();
        let mut slow = Vec::new();
        for (index, slot) in slots.iter_mut().enumerate() {
            let Some(slot) = slot else { continue };
            if slot.is_elsewhere() {
                continue;
            }
            let ticket = slot.ticket(index);
            if judge.check(slot, ticket, late, now) {
                let Slot { suspect: is_suspect, deadline: since, .. } = *slot;
                probes.push(Due { is_suspect, since, ticket });
            } else if slot.pace.is_found_slow() {
                slow.push(slot.row());
            }
        }
        let over = judge.brake.until().is_some_and(|until| until <= now);
        let ended = match judge.brake.until() {
            Some(_) if over => Some(BrakeEnd::Over { held }),
            Some(_) if judge.tally.held + judge.tally.silent == 0 => Some(BrakeEnd::Recovered),
            _ => None,
        };
        if ended.is_some() {
            judge.brake.release();
        }
        self.departures.forget_old(now);
        self.note_departures();
        Checked { probes, slow, late, ended }
    }

    /// Says whether heartbeats may go to registries that this one does not hear, from now on.
    #[cfg(feature = "etcd")]
    pub(crate) fn set_apart(&mut self, apart: Apart) {
        self.judge.apart = apart;
    }

    /// Removes and holds instances as decided: at most so many at a time, so that heartbeats need not
    /// wait for a hundred thousand removals.
    pub(crate) fn settle(&mut self, now: Instant, most: usize) -> Settled {
        let mut settled = Settled::default();
        // Of those of others it cannot know who is silent.
        let listed = self.len_here();
        let before = self.judge.brake.until();
        let verdict = self.judge.brake.verdict(self.judge.counts(listed), now);
        if before.is_none() && self.judge.brake.until().is_some() {
            settled.begun = Some(BrakeBegin { silent: self.judge.tally.silent, listed });
        }
        for _ in 0..most {
            let Some((ticket, reason)) = self.judge.condemned.pop_front() else { break };
            // It may have beaten since.
            let stands = |slot: &Slot| slot.liveness == Liveness::Condemned;
            if self.slot_of(ticket).is_some_and(stands) {
                settled.changes.extend(self.remove(ticket.slot, ChangeKind::Expired(reason), now));
            }
        }
        while settled.changes.len() < most
            && let Some(change) = self.settle_silent(verdict, now)
        {
            settled.changes.push(change);
        }
        settled.more = settled.changes.len() >= most || !self.judge.condemned.is_empty();
        settled
    }

    /// Removes or holds the first of the silent instances, unless they are to wait.
    fn settle_silent(&mut self, verdict: Verdict, now: Instant) -> Option<Change> {
        loop {
            let ticket = *self.judge.silent.front()?;
            let Some(until) = self.slot_of(ticket).and_then(|slot| match slot.liveness {
                Liveness::Silent(until) => Some(until),
                _ => None,
            }) else {
                self.judge.silent.pop_front();
                continue;
            };
            // As of the last check: it has found all others that are silent by then.
            let last_check = self.next_check.checked_sub(self.check)?;
            if verdict == Verdict::Wait && until > last_check {
                return None;
            }
            self.judge.silent.pop_front();
            if let Verdict::Hold(until) = verdict {
                return self.retain(ticket.slot, Liveness::Held(until), now);
            }
            self.judge.brake.count_removed(now);
            let kind = ChangeKind::Expired(Some(ExpiryReason::NoReply));
            return self.remove(ticket.slot, kind, now);
        }
    }

    /// What the outcome of a probe changes at once; what it decides besides is [settled](Self::settle).
    pub(crate) fn conclude(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        now: Instant,
    ) -> Option<Change> {
        let Self { slots, judge, .. } = self;
        let slot = slots.get_mut(ticket.slot)?.as_mut()?;
        if slot.ticket(ticket.slot) != ticket || slot.liveness == Liveness::Condemned {
            return None;
        }
        match (outcome, slot.liveness) {
            (Outcome::Refused, _) => judge.condemn(slot, ticket, Some(ExpiryReason::Refused)),
            (Outcome::Itself, Liveness::Overdue(_)) => judge.condemn(slot, ticket, None),
            (Outcome::Alive, Liveness::Overdue(_)) if judge.may_be_heard_elsewhere(slot, now) => {
                judge.wait(slot, now);
            }
            (Outcome::Alive, Liveness::Suspect(_)) | (Outcome::NoReply, Liveness::Held(_)) => {
                slot.deadline = now + judge.pace();
            }
            (Outcome::Alive, Liveness::Overdue(_) | Liveness::Silent(_) | Liveness::Held(_)) => {
                let until = judge.suspect_window.map(|window| now + window);
                return self.retain(ticket.slot, Liveness::Suspect(until), now);
            }
            (Outcome::NoReply, Liveness::Overdue(until)) => judge.silence(slot, ticket, until, now),
            (Outcome::NoReply, Liveness::Suspect(_)) => {
                judge.silence(slot, ticket, now + judge.patience, now);
            }
            // Its TTL runs on, or has been decided on.
            (Outcome::Alive | Outcome::NoReply | Outcome::Itself | Outcome::Unknown, _) => {}
        }
        None
    }

    /// The ticket of an instance of which `peer` has just sent a heartbeat, if `peer` may say that its
    /// connection is lost: it is where the instance registered from.
    pub(crate) fn claim(&self, key: &InstanceKey, peer: IpAddr) -> Option<Ticket> {
        let ticket = self.ticket(key)?;
        let registered_from = self.slot_of(ticket)?.entry.peer;
        is_same_machine(registered_from, peer).then_some(ticket)
    }

    /// How long to wait before the instance is probed, since the connection has ended that the heartbeat of
    /// this ticket came on: usually not at all, or for what is left of [`LOST_INTERVAL`] since another end;
    /// to be asked again then. `None`: a heartbeat has come since on another connection.
    pub(crate) fn lose(&mut self, ticket: Ticket, now: Instant) -> Option<Duration> {
        let slot = self.slots.get_mut(ticket.slot)?.as_mut()?;
        if slot.ticket(ticket.slot) != ticket {
            return None;
        }
        let since = |lost: Instant| now.saturating_duration_since(lost);
        let left = slot.lost.map(|lost| LOST_INTERVAL.saturating_sub(since(lost)));
        let left = left.unwrap_or_default();
        if left.is_zero() {
            slot.lost = Some(now);
        }
        Some(left)
    }

    /// The ticket of an instance that may be probed.
    pub(crate) fn ticket(&self, key: &InstanceKey) -> Option<Ticket> {
        let index = *self.by_key.get(key)?;
        let slot = self.slots.get(index)?.as_ref()?;
        self.judge.target(&slot.entry).map(|_| slot.ticket(index))
    }

    /// How to probe an instance; `None` if it has sent a heartbeat or left since it was to be probed.
    pub(crate) fn probe(&self, ticket: Ticket) -> Option<Probe> {
        let slot = self.slot_of(ticket)?;
        let address = self.judge.target(&slot.entry)?;
        Some(Probe { key: slot.entry.key.clone(), address, extended: slot.entry.extended })
    }

    /// Ends the brake; those it holds are removed with the next batches. Returns how many; `None` if it
    /// does not hold.
    pub(crate) fn release_brake(&mut self, now: Instant) -> Option<usize> {
        let Self { slots, judge, .. } = self;
        judge.brake.until()?;
        judge.brake.release_by_operator(now);
        let held = judge.tally.held;
        for (index, slot) in slots.iter_mut().enumerate() {
            if let Some(slot) = slot
                && matches!(slot.liveness, Liveness::Held(_) | Liveness::Silent(_))
            {
                let ticket = slot.ticket(index);
                judge.condemn(slot, ticket, Some(ExpiryReason::NoReply));
            }
        }
        Some(held)
    }

    /// The brake, while it holds.
    pub(crate) fn brake(&self) -> Option<BrakeStatus> {
        let until = self.judge.brake.until()?;
        Some(BrakeStatus { held: self.judge.tally.held, until })
    }

    /// The instances that are not simply up.
    pub(crate) fn tally(&self) -> Tally {
        self.judge.tally
    }

    /// A heartbeat came: the instance is up, whatever it was. Returns the change, if watchers know it as
    /// a suspect.
    pub(super) fn revive(&mut self, index: usize, now: Instant) -> Option<Change> {
        let slot = self.slots.get_mut(index)?.as_mut()?;
        // Nearly every heartbeat.
        if slot.liveness == Liveness::Up && !slot.suspect {
            return None;
        }
        self.judge.set(slot, Liveness::Up);
        let was_suspect = std::mem::replace(&mut slot.suspect, false);
        let row = slot.row();
        was_suspect.then(|| self.changed(ChangeKind::Revived, row, None, now))
    }

    /// Keeps an instance although its TTL has passed, and says so.
    fn retain(&mut self, index: usize, state: Liveness, now: Instant) -> Option<Change> {
        let slot = self.slots.get_mut(index)?.as_mut()?;
        self.judge.set(slot, state);
        slot.suspect = true;
        slot.deadline = now + self.judge.pace();
        let row = slot.row();
        Some(self.changed(ChangeKind::Suspect, row, None, now))
    }

    /// The slot of an instance that has neither sent a heartbeat nor left since its ticket.
    fn slot_of(&self, ticket: Ticket) -> Option<&Slot> {
        let slot = self.slots.get(ticket.slot)?.as_ref()?;
        (slot.ticket(ticket.slot) == ticket).then_some(slot)
    }
}

impl Slot {
    fn ticket(&self, slot: usize) -> Ticket {
        let Entry { serial, incarnation, .. } = *self.entry;
        Ticket { slot, serial, incarnation, heartbeats: self.heartbeats }
    }
}

#[cfg(test)]
mod tests;
