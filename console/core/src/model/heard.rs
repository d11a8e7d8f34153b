//! When the registry was heard: what happens to its instances while it is silent is not known.

use std::time::{Duration, Instant};

/// A registry that was not heard for this long is silent. The console asks one that says nothing much
/// more often than that.
pub const SILENCE: Duration = Duration::from_secs(5);

/// When the registry was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// The last time.
    pub last: Instant,
    /// The end of its last silence; `None`: it was never silent.
    pub since: Option<Instant>,
    /// When this was last looked at.
    looked: Instant,
}

impl Heard {
    /// Heard for the first time.
    pub fn first(at: Instant) -> Self {
        Self { last: at, since: None, looked: at }
    }

    /// Heard again.
    pub fn again(&mut self, at: Instant) {
        if at.saturating_duration_since(self.last) >= SILENCE {
            self.since = Some(at);
        }
        self.last = self.last.max(at);
    }

    /// Whether the registry is silent. A console that was stopped itself has heard nobody.
    pub fn is_silent(&mut self, now: Instant) -> bool {
        let slept = now.saturating_duration_since(self.looked.max(self.last));
        if slept > SILENCE + Duration::from_secs(1) && !self.was_silent() {
            self.again(now);
        }
        self.looked = now;
        self.was_silent()
    }

    /// Whether it was silent when this was last looked at.
    fn was_silent(&self) -> bool {
        self.looked.saturating_duration_since(self.last) >= SILENCE
    }
}
