//! The calls that ended in the last seconds: how many, how many of them failed, and the fastest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Parts of the window.
const SLOTS: usize = 20;
/// A slot counts in one number: its turn in the upper bits, then calls, then failures.
const COUNT_BITS: u32 = 20;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const TURN_SHIFT: u32 = 2 * COUNT_BITS;
const TURN_MASK: u64 = u64::MAX >> TURN_SHIFT;
const ONE_CALL: u64 = 1 << COUNT_BITS;
/// With longer slots, their counters could overflow.
const LONGEST_SLOT: Duration = Duration::from_secs(6);

/// Counts without a lock. Of calls that end together at the turn of a slot some may be lost.
#[derive(Debug)]
pub(crate) struct Tally {
    slots: [AtomicU64; SLOTS],
    /// Microseconds of the fastest call, per slot.
    fastest: [AtomicU64; SLOTS],
    /// Microseconds per slot.
    width: u64,
}

/// Calls, and how many of them failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) calls: u64,
    pub(crate) failures: u64,
}

impl Sample {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { calls: self.calls + other.calls, failures: self.failures + other.failures }
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
            fastest: std::array::from_fn(|_| AtomicU64::new(u64::MAX)),
            width: u64::try_from(slot.as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// Adds a call that succeeded. Times are in microseconds.
    pub(crate) fn succeeded(&self, latency: u64, now: u64) {
        let index = self.add(ONE_CALL, now);
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
                if let Some(fastest) = self.fastest.get(index) {
                    fastest.store(u64::MAX, Ordering::Relaxed);
                }
                slot.store((turn & TURN_MASK) << TURN_SHIFT | what, Ordering::Relaxed);
            }
        }
        index
    }

    /// The slots of the window that have calls, newest first: their calls, and the fastest in microseconds, if
    /// one succeeded.
    pub(crate) fn latest(&self, now: u64) -> impl Iterator<Item = (Sample, Option<u64>)> {
        let turn = now / self.width;
        (0..SLOTS as u64).filter_map(move |age| {
            let turn = turn.checked_sub(age)?;
            let index = (turn % SLOTS as u64) as usize;
            let slot = self.slots.get(index)?.load(Ordering::Relaxed);
            let sample =
                Sample { calls: slot >> COUNT_BITS & COUNT_MASK, failures: slot & COUNT_MASK };
            let is_of = slot >> TURN_SHIFT == turn & TURN_MASK && sample.calls > 0;
            let fastest = self.fastest.get(index)?.load(Ordering::Relaxed);
            is_of.then_some((sample, (fastest < u64::MAX).then_some(fastest)))
        })
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.slots.iter().for_each(|slot| slot.store(0, Ordering::Relaxed));
        self.fastest.iter().for_each(|fastest| fastest.store(u64::MAX, Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn total(tally: &Tally, now: u64) -> Sample {
        tally.latest(now).fold(Sample::default(), |sum, (sample, _)| sum.plus(sample))
    }

    #[test]
    fn calls_count_for_as_long_as_the_window() {
        let tally = Tally::new(Duration::from_secs(10));
        for second in 0..30 {
            tally.succeeded(100, second * SECOND);
            tally.failed(second * SECOND);
        }
        assert_eq!(total(&tally, 29 * SECOND), Sample { calls: 20, failures: 10 });
        assert_eq!(total(&tally, 34 * SECOND), Sample { calls: 10, failures: 5 });
        assert_eq!(total(&tally, 60 * SECOND), Sample::default());
        let newest = tally.latest(29 * SECOND).next().unwrap();
        assert_eq!(newest, (Sample { calls: 2, failures: 1 }, Some(100)));
    }

    #[test]
    fn the_fastest_call_is_that_of_its_slot() {
        let tally = Tally::new(Duration::from_secs(10));
        for (latency, second) in [(300, 1), (200, 1), (900, 1), (500, 2)] {
            tally.succeeded(latency, second * SECOND);
        }
        tally.failed(3 * SECOND);
        let fastest: Vec<_> = tally.latest(3 * SECOND).map(|(_, fastest)| fastest).collect();
        assert_eq!(fastest, [None, Some(500), Some(200)]);
        tally.succeeded(700, 11 * SECOND);
        assert_eq!(tally.latest(11 * SECOND).next().unwrap().1, Some(700), "an old one is gone");
        tally.clear();
        assert_eq!(total(&tally, 11 * SECOND), Sample::default());
    }
}
