//! Instances that do badly beside others, and such as only seem to, under a clock of their own.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Some instances, of which each call is judged as the client does.
struct Fleet {
    loads: Vec<Load>,
    now: Instant,
    options: EjectionOptions,
}

impl Fleet {
    fn new(instances: usize) -> Self {
        let (began, options) = (Instant::now(), EjectionOptions::default());
        // Not all have been known for the same time.
        let load =
            |index: usize| Load::new(began + index as u32 * 7700 * MS, options.failure_window);
        let now = began + instances as u32 * 7700 * MS;
        Self { loads: (0..instances).map(load).collect(), now, options }
    }

    /// Three that were called for some seconds, 33 times per second each, all of them well.
    fn called_for(seconds: u32) -> Self {
        let mut fleet = Self::new(3);
        for _ in 0..33 * seconds {
            fleet.now += 30 * MS;
            (0..3).for_each(|index| assert_eq!(fleet.takes(index, 20 * MS), Verdict::Wait));
        }
        fleet
    }

    fn others(&self, index: usize, run: Run) -> Others {
        Others::of(self.others_of(index), (&self.loads[index], run), self.now)
    }

    fn others_of(&self, index: usize) -> impl Iterator<Item = &Load> {
        let others = self.loads.iter().enumerate().filter(move |(other, _)| *other != index);
        others.map(|(_, load)| load)
    }

    /// A call of one of them fails.
    fn fails(&self, index: usize) -> Verdict {
        self.fails_by(index, false)
    }

    fn fails_by(&self, index: usize, is_its_fault: bool) -> Verdict {
        let load = &self.loads[index];
        let run = load.failed(self.now);
        let verdict = judge_failures(run, self.others(index, run), is_its_fault, &self.options);
        if verdict == Verdict::Outweighed {
            load.failures_are_outweighed(self.now);
        }
        verdict
    }

    /// A call of one of them succeeds now, after that time.
    fn takes(&self, index: usize, latency: Duration) -> Verdict {
        let load = &self.loads[index];
        let calls = self.options.min_calls;
        let fastest = self.others_of(index).filter_map(|it| it.fastest_of(calls, self.now));
        load.is_slow_from(slow_from(&mut fastest.collect::<Vec<_>>(), &self.options));
        let Some(run) = load.succeeded(latency, self.now) else { return Verdict::Wait };
        let verdict = judge_slowness(run, self.others(index, run), &self.options);
        if verdict == Verdict::Outweighed {
            load.slowness_is_outweighed(self.now);
        }
        verdict
    }

    /// How many calls of the first fail in a row until it is ejected.
    fn failures_until_ejected(&self) -> Option<usize> {
        (1..100).find(|_| self.fails(0) == Verdict::Eject)
    }

    /// How many of its calls take so long, one after the other, until it is ejected.
    fn slow_calls_until_ejected(&mut self, latency: Duration) -> Option<usize> {
        (1..100).find(|_| {
            self.now += latency;
            self.takes(0, latency) == Verdict::Eject
        })
    }

    /// How often any of them is ejected if each makes so many calls, one after the other, that take as long as
    /// `latency` says.
    fn ejections(
        &mut self,
        calls: usize,
        mut latency: impl FnMut(usize, &mut SmallRng) -> Duration,
    ) -> usize {
        let mut rng = SmallRng::seed_from_u64(7);
        let mut free_at = vec![self.now; self.loads.len()];
        let mut ejections = 0;
        for _ in 0..calls * self.loads.len() {
            // Whoever is first to end its call.
            let mut first = 0;
            for (index, at) in free_at.iter().enumerate() {
                if *at < free_at[first] {
                    first = index;
                }
            }
            let took = latency(first, &mut rng);
            self.now = free_at[first] + took;
            free_at[first] = self.now + 5 * MS;
            ejections += usize::from(self.takes(first, took) == Verdict::Eject);
        }
        ejections
    }
}

