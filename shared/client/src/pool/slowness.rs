//! Which calls of a server are slow beside those of others.

use std::sync::atomic::{AtomicU64, Ordering};

use super::evidence::{Evidence, Run};

/// Judges latencies. Of calls that overlap, those are evidence that took so long after the last one that was:
/// what one pause of the server held up is one slow call, however many they are. Times are in microseconds.
#[derive(Debug)]
pub(crate) struct Slowness {
    /// Calls that take at least so long are slow; nothing is before others are known.
    from: AtomicU64,
    /// The end of the last slow call that was evidence.
    counted: AtomicU64,
    evidence: Evidence,
}

impl Slowness {
    pub(crate) fn new() -> Self {
        let from = AtomicU64::new(u64::MAX);
        Self { from, counted: AtomicU64::new(0), evidence: Evidence::default() }
    }

    /// From which time on a call is slow.
    pub(crate) fn from(&self) -> u64 {
        self.from.load(Ordering::Relaxed)
    }

    /// Calls that take at least so long are slow; `None`: none is.
    pub(crate) fn begins_at(&self, latency: Option<u64>) {
        self.from.store(latency.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Adds a call that ended now; the run of which it is the last, if it is slow, and evidence.
    pub(crate) fn add(&self, latency: u64, now: u64, memory: u64) -> Option<Run> {
        let from = self.from();
        if latency < from {
            self.evidence.good();
            return None;
        }
        let alone = now.saturating_sub(self.counted.load(Ordering::Relaxed));
        if alone < from {
            return None;
        }
        self.counted.store(now, Ordering::Relaxed);
        Some(self.evidence.bad(now, memory))
    }

    pub(crate) fn restart(&self, now: u64) {
        self.evidence.restart(now);
    }

    /// The server is back.
    pub(crate) fn comes_back(&self, times: u32, now: u64) {
        self.counted.store(0, Ordering::Relaxed);
        self.evidence.comes_back(times, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1000;
    const MEMORY: u64 = 10_000 * MS;

    /// Adds a call of that time.
    fn call(slowness: &Slowness, sent: u64, ended: u64) -> Option<u64> {
        let latency = (ended - sent) * MS;
        slowness.add(latency, ended * MS, MEMORY).map(|run| run.bad)
    }

    #[test]
    fn calls_that_one_pause_held_up_are_one_slow_call() {
        let slowness = Slowness::new();
        assert_eq!(call(&slowness, 1000, 9000), None, "nothing is known of others");
        slowness.begins_at(Some(100 * MS));
        let paused: Vec<_> = (0..50).map(|n| call(&slowness, 9100 + n, 9400)).collect();
        assert_eq!(paused.iter().flatten().collect::<Vec<_>>(), [&1]);
        assert_eq!(call(&slowness, 9390, 9499), None, "sent during the pause, slow only with it");
        assert_eq!(call(&slowness, 9390, 9500), Some(2), "slow also without it");
        assert_eq!(call(&slowness, 9501, 9600), None, "it is fast");
        slowness.begins_at(None);
        assert_eq!(call(&slowness, 9700, 9900), None);
    }
}
