//! What three instances get of the calls while one of them is sick, and afterwards, under a clock of its own.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::health::Cause;
use super::listed::Listed;
use super::member::Member;
use super::outlier::{Others, Verdict, judge_failures, judge_slowness, slow_from};
use super::view::Candidates;
use crate::context::Context;
use crate::pool::{InFlight, Run};
use crate::{Balance, ClientOptions};

const MS: Duration = Duration::from_millis(1);
/// How long a call takes, in milliseconds.
const TAKES: u64 = 20;
/// The same of one that fails.
const FAILS: u64 = 1;
/// When one falls sick, in milliseconds.
const SICK: u64 = 3000;
/// How long the others may be surprised.
const SURPRISE: u64 = 500;
/// Between two looks at busy instances.
const LOOK: u64 = 125;
/// How long it is well again at last.
const WELL_AGAIN: u64 = 6000;
/// By then it is to be back.
const BACK: u64 = 5000;
/// Courses of each kind.
const SEEDS: u64 = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Half of its calls fail.
    ErringHalf,
    /// Its calls take twelve times as long.
    Slow,
}

/// A call in flight.
struct Call<'a> {
    index: usize,
    _in_flight: InFlight<'a>,
    sent: u64,
    ends: u64,
    succeeds: bool,
}

/// What came of it.
#[derive(Debug, Default)]
struct Course {
    /// Calls while one was sick, after the others' surprise.
    calls: usize,
    /// Those of them that went there.
    into_the_hole: usize,
    /// When it replied first after it was well again, in milliseconds.
    back: Option<u64>,
    /// The share that it gets at last.
    share: f64,
}

struct World<'a> {
    options: ClientOptions,
    members: &'a [Arc<Member>],
    candidates: Candidates,
    began: Instant,
    /// Milliseconds since then.
    at: u64,
    in_flight: Vec<Call<'a>>,
    rng: SmallRng,
}

/// So many calls per second are made for that time, while the first instance is sick, and then some.
fn course(balance: Balance, seed: u64, kind: Kind, rate: u64, sick_for: u64) -> Course {
    let options = ClientOptions { balance, ..ClientOptions::default() };
    let context = Arc::new(Context::new(options.clone()));
    let member = |port: u16| {
        let listed = format!(
            r#"{{"protocol":"json","host":"h","port":{port},"status":true,"parameters":{{}}}}"#
        );
        Arc::new(Member::new(serde_json::from_str::<Listed>(&listed).unwrap(), &context))
    };
    let members: Vec<_> = (1..4).map(member).collect();
    World::new(&members, options, seed).course(kind, rate, sick_for)
}

impl<'a> World<'a> {
    fn new(members: &'a [Arc<Member>], options: ClientOptions, seed: u64) -> Self {
        let candidates = Candidates::of(members.to_vec());
        let rng = SmallRng::seed_from_u64(seed);
        let began = Instant::now();
        Self { options, members, candidates, began, at: 0, in_flight: Vec::new(), rng }
    }

    fn now(&self) -> Instant {
        self.began + self.at as u32 * MS
    }

    fn course(mut self, kind: Kind, rate: u64, sick_for: u64) -> Course {
        let (well_again, end) = (SICK + sick_for, SICK + sick_for + WELL_AGAIN);
        let mut course = Course::default();
        let (mut last, mut turn) = (0, 0);
        while self.at < end {
            self.at += 1;
            self.end_calls(&mut course, well_again);
            self.look();
            if !self.at.is_multiple_of(1000 / rate) {
                continue;
            }
            turn += 1;
            let is_sick = (SICK..well_again).contains(&self.at);
            let Some(index) = self.call(turn, is_sick.then_some(kind)) else { continue };
            let is_first = usize::from(index == 0);
            if is_sick && self.at >= SICK + SURPRISE {
                course.calls += 1;
                course.into_the_hole += is_first;
            }
            if self.at >= well_again + BACK {
                last += 1;
                course.share += is_first as f64;
            }
        }
        course.share /= f64::from(last);
        course
    }

    fn call(&mut self, turn: usize, sick: Option<Kind>) -> Option<usize> {
        let now = self.now();
        let picked = self.candidates.choose(turn, &self.options, now, &mut self.rng)?;
        let index = self.members.iter().position(|it| Arc::ptr_eq(&it.peer, &picked.peer))?;
        let succeeds = index > 0 || sick != Some(Kind::ErringHalf) || self.rng.random_bool(0.5);
        let takes = match sick {
            _ if !succeeds => FAILS,
            Some(Kind::Slow) if index == 0 => 12 * TAKES,
            _ => TAKES,
        };
        let in_flight = self.members[index].peer.load.enter();
        self.in_flight.push(Call {
            index,
            _in_flight: in_flight,
            sent: self.at,
            ends: self.at + takes,
            succeeds,
        });
        Some(index)
    }