#[test]
fn one_that_fails_every_time_stands_out_after_a_few_calls() {
    let fleet = Fleet::new(2);
    for calls in 1.. {
        let verdict = fleet.fails(0);
        fleet.takes(1, MS);
        fleet.takes(1, MS);
        if verdict == Verdict::Eject {
            assert!((5..=6).contains(&calls), "after {calls}");
            break;
        }
    }
    assert_eq!(Fleet::called_for(3).failures_until_ejected(), Some(5));
}

#[test]
fn one_that_begins_to_fail_half_of_the_time_stands_out_after_a_dozen_calls() {
    let mut fleet = Fleet::called_for(10);
    for calls in 1.. {
        fleet.now += 30 * MS;
        fleet.takes(1, 20 * MS);
        if calls % 2 == 0 {
            fleet.takes(0, 20 * MS);
        } else if fleet.fails(0) == Verdict::Eject {
            assert!((8..16).contains(&calls), "after {calls}");
            return;
        }
    }
}

#[test]
fn a_method_that_fails_everywhere_makes_nobody_stand_out() {
    let mut fleet = Fleet::new(3);
    for tick in 0..3000 {
        fleet.now += MS;
        for index in 0..3 {
            // Four of seven fail, not on all of them at the same time.
            if (tick + 3 * index) % 7 < 4 {
                assert_ne!(fleet.fails_by(index, true), Verdict::Eject, "at call {tick}");
            } else {
                fleet.takes(index, MS);
            }
        }
    }
}

#[test]
fn when_all_begin_to_fail_or_to_be_slow_at_the_same_time_nobody_stands_out() {
    for is_slow in [false, true] {
        let mut fleet = Fleet::called_for(10);
        for _ in 0..300 {
            fleet.now += if is_slow { 300 * MS } else { 30 * MS };
            for index in 0..3 {
                let verdict =
                    if is_slow { fleet.takes(index, 290 * MS) } else { fleet.fails(index) };
                assert_ne!(verdict, Verdict::Eject);
            }
        }
    }
}

#[test]
fn without_others_only_what_no_caller_can_cause_counts() {
    let alone = || Fleet::new(1);
    let fleet = alone();
    assert!((0..20).all(|_| fleet.fails(0) == Verdict::Wait));
    let fleet = alone();
    assert_eq!((1..20).find(|_| fleet.fails_by(0, true) == Verdict::Eject), Some(5));
    let mut fleet = alone();
    assert_eq!(fleet.slow_calls_until_ejected(5000 * MS), None);
}

#[test]
fn a_failure_now_and_then_is_outweighed_by_the_calls_between() {
    let mut fleet = Fleet::called_for(10);
    for call in 0..10_000 {
        fleet.now += 30 * MS;
        (1..3).for_each(|index| _ = fleet.takes(index, 20 * MS));
        if call % 12 == 0 {
            assert_ne!(fleet.fails(0), Verdict::Eject);
        } else {
            fleet.takes(0, 20 * MS);
        }
    }
    assert_eq!(fleet.failures_until_ejected(), Some(5));
}

#[test]
fn one_that_becomes_ten_times_slower_stands_out_with_the_third_call() {
    assert_eq!(Fleet::called_for(3).slow_calls_until_ejected(200 * MS), Some(3));
    assert_eq!(Fleet::called_for(3).slow_calls_until_ejected(199 * MS), None);
    let little_is_known = Fleet::called_for(1).slow_calls_until_ejected(200 * MS);
    assert_eq!(little_is_known, Some(4));
    let mut off = Fleet::called_for(3);
    off.options.max_latency_factor = 0.0;
    assert_eq!(off.slow_calls_until_ejected(5000 * MS), None);
    let mut fast = Fleet::called_for(3);
    fast.options.min_latency = 300 * MS;
    assert_eq!(fast.slow_calls_until_ejected(200 * MS), None);
}

