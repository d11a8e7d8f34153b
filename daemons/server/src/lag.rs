//! How long tasks that are ready wait for a worker.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout};

/// The measuring task wants to run this often while there are calls, and this often without.
const TICK: Duration = Duration::from_millis(5);
const IDLE_TICK: Duration = Duration::from_secs(1);
/// Ticks without a call after which the server is idle.
const QUIET_TICKS: u32 = 200;
/// From this lag on, new connections are not for the workers to accept.
const HIGH: Duration = Duration::from_millis(20);
/// A timer may be that late on an idle machine.
const TIMER: Duration = Duration::from_millis(2);

/// The lag of a runtime's workers, as late as a task is that wants to run every few milliseconds. The
/// task of a connection whose bytes have arrived waits as long, and nothing else tells it how long.
#[derive(Debug)]
pub(crate) struct Lag {
    started: Instant,
    /// When the measuring task should run next, in nanoseconds since the start.
    due: AtomicU64,
    /// How late it was the last time, in nanoseconds.
    last: AtomicU64,
    /// There were calls since the last tick.
    has_calls: AtomicBool,
    is_idle: AtomicBool,
    wakes_measuring: Notify,
    wakes_watching: Notify,
}

impl Lag {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            due: AtomicU64::new(u64::MAX),
            last: AtomicU64::new(0),
            has_calls: AtomicBool::new(false),
            is_idle: AtomicBool::new(true),
            wakes_measuring: Notify::new(),
            wakes_watching: Notify::new(),
        }
    }

    /// There are calls, for which the lag matters.
    #[inline]
    pub(crate) fn matters(&self, now: Instant) {
        if !self.has_calls.load(Relaxed) {
            self.has_calls.store(true, Relaxed);
            if self.is_idle.swap(false, Relaxed) {
                self.due.store(self.nanos(now + TICK + TIMER), Relaxed);
                self.wakes_measuring.notify_one();
                self.wakes_watching.notify_one();
            }
        }
    }

    /// The lag; zero while nobody measures.
    #[inline]
    pub(crate) fn at(&self, now: Instant) -> Duration {
        let overdue = self.nanos(now).saturating_sub(self.due.load(Relaxed));
        Duration::from_nanos(overdue.max(self.last.load(Relaxed)))
    }

    /// Whether it takes so long that health must be told without the workers.
    pub(crate) fn is_high(&self) -> bool {
        self.at(Instant::now()) >= HIGH
    }

    /// Waits for `time`; while the server is idle, also for the first call.
    pub(crate) async fn pause(&self, time: Duration) {
        if self.is_idle.load(Relaxed) {
            self.wakes_watching.notified().await;
        }
        tokio::time::sleep(time).await;
    }

    /// Measures the lag of the runtime it runs on, until it is dropped.
    pub(crate) async fn measure(&self) {
        let mut quiet = QUIET_TICKS;
        loop {
            let is_idle = quiet >= QUIET_TICKS;
            self.is_idle.store(is_idle, Relaxed);
            let due = Instant::now() + if is_idle { IDLE_TICK } else { TICK };
            self.due.store(self.nanos(due + TIMER), Relaxed);
            if is_idle {
                let waits = self.wakes_measuring.notified();
                // Also without calls: a process that was stopped learns it from the next tick.
                let _ = timeout(IDLE_TICK, waits).await;
            } else {
                sleep_until(due.into()).await;
            }
            let late = self.nanos(Instant::now()).saturating_sub(self.due.load(Relaxed));
            self.last.store(late, Relaxed);
            quiet = if self.has_calls.swap(false, Relaxed) { 0 } else { quiet.saturating_add(1) };
        }
    }

    fn nanos(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.started);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_worker_that_computes_is_noticed_while_it_does() {
        let lag = Arc::new(Lag::new());
        let measuring = tokio::spawn({
            let lag = lag.clone();
            async move { lag.measure().await }
        });
        tokio::task::yield_now().await;
        assert_eq!(lag.at(Instant::now()), Duration::ZERO);
        let busy = Duration::from_millis(300);
        lag.matters(Instant::now());
        std::thread::sleep(busy);
        let seen = lag.at(Instant::now());
        assert!(seen >= busy - TICK - TIMER, "{seen:?}");
        lag.pause(TICK).await;
        while lag.at(Instant::now()) > busy / 2 {
            tokio::task::yield_now().await;
        }
        measuring.abort();
    }
}
