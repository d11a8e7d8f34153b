//! The calls that ended in the last seconds: how many, how many of them failed, the fastest, and how long they took.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Parts of the window.
const SLOTS: usize = 20;
/// A slot counts in one number: its turn in the upper bits, then calls, then failures.
const COUNT_BITS: u32 = 20;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const TURN_SHIFT: u32 = 2 * COUNT_BITS;
const TURN_MASK: u64 = u64::MAX >> TURN_SHIFT;
const ONE_CALL: u64 = 1 << COUNT_BITS;
/// Latencies are counted by powers of two, in microseconds, up to an hour.
const OCTAVES: usize = 32;
/// With longer slots, their counters could overflow.
const LONGEST_SLOT: Duration = Duration::from_secs(6);

/// Counts without a lock. Of calls that end together at the turn of a slot some may be lost.
#[derive(Debug)]
pub(crate) struct Tally {
    slots: [AtomicU64; SLOTS],
    /// Calls by the power of two of their latency, per slot.
    latencies: [[AtomicU32; OCTAVES]; SLOTS],
    /// Microseconds of the fastest call, per slot.
    fastest: [AtomicU64; SLOTS],
    /// Microseconds per slot.
    width: u64,
}

/// Calls, and how many of them failed or were slow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    pub(crate) slow: u64,
}

impl Sample {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            failures: self.failures + other.failures,
            slow: self.slow + other.slow,
        }
    }

    /// Whether with one more failure calls fail more than twice as often as those of others.
    pub(crate) fn fails_more_than(self, others: Self) -> bool {
        let (calls, failures) = (self.calls + 1, self.failures + 1);
        others.calls == 0 || failures * others.calls > 2 * others.failures * calls
    }
}

