//! Numbers that many threads write without a lock.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A number that only goes up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.inc_by(1);
    }

    /// Adds `count`.
    pub fn inc_by(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Adds one.
    pub fn inc(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Takes one away, of those that [`inc`](Self::inc) added.
    pub fn dec(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// Replaces it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A sum of times, for 584 years.
#[derive(Debug, Default)]
pub struct Seconds(AtomicU64);

impl Seconds {
    /// Adds a time.
    pub fn add(&self, time: Duration) {
        self.0.fetch_add(nanoseconds(time), Relaxed);
    }

    /// The sum so far.
    pub fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Relaxed))
    }
}

pub(crate) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A label whose values are known beforehand, so that nobody can add to them.
pub trait Label: Copy + PartialEq + 'static {
    /// Its name.
    const NAME: &'static str;
    /// Its values.
    const ALL: &'static [Self];

    /// How it is written.
    fn as_str(self) -> &'static str;
}

/// A counter for each value of a label.
#[derive(Debug)]
pub struct Counters<L>(Box<[Counter]>, PhantomData<L>);

impl<L: Label> Default for Counters<L> {
    fn default() -> Self {
        Self(L::ALL.iter().map(|_| Counter::default()).collect(), PhantomData)
    }
}

impl<L: Label> Counters<L> {
    /// Adds one to that of this value.
    pub fn inc(&self, label: L) {
        let place = L::ALL.iter().position(|known| *known == label);
        if let Some(counter) = place.and_then(|place| self.0.get(place)) {
            counter.inc();
        }
    }

    /// Every value of the label, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (L, u64)> {
        L::ALL.iter().copied().zip(self.0.iter().map(Counter::get))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count() {
        let (counter, gauge, seconds) = (Counter::default(), Gauge::default(), Seconds::default());
        counter.inc();
        counter.inc_by(2);
        gauge.set(5);
        gauge.inc();
        gauge.dec();
        seconds.add(Duration::from_millis(1500));
        seconds.add(Duration::from_nanos(1));
        assert_eq!((counter.get(), gauge.get()), (3, 5));
        assert_eq!(seconds.get(), Duration::new(1, 500_000_001));
    }
}
