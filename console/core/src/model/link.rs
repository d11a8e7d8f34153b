//! The registry and the connection to it.

use std::time::Instant;

use crate::model::Now;

/// Which registry, and how the connection to it stands.
#[derive(Debug)]
pub struct Link {
    /// Its URL, as given.
    pub url: String,
    /// How the connection stands.
    pub state: LinkState,
}

/// How the connection stands.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkState {
    /// The first try is under way.
    Connecting,
    /// It is reached.
    Live {
        /// Whether it tells heartbeat ages; an older registry does not.
        ages: bool,
    },
    /// It is not reached; what is known of the instances is kept.
    Lost {
        /// When the connection broke, or the console started.
        since: Instant,
        /// Failed tries since then.
        attempts: u32,
        /// When the next try begins.
        retry_at: Instant,
        /// One line for a person.
        error: String,
        /// Whether it was reached before.
        was_live: bool,
    },
}

impl Link {
    /// A registry not yet asked.
    pub fn new(url: impl Into<String>, _now: Now) -> Self {
        Self { url: url.into(), state: LinkState::Connecting }
    }

    /// The URL without its scheme.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap_or(&self.url).trim_end_matches('/')
    }

    /// Whether it is reached.
    pub fn is_live(&self) -> bool {
        matches!(self.state, LinkState::Live { .. })
    }
}