impl Tally {
    /// One of the last `window`.
    pub(crate) fn new(window: Duration) -> Self {
        let slot = (window / SLOTS as u32).clamp(Duration::from_millis(1), LONGEST_SLOT);
        Self {
            slots: Default::default(),
            latencies: Default::default(),
            fastest: std::array::from_fn(|_| AtomicU64::new(u64::MAX)),
            width: u64::try_from(slot.as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// Adds a call that succeeded. Times are in microseconds.
    pub(crate) fn succeeded(&self, latency: u64, now: u64) {
        let index = self.add(ONE_CALL, now);
        if let Some(alike) = self.latencies.get(index).and_then(|them| them.get(octave(latency))) {
            alike.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(fastest) = self.fastest.get(index)
            && latency < fastest.load(Ordering::Relaxed)
        {
            fastest.store(latency, Ordering::Relaxed);
        }
    }

    /// Adds a call whose latency says nothing.
    pub(crate) fn answered(&self, now: u64) {
        self.add(ONE_CALL, now);
    }

    /// Adds a call that failed.
    pub(crate) fn failed(&self, now: u64) {
        self.add(ONE_CALL + 1, now);
    }

    /// Adds to the slot of that moment; returns its index.
    fn add(&self, what: u64, now: u64) -> usize {
        let turn = now / self.width;
        let index = (turn % SLOTS as u64) as usize;
        if let Some(slot) = self.slots.get(index) {
            if slot.load(Ordering::Relaxed) >> TURN_SHIFT == turn & TURN_MASK {
                slot.fetch_add(what, Ordering::Relaxed);
            } else {
                self.begin(index);
                slot.store((turn & TURN_MASK) << TURN_SHIFT | what, Ordering::Relaxed);
            }
        }
        index
    }

    fn begin(&self, index: usize) {
        if let (Some(latencies), Some(fastest)) =
            (self.latencies.get(index), self.fastest.get(index))
        {
            latencies.iter().for_each(|alike| alike.store(0, Ordering::Relaxed));
            fastest.store(u64::MAX, Ordering::Relaxed);
        }
    }

    /// The calls that ended since about then, in microseconds. Slow are those that took about as long as
    /// `slow_from`, or longer.
    pub(crate) fn outcomes(&self, since: u64, slow_from: u64, now: u64) -> Sample {
        let mut sum = Sample::default();
        let slots =
            self.slots(now).filter(|(_, turn, _)| (turn + 1).saturating_mul(self.width) > since);
        for (index, _, sample) in slots {
            let latencies =
                self.latencies.get(index).and_then(|them| them.get(octave(slow_from)..));
            let slow = latencies.unwrap_or_default().iter().map(|it| it.load(Ordering::Relaxed));
            sum = sum.plus(Sample { slow: slow.map(u64::from).sum(), ..sample });
        }
        sum
    }

    /// How long the fastest of the latest calls took, in microseconds, if there were so many.
    pub(crate) fn fastest_of(&self, calls: u64, now: u64) -> Option<u64> {
        let mut fastest = u64::MAX;
        let mut sum = 0;
        for (index, _, sample) in self.slots(now) {
            sum += sample.calls;
            fastest = fastest.min(self.fastest.get(index)?.load(Ordering::Relaxed));
            if sum >= calls && fastest < u64::MAX {
                return Some(fastest);
            }
        }
        None
    }

    /// The slots of the window that have calls, newest first: index, turn, and calls.
    fn slots(&self, now: u64) -> impl Iterator<Item = (usize, u64, Sample)> {
        let turn = now / self.width;
        (0..SLOTS as u64).filter_map(move |age| {
            let turn = turn.checked_sub(age)?;
            let index = (turn % SLOTS as u64) as usize;
            let slot = self.slots.get(index)?.load(Ordering::Relaxed);
            let (calls, failures) = (slot >> COUNT_BITS & COUNT_MASK, slot & COUNT_MASK);
            let is_of = slot >> TURN_SHIFT == turn & TURN_MASK && calls > 0;
            is_of.then_some((index, turn, Sample { calls, failures, slow: 0 }))
        })
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.slots.iter().for_each(|slot| slot.store(0, Ordering::Relaxed));
        (0..SLOTS).for_each(|index| self.begin(index));
    }
}

fn octave(latency: u64) -> usize {
    (latency.max(1).ilog2() as usize).min(OCTAVES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn sample(calls: u64, failures: u64, slow: u64) -> Sample {
        Sample { calls, failures, slow }
    }

    #[test]
    fn calls_count_for_as_long_as_the_window() {
        let tally = Tally::new(Duration::from_secs(10));
        for second in 0..30 {
            tally.succeeded(100 + 100 * (second % 2), second * SECOND);
            tally.failed(second * SECOND);
        }
        let total = |now| tally.outcomes(0, 130, now);
        assert_eq!(total(29 * SECOND), sample(20, 10, 5));
        assert_eq!(total(34 * SECOND), sample(10, 5, 3));
        assert_eq!(total(60 * SECOND), Sample::default());
        let since = |since| tally.outcomes(since, 130, 29 * SECOND);
        assert_eq!(since(29 * SECOND), sample(2, 1, 1));
        assert_eq!(since(28 * SECOND + SECOND / 4), sample(4, 2, 1));
        assert_eq!(since(28 * SECOND + SECOND / 2), sample(2, 1, 1));
    }

    #[test]
    fn how_many_calls_were_slow_is_known_for_any_latency() {
        let tally = Tally::new(Duration::from_secs(10));
        for latency in [0, 10, 1000, 1030, 3_000_000, u64::MAX] {
            tally.succeeded(latency, SECOND);
        }
        let slow = |from| tally.outcomes(0, from, SECOND).slow;
        assert_eq!([slow(0), slow(10), slow(20), slow(1500), slow(1_000_000)], [6, 5, 4, 3, 2]);
        assert_eq!([slow(5_000_000_000), slow(u64::MAX)], [1, 1]);
    }

    #[test]
    fn the_fastest_call_is_that_of_the_latest_slots() {
        let tally = Tally::new(Duration::from_secs(10));
        for (latency, second) in [(300, 1), (200, 1), (900, 1), (500, 2)] {
            tally.succeeded(latency, second * SECOND);
        }
        tally.failed(3 * SECOND);
        let fastest = |calls, second| tally.fastest_of(calls, second * SECOND);
        assert_eq!(
            [fastest(1, 3), fastest(3, 3), fastest(5, 3)],
            [Some(500), Some(200), Some(200)]
        );
        assert_eq!([fastest(6, 3), fastest(3, 20)], [None, None]);
        tally.succeeded(700, 11 * SECOND);
        assert_eq!(fastest(1, 11), Some(700), "what was in its slot before is gone");
        tally.clear();
        assert_eq!(fastest(1, 11), None);
        assert_eq!(tally.outcomes(0, 0, 11 * SECOND), Sample::default());
    }
}
