//! What clients of a real registry were told, each with the times of question and answer, between which it took
//! effect; compared with what must hold. Pure; its size is that of the instances there were.
//!
//! Registrations and farewells of one instance follow one another. Nothing is said of those without an incarnation.

use std::collections::BTreeMap;
use std::time::Duration;

use rpc_wire::instance::{Instance, InstanceKey};

use crate::runs::Wrong;

/// From a question to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When it was asked.
    pub from: Duration,
    /// When it was answered.
    pub to: Duration,
}

/// What a registration was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It is listed.
    Listed,
    /// It is of an earlier life than this.
    Outlived(u64),
    /// Nothing: it may have arrived or not.
    Nothing,
}

/// The times of the registry's rules.
#[derive(Debug, Clone, Copy)]
pub struct SeenTimes {
    /// `ttl`
    pub ttl: Duration,
    /// `rejoin_window`
    pub rejoin: Duration,
    /// How long an instance that refuses connections may stay listed.
    pub gone: Duration,
}

/// What was seen of a registry.
#[derive(Debug)]
pub struct Seen {
    times: SeenTimes,
    known: BTreeMap<InstanceKey, Known>,
    /// When it last started: who was listed then has another TTL.
    started: Duration,
}

/// What is known of an instance. Lives are told apart by their incarnations.
#[derive(Debug, Default)]
struct Known {
    /// The latest life of which anything was sent.
    latest: u64,
    /// The life that was last acknowledged, and when, if nothing was sent or done since that may remove it.
    listed: Option<(u64, Span)>,
    /// The latest life whose farewell was acknowledged, and when.
    left: Option<(u64, Span)>,
    /// The latest life whose farewell was sent.
    leaving: Option<u64>,
    /// Since when it refuses connections.
    refuses: Option<Duration>,
    /// A registration may still arrive.
    is_open: bool,
}

impl Known {
    /// The life that is listed throughout a time, at least.
    fn surely_listed(&self, during: Span, ttl: Duration) -> Option<u64> {
        let (life, acknowledged) = self.listed?;
        let is_sure = acknowledged.to < during.from && during.to < acknowledged.from + ttl;
        is_sure.then_some(life)
    }

    /// The life that has left throughout a time, and with it all earlier ones.
    fn surely_left(&self, during: Span, rejoin: Duration) -> Option<u64> {
        let (life, acknowledged) = self.left?;
        let is_sure = acknowledged.to < during.from && during.to < acknowledged.from + rejoin;
        is_sure.then_some(life)
    }
}

impl Seen {
    /// Nothing yet, of a registry with these times.
    pub fn new(times: SeenTimes) -> Self {
        Self { times, known: BTreeMap::new(), started: Duration::ZERO }
    }

    /// It started, perhaps again, with what it had stored.
    pub fn started(&mut self, at: Duration) {
        self.started = at;
    }

    /// A registration or heartbeat is sent.
    pub fn registers(&mut self, key: &InstanceKey, life: u64) {
        let known = self.known.entry(key.clone()).or_default();
        if life > known.latest {
            known.latest = life;
            known.refuses = None;
        }
    }

    /// It was told something.
    ///
    /// # Errors
    /// That cannot be.
    pub fn registered(
        &mut self,
        key: &InstanceKey,
        life: u64,
        told: Told,
        span: Span,
    ) -> Result<(), Wrong> {
        let SeenTimes { ttl, rejoin, .. } = self.times;
        let known = self.known.entry(key.clone()).or_default();
        let wrong = |why: String| {
            Err(format!("life {life} of {key} registers and is told {told:?}: {why}"))
        };
        match told {
            Told::Nothing => known.is_open = true,
            Told::Listed => {
                if let Some(later) = known.surely_listed(span, ttl).filter(|listed| *listed > life)
                {
                    return wrong(format!("{later} was listed"));
                }
                if let Some(left) = known.surely_left(span, rejoin).filter(|left| *left >= life) {
                    return wrong(format!("{left} had unregistered"));
                }
                known.listed = Some((life, span));
                known.is_open = false;
            }
            Told::Outlived(current) => {
                let is_known = life <= current && current <= known.latest;
                let has_left = known.leaving.is_some_and(|leaving| leaving >= life);
                if !is_known || (current == life && !has_left) {
                    return wrong(format!("the latest is {}", known.latest));
                }
            }
        }
        Ok(())
    }

    /// A farewell is sent.
    pub fn unregisters(&mut self, key: &InstanceKey, life: u64) {
        let known = self.known.entry(key.clone()).or_default();
        known.leaving = known.leaving.max(Some(life));
        known.listed = known.listed.filter(|(listed, _)| *listed > life);
    }

    /// It was acknowledged.
    pub fn unregistered(&mut self, key: &InstanceKey, life: u64, span: Span) {
        let known = self.known.entry(key.clone()).or_default();
        if known.left.is_none_or(|(left, _)| left <= life) {
            known.left = Some((life, span));
        }
    }

    /// An instance is about to end: from now on it refuses connections.
    pub fn ends(&mut self, key: &InstanceKey, at: Duration) {
        let known = self.known.entry(key.clone()).or_default();
        known.listed = None;
        known.refuses = (!known.is_open).then_some(at);
    }

