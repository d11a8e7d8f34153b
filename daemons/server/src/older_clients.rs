//! When older clients called last: at its end a server waits for those who cannot know of it yet.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::Limits;

/// An older client's call is noted at most once in this time on one connection.
const NOTED_EVERY: Duration = Duration::from_millis(100);

/// When an older client called last.
#[derive(Debug)]
pub(crate) struct OlderClients {
    started: Instant,
    /// Milliseconds from `started` to the last call, and one more; 0 before the first.
    last_call: AtomicU64,
}

/// What one connection has noted.
#[derive(Debug, Default)]
pub(crate) struct Noted(Option<Instant>);

impl OlderClients {
    pub(crate) fn new(started: Instant) -> Self {
        Self { started, last_call: AtomicU64::new(0) }
    }

    /// An older client calls. Not each call of a connection is noted: all connections share this.
    pub(crate) fn note(&self, noted: &mut Noted, now: Instant) {
        if noted.0.is_none_or(|at| now >= at + NOTED_EVERY) {
            noted.0 = Some(now);
            self.last_call.fetch_max(milliseconds(now - self.started) + 1, Relaxed);
        }
    }

    /// How long a server that has unregistered goes on serving: older clients that called it look into the
    /// registry every 3 s, and go on calling it until then. There is time left to end within the drain.
    #[cfg_attr(
        not(feature = "announce"),
        allow(dead_code, reason = "who was never registered cannot unregister")
    )]
    pub(crate) fn notice(&self, limits: &Limits, now: Instant) -> Option<Duration> {
        let last_call = self.last_call.load(Relaxed).checked_sub(1)?;
        let since = milliseconds(now - self.started).saturating_sub(last_call);
        let most = limits.drain_timeout.saturating_sub(limits.close_timeout);
        let notice = limits.shutdown_notice.min(most);
        (since <= milliseconds(limits.older_client_window) && !notice.is_zero()).then_some(notice)
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn older_clients_get_notice_only_if_they_called_of_late() {
        let (start, limits) = (Instant::now(), Limits::default());
        let clients = OlderClients::new(start);
        assert_eq!(clients.notice(&limits, start), None);
        let mut noted = Noted::default();
        clients.note(&mut noted, start + 5 * SECOND);
        let notice = Some(Duration::from_millis(3500));
        assert_eq!(clients.notice(&limits, start + 5 * SECOND), notice);
        assert_eq!(clients.notice(&limits, start + 15 * SECOND), notice);
        assert_eq!(clients.notice(&limits, start + 16 * SECOND), None);
        clients.note(&mut noted, start + 16 * SECOND);
        assert_eq!(clients.notice(&limits, start + 16 * SECOND), notice);
    }

    #[test]
    fn the_notice_leaves_time_to_close_within_the_drain() {
        let start = Instant::now();
        let clients = OlderClients::new(start);
        clients.note(&mut Noted::default(), start);
        let limits = Limits::default().drain_timeout(3 * SECOND);
        assert_eq!(clients.notice(&limits, start), Some(2 * SECOND));
        let limits = limits.drain_timeout(SECOND / 2);
        assert_eq!(clients.notice(&limits, start), None);
    }
}
