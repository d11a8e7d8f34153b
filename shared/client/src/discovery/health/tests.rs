//! The health of one instance under a clock of its own.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn options() -> EjectionOptions {
    EjectionOptions::default()
}

/// A health under a clock of its own.
struct Clock {
    health: Health,
    began: Instant,
    now: Instant,
    rng: SmallRng,
    heard: u64,
}

impl Clock {
    fn new(seed: u64) -> Self {
        let now = Instant::now();
        let health = Health::new(now);
        Self { health, began: now, now, rng: SmallRng::seed_from_u64(seed), heard: 0 }
    }

    fn state(&self) -> InstanceState {
        self.health.describe(self.now, &options()).state
    }

    fn eject(&mut self, cause: Cause) -> bool {
        self.health.eject((cause, "why"), self.now, &options(), &mut self.rng)
    }

    fn look(&mut self, is_busy: bool) -> Look {
        self.health.look((self.heard, is_busy), true, self.now, &options())
    }

    fn pinged(&mut self, answered: bool) -> bool {
        self.health.pinged(answered, self.heard, self.now, &options(), &mut self.rng)
    }

    fn probed(&mut self, is_up: bool) {
        self.health.probed(is_up, self.now, &options(), &mut self.rng);
    }

    /// Advances to the probe; how long that took.
    fn until_probe(&mut self) -> Duration {
        let before = self.now;
        self.now = self.health.due(&options()).unwrap();
        assert!(self.health.begin_probe(self.now));
        self.now - before
    }

    /// A stretch of time in which it is looked at every 125 ms, and pinged in vain.
    fn silent_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += 125 * MS;
            if self.look(true) == Look::Ping {
                self.now += 250 * MS;
                self.pinged(false);
            }
        }
    }
}

fn close_to(time: Duration, expected: Duration) {
    assert!(time <= expected && time >= expected.mul_f64(0.9), "{time:?} beside {expected:?}");
}

#[test]
fn ejections_double_up_to_the_longest_and_start_anew_after_a_good_while() {
    let mut it = Clock::new(1);
    for seconds in [1, 2, 4, 4] {
        assert!(it.eject(Cause::Outlier));
        assert!(!it.eject(Cause::Outlier), "it is ejected already");
        close_to(it.until_probe(), seconds * 1000 * MS);
        it.probed(true);
        assert_eq!(it.state(), InstanceState::SlowStart);
    }
    it.now = it.health.due(&options()).unwrap();
    assert!(it.health.end_slow_start(it.now, &options()));
    assert_eq!(it.state(), InstanceState::Up);
    it.now += options().failure_window;
    assert!(it.eject(Cause::Outlier));
    close_to(it.until_probe(), 1000 * MS);
}

#[test]
fn a_probe_in_vain_ejects_for_twice_as_long_counted_from_its_beginning() {
    let mut it = Clock::new(2);
    it.eject(Cause::Gone);
    it.until_probe();
    it.now += 800 * MS;
    it.probed(false);
    let left = it.until_probe();
    close_to(left + 800 * MS, 2000 * MS);
}

#[test]
fn a_silent_instance_is_pinged_then_suspect_then_ejected() {
    let mut it = Clock::new(3);
    it.look(false);
    it.now += 125 * MS;
    assert_eq!(it.look(true), Look::Nothing);
    it.now += 125 * MS;
    assert_eq!(it.look(true), Look::Ping);
    assert_eq!(it.look(true), Look::Nothing, "it is being pinged");
    it.now += 250 * MS;
    assert!(it.pinged(false));
    assert_eq!(it.state(), InstanceState::Suspect);
    assert_eq!(it.now - it.began, 500 * MS);
    assert!(matches!(it.health.standing(), Standing::SetAside(_)));
    it.silent_for(1500 * MS);
    assert_eq!(it.state(), InstanceState::Ejected);
}

#[test]
fn a_sign_of_life_ends_suspicion_at_once_and_hastens_the_probe() {
    for is_ping in [true, false] {
        let mut it = Clock::new(4);
        it.silent_for(600 * MS);
        assert_eq!(it.state(), InstanceState::Suspect);
        if is_ping {
            assert!(it.pinged(true));
        } else {
            it.heard += 1;
            assert_eq!(it.look(true), Look::Revived);
        }
        assert_eq!(it.state(), InstanceState::Up);
    }
    let mut it = Clock::new(4);
    it.silent_for(3000 * MS);
    assert_eq!(it.state(), InstanceState::Ejected);
    it.heard += 1;
    assert_eq!(it.look(true), Look::Revived);
    assert!(it.health.begin_probe(it.now));
}

#[test]
fn one_that_answers_pings_while_its_calls_take_long_is_never_suspect_and_pinged_more_rarely() {
    let mut it = Clock::new(5);
    let mut pings = 0;
    while it.now - it.began < 20_000 * MS {
        it.now += 125 * MS;
        if it.look(true) == Look::Ping {
            pings += 1;
            it.now += MS;
            assert!(!it.pinged(true));
        }
        assert_eq!(it.state(), InstanceState::Up);
    }
    assert!((15..25).contains(&pings), "{pings}");
}

