//! When the calls of an open loop start: pure arithmetic on the time since the run started.

use std::time::Duration;

/// One thread's share of the starts: every `stride`th of `rate` per second over all threads.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    rate: f64,
    first: u64,
    stride: u64,
    total: u64,
}

impl Schedule {
    /// The share of thread `index` of `threads`, of `starts` starts in total.
    pub(super) fn new(rate: f64, starts: u64, index: usize, threads: usize) -> Self {
        let (first, stride) = (index as u64, threads.max(1) as u64);
        Self { rate, first, stride, total: starts.saturating_sub(first).div_ceil(stride) }
    }

    /// Number of starts in this share.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// When start number `n` is due.
    pub(super) fn at(&self, n: u64) -> Duration {
        let index = self.first.saturating_add(n.saturating_mul(self.stride));
        Duration::try_from_secs_f64(index as f64 / self.rate).unwrap_or(Duration::MAX)
    }

    /// How many are due at that time.
    pub(super) fn due(&self, elapsed: Duration) -> u64 {
        let last = (elapsed.as_secs_f64() * self.rate) as u64;
        let about = last.checked_sub(self.first).map_or(0, |n| n / self.stride + 1);
        // Rounding may be off by one; `at` decides.
        let mut due = about.min(self.total);
        while due > 0 && self.at(due - 1) > elapsed {
            due -= 1;
        }
        while due < self.total && self.at(due) <= elapsed {
            due += 1;
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn calls_are_spread_evenly_and_the_first_is_at_once() {
        let schedule = Schedule::new(4.0, 6, 0, 1);
        let at: Vec<u128> = (0..6).map(|n| schedule.at(n).as_millis()).collect();
        assert_eq!(at, [0, 250, 500, 750, 1000, 1250]);
        let due = |millis| schedule.due(Duration::from_millis(millis));
        assert_eq!([due(0), due(249), due(250), due(1249), due(9999)], [1, 1, 2, 5, 6]);
    }

    proptest! {
        #[test]
        fn due_counts_the_starts_up_to_now(
            rate in 0.001f64..10_000_000.0, starts in 0u64..1_000_000,
            threads in 1usize..9, index in 0usize..9, nanos in 0u64..100_000_000_000,
        ) {
            let schedule = Schedule::new(rate, starts, index % threads, threads);
            let elapsed = Duration::from_nanos(nanos);
            let due = schedule.due(elapsed);
            prop_assert!(due <= schedule.total());
            prop_assert!(due == 0 || schedule.at(due - 1) <= elapsed);
            prop_assert!(due == schedule.total() || schedule.at(due) > elapsed);
        }

        #[test]
        fn threads_leave_no_call_out_and_make_none_twice(
            starts in 0u64..500, threads in 1usize..9,
        ) {
            let mut all: Vec<Duration> = (0..threads)
                .map(|index| Schedule::new(100.0, starts, index, threads))
                .flat_map(|schedule| (0..schedule.total()).map(move |n| schedule.at(n)))
                .collect();
            all.sort();
            let whole = Schedule::new(100.0, starts, 0, 1);
            let expected: Vec<Duration> = (0..starts).map(|n| whole.at(n)).collect();
            prop_assert_eq!(all, expected);
        }
    }
}
