//! What must hold of a registry's list: acknowledged registrations are in it, who beats stays, who is gone
//! leaves in time, who unregistered does not come back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rpc_registry::simulation::{Answer, Outcome};
use rpc_wire::instance::InstanceKey;

use super::servers::{BEAT, Body};
use crate::runs::Wrong;

/// The times of the registry's rules.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// `ttl`
    pub ttl: Duration,
    /// `check_interval`
    pub check: Duration,
    /// `suspect_window`
    pub suspect: Duration,
    /// `brake_window`
    pub brake: Duration,
    /// `rejoin_window`
    pub rejoin: Duration,
}

/// Stored times are in milliseconds.
const ROUNDING: Duration = Duration::from_millis(10);

/// What the registry knows, or must have known at some time.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// What is listed.
    pub listed: BTreeMap<InstanceKey, Listed>,
    /// What an operator took out of use.
    pub overrides: BTreeSet<InstanceKey>,
    departed: BTreeMap<(InstanceKey, bool), Departed>,
    registrations: u64,
    /// All pauses together.
    paused: Duration,
    /// The last time that many fell silent at once.
    mass: Option<Mass>,
    /// When the operator last released the brake.
    released: Option<Duration>,
}

/// Instances whose heartbeats stopped at once, and that do not reply.
#[derive(Debug, Clone)]
struct Mass {
    /// Those of which nothing was heard since.
    silent: BTreeSet<InstanceKey>,
    /// When some of them were removed.
    removed: Vec<Duration>,
    /// The brake does not end before.
    until: Duration,
}

/// A listed instance.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its last registration.
    pub body: Body,
    /// Its place among the others.
    pub order: u64,
    /// When its TTL is over.
    deadline: Duration,
    /// Since when it has replied to probes, without a heartbeat.
    alive_since: Option<Duration>,
    /// The last thing that was heard of it, and the pauses until then.
    heard: (Duration, Duration),
}

/// What left lately.
#[derive(Debug, Clone, Copy)]
struct Departed {
    /// The highest incarnation that certainly is remembered.
    incarnation: Option<u64>,
    /// The highest one that may be.
    highest: Option<u64>,
    /// Until then it certainly does not come back.
    certainly: Duration,
    /// After that it may.
    perhaps: Duration,
    /// The wall clock was set since.
    is_clock_set: bool,
}

impl Model {
    /// What the registry may answer to a registration, and what follows.
    ///
    /// # Errors
    /// It must not answer that.
    pub fn registered(
        &mut self,
        key: &InstanceKey,
        body: Body,
        accepts: bool,
        answer: &Answer,
        now: Duration,
        times: &Times,
    ) -> Result<(), Wrong> {
        let wrong = |why: &str| Err(format!("{key} registers, {why}, and is told {answer:?}"));
        let known = self.listed.get(key);
        let departed = self.departed.get(&(key.clone(), body.incarnation.is_some())).copied();
        let is_of =
            |departed: Option<u64>| body.incarnation.is_none_or(|given| departed >= Some(given));
        let certainly =
            departed.is_some_and(|it| is_of(it.incarnation) && now + ROUNDING < it.certainly);
        let perhaps = departed.is_some_and(|it| is_of(it.highest) && now < it.perhaps + ROUNDING);
        match (answer, body.incarnation) {
            (Answer::Listed, Some(given)) => {
                if known.is_some_and(|known| known.body.incarnation > Some(given)) {
                    return wrong("of an earlier life than what is listed");
                }
                if certainly {
                    return wrong("of a life that has unregistered");
                }
                self.list(key, body, now, times);
            }
            (Answer::Listed, None) => {
                if known.is_none() && certainly && !accepts {
                    return wrong("unregistered and unreachable");
                }
                self.list(key, body, now, times);
            }
            (Answer::Outlived { current }, Some(given)) => {
                let is_earlier = known.is_some_and(|known| known.body.incarnation > Some(given));
                if *current < given || (!is_earlier && !perhaps) {
                    return wrong("of a later life than any known");
                }
            }
            (Answer::HeldBack, None) => {
                if known.is_some() || accepts || !perhaps {
                    return wrong("without a reason to doubt it");
                }
                self.held_back(key, now, times);
            }
            _ => return wrong("as it may"),
        }
        Ok(())
    }

    fn list(&mut self, key: &InstanceKey, body: Body, now: Duration, times: &Times) {
        if body.incarnation.is_none() && !self.listed.contains_key(key) {
            self.departed.remove(&(key.clone(), false));
        }
        self.registrations += 1;
        let order = self.listed.get(key).map_or(self.registrations, |known| known.order);
        self.heard_of(key);
        let listed = Listed {
            body,
            order,
            deadline: now + times.ttl,
            alive_since: None,
            heard: (now, self.paused),
        };
        self.listed.insert(key.clone(), listed);
    }

