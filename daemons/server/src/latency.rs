//! Latencies that many threads count without a lock: fine enough for quantiles, and added up to the
//! buckets of `/metrics`.

use std::iter::Sum;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rpc_metrics::BOUNDS;
#[cfg(any(test, feature = "http"))]
use rpc_metrics::Buckets;

/// Steps per power of two: a quantile is right within 12.5 %.
const PER_POWER: u64 = 8;
/// Up to 2^36 µs (19 hours) above the first 8 exact values; the last step takes the rest.
const STEPS: usize = 34 * PER_POWER as usize;
/// A step within which a bound of `/metrics` lies has two buckets: up to that bound, and above it.
const BUCKETS: usize = STEPS + count_of_split_steps();

/// Where the buckets of a step are.
#[derive(Clone, Copy)]
struct Step {
    /// The first of its buckets.
    bucket: usize,
    /// The largest latency of that one, in microseconds.
    upper: u64,
}

static LADDER: [Step; STEPS] = ladder();
/// The largest latency of each bucket, in microseconds.
static UPPER: [u64; BUCKETS] = upper_bounds();

/// Counts of latencies.
pub(crate) struct Latencies {
    buckets: Box<[AtomicU64]>,
    /// The sum of the latencies.
    nanos: AtomicU64,
}

/// The counts of latencies at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct LatencySnapshot {
    counts: Vec<u64>,
    total: u64,
    nanos: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        Self {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            nanos: AtomicU64::new(0),
        }
    }

    pub(crate) fn record(&self, latency: Duration, times: u64) {
        // For 584 years; without the conversions of `as_nanos`, since this is done for every write.
        let nanos = latency.as_secs().saturating_mul(1_000_000_000);
        let nanos = nanos.saturating_add(u64::from(latency.subsec_nanos()));
        // Rounded up: what is above a bound by a nanosecond is above it.
        if let Some(bucket) = self.buckets.get(bucket_of(nanos.div_ceil(1000))) {
            bucket.fetch_add(times, Relaxed);
        }
        self.nanos.fetch_add(nanos.wrapping_mul(times), Relaxed);
    }

    pub(crate) fn snapshot(&self) -> LatencySnapshot {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let total = counts.iter().sum();
        LatencySnapshot { counts, total, nanos: self.nanos.load(Relaxed) }
    }
}

impl Sum for LatencySnapshot {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts
            .reduce(|mut whole, part| {
                if whole.total == 0 {
                    return part;
                }
                whole.total += part.total;
                whole.nanos = whole.nanos.wrapping_add(part.nanos);
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
        for (upper, count) in UPPER.iter().zip(&self.counts) {
            seen += count;
            if seen >= rank {
                return *upper;
            }
        }
        u64::MAX
    }

    /// The same as `/metrics` has it.
    #[cfg(any(test, feature = "http"))]
    pub(crate) fn buckets(&self) -> Buckets {
        let mut buckets = Buckets { sum: Duration::from_nanos(self.nanos), ..Buckets::default() };
        for (upper, count) in UPPER.iter().zip(&self.counts) {
            let bucket = BOUNDS.partition_point(|bound| bound.micros < *upper);
            if let Some(sum) = buckets.counts.get_mut(bucket) {
                *sum += count;
            }
        }
        buckets
    }
}

fn bucket_of(micros: u64) -> usize {
    let step = LADDER[step_of(micros)];
    step.bucket + usize::from(micros > step.upper)
}

/// Always below [`STEPS`].
fn step_of(micros: u64) -> usize {
    if micros < PER_POWER {
        return micros as usize;
    }
    let power = u64::from(micros.ilog2());
    let step = (micros >> (power - 3)) & (PER_POWER - 1);
    (((power - 2) * PER_POWER + step) as usize).min(STEPS - 1)
}

/// The largest latency of a step.
const fn upper_of_step(step: usize) -> u64 {
    let step = step as u64;
    if step < PER_POWER {
        return step;
    }
    let (power, step) = (step / PER_POWER + 2, step % PER_POWER);
    ((PER_POWER + step + 1) << (power - 3)) - 1
}

/// The bound of `/metrics` within a step, if it is not its end. There is one at most: each is twice the one
/// before, or more.
const fn bound_within(step: usize) -> Option<u64> {
    let mut n = 0;
    while n < BOUNDS.len() {
        let micros = BOUNDS[n].micros;
        if step > 0 && upper_of_step(step - 1) < micros && micros < upper_of_step(step) {
            return Some(micros);
        }
        n += 1;
    }
    None
}

const fn count_of_split_steps() -> usize {
    let (mut count, mut step) = (0, 0);
    while step < STEPS {
        count += bound_within(step).is_some() as usize;
        step += 1;
    }
    count
}

const fn ladder() -> [Step; STEPS] {
    // The last step has no end.
    let mut ladder = [Step { bucket: 0, upper: u64::MAX }; STEPS];
    let (mut bucket, mut step) = (0, 0);
    while step < STEPS {
        ladder[step].bucket = bucket;
        bucket += 1;
        if let Some(bound) = bound_within(step) {
            ladder[step].upper = bound;
            bucket += 1;
        }
        step += 1;
    }
    ladder
}

const fn upper_bounds() -> [u64; BUCKETS] {
    let mut upper = [0; BUCKETS];
    let (mut bucket, mut step) = (0, 0);
    while step < STEPS {
        if let Some(bound) = bound_within(step) {
            upper[bucket] = bound;
            bucket += 1;
        }
        upper[bucket] = upper_of_step(step);
        bucket += 1;
        step += 1;
    }
    upper
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

    #[test]
    fn buckets_ascend_and_every_bound_of_metrics_ends_one() {
        assert!(UPPER.is_sorted_by(|a, b| a < b));
        for bound in BOUNDS {
            assert!(UPPER.contains(&bound.micros), "{} µs", bound.micros);
        }
    }

    proptest! {
        #[test]
        fn every_latency_lies_within_its_bucket(micros in 0u64..1 << 34) {
            let bucket = bucket_of(micros);
            prop_assert!(micros <= UPPER[bucket]);
            prop_assert!(bucket == 0 || micros > UPPER[bucket - 1]);
        }

        #[test]
        fn metrics_count_as_a_histogram_of_their_own_would(
            nanos in proptest::collection::vec(prop_oneof![0..100_000u64, any::<u64>()], 0..20)
        ) {
            let (latencies, expected) = (Latencies::new(), rpc_metrics::Histogram::default());
            for nanos in nanos {
                // Without overflow in the sum.
                let latency = Duration::from_nanos(nanos / 32);
                latencies.record(latency, 1);
                expected.observe(latency);
            }
            prop_assert_eq!(latencies.snapshot().buckets(), expected.buckets());
        }
    }
}
