//! What speaks against a server: its bad calls since it last did as well as others, and the good ones among them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The run counts in one number: how often the server came back from an ejection, if it begins with that, then bad
/// calls, then good ones.
const BACK_SHIFT: u32 = 62;
/// Further returns count no more.
const MOST_BACK: u32 = 3;
const BAD_SHIFT: u32 = 40;
const ONE_BAD: u64 = 1 << BAD_SHIFT;
const BAD_MASK: u64 = (1 << (BACK_SHIFT - BAD_SHIFT)) - 1;
/// A server that everybody finds bad may be called for long.
const MOST_BAD: u64 = BAD_MASK / 2;

/// The cumulative sum of a sequential test (Page's), kept as counts, because what one call weighs depends on how
/// others fare, and that is looked up only when a call is bad. Without a lock, and while all calls are good
/// without a write.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    counts: AtomicU64,
    /// Microseconds of the first bad call of the run, and of the latest.
    since: AtomicU64,
    latest: AtomicU64,
}

/// Calls since the server last did as well as others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) bad: u64,
    pub(crate) good: u64,
    /// How often the server came back from ejections, up to three times, if it began with the last return: what led
    /// to that still counts. Else 0.
    pub(crate) back: u32,
    /// Its beginning, in microseconds.
    pub(crate) since: u64,
    /// From its beginning to its last bad call.
    pub(crate) lasted: Duration,
}

impl Evidence {
    /// Adds a good call.
    pub(crate) fn good(&self) {
        if self.counts.load(Ordering::Relaxed) != 0 {
            self.counts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Adds a bad call; the run of which it is the last. One whose last bad call is longer ago than `memory` is
    /// forgotten before. Times are in microseconds.
    pub(crate) fn bad(&self, now: u64, memory: u64) -> Run {
        let before = self.counts.load(Ordering::Relaxed);
        let is_old = now.saturating_sub(self.latest.load(Ordering::Relaxed)) > memory;
        self.latest.store(now, Ordering::Relaxed);
        if before == 0 || is_old {
            return self.restart(now);
        }
        if before >> BAD_SHIFT & BAD_MASK < MOST_BAD {
            self.counts.fetch_add(ONE_BAD, Ordering::Relaxed);
        }
        let counts = self.counts.load(Ordering::Relaxed);
        let since = self.since.load(Ordering::Relaxed);
        Run {
            bad: counts >> BAD_SHIFT & BAD_MASK,
            good: counts & (ONE_BAD - 1),
            back: (counts >> BACK_SHIFT) as u32,
            since,
            lasted: Duration::from_micros(now.saturating_sub(since)),
        }
    }

    /// Begins a new run with one bad call: what was before is outweighed.
    pub(crate) fn restart(&self, now: u64) -> Run {
        self.since.store(now, Ordering::Relaxed);
        self.counts.store(ONE_BAD, Ordering::Relaxed);
        Run { bad: 1, good: 0, back: 0, since: now, lasted: Duration::ZERO }
    }

    /// Begins the run of a server that is back, for the given time since it was last well for long.
    pub(crate) fn comes_back(&self, times: u32, now: u64) {
        self.since.store(now, Ordering::Relaxed);
        self.latest.store(now, Ordering::Relaxed);
        let times = u64::from(times.clamp(1, MOST_BACK));
        self.counts.store(times << BACK_SHIFT, Ordering::Relaxed);
    }

    /// Whether the server is back, and none of its calls has ended since.
    pub(crate) fn is_untried(&self) -> bool {
        let counts = self.counts.load(Ordering::Relaxed);
        counts != 0 && counts.trailing_zeros() >= BACK_SHIFT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: u64 = 10_000_000;

    /// One that began and ended then.
    fn run(bad: u64, good: u64, back: u32, (since, end): (u64, u64)) -> Run {
        Run { bad, good, back, since, lasted: Duration::from_micros(end - since) }
    }

    #[test]
    fn a_run_begins_with_a_bad_call_and_counts_good_ones_from_then_on() {
        let evidence = Evidence::default();
        evidence.good();
        assert_eq!(evidence.bad(100, MEMORY), run(1, 0, 0, (100, 100)));
        evidence.good();
        evidence.good();
        assert_eq!(evidence.bad(200, MEMORY), run(2, 2, 0, (100, 200)));
        assert_eq!(evidence.restart(200), run(1, 0, 0, (200, 200)));
        assert_eq!(evidence.bad(300, MEMORY), run(2, 0, 0, (200, 300)));
    }

    #[test]
    fn a_run_is_forgotten_some_time_after_its_last_bad_call() {
        let evidence = Evidence::default();
        evidence.bad(0, MEMORY);
        assert_eq!(evidence.bad(MEMORY, MEMORY), run(2, 0, 0, (0, MEMORY)));
        assert_eq!(evidence.bad(2 * MEMORY, MEMORY), run(3, 0, 0, (0, 2 * MEMORY)));
        assert_eq!(
            evidence.bad(3 * MEMORY + 1, MEMORY),
            run(1, 0, 0, (3 * MEMORY + 1, 3 * MEMORY + 1))
        );
    }

    #[test]
    fn a_server_that_is_back_is_untried_until_a_call_has_ended() {
        for is_good in [true, false] {
            let evidence = Evidence::default();
            assert!(!evidence.is_untried());
            evidence.comes_back(2, 100);
            assert!(evidence.is_untried());
            if is_good {
                evidence.good();
                assert_eq!(evidence.bad(200, MEMORY), run(1, 1, 2, (100, 200)));
            } else {
                assert_eq!(evidence.bad(200, MEMORY), run(1, 0, 2, (100, 200)));
            }
            assert!(!evidence.is_untried());
        }
    }

    #[test]
    fn bad_calls_without_end_do_not_overflow() {
        let evidence = Evidence::default();
        evidence.counts.store(2 << BACK_SHIFT | MOST_BAD << BAD_SHIFT, Ordering::Relaxed);
        for now in [1, 2] {
            assert_eq!(evidence.bad(now, MEMORY), run(MOST_BAD, 0, 2, (0, now)));
        }
    }
}
