//! A connection of requests, from its start: its place, and whether it is still a stranger's.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Seat;

/// A connection, as its requests see it.
#[derive(Debug)]
pub struct Visit {
    since: Instant,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    seat: Seat,
    /// Requests without a reply.
    asked: usize,
}

impl Visit {
    /// Of a connection that was just accepted, and has this place.
    pub fn new(seat: Seat) -> Self {
        Self { since: Instant::now(), now: Mutex::new(Now { seat, asked: 0 }) }
    }

    /// The peer has shown who it is.
    pub fn become_known(&self) {
        self.now().seat.become_known();
    }

    /// A request has come.
    pub fn ask(&self) {
        self.now().asked += 1;
    }

    /// It has its reply.
    pub fn reply(&self) {
        self.now().asked -= 1;
    }

    /// Whether the peer is a stranger, of whom no request awaits its reply.
    pub fn is_silent_stranger(&self) -> bool {
        let now = self.now();
        now.seat.is_stranger() && now.asked == 0
    }

    /// Until when a step before the first request may take.
    pub fn enters_until(&self, timeout: Duration, of_strangers: Duration) -> Instant {
        match self.now().seat.is_stranger() {
            true => self.since + timeout.min(of_strangers),
            false => self.since + timeout,
        }
    }

    /// Waits until the peer has been a stranger for that time; for ever if it is none by then.
    pub async fn remains_stranger(&self, patience: Duration) {
        let is_stranger = || self.now().seat.is_stranger();
        if is_stranger() {
            sleep_until(self.since + patience).await;
        }
        if !is_stranger() {
            std::future::pending().await
        }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