#[test]
fn a_pause_however_long_ejects_nobody() {
    let mut fleet = Fleet::called_for(5);
    for pause in [150, 300, 1000, 5000] {
        for _ in 0..pause {
            fleet.now += MS;
            // The others go on.
            (1..3).for_each(|index| _ = fleet.takes(index, 20 * MS));
        }
        // All that was sent meanwhile ends now.
        for sent in 0..pause {
            assert_ne!(fleet.takes(0, (pause - sent) * MS), Verdict::Eject, "{pause}");
        }
        for _ in 0..50 {
            fleet.now += 20 * MS;
            (0..3).for_each(|index| assert_ne!(fleet.takes(index, 20 * MS), Verdict::Eject));
        }
    }
}

#[test]
fn one_that_is_several_times_slower_than_the_others_is_no_outlier() {
    let ejections = Fleet::new(3).ejections(10_000, |index, rng| {
        let usual = if index == 0 { 60 } else { 20 };
        usual * MS + rng.random_range(0..40) * MS
    });
    assert_eq!(ejections, 0);
}

#[test]
fn where_one_method_is_far_slower_than_another_nobody_is_ejected_for_getting_it() {
    for share in [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99] {
        let ejections = Fleet::new(3)
            .ejections(4000, |_, rng| if rng.random_bool(share) { 400 * MS } else { 20 * MS });
        assert_eq!(ejections, 0, "of 12000 calls, a share of {share} of which is slow");
    }
}

#[test]
fn one_that_is_slower_in_all_its_methods_stands_out_though_others_have_slow_calls_too() {
    for (share, calls) in [(0.01, 3..10), (0.1, 5..25)] {
        let mut fleet = Fleet::new(3);
        let mixed = |_: usize, rng: &mut SmallRng| {
            if rng.random_bool(share) { 400 * MS } else { 20 * MS }
        };
        assert_eq!(fleet.ejections(1000, mixed), 0);
        let found = fleet.slow_calls_until_ejected(240 * MS);
        assert!(found.is_some_and(|found| calls.contains(&found)), "{share}: {found:?}");
    }
}

#[test]
fn one_that_is_back_is_ejected_by_its_first_bad_call() {
    let mut fleet = Fleet::called_for(5);
    fleet.loads[0].comes_back(1, fleet.now);
    assert_eq!(fleet.failures_until_ejected(), Some(1));
    fleet.loads[0].comes_back(1, fleet.now);
    assert_eq!(fleet.slow_calls_until_ejected(240 * MS), Some(1));
    // What it was is forgotten with time, and sooner by good calls.
    fleet.loads[0].comes_back(1, fleet.now);
    for _ in 0..20 {
        fleet.now += 30 * MS;
        (0..3).for_each(|index| _ = fleet.takes(index, 20 * MS));
    }
    assert!(fleet.failures_until_ejected() > Some(2));
    fleet.loads[0].comes_back(1, fleet.now);
    fleet.now += fleet.options.failure_window + MS;
    fleet.takes(1, 20 * MS);
    assert!(fleet.failures_until_ejected() >= Some(5));
}

#[test]
fn the_more_often_one_came_back_in_vain_the_more_good_calls_it_needs() {
    let needs = |times: u32| {
        let mut fleet = Fleet::called_for(5);
        let fails_after = |fleet: &mut Fleet, good: usize| {
            fleet.loads[0].comes_back(times, fleet.now);
            for _ in 0..good {
                fleet.now += 5 * MS;
                (0..3).for_each(|index| _ = fleet.takes(index, 20 * MS));
            }
            fleet.fails(0) == Verdict::Eject
        };
        (0..50).find(|good| !fails_after(&mut fleet, *good))
    };
    let [once, twice, often, more] = [1, 2, 3, 9].map(|times| needs(times).unwrap());
    assert!((6..12).contains(&once), "{once}");
    assert!(twice > once + 5 && often > twice + 5 && more == often, "{twice}, {often}, {more}");
}