    fn end_calls(&mut self, course: &mut Course, well_again: u64) {
        let at = self.at;
        let ended: Vec<_> = self.in_flight.extract_if(.., |call| call.ends <= at).collect();
        for call in ended {
            let load = &self.members[call.index].peer.load;
            if !call.succeeds {
                let run = load.failed(self.now());
                self.judge(call.index, run, false);
                continue;
            }
            if call.index == 0 && call.sent >= well_again && course.back.is_none() {
                course.back = Some(at - well_again);
            }
            let latency = (call.ends - call.sent) as u32 * MS;
            if let Some(run) = load.succeeded(latency, self.now()) {
                self.judge(call.index, run, true);
            }
        }
    }

    fn judge(&mut self, index: usize, run: Run, is_slow: bool) {
        let (now, options) = (self.now(), &self.options.ejection);
        let others = self.others(index).map(|it| &it.peer.load);
        let others = Others::of(others, (&self.members[index].peer.load, run), now);
        let verdict = if is_slow {
            judge_slowness(run, others, options)
        } else {
            judge_failures(run, others, false, options)
        };
        let member = &self.members[index];
        match verdict {
            Verdict::Eject => {
                member.health().eject((Cause::Outlier, "why"), now, options, &mut self.rng);
                self.candidates = Candidates::of(self.members.to_vec());
            }
            Verdict::Outweighed if is_slow => member.peer.load.slowness_is_outweighed(now),
            Verdict::Outweighed => member.peer.load.failures_are_outweighed(now),
            Verdict::Wait => {}
        }
    }

    fn others(&self, index: usize) -> impl Iterator<Item = &Arc<Member>> {
        let others = self.members.iter().enumerate().filter(move |(other, _)| *other != index);
        others.map(|(_, member)| member).filter(|other| other.gets_calls())
    }

    /// What the tasks do that probe, end slow starts and compare latencies.
    fn look(&mut self) {
        let (now, options) = (self.now(), self.options.ejection);
        let mut is_news = false;
        for index in 0..self.members.len() {
            let member = Arc::clone(&self.members[index]);
            let load = &member.peer.load;
            let mut health = member.health();
            if health.begin_probe(now) {
                load.comes_back(health.ejections(), now);
                health.probed(true, now, &options, &mut self.rng);
                is_news = true;
            }
            is_news |= health.end_slow_start(now, &options);
            drop(health);
            if self.at.is_multiple_of(LOOK) && load.in_flight() > 0 {
                let fastest = self.others(index).filter_map(|it| it.peer.load.fastest_of(10, now));
                let from = slow_from(&mut fastest.collect::<Vec<_>>(), &options);
                load.is_slow_from(from);
                if let Some(run) = load.slow_trial(now) {
                    self.judge(index, run, true);
                }
            }
        }
        if is_news {
            self.candidates = Candidates::of(self.members.to_vec());
        }
    }
}

/// The courses of some seeds: the shares of the calls that went into the hole, in percent, having checked that each
/// is back in time.
fn shares(balance: Balance, kind: Kind, rate: u64, sick_for: u64) -> Vec<f64> {
    let share = |seed| {
        let course = course(balance, seed, kind, rate, sick_for);
        let back = course.back.unwrap_or(u64::MAX);
        assert!(back <= BACK, "{kind:?}, {balance:?}, {rate}/s, seed {seed}: back after {back} ms");
        assert!(course.share >= 0.1, "{kind:?}, {balance:?}, {rate}/s, seed {seed}: {course:?}");
        100.0 * course.into_the_hole as f64 / course.calls as f64
    };
    (0..SEEDS).map(share).collect()
}

#[tokio::test(start_paused = true)]
async fn a_sick_one_gets_one_call_of_a_hundred_at_most_and_is_back_in_time() {
    for kind in [Kind::ErringHalf, Kind::Slow] {
        for (name, balance) in Balance::ALL {
            let shares = shares(balance, kind, 100, 51_000);
            assert!(shares.iter().all(|share| *share <= 1.0), "{kind:?}, {name}: {shares:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_half_of_the_time_is_found_out_soon_though_its_failures_repel_calls() {
    for (name, balance) in Balance::ALL {
        let shares = shares(balance, Kind::ErringHalf, 100, 31_000);
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        assert!(mean <= 0.75, "{name}: {mean:.2} of {shares:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_few_calls_it_is_back_in_time_too() {
    for (_, balance) in Balance::ALL {
        shares(balance, Kind::ErringHalf, 50, 31_000);
    }
}
