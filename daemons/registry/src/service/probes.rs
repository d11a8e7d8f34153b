//! The probes of overdue instances: who is next, and what becomes of the outcomes.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, SemaphorePermit};
use tracing::{debug, warn};

use super::{Service, now};
use crate::table::{BrakeBegin, BrakeEnd, BrakeStatus, Due, Outcome, Probe, Ticket};

/// The instances that wait to be probed.
#[derive(Debug, Default)]
pub(super) struct Probes {
    waiting: Mutex<Waiting>,
    /// Some are waiting.
    arrived: Notify,
    /// An outcome may decide about an instance, or several.
    decide: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Those that others than the timer asked about: they come first. Bounded by `max_instances`.
    urgent: VecDeque<Ticket>,
    /// Those that the last check found. The next one finds what is left of them again, so that there are
    /// never more than instances.
    overdue: VecDeque<Ticket>,
}

/// Decisions that are carried out under one lock.
const BATCH: usize = 256;

impl Service {
    /// Those of these instances that are to be probed now that their connection has ended; and those that
    /// are to be asked for again, after this time, see [`Table::lose`](crate::table::Table::lose).
    pub(crate) fn lose(
        &self,
        tickets: Vec<Ticket>,
    ) -> (Vec<Ticket>, Option<(Vec<Ticket>, Duration)>) {
        let mut state = self.lock();
        let now = now();
        let mut wait = Duration::ZERO;
        let (mut lost, mut later) = (Vec::new(), Vec::new());
        for ticket in tickets {
            match state.table.lose(ticket, now) {
                None => {}
                Some(Duration::ZERO) => lost.push(ticket),
                Some(left) => {
                    wait = wait.max(left);
                    later.push(ticket);
                }
            }
        }
        (lost, (!later.is_empty()).then_some((later, wait)))
    }

    /// Probes these instances now, before those whose TTL has passed.
    ///
    /// Only a refused connection removes; any other outcome leaves the TTL running. One that has sent a
    /// heartbeat or left since its ticket is passed over, and so is an outcome that comes after that.
    /// Returns at once.
    pub(crate) fn probe_now(&self, tickets: &[Ticket]) {
        let mut waiting = self.probes.lock();
        // Beyond that their TTL runs on.
        let room = self.options.max_instances.saturating_sub(waiting.urgent.len());
        waiting.urgent.extend(tickets.iter().take(room).copied());
        drop(waiting);
        self.probes.arrived.notify_one();
    }

    /// Ends the brake on mass expiry: what it holds is removed. Returns how many instances; none if it does
    /// not hold.
    pub(crate) fn release_brake(&self) -> usize {
        let released = self.lock().table.release_brake(now());
        let Some(held) = released else { return 0 };
        warn!(
            held,
            "the brake on mass expiry was released; the instances that it held are removed"
        );
        self.probes.decide.notify_one();
        held
    }

    /// The brake, while it holds, and how long it does at most from now.
    pub(crate) fn brake(&self) -> Option<(BrakeStatus, Duration)> {
        let status = self.lock().table.brake()?;
        Some((status, status.until.saturating_duration_since(now())))
    }

    /// Finds overdue instances at each check. Never returns.
    pub(super) async fn check_deadlines(&self) {
        loop {
            let due = self.lock().table.next_check();
            tokio::time::sleep_until(due.into()).await;
            let checked = {
                let mut state = self.lock();
                let now = now();
                state.table.set_wall(SystemTime::now(), now);
                state.table.check(now)
            };
            // Departures that are over are nobody's change.
            self.saving.wake();
            self.metrics.pause(checked.late);
            if checked.late > self.options.check_interval {
                warn!(late = ?checked.late, "this process was paused; every deadline is extended by that time");
            }
            for row in &checked.slow {
                let instance = &row.entry.key;
                warn!(%instance, ttl = ?self.options.ttl, "its heartbeats are further apart than half the TTL: one that is lost may remove it; send them more often, or raise ttl");
            }
            match checked.ended {
                Some(BrakeEnd::Over { held }) => {
                    warn!(
                        held,
                        "the brake on mass expiry ends: its time is over; the instances that are still silent are removed"
                    );
                }
                Some(BrakeEnd::Recovered) => {
                    warn!("the brake on mass expiry ends: no instance is silent any more");
                }
                None => {}
            }
            let overdue = Due::in_order(checked.probes).collect();
            self.probes.lock().overdue = overdue;
            self.probes.arrived.notify_one();
            self.probes.decide.notify_one();
            self.snapshots.forget_old(now());
        }
    }

    /// Removes and holds instances as the outcomes decide. Never returns.
    pub(super) async fn decide(&self) {
        loop {
            self.probes.decide.notified().await;
            loop {
                let settled = {
                    let mut state = self.lock();
                    let settled = state.table.settle(now(), BATCH);
                    state.history.extend(settled.changes.iter().cloned());
                    settled
                };
                if let Some(BrakeBegin { silent, listed }) = settled.begun {
                    self.metrics.brakes.inc();
                    let window = self.options.brake_window;
                    warn!(
                        silent,
                        listed,
                        ?window,
                        "the brake on mass expiry holds: so many instances are silent at once that the fault may be here or between; they stay listed meanwhile. To remove them now: rpcd release-brake"
                    );
                }
                self.announce(&settled.changes, None);
                if !settled.more {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
    }

    /// Probes who waits, as many at a time as may be. Never returns.
    pub(super) async fn run_probes(&self) {
        let mut under_way = FuturesUnordered::new();
        let mut probed = HashSet::new();
        loop {
            tokio::select! {
                Some((ticket, outcome)) = under_way.next() => {
                    probed.remove(&ticket);
                    self.conclude(ticket, outcome);
                }
                (turn, ticket, probe) = self.next_probe() => {
                    // A later check finds those again whose probes are under way.
                    if probed.insert(ticket) {
                        under_way.push(async move {
                            let outcome = self.prober.probe(&probe).await;
                            drop(turn);
                            debug!(instance = %probe.key, ?outcome, "probed");
                            (ticket, outcome)
                        });
                    }
                }
            }
        }
    }

    fn conclude(&self, ticket: Ticket, outcome: Outcome) {
        self.metrics.probes.inc(outcome.into());
        let change = {
            let mut state = self.lock();
            let change = state.table.conclude(ticket, outcome, now());
            state.history.extend(change.clone());
            change
        };
        if let Some(change) = change {
            self.announce(&[change], None);
        }
        self.probes.decide.notify_one();
    }

    /// The next instance to probe, when it may be. Nothing is lost when this is dropped.
    async fn next_probe(&self) -> (SemaphorePermit<'_>, Ticket, Probe) {
        loop {
            if self.probes.lock().is_empty() {
                self.probes.arrived.notified().await;
                continue;
            }
            let turn = self.prober.turn().await;
            for _ in 0..BATCH {
                let Some(ticket) = self.probes.lock().next() else { break };
                if let Some(probe) = self.lock().table.probe(ticket) {
                    return (turn, ticket, probe);
                }
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Probes {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.overdue.is_empty()
    }

    fn next(&mut self) -> Option<Ticket> {
        self.urgent.pop_front().or_else(|| self.overdue.pop_front())
    }
}
