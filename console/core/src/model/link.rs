//! The connection to the registry, or the one server that is opened without one.

use std::time::{Duration, Instant};

use rpc_wire::instance::{Instance, InstanceKey};
use rpc_wire::report::Readiness;
use rpc_wire::target::Target;

use crate::model::Now;
use crate::model::heard::Heard;

/// The registry and the connection to it.
#[derive(Debug)]
pub struct Link {
    /// The registry's URL as given, or the address of the one server.
    pub url: String,
    /// Which of several registries is in use, once one is; its URL.
    pub at: Option<String>,
    /// The one server, if there is no registry.
    pub server: Option<InstanceKey>,
    /// State of the connection.
    pub state: LinkState,
    /// When the registry was heard; `None`: it is polled, or was not asked yet.
    pub heard: Option<Heard>,
    /// What it says of its own condition; nothing is wrong before it says so.
    pub readiness: Readiness,
    /// Since when it is silent although it is connected.
    pub silent: Option<Instant>,
}

/// State of the connection.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkState {
    /// The first attempt is in progress.
    Connecting,
    /// No registry: one server, opened by its address.
    Direct,
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
        Self {
            url: url.into(),
            at: None,
            server: None,
            state: LinkState::Connecting,
            heard: None,
            readiness: Readiness::default(),
            silent: None,
        }
    }

    /// A registry not yet contacted, or a server without one.
    pub fn to(target: &Target, now: Now) -> Self {
        match target {
            Target::Registry { url } => Self::new(url, now),
            Target::Direct { host, port } => Self {
                url: target.to_string(),
                at: None,
                server: Some(Instance::new(host, *port).key()),
                state: LinkState::Direct,
                heard: None,
                readiness: Readiness::default(),
                silent: None,
            },
        }
    }

    /// The URL without its scheme; of several registries, that of the one in use.
    pub fn address(&self) -> &str {
        let url = self.at.as_ref().unwrap_or(&self.url);
        url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/')
    }

    /// Looks whether the registry is silent; returns the length of a silence that is over.
    pub fn look(&mut self, now: Instant) -> Option<Duration> {
        let is_connected = matches!(self.state, LinkState::Live { .. });
        let heard = self.heard.as_mut().filter(|_| is_connected);
        let silent = heard.and_then(|heard| heard.is_silent(now).then_some(heard.last));
        let over = self.silent.filter(|_| silent.is_none() && is_connected);
        self.silent = silent;
        let heard = self.heard.map(|heard| heard.last);
        over.and_then(|since| Some(heard?.saturating_duration_since(since)))
    }

    /// Whether the list of instances is current: the registry is connected and not silent, or there is
    /// none.
    pub fn is_live(&self) -> bool {
        self.silent.is_none() && matches!(self.state, LinkState::Live { .. } | LinkState::Direct)
    }
}