#[test]
fn where_calls_fail_everywhere_one_that_is_back_is_not_ejected_by_one_failure() {
    let mut fleet = Fleet::called_for(1);
    let mut rng = SmallRng::seed_from_u64(1);
    for _ in 0..1000 {
        fleet.now += 10 * MS;
        for index in 1..3 {
            if rng.random_bool(0.2) {
                fleet.fails(index)
            } else {
                fleet.takes(index, 20 * MS)
            };
        }
    }
    fleet.loads[0].comes_back(1, fleet.now);
    assert!(fleet.failures_until_ejected() >= Some(3));
}

#[test]
fn a_trial_call_is_slow_before_it_ends_and_is_one_at_a_time() {
    let mut fleet = Fleet::called_for(5);
    let load = &fleet.loads[0];
    let patience = 1000 * MS;
    load.comes_back(1, fleet.now);
    assert!(load.is_untried());
    assert!(load.begin_trial(fleet.now, patience) && !load.begin_trial(fleet.now, patience));
    assert_eq!(load.slow_trial(fleet.now + 199 * MS), None);
    let run = load.slow_trial(fleet.now + 200 * MS).unwrap();
    let others = fleet.others(0, run);
    assert_eq!(judge_slowness(run, others, &fleet.options), Verdict::Eject);
    assert_eq!(load.slow_trial(fleet.now + 300 * MS), None, "it counts once");
    assert!(load.begin_trial(fleet.now + patience + MS, patience), "the last may never end");
    fleet.now += 2000 * MS;
    fleet.loads[0].succeeded(20 * MS, fleet.now);
    assert!(!fleet.loads[0].is_untried());
}

#[test]
fn calls_from_before_an_ejection_say_nothing_after_it() {
    let mut fleet = Fleet::called_for(5);
    fleet.now += 1000 * MS;
    fleet.loads[0].comes_back(1, fleet.now);
    fleet.now += 500 * MS;
    assert_eq!(fleet.takes(0, 501 * MS), Verdict::Wait);
    assert!(fleet.loads[0].is_untried());
    assert_eq!(fleet.takes(0, 500 * MS), Verdict::Eject);
}

#[test]
fn only_after_enough_calls_is_it_known_what_others_take() {
    let now = Instant::now();
    let (options, load) = (EjectionOptions::default(), Load::new(now, 10_000 * MS));
    for call in 0..options.min_calls {
        assert_eq!(load.fastest_of(options.min_calls, now), None);
        load.succeeded((20 + call) * MS, now);
    }
    assert_eq!(load.fastest_of(options.min_calls, now), Some(20 * MS));
    assert_eq!(slow_from(&mut [20 * MS], &options), Some(200 * MS));
    assert_eq!(slow_from(&mut [90 * MS, MS, 2 * MS], &options), Some(20 * MS));
    assert_eq!(slow_from(&mut [MS / 2], &options), Some(options.min_latency));
    assert_eq!(slow_from(&mut [], &options), None);
}

#[test]
fn a_judgement_is_given_in_words() {
    let others =
        Others { all: Sample { calls: 200, failures: 1, slow: 2 }, latest: Sample::default() };
    let run = |bad, good, back| Run { bad, good, back, since: 0, lasted: Duration::ZERO };
    let texts = [
        failures(run(5, 0, 0), others),
        failures(run(6, 4, 0), others),
        failures(run(1, 0, 1), Others::default()),
        slow_calls(run(2, 0, 0), others, 210 * MS),
        slow_calls(run(1, 3, 1), others, 210 * MS),
    ];
    let expected = [
        "its last 5 calls failed, of the others' 1 of 200",
        "6 of its latest 10 calls failed, of the others' 1 of 200",
        "its first call since it came back failed",
        "its last 2 calls took at least 210ms, of the others' 2 of 200",
        "1 of its 4 calls since it came back took at least 210ms, of the others' 2 of 200",
    ];
    assert_eq!(texts, expected);
}