    /// A list was read.
    ///
    /// # Errors
    /// It cannot be.
    pub fn listed(&self, list: &[Instance], span: Span) -> Result<(), Wrong> {
        let SeenTimes { ttl, rejoin, gone } = self.times;
        let mut lives = BTreeMap::new();
        for instance in list {
            let (key, life) = (instance.key(), instance.incarnation().unwrap_or(0));
            let Some(known) = self.known.get(&key).filter(|known| life <= known.latest) else {
                return Err(format!("life {life} of {key} is listed and never registered"));
            };
            if let Some(left) = known.surely_left(span, rejoin).filter(|left| *left >= life) {
                return Err(format!("life {life} of {key} is listed, and {left} had unregistered"));
            }
            if known.refuses.is_some_and(|since| span.from > since.max(self.started) + gone) {
                return Err(format!("{key} is listed and has refused connections for {gone:?}"));
            }
            lives.insert(key, life);
        }
        for (key, known) in &self.known {
            let Some(life) = known.surely_listed(span, ttl) else { continue };
            let listed = lives.get(key);
            if listed.is_none_or(|listed| *listed < life) {
                return Err(format!(
                    "life {life} of {key} is acknowledged, {:?}, and listed is {listed:?}",
                    known.listed
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: SeenTimes = SeenTimes {
        ttl: Duration::from_secs(2),
        rejoin: Duration::from_secs(60),
        gone: Duration::from_secs(5),
    };

    fn at(from: u64, to: u64) -> Span {
        Span { from: Duration::from_millis(from), to: Duration::from_millis(to) }
    }

    fn key() -> InstanceKey {
        Instance::new("h", 1).key()
    }

    fn instance(life: u64) -> Instance {
        let mut instance = Instance::new("h", 1);
        instance.parameters.insert("incarnation".to_owned(), life.into());
        instance
    }

    /// Life 5 registers from 100 to 200 ms.
    fn seen() -> Seen {
        let mut seen = Seen::new(TIMES);
        seen.registers(&key(), 5);
        seen.registered(&key(), 5, Told::Listed, at(100, 200)).unwrap();
        seen
    }

    #[test]
    fn what_was_acknowledged_is_in_each_list_that_is_asked_for_afterwards_within_its_ttl() {
        let seen = seen();
        assert!(seen.listed(&[], at(201, 300)).is_err());
        assert_eq!(seen.listed(&[instance(5)], at(201, 300)), Ok(()));
        assert!(seen.listed(&[instance(4)], at(201, 300)).is_err(), "an earlier life");
        assert_eq!(seen.listed(&[], at(199, 300)), Ok(()), "the list may be of before");
        assert_eq!(seen.listed(&[], at(201, 2100)), Ok(()), "it may have expired");
        assert!(seen.listed(&[instance(6)], at(201, 300)).is_err(), "invented");
    }

    #[test]
    fn what_unregistered_does_not_come_back() {
        let mut seen = seen();
        seen.unregisters(&key(), 5);
        assert_eq!(seen.listed(&[], at(250, 300)), Ok(()));
        assert_eq!(seen.listed(&[instance(5)], at(250, 300)), Ok(()));
        seen.unregistered(&key(), 5, at(250, 350));
        assert_eq!(seen.listed(&[instance(5)], at(340, 400)), Ok(()));
        assert!(seen.listed(&[instance(5)], at(360, 400)).is_err());
        assert!(seen.registered(&key(), 5, Told::Listed, at(360, 400)).is_err());
        assert_eq!(seen.registered(&key(), 5, Told::Outlived(5), at(360, 400)), Ok(()));
        assert_eq!(seen.registered(&key(), 5, Told::Listed, at(360, 60_250)), Ok(()));
    }

    #[test]
    fn an_earlier_life_changes_nothing() {
        let mut seen = seen();
        seen.registers(&key(), 4);
        assert!(seen.registered(&key(), 4, Told::Listed, at(300, 400)).is_err());
        assert_eq!(seen.registered(&key(), 4, Told::Outlived(5), at(300, 400)), Ok(()));
        seen.unregisters(&key(), 4);
        seen.unregistered(&key(), 4, at(400, 500));
        assert!(seen.listed(&[], at(600, 700)).is_err());
        assert!(seen.registered(&key(), 5, Told::Outlived(5), at(600, 700)).is_err());
    }

    #[test]
    fn what_refuses_connections_leaves_unless_a_registration_may_still_arrive() {
        let mut seen = seen();
        seen.ends(&key(), Duration::from_millis(300));
        assert_eq!(seen.listed(&[instance(5)], at(5_300, 5_400)), Ok(()));
        assert!(seen.listed(&[instance(5)], at(5_301, 5_400)).is_err());
        seen.started(Duration::from_millis(1_000));
        assert_eq!(seen.listed(&[instance(5)], at(5_301, 5_400)), Ok(()));
        seen.registered(&key(), 5, Told::Nothing, at(5_400, 5_500)).unwrap();
        seen.ends(&key(), Duration::from_millis(5_500));
        assert_eq!(seen.listed(&[instance(5)], at(20_000, 20_100)), Ok(()));
    }
}