    fn held_back(&mut self, key: &InstanceKey, now: Duration, times: &Times) {
        if let Some(departed) = self.departed.get_mut(&(key.clone(), false)) {
            // The window begins anew when half of it is over.
            departed.certainly = departed.certainly.max(now + times.rejoin / 2);
            departed.perhaps = departed.perhaps.max(now + times.rejoin);
        }
    }

    /// An instance has unregistered.
    pub fn unregistered(
        &mut self,
        key: &InstanceKey,
        given: Option<u64>,
        now: Duration,
        times: &Times,
    ) {
        let until = now + times.rejoin;
        let who = (key.clone(), given.is_some());
        let known = self.departed.get(&who);
        let earlier =
            |is_known: fn(&Departed, Duration) -> bool| known.filter(|known| is_known(known, now));
        let certain = earlier(|known, now| now + ROUNDING < known.certainly);
        let possible = earlier(|known, now| now < known.perhaps + ROUNDING);
        let departed = Departed {
            incarnation: given.max(certain.and_then(|known| known.incarnation)),
            highest: given.max(possible.and_then(|known| known.highest)),
            certainly: until,
            perhaps: until,
            is_clock_set: false,
        };
        self.departed.insert(who, departed);
        let listed = self.listed.get(key).map(|known| known.body.incarnation);
        if listed.is_some_and(|listed| given.is_none() || (listed.is_some() && listed <= given)) {
            self.listed.remove(key);
        }
    }

    /// All heartbeats of these stop at once, and they do not reply: the brake is to hold most of them.
    pub fn all_silent(&mut self, keys: &[InstanceKey], now: Duration, times: &Times) {
        let is_off = self.released.is_some_and(|released| now < released + 2 * times.ttl);
        let silent = keys.iter().filter(|key| self.listed.contains_key(*key)).cloned().collect();
        let mass = Mass { silent, removed: Vec::new(), until: now + times.brake };
        self.mass = (!is_off).then_some(mass);
    }

    fn heard_of(&mut self, key: &InstanceKey) {
        if let Some(mass) = &mut self.mass {
            mass.silent.remove(key);
        }
    }

    /// The operator releases the brake: what it held is removed.
    ///
    /// # Errors
    /// Others are, too.
    pub fn brake_released(
        &mut self,
        is_listed: impl Fn(&InstanceKey) -> bool,
        now: Duration,
    ) -> Result<(), Wrong> {
        (self.mass, self.released) = (None, Some(now));
        let early = self.listed.iter().find(|(key, known)| !is_listed(key) && now < known.deadline);
        if let Some((key, _)) = early {
            return Err(format!("{key} was removed with the brake, and its TTL is not over"));
        }
        self.listed.retain(|key, _| is_listed(key));
        Ok(())
    }

    /// What a probe says when the connection of an instance's heartbeats has ended. It may settle what
    /// is to become of others, too.
    ///
    /// # Errors
    /// It stays although it refused, or leaves although it did not and its TTL is not over; or another
    /// one leaves without a reason.
    pub fn probed(
        &mut self,
        key: &InstanceKey,
        outcome: Outcome,
        is_listed: impl Fn(&InstanceKey) -> bool,
        now: Duration,
        times: &Times,
    ) -> Result<(), Wrong> {
        if self.listed.contains_key(key) && is_listed(key) && outcome == Outcome::Refused {
            return Err(format!("{key} stays listed although it refused a connection"));
        }
        let paused = self.paused;
        if let Some(known) = self.listed.get_mut(key) {
            known.probed(outcome, paused, now);
        }
        let mut removed = Vec::new();
        for (other, known) in self.listed.iter().filter(|(other, _)| !is_listed(other)) {
            let outcome = (other == key).then_some(outcome);
            may_leave(other, known, outcome, now, times)?;
            removed.push((other.clone(), outcome));
        }
        for (key, outcome) in removed {
            self.listed.remove(&key);
            if outcome != Some(Outcome::Refused) {
                self.brake_let_go(&key, now, times)?;
            }
        }
        Ok(())
    }

