//! What clients of several registries that share what they know were told, and what each of these lists: compared with
//! what must hold. Pure. Registrations and farewells of one instance follow one another, and each has an incarnation.
//! As long as an instance registers it accepts connections, so that no registry may give it up.

use std::collections::BTreeMap;
use std::time::Duration;

use rpc_wire::instance::{Instance, InstanceKey};

use super::seen::{Span, Told};
use crate::runs::Wrong;

/// What is promised.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// From the acknowledgement of a durable change until every registry that is together with etcd has it.
    pub spread: Duration,
    /// How long an instance that refuses connections may stay listed.
    pub gone: Duration,
    /// `rejoin_window`
    pub rejoin: Duration,
}

/// Who replied to a registration or a farewell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// The registry, by its number.
    pub registry: usize,
    /// Whether it said that its reply is durable.
    pub durable: bool,
}

/// What was seen of the registries.
#[derive(Debug)]
pub struct Several {
    bounds: Bounds,
    registries: Vec<Registry>,
    known: BTreeMap<InstanceKey, Known>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Registry {
    /// Its process, by number.
    start: u32,
    /// Since when it has what etcd has, and learns what is new.
    together: Option<Duration>,
    /// What it says may be of long ago.
    is_late: bool,
}

/// What is known of an instance. Lives are told apart by their incarnations.
#[derive(Debug)]
struct Known {
    /// The latest life of which anything was sent.
    latest: u64,
    /// The life that was acknowledged, if nothing was sent or done since that may remove it.
    alive: Option<Alive>,
    /// The latest life whose farewell was acknowledged.
    left: Option<Left>,
    /// The latest life whose farewell was sent.
    leaving: Option<u64>,
    /// Since when it refuses connections.
    refuses: Option<Duration>,
    /// A registration may still arrive.
    is_open: bool,
}

#[derive(Debug)]
struct Alive {
    life: u64,
    /// When it was first acknowledged as durable.
    durable: Option<Duration>,
    /// For each registry, the process that must list it, and since when: it has acknowledged or listed it.
    listed: Vec<Option<(u32, Duration)>>,
}

#[derive(Debug)]
struct Left {
    life: u64,
    span: Span,
    durable: bool,
    /// For each registry, the process that must not list it any more, and since when: it has acknowledged that, or
    /// learned it.
    unlisted: Vec<Option<(u32, Duration)>>,
}

impl Several {
    /// Nothing yet, of so many registries that are not together.
    pub fn new(bounds: Bounds, registries: usize) -> Self {
        let registries = vec![Registry::default(); registries];
        Self { bounds, registries, known: BTreeMap::new() }
    }

    /// A registry ends, or has ended; nothing holds of its next process before that is together with etcd, but what
    /// it says itself.
    pub fn ends_registry(&mut self, registry: usize) {
        let one = &mut self.registries[registry];
        *one = Registry { start: one.start + 1, ..Registry::default() };
    }

    /// A registry may be cut off from etcd from now on. If it may stand still, what it says is late.
    pub fn apart(&mut self, registry: usize, is_late: bool) {
        let one = &mut self.registries[registry];
        (one.together, one.is_late) = (None, one.is_late || is_late);
    }

    /// A registry has what etcd had a moment ago, and learns what is new.
    pub fn together(&mut self, registry: usize, at: Duration) {
        let one = &mut self.registries[registry];
        (one.together, one.is_late) = (Some(one.together.unwrap_or(at)), false);
    }

    fn known(&mut self, key: &InstanceKey) -> &mut Known {
        self.known.entry(key.clone()).or_insert(Known {
            latest: 0,
            alive: None,
            left: None,
            leaving: None,
            refuses: None,
            is_open: false,
        })
    }

