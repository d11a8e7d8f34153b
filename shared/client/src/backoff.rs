//! How long to wait before trying again: doubling, capped, jittered.

use std::time::Duration;

use rand::{Rng, RngExt};

/// Delays that double from `first` to `cap`, each shortened by a random part of itself, so that many
/// clients that failed together do not retry together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    jitter: f64,
}

/// Why values do not make a [`Backoff`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackoffError {
    /// Retries would spin.
    #[error("the first delay must be longer than zero")]
    Zero,
    /// Delays would shrink.
    #[error("the cap must not be shorter than the first delay")]
    CapBelowFirst,
    /// It is outside of 0 to 1, or not a number.
    #[error("the jitter must lie between 0 and 1")]
    Jitter,
}

impl Backoff {
    /// Delays from `first` to `cap`, each shortened by up to `jitter` (a fraction) of itself.
    ///
    /// # Errors
    /// `first` is zero, `cap` is below it, or `jitter` is not within 0 to 1.
    pub fn new(first: Duration, cap: Duration, jitter: f64) -> Result<Self, BackoffError> {
        if first.is_zero() {
            return Err(BackoffError::Zero);
        }
        if cap < first {
            return Err(BackoffError::CapBelowFirst);
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(BackoffError::Jitter);
        }
        Ok(Self { first, cap, jitter })
    }

    /// The delays of heartbeats and probes after failures: 0.5 s to 5 s, shortened by up to a half.
    pub const fn reconnect() -> Self {
        Self { first: Duration::from_millis(500), cap: Duration::from_secs(5), jitter: 0.5 }
    }

    /// The delay after failure number `failures` in a row, counted from 1.
    ///
    /// ```
    /// use std::time::Duration;
    /// use rpc_client::backoff::Backoff;
    ///
    /// let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5), 0.5)?;
    /// let third = backoff.delay(3);
    /// assert!((Duration::from_secs(1)..=Duration::from_secs(2)).contains(&third));
    /// # Ok::<(), rpc_client::backoff::BackoffError>(())
    /// ```
    pub fn delay(&self, failures: u32) -> Duration {
        self.delay_by(failures, &mut rand::rng())
    }

    fn delay_by(&self, failures: u32, rng: &mut (impl Rng + ?Sized)) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.cap);
        full.mul_f64(1.0 - self.jitter * rng.random_range(0.0..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    #[test]
    fn without_jitter_delays_double_up_to_the_cap() {
        let backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5), 0.0);
        let mut rng = SmallRng::seed_from_u64(1);
        let delays: Vec<_> =
            (0..7).map(|n| backoff.unwrap().delay_by(n, &mut rng).as_millis()).collect();
        assert_eq!(delays, [500, 500, 1000, 2000, 4000, 5000, 5000]);
    }

    #[test]
    fn invalid_values_are_refused() {
        let second = Duration::from_secs(1);
        assert_eq!(Backoff::new(Duration::ZERO, second, 0.0), Err(BackoffError::Zero));
        assert_eq!(Backoff::new(second, second / 2, 0.0), Err(BackoffError::CapBelowFirst));
        for jitter in [-0.1, 1.1, f64::NAN] {
            assert_eq!(Backoff::new(second, second, jitter), Err(BackoffError::Jitter));
        }
    }

    proptest! {
        #[test]
        fn every_delay_lies_between_the_shortened_and_the_full_one(
            first_ms in 1u64..10_000, more_ms in 0u64..100_000, jitter in 0.0f64..=1.0,
            failures in any::<u32>(), seed in any::<u64>(),
        ) {
            let first = Duration::from_millis(first_ms);
            let cap = first + Duration::from_millis(more_ms);
            let backoff = Backoff::new(first, cap, jitter).unwrap();
            let delay = backoff.delay_by(failures, &mut SmallRng::seed_from_u64(seed));
            prop_assert!(delay <= cap);
            prop_assert!(delay >= first.mul_f64(1.0 - jitter).saturating_sub(Duration::from_nanos(1)));
        }
    }
}
