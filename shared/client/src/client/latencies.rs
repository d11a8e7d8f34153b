//! The latest latencies of each method, for hedging by a percentile.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Latencies kept of one method.
const SAMPLES: usize = 128;
/// Of fewer the 95th percentile says little.
const ENOUGH: usize = 20;
/// Methods whose latencies are kept; calls of further ones are not hedged by their percentile.
const MAX_METHODS: usize = 256;

/// The latest latencies of each method; kept only where a percentile decides.
#[derive(Debug, Default)]
pub(super) struct Latencies(Mutex<HashMap<String, Recent>>);

/// The latest latencies of one method; a new one takes the place of the oldest.
#[derive(Debug, Default)]
struct Recent {
    samples: Vec<Duration>,
    next: usize,
}

impl Latencies {
    pub(super) fn note(&self, method: &str, latency: Duration) {
        let mut methods = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !methods.contains_key(method) && methods.len() < MAX_METHODS {
            methods.insert(method.to_owned(), Recent::default());
        }
        if let Some(recent) = methods.get_mut(method) {
            recent.note(latency);
        }
    }

    pub(super) fn p95(&self, method: &str) -> Option<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(method)?.p95()
    }
}

impl Recent {
    fn note(&mut self, latency: Duration) {
        match self.samples.get_mut(self.next) {
            Some(oldest) => *oldest = latency,
            None => self.samples.push(latency),
        }
        self.next = (self.next + 1) % SAMPLES;
    }

    fn p95(&self) -> Option<Duration> {
        if self.samples.len() < ENOUGH {
            return None;
        }
        let mut samples = self.samples.clone();
        let index = samples.len() * 95 / 100;
        Some(*samples.select_nth_unstable(index).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_percentile_is_of_the_latest_calls_and_needs_some() {
        let latencies = Latencies::default();
        for n in 0..19 {
            latencies.note("m", n * MS);
        }
        assert_eq!(latencies.p95("m"), None);
        for n in 0..1000 {
            latencies.note("m", n % 100 * MS);
        }
        let p95 = latencies.p95("m").unwrap();
        assert!((90 * MS..100 * MS).contains(&p95), "{p95:?}");
        for _ in 0..SAMPLES {
            latencies.note("m", MS);
        }
        assert_eq!(latencies.p95("m"), Some(MS));
    }

    #[test]
    fn the_latencies_of_a_limited_number_of_methods_are_kept() {
        let latencies = Latencies::default();
        for method in 0..2 * MAX_METHODS {
            latencies.note(&method.to_string(), MS);
        }
        assert_eq!(latencies.0.lock().unwrap().len(), MAX_METHODS);
    }
}