#[test]
fn an_idle_instance_and_one_that_speaks_are_not_pinged() {
    let mut it = Clock::new(6);
    for step in 0..100 {
        it.now += 200 * MS;
        it.heard += 1;
        assert_eq!(it.look(step % 2 == 0), Look::Nothing);
    }
    for _ in 0..100 {
        it.now += 200 * MS;
        assert_eq!(it.look(false), Look::Nothing);
    }
}

#[test]
fn the_share_of_a_slow_start_grows_to_the_whole() {
    let (now, options) = (Instant::now(), options());
    let shares: Vec<_> = (0..5).map(|n| share(now, now + n * 750 * MS, &options)).collect();
    assert_eq!(shares, [0.1, 0.25, 0.5, 0.75, 1.0]);
    let at_once = EjectionOptions { slow_start_window: Duration::ZERO, ..options };
    assert_eq!(share(now, now, &at_once), 1.0);
}

#[test]
fn it_is_described_in_words() {
    let mut it = Clock::new(7);
    it.eject(Cause::Outlier);
    it.now += 200 * MS;
    let health = it.health.describe(it.now, &options());
    assert_eq!((health.state, health.since), (InstanceState::Ejected, 200 * MS));
    assert_eq!(health.reason.as_deref(), Some("why"));
    close_to(health.left.unwrap() + health.since, 1000 * MS);
    it.until_probe();
    assert_eq!(it.health.describe(it.now, &options()).left, None, "it depends on the reply");
    it.probed(true);
    assert_eq!(it.health.describe(it.now, &options()).left, Some(3000 * MS));
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Wait(u64),
    Gone,
    Outlier,
    Look(bool),
    Pinged(bool),
    Heard,
    Probe(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0u64..3000).prop_map(Event::Wait),
        Just(Event::Gone),
        Just(Event::Outlier),
        any::<bool>().prop_map(Event::Look),
        any::<bool>().prop_map(Event::Pinged),
        Just(Event::Heard),
        (0u64..1000).prop_map(Event::Probe),
    ]
}

fn standing() -> impl Strategy<Value = (u8, u64)> {
    (0u8..3, 0u64..1000)
}

proptest! {
    #[test]
    fn whatever_happened_one_that_is_well_again_is_back_within_five_seconds(
        events in prop::collection::vec(event(), 0..60), seed in any::<u64>(),
    ) {
        let mut it = Clock::new(seed);
        for event in events {
            match event {
                Event::Wait(ms) => it.now += ms as u32 * MS,
                Event::Gone => drop(it.eject(Cause::Gone)),
                Event::Outlier => drop(it.eject(Cause::Outlier)),
                Event::Look(is_busy) => drop(it.look(is_busy)),
                Event::Pinged(answered) => drop(it.pinged(answered)),
                Event::Heard => it.heard += 1,
                Event::Probe(ms) => if it.health.begin_probe(it.now) {
                    it.now += ms as u32 * MS;
                    it.probed(false);
                }
            }
        }
        // From now on it answers everything. A probe that is under way may find it still down.
        let well = it.now;
        while !it.health.describe(it.now, &options()).state.gets_calls() {
            it.now += 10 * MS;
            if it.health.begin_probe(it.now) {
                it.now += MS;
                it.probed(true);
            }
            if it.look(true) == Look::Ping || it.health.is_suspect() {
                it.pinged(true);
            }
            prop_assert!(it.now - well < 5000 * MS, "{:?}", it.health);
        }
    }

    #[test]
    fn never_more_than_the_share_and_never_all_are_set_aside(
        standings in prop::collection::vec(standing(), 1..40), ratio in 0.0f64..=1.0,
    ) {
        let now = Instant::now();
        let standings: Vec<_> = standings.into_iter().map(|(kind, ms)| match kind {
            0 => Standing::Serves(None),
            1 => Standing::SetAside(now + ms as u32 * MS),
            _ => Standing::Gone,
        }).collect();
        let chosen = get_calls(&standings, ratio);
        let count = |is: &dyn Fn(&Standing) -> bool| standings.iter().filter(|s| is(s)).count();
        let gone = count(&|it| *it == Standing::Gone);
        let present = standings.len() - gone;
        let called = chosen.iter().filter(|called| **called).count();
        prop_assert!(called > 0);
        if present == 0 {
            prop_assert_eq!(called, standings.len());
        } else {
            let aside = present - called;
            prop_assert!(aside as f64 <= present as f64 * ratio);
            prop_assert!(aside < present);
            for (standing, called) in standings.iter().zip(&chosen) {
                match standing {
                    Standing::Serves(_) => prop_assert!(called),
                    Standing::Gone => prop_assert!(!called),
                    Standing::SetAside(_) => {}
                }
            }
            let allowed = (present as f64 * ratio) as usize;
            let wanted = count(&|it| matches!(it, Standing::SetAside(_)));
            prop_assert_eq!(aside, wanted.min(allowed).min(present - 1));
        }
    }
}
