//! How long something takes: a classic histogram with the same buckets everywhere, so that times of
//! different daemons can be added up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::number::nanoseconds;

/// The upper end of a bucket, which belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// In microseconds.
    pub micros: u64,
    /// In seconds, as the label `le` has it: the same in every version of Prometheus, which from 3.0 on
    /// writes numbers anew.
    pub le: &'static str,
}

/// The bounds of the buckets, from 25 µs to 10 s; a last bucket takes what is above.
pub const BOUNDS: [Bound; 18] = [
    Bound { micros: 25, le: "2.5e-05" },
    Bound { micros: 50, le: "5e-05" },
    Bound { micros: 100, le: "0.0001" },
    Bound { micros: 250, le: "0.00025" },
    Bound { micros: 500, le: "0.0005" },
    Bound { micros: 1_000, le: "0.001" },
    Bound { micros: 2_500, le: "0.0025" },
    Bound { micros: 5_000, le: "0.005" },
    Bound { micros: 10_000, le: "0.01" },
    Bound { micros: 25_000, le: "0.025" },
    Bound { micros: 50_000, le: "0.05" },
    Bound { micros: 100_000, le: "0.1" },
    Bound { micros: 250_000, le: "0.25" },
    Bound { micros: 500_000, le: "0.5" },
    Bound { micros: 1_000_000, le: "1.0" },
    Bound { micros: 2_500_000, le: "2.5" },
    Bound { micros: 5_000_000, le: "5.0" },
    Bound { micros: 10_000_000, le: "10.0" },
];

/// The counts of a histogram at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Buckets {
    /// How many times were at most one of [`BOUNDS`] and above the one before; the last: above all.
    pub counts: [u64; BOUNDS.len() + 1],
    /// The sum of the times.
    pub sum: Duration,
}

/// Times, counted by many threads without a lock.
#[derive(Debug, Default)]
pub struct Histogram {
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanos: AtomicU64,
}

impl Histogram {
    /// Counts a time.
    pub fn observe(&self, time: Duration) {
        let nanos = nanoseconds(time);
        let bucket = BOUNDS.partition_point(|bound| bound.micros * 1000 < nanos);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        self.nanos.fetch_add(nanos, Relaxed);
    }

    /// The counts now.
    pub fn buckets(&self) -> Buckets {
        Buckets {
            counts: std::array::from_fn(|bucket| {
                self.counts.get(bucket).map_or(0, |count| count.load(Relaxed))
            }),
            sum: Duration::from_nanos(self.nanos.load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_ascend_and_are_written_as_what_they_are() {
        assert!(BOUNDS.is_sorted_by(|a, b| a.micros < b.micros));
        for Bound { micros, le } in BOUNDS {
            assert_eq!((le.parse::<f64>().unwrap() * 1e6).round() as u64, micros, "{le}");
        }
    }

    #[test]
    fn a_time_is_in_the_first_bucket_whose_bound_it_does_not_exceed() {
        for (micros, bucket) in
            [(0, 0), (25, 0), (26, 1), (1000, 5), (1001, 6), (10_000_000, 17), (10_000_001, 18)]
        {
            let histogram = Histogram::default();
            let time = Duration::from_micros(micros);
            histogram.observe(time);
            let Buckets { counts, sum } = histogram.buckets();
            assert_eq!(counts.iter().position(|count| *count == 1), Some(bucket), "{micros}");
            assert_eq!((counts.iter().sum::<u64>(), sum), (1, time));
        }
        let histogram = Histogram::default();
        histogram.observe(Duration::from_nanos(25_001));
        assert_eq!(histogram.buckets().counts[..2], [0, 1], "above the bound by a nanosecond");
    }
}
