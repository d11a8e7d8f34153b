//! A latency histogram that many threads write without a lock: 8 steps per power of two.

use std::iter::Sum;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Steps per power of two: a quantile is right within 12.5 %.
const STEPS: u64 = 8;
/// Up to 2^36 µs (19 hours) above the first 8 exact values; the last bucket takes the rest.
const BUCKETS: usize = 34 * STEPS as usize;

/// Counts of latencies in microseconds.
pub(crate) struct Latencies {
    buckets: Box<[AtomicU64]>,
}

/// The counts of a histogram at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct LatencySnapshot {
    counts: Vec<u64>,
    total: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self { buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect() }
    }

    pub(crate) fn record(&self, latency: Duration, times: u64) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket_of(micros)) {
            bucket.fetch_add(times, Relaxed);
        }
    }

    pub(crate) fn snapshot(&self) -> LatencySnapshot {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let total = counts.iter().sum();
        LatencySnapshot { counts, total }
    }
}

impl Sum for LatencySnapshot {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts
            .reduce(|mut whole, part| {
                whole.total += part.total;
                std::iter::zip(&mut whole.counts, part.counts).for_each(|(all, some)| *all += some);
                whole
            })
            .unwrap_or_default()
    }
}

impl LatencySnapshot {
    /// Number of latencies recorded.
    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    /// The latency in microseconds that a share `q` (0 to 1) of the calls did not exceed; 0 if
    /// there were none.
    pub(crate) fn quantile_us(&self, q: f64) -> u64 {
        if self.total == 0 {
            return 0;
        }
        let rank = ((self.total as f64 * q).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_bound(bucket);
            }
        }
        upper_bound(BUCKETS)
    }
}

fn bucket_of(micros: u64) -> usize {
    if micros < STEPS {
        return micros as usize;
    }
    let power = u64::from(micros.ilog2());
    let step = (micros >> (power - 3)) & (STEPS - 1);
    (((power - 2) * STEPS + step) as usize).min(BUCKETS - 1)
}

/// The largest latency of a bucket.
fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let (power, step) = (bucket / STEPS + 2, bucket % STEPS);
    ((STEPS + step + 1) << (power - 3)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_are_right_within_a_step() {
        let parts = [Latencies::new(), Latencies::new()];
        for micros in 1..=1000 {
            parts[micros % 2].record(Duration::from_micros(micros as u64), 1);
        }
        let snapshot: LatencySnapshot = parts.iter().map(Latencies::snapshot).sum();
        assert_eq!(snapshot.count(), 1000);
        for (q, exact) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
            let found = snapshot.quantile_us(q) as f64;
            assert!((exact..exact * 1.125).contains(&found), "{q}: {found}");
        }
        assert_eq!(LatencySnapshot::default().quantile_us(0.5), 0);
    }

    proptest! {
        #[test]
        fn every_latency_lies_within_its_bucket(micros in 0u64..1 << 34) {
            let bucket = bucket_of(micros);
            prop_assert!(micros <= upper_bound(bucket));
            prop_assert!(bucket == 0 || micros > upper_bound(bucket - 1));
        }
    }
}