    /// A registration or heartbeat is sent.
    pub fn registers(&mut self, key: &InstanceKey, life: u64) {
        let known = self.known(key);
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
        by: By,
        span: Span,
    ) -> Result<(), Wrong> {
        let wrong = |why: String| {
            Err(format!(
                "life {life} of {key} registers at {} and is told {told:?}: {why}",
                by.registry
            ))
        };
        let (count, start) = (self.registries.len(), self.registries[by.registry].start);
        let listed = self.must_list(key, by.registry, span.from);
        let left = self.must_not_list(key, by.registry, span);
        let known = self.known(key);
        match told {
            Told::Nothing => known.is_open = true,
            Told::Listed => {
                if let Some(later) = listed.filter(|listed| *listed > life) {
                    return wrong(format!("{later} was listed"));
                }
                if let Some(left) = left.filter(|left| *left >= life) {
                    return wrong(format!("{left} had unregistered"));
                }
                if known.alive.as_ref().is_none_or(|alive| alive.life != life) {
                    let listed = vec![None; count];
                    known.alive = Some(Alive { life, durable: None, listed });
                }
                if let Some(alive) = &mut known.alive {
                    if by.durable {
                        alive.durable.get_or_insert(span.to);
                    }
                    note(&mut alive.listed[by.registry], start, span.to);
                }
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
        let known = self.known(key);
        known.leaving = known.leaving.max(Some(life));
        known.alive.take_if(|alive| alive.life <= life);
    }

    /// It was acknowledged.
    pub fn unregistered(&mut self, key: &InstanceKey, life: u64, by: By, span: Span) {
        let (count, start) = (self.registries.len(), self.registries[by.registry].start);
        let known = self.known(key);
        if known.left.as_ref().is_none_or(|left| left.life <= life) {
            let mut unlisted = vec![None; count];
            note(&mut unlisted[by.registry], start, span.to);
            known.left = Some(Left { life, span, durable: by.durable, unlisted });
        }
    }

    /// An instance is about to end: from now on it refuses connections.
    pub fn ends(&mut self, key: &InstanceKey, at: Duration) {
        let known = self.known(key);
        known.alive = None;
        known.refuses = (!known.is_open).then_some(at);
    }

    /// All instances are about to end.
    pub fn ends_all(&mut self) {
        for known in self.known.values_mut() {
            (known.alive, known.refuses) = (None, None);
        }
    }

    /// Since when a registry has what was durable at `at`, if it surely has.
    fn spread_to(&self, registry: usize, at: Option<Duration>) -> Option<Duration> {
        Some(self.registries[registry].together?.max(at?) + self.bounds.spread)
    }

    /// The life that a registry must list when it is asked at `from`, at least.
    fn must_list(&self, key: &InstanceKey, registry: usize, from: Duration) -> Option<u64> {
        let alive = self.known.get(key)?.alive.as_ref()?;
        let start = self.registries[registry].start;
        let own = alive.listed[registry].filter(|(of, _)| *of == start).map(|(_, since)| since);
        let since = own.into_iter().chain(self.spread_to(registry, alive.durable)).min();
        since.is_some_and(|since| since < from).then_some(alive.life)
    }

    /// The life that a registry must not list any more, and with it all earlier ones.
    fn must_not_list(&self, key: &InstanceKey, registry: usize, during: Span) -> Option<u64> {
        let left = self.known.get(key)?.left.as_ref()?;
        let start = self.registries[registry].start;
        let own = left.unlisted[registry].filter(|(of, _)| *of == start).map(|(_, since)| since);
        let durable = left.durable.then_some(left.span.to);
        let since = own.into_iter().chain(self.spread_to(registry, durable)).min();
        let is_sure = since.is_some_and(|since| since < during.from)
            && during.to < left.span.from + self.bounds.rejoin;
        is_sure.then_some(left.life)
    }

    /// A list of a registry was read.
    ///
    /// # Errors
    /// It cannot be.
    pub fn listed(&mut self, registry: usize, list: &[Instance], span: Span) -> Result<(), Wrong> {
        let wrong = |what: String| Err(format!("registry {registry}: {what}"));
        let mut lives = BTreeMap::new();
        for instance in list {
            let (key, life) = (instance.key(), instance.incarnation().unwrap_or(0));
            let Some(known) = self.known.get(&key).filter(|known| life <= known.latest) else {
                return wrong(format!("life {life} of {key} is listed and never registered"));
            };
            let left = self.must_not_list(&key, registry, span);
            if let Some(left) = left.filter(|left| *left >= life) {
                return wrong(format!(
                    "life {life} of {key} is listed, and {left} had unregistered"
                ));
            }
            let gone = self.bounds.gone;
            if let (Some(since), Some(together)) =
                (known.refuses, self.registries[registry].together)
                && span.from > since.max(together) + gone
            {
                return wrong(format!("{key} is listed and has refused connections for {gone:?}"));
            }
            lives.insert(key, life);
        }
        for (key, known) in &self.known {
            let Some(life) = self.must_list(key, registry, span.from) else { continue };
            let listed = lives.get(key);
            if listed.is_none_or(|listed| *listed < life) {
                return wrong(format!(
                    "life {life} of {key} lives, {:?}, and listed is {listed:?}",
                    known.alive
                ));
            }
        }
        self.note_listed(registry, &lives, span);
        Ok(())
    }

    /// What is listed stays while it lives, and what a registry has learned of farewells it knows whatever happens
    /// to etcd.
    fn note_listed(&mut self, registry: usize, lives: &BTreeMap<InstanceKey, u64>, span: Span) {
        let start = self.registries[registry].start;
        let learned = |left: &Left| {
            let since = self.spread_to(registry, left.durable.then_some(left.span.to));
            since.is_some_and(|since| since < span.from)
        };
        let learned: Vec<_> = self
            .known
            .iter()
            .filter(|(_, known)| known.left.as_ref().is_some_and(learned))
            .map(|(key, _)| key.clone())
            .collect();
        for key in learned {
            if let Some(left) = &mut self.known(&key).left {
                note(&mut left.unlisted[registry], start, span.to);
            }
        }
        for (key, known) in &mut self.known {
            if let Some(alive) = &mut known.alive
                && lives.get(key) == Some(&alive.life)
            {
                note(&mut alive.listed[registry], start, span.to);
            }
        }
    }

    /// An event of a registry says that an instance is not listed any more. Events take up to `late` to arrive.
    ///
    /// # Errors
    /// That cannot be.
    pub fn removed(
        &mut self,
        registry: usize,
        key: &InstanceKey,
        at: Duration,
        late: Duration,
    ) -> Result<(), Wrong> {
        if self.registries[registry].is_late {
            return Ok(());
        }
        match self.must_list(key, registry, at.saturating_sub(late)) {
            Some(life) => Err(format!(
                "registry {registry}: an event removes {key}, of which life {life} lives"
            )),
            None => Ok(()),
        }
    }
}

/// From `at` on, if it is not so already.
fn note(since: &mut Option<(u32, Duration)>, start: u32, at: Duration) {
    if since.is_none_or(|(of, _)| of != start) {
        *since = Some((start, at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        spread: Duration::from_millis(100),
        gone: Duration::from_secs(5),
        rejoin: Duration::from_secs(60),
    };

    fn ms(at: u64) -> Duration {
        Duration::from_millis(at)
    }

    fn at(from: u64, to: u64) -> Span {
        Span { from: ms(from), to: ms(to) }
    }

    fn key() -> InstanceKey {
        Instance::new("h", 1).key()
    }

    fn instance(life: u64) -> Instance {
        let mut instance = Instance::new("h", 1);
        instance.parameters.insert("incarnation".to_owned(), life.into());
        instance
    }

    /// Life 5 registers at the first of two registries, from 100 to 200 ms.
    fn seen(durable: bool) -> Several {
        let mut seen = Several::new(BOUNDS, 2);
        seen.together(0, ms(0));
        seen.together(1, ms(0));
        seen.registers(&key(), 5);
        let by = By { registry: 0, durable };
        seen.registered(&key(), 5, Told::Listed, by, at(100, 200)).unwrap();
        seen
    }

    #[test]
    fn the_registry_that_acknowledged_lists_at_once_and_the_others_soon_if_it_is_durable() {
        let mut seen = seen(true);
        assert!(seen.listed(0, &[], at(201, 202)).is_err());
        assert_eq!(seen.listed(1, &[], at(300, 400)), Ok(()));
        assert!(seen.listed(1, &[], at(301, 302)).is_err());
        assert!(seen.listed(1, &[instance(4)], at(301, 302)).is_err(), "an earlier life");
        assert_eq!(seen.listed(1, &[instance(5)], at(301, 302)), Ok(()));
        assert!(seen.listed(1, &[instance(6)], at(301, 302)).is_err(), "invented");
        let mut volatile = self::seen(false);
        assert_eq!(volatile.listed(1, &[], at(900, 901)), Ok(()));
        assert!(volatile.listed(0, &[], at(900, 901)).is_err());
    }

    #[test]
    fn whom_a_registry_lists_it_lists_as_long_as_that_one_lives_whatever_happens_to_etcd() {
        let mut seen = seen(true);
        seen.listed(1, &[instance(5)], at(210, 220)).unwrap();
        seen.apart(1, false);
        assert!(seen.listed(1, &[], at(70_000, 70_001)).is_err());
        assert!(seen.removed(1, &key(), ms(1_300), ms(1_000)).is_err());
        assert_eq!(seen.removed(1, &key(), ms(1_200), ms(1_000)), Ok(()), "of before");
        seen.ends(&key(), ms(70_000));
        assert_eq!(seen.listed(1, &[], at(70_000, 70_001)), Ok(()));
    }

    #[test]
    fn after_a_restart_what_was_durable_is_listed_once_the_registry_is_together_with_etcd() {
        for durable in [true, false] {
            let mut seen = seen(durable);
            seen.ends_registry(0);
            assert_eq!(seen.listed(0, &[], at(900, 901)), Ok(()));
            seen.together(0, ms(1_000));
            assert_eq!(seen.listed(0, &[], at(1_100, 1_101)), Ok(()));
            assert_eq!(seen.listed(0, &[], at(1_101, 1_102)).is_err(), durable);
        }
    }

    #[test]
    fn what_unregistered_does_not_come_back_at_any_registry() {
        let mut seen = seen(true);
        seen.unregisters(&key(), 5);
        assert_eq!(seen.listed(0, &[], at(250, 300)), Ok(()));
        seen.unregistered(&key(), 5, By { registry: 0, durable: true }, at(250, 350));
        assert!(seen.listed(0, &[instance(5)], at(351, 400)).is_err());
        assert_eq!(seen.listed(1, &[instance(5)], at(450, 451)), Ok(()));
        assert!(seen.listed(1, &[instance(5)], at(451, 452)).is_err());
        seen.apart(1, false);
        assert_eq!(seen.listed(1, &[instance(5)], at(460, 461)), Ok(()), "it may not know it");
        seen.together(1, ms(470));
        assert_eq!(seen.listed(1, &[], at(571, 572)), Ok(()));
        seen.apart(1, false);
        assert!(seen.listed(1, &[instance(5)], at(580, 581)).is_err(), "it knew it");
        let by = By { registry: 0, durable: true };
        assert!(seen.registered(&key(), 5, Told::Listed, by, at(500, 501)).is_err());
        assert_eq!(seen.registered(&key(), 5, Told::Outlived(5), by, at(500, 501)), Ok(()));
    }

    #[test]
    fn what_refuses_connections_leaves_the_list_of_a_registry_that_can_know() {
        let mut seen = seen(true);
        seen.listed(1, &[instance(5)], at(210, 220)).unwrap();
        seen.ends(&key(), ms(300));
        assert_eq!(seen.listed(1, &[instance(5)], at(5_300, 5_301)), Ok(()));
        assert!(seen.listed(1, &[instance(5)], at(5_301, 5_302)).is_err());
        seen.apart(1, false);
        assert_eq!(seen.listed(1, &[instance(5)], at(5_301, 5_302)), Ok(()));
    }

    #[test]
    fn what_a_registry_says_after_it_stood_still_is_of_before() {
        let mut seen = seen(true);
        seen.listed(1, &[instance(5)], at(210, 220)).unwrap();
        seen.apart(1, true);
        assert_eq!(seen.removed(1, &key(), ms(5_000), ms(100)), Ok(()));
        seen.together(1, ms(6_000));
        assert!(seen.removed(1, &key(), ms(7_000), ms(100)).is_err());
    }
}