    /// What a check may remove, and what it must.
    ///
    /// # Errors
    /// It removed another one, or did not remove one.
    pub fn checked(
        &mut self,
        late: Duration,
        asked: &BTreeMap<InstanceKey, Outcome>,
        is_listed: impl Fn(&InstanceKey) -> bool,
        now: Duration,
        times: &Times,
    ) -> Result<Vec<InstanceKey>, Wrong> {
        self.paused += late;
        let (mut removed, mut alive) = (Vec::new(), Vec::new());
        for (key, known) in &mut self.listed {
            known.deadline = (known.deadline + late).min(now + times.ttl);
            let outcome = asked.get(key).copied();
            if let Some(outcome) = outcome {
                known.probed(outcome, self.paused, now);
            }
            if outcome == Some(Outcome::Alive) {
                alive.push(key.clone());
            }
            if is_listed(key) {
                must_not_stay(key, known, outcome, self.paused, now, times)?;
            } else {
                may_leave(key, known, outcome, now, times)?;
                removed.push(key.clone());
            }
        }
        alive.iter().for_each(|key| self.heard_of(key));
        for key in &removed {
            self.listed.remove(key);
            if asked.get(key) != Some(&Outcome::Refused) {
                self.brake_let_go(key, now, times)?;
            }
        }
        Ok(removed)
    }

    /// An instance was removed because it was silent.
    fn brake_let_go(
        &mut self,
        key: &InstanceKey,
        now: Duration,
        times: &Times,
    ) -> Result<(), Wrong> {
        let Some(mass) = self.mass.as_mut().filter(|mass| now < mass.until) else { return Ok(()) };
        if mass.silent.remove(key) {
            mass.removed.push(now);
        }
        // Those that go within one TTL and two checks count together.
        mass.removed.retain(|at| now < *at + times.ttl + 2 * times.check);
        let (removed, of) = (mass.removed.len(), self.listed.len() + mass.removed.len());
        // As the brake's options say: 30 % and 5.
        if removed >= 5 && 10 * removed >= 3 * of {
            return Err(format!("{removed} of {of} that fell silent at once were removed"));
        }
        Ok(())
    }

    /// The registry starts again with what was stored, which these were then, after `lost`; all that is
    /// listed has a full TTL.
    pub fn restored(&mut self, lost: &Self, now: Duration, times: &Times) {
        self.registrations = lost.registrations;
        self.paused = lost.paused;
        (self.mass, self.released) = (None, None);
        for known in self.listed.values_mut() {
            known.deadline = now + times.ttl;
            known.alive_since = None;
            known.heard = (now, self.paused);
        }
        for departed in self.departed.values_mut().filter(|departed| departed.is_clock_set) {
            // As if no time had passed since, or all of it.
            departed.certainly = Duration::ZERO;
            departed.perhaps = now + times.rejoin;
        }
    }

    /// The wall clock is set.
    pub fn clock_set(&mut self) {
        self.departed.values_mut().for_each(|departed| departed.is_clock_set = true);
    }

    /// The listed instances in their order.
    pub fn in_order(&self) -> Vec<(&InstanceKey, &Listed)> {
        let mut all: Vec<_> = self.listed.iter().collect();
        all.sort_by_key(|(_, known)| known.order);
        all
    }
}

impl Listed {
    /// A probe that counts: its TTL is over.
    fn probed(&mut self, outcome: Outcome, paused: Duration, now: Duration) {
        match outcome {
            Outcome::Alive if self.alive_since.is_none() && self.deadline <= now => {
                self.alive_since = Some(now);
                self.heard = (now, paused);
            }
            Outcome::NoReply => self.alive_since = None,
            Outcome::Alive | Outcome::Refused => {}
        }
    }
}

/// Whether a check had a reason to remove an instance.
fn may_leave(
    key: &InstanceKey,
    known: &Listed,
    outcome: Option<Outcome>,
    now: Duration,
    times: &Times,
) -> Result<(), Wrong> {
    if outcome == Some(Outcome::Refused) {
        return Ok(());
    }
    if now < known.deadline {
        return Err(format!(
            "{key} was removed {:?} before its TTL was over",
            known.deadline - now
        ));
    }
    if let Some(since) = known.alive_since.filter(|since| now < *since + times.suspect) {
        return Err(format!("{key} was removed although it has replied for {:?}", now - since));
    }
    Ok(())
}

/// Whether a check had no reason left to keep an instance.
fn must_not_stay(
    key: &InstanceKey,
    known: &Listed,
    outcome: Option<Outcome>,
    paused: Duration,
    now: Duration,
    times: &Times,
) -> Result<(), Wrong> {
    if outcome == Some(Outcome::Refused) {
        return Err(format!("{key} stays listed although it refuses connections"));
    }
    let (heard, paused_then) = known.heard;
    let silent = (now - heard).saturating_sub(paused - paused_then);
    // Each of its states for its time, and some checks between them.
    let longest = times.ttl + times.suspect + times.brake + 6 * times.check + 2 * BEAT;
    if silent > longest {
        return Err(format!("{key} stays listed {silent:?} after its last heartbeat"));
    }
    Ok(())
}
