//! The connection to the registry.

use std::time::Instant;

use crate::model::Now;

/// The registry and the connection to it.
#[derive(Debug)]
pub struct Link {
    /// The registry's URL as given.
    pub url: String,
    /// State of the connection.
    pub state: LinkState,
}

/// State of the connection.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkState {
    /// The first attempt is in progress.
    Connecting,
    /// Connected.
    Live {
        /// Whether the registry reports heartbeat ages; older ones do not.
        ages: bool,
    },
    /// Unreachable; the list of instances is kept.
    Lost {
        /// When the connection was lost, or the console started.
        since: Instant,
        /// Failed attempts since then.
        attempts: u32,
        /// When the next attempt starts.
        retry_at: Instant,
        /// The reason, in one line.
        error: String,
        /// Whether it was connected before.
        was_live: bool,
    },
}

impl Link {
    /// A registry not yet contacted.
    pub fn new(url: impl Into<String>, _now: Now) -> Self {
        Self { url: url.into(), state: LinkState::Connecting }
    }

    /// The URL without its scheme.
    pub fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap_or(&self.url).trim_end_matches('/')
    }

    /// Whether it is connected.
    pub fn is_live(&self) -> bool {
        matches!(self.state, LinkState::Live { .. })
    }
}
