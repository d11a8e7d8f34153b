//! The decision about one instance at a check, and what all such decisions have in common.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use rpc_wire::instance::ExpiryReason;

use super::{Liveness, Ticket};
use crate::RegistryOptions;
use crate::table::brake::{Brake, Counts};
use crate::table::target::target;
use crate::table::{Entry, Slot};

/// Instances by what is known of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) overdue: usize,
    pub(crate) silent: usize,
    pub(crate) suspect: usize,
    pub(crate) held: usize,
}

/// Whether heartbeats may go to registries of the cluster that this one does not hear: whom it asks in vain for them
/// stays while it replies to probes.
#[cfg_attr(
    not(feature = "etcd"),
    expect(dead_code, reason = "a registry alone hears all there are")
)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Apart {
    /// It hears all of them, or there are no others.
    #[default]
    No,
    /// Another one is gone without a word. It may have ended, or be cut off from the cluster.
    SomeAreGone,
    /// This one is cut off from the cluster. Whom it may not probe stays, too: it cannot know.
    CutOff,
}

/// What the decisions about all instances have in common.
#[derive(Debug)]
pub(in crate::table) struct Judge {
    probes: bool,
    networks: Vec<IpNet>,
    ttl: Duration,
    /// How long an overdue instance waits for the outcome of its probe.
    pub(super) patience: Duration,
    pub(super) suspect_window: Option<Duration>,
    /// Whether heartbeats may go to registries that this one does not hear.
    pub(super) apart: Apart,
    pub(super) brake: Brake,
    pub(super) tally: Tally,
    pub(super) silent: VecDeque<Ticket>,
    pub(super) condemned: VecDeque<(Ticket, Option<ExpiryReason>)>,
}

impl Judge {
    pub(in crate::table) fn new(options: &RegistryOptions) -> Self {
        Self {
            probes: options.probes && options.max_probes > 0,
            networks: options.probe_networks.clone(),
            ttl: options.ttl,
            patience: 2 * (options.check_interval + options.probe_timeout),
            suspect_window: (!options.suspect_window.is_zero()).then_some(options.suspect_window),
            apart: Apart::default(),
            brake: Brake::new(options),
            tally: Tally::default(),
            silent: VecDeque::new(),
            condemned: VecDeque::new(),
        }
    }

    /// Suspects and those held are probed at the pace of heartbeats.
    pub(super) fn pace(&self) -> Duration {
        self.ttl / 2
    }

    pub(super) fn target(&self, entry: &Entry) -> Option<SocketAddr> {
        if self.probes { target(&entry.key, entry.peer, &self.networks) } else { None }
    }

    /// Counts a slot whose state changes.
    pub(in crate::table) fn moved(&mut self, from: Liveness, to: Liveness) {
        if let Some(count) = self.tally.of(from) {
            *count -= 1;
        }
        if let Some(count) = self.tally.of(to) {
            *count += 1;
        }
    }

    pub(in crate::table) fn set(&mut self, slot: &mut Slot, to: Liveness) {
        self.moved(slot.liveness, to);
        slot.liveness = to;
    }

    pub(super) fn condemn(
        &mut self,
        slot: &mut Slot,
        ticket: Ticket,
        reason: Option<ExpiryReason>,
    ) {
        self.set(slot, Liveness::Condemned);
        self.condemned.push_back((ticket, reason));
    }

    pub(super) fn silence(
        &mut self,
        slot: &mut Slot,
        ticket: Ticket,
        until: Instant,
        now: Instant,
    ) {
        if self.may_be_heard_elsewhere(slot, now) {
            return self.wait(slot, now);
        }
        self.set(slot, Liveness::Silent(until));
        self.silent.push_back(ticket);
    }

    /// Whether other registries may have its heartbeats, and say nothing of them.
    pub(super) fn may_be_heard_elsewhere(&self, slot: &Slot, now: Instant) -> bool {
        slot.moves.may_be_heard_elsewhere(self.ttl, now)
    }

    /// Gives it another TTL.
    pub(super) fn wait(&mut self, slot: &mut Slot, now: Instant) {
        self.set(slot, Liveness::Up);
        slot.deadline = now + self.ttl;
    }

    pub(super) fn counts(&self, listed: usize) -> Counts {
        // A suspect that falls silent is to find the others that do so with it.
        let undecided = self.tally.overdue + self.tally.suspect;
        Counts { listed, silent: self.tally.silent, undecided }
    }

    /// Decides on one instance at a check; `true` if it is to be probed.
    pub(super) fn check(
        &mut self,
        slot: &mut Slot,
        ticket: Ticket,
        late: Duration,
        now: Instant,
    ) -> bool {
        slot.deadline = (slot.deadline + late).min(now + self.ttl);
        slot.pace.pause(late, self.ttl);
        let due = slot.deadline <= now;
        let extended = |until: Instant, window: Duration| (until + late).min(now + window);
        match slot.liveness {
            Liveness::Up if !due => false,
            Liveness::Up => {
                let is_probed = self.target(&slot.entry).is_some();
                let is_elsewhere =
                    self.apart == Apart::CutOff || self.may_be_heard_elsewhere(slot, now);
                if !is_probed && is_elsewhere {
                    self.wait(slot, now);
                    return false;
                }
                if !is_probed {
                    self.condemn(slot, ticket, None);
                    return false;
                }
                self.set(slot, Liveness::Overdue(now + self.patience));
                true
            }
            Liveness::Overdue(until) => {
                let until = extended(until, self.patience);
                if until <= now {
                    self.silence(slot, ticket, until, now);
                    return false;
                }
                slot.liveness = Liveness::Overdue(until);
                true
            }
            Liveness::Silent(until) => {
                slot.liveness = Liveness::Silent(extended(until, self.patience));
                false
            }
            Liveness::Suspect(until) => {
                let until = until.zip(self.suspect_window).map(|(at, window)| match self.apart {
                    Apart::No => extended(at, window),
                    Apart::SomeAreGone | Apart::CutOff => now + window,
                });
                slot.liveness = Liveness::Suspect(until);
                // Its heartbeats may go to a registry that is cut off from the others: it stays while it replies.
                if until.is_some_and(|until| until <= now) && !slot.is_adopted() {
                    self.condemn(slot, ticket, Some(ExpiryReason::SuspectWindow));
                    return false;
                }
                due
            }
            Liveness::Held(_) => match self.brake.until() {
                Some(until) if until > now => {
                    slot.liveness = Liveness::Held(until);
                    due
                }
                _ => {
                    self.condemn(slot, ticket, Some(ExpiryReason::NoReply));
                    false
                }
            },
            Liveness::Condemned => false,
        }
    }
}

impl Tally {
    pub(super) fn of(&mut self, state: Liveness) -> Option<&mut usize> {
        match state {
            Liveness::Overdue(_) => Some(&mut self.overdue),
            Liveness::Silent(_) => Some(&mut self.silent),
            Liveness::Suspect(_) => Some(&mut self.suspect),
            Liveness::Held(_) => Some(&mut self.held),
            Liveness::Up | Liveness::Condemned => None,
        }
    }
}
