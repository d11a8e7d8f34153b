//! Clients for one kind of load: [`bare`] sockets, the [`library`], and an [`agent`].

pub mod agent;
pub mod bare;
pub mod library;

use std::time::Duration;

use crate::measure::Meter;

/// Timeout of one reply; after it the run fails.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// The shape of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Connections.
    pub connections: usize,
    /// Calls in flight on each.
    pub in_flight: usize,
    /// One call per connection, then a new one; one at a time.
    pub reconnect: bool,
}

impl Shape {
    /// Connections with one call at a time each.
    pub const fn connections(connections: usize) -> Self {
        Self { connections, in_flight: 1, reconnect: false }
    }

    /// One connection with calls in flight.
    pub const fn in_flight(in_flight: usize) -> Self {
        Self { connections: 1, in_flight, reconnect: false }
    }

    /// A new connection for every call.
    pub const RECONNECT: Self = Self { connections: 1, in_flight: 1, reconnect: true };
}

/// When to measure, and which server.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// The server's process.
    pub server: u32,
    /// Load before the window.
    pub warm_up: Duration,
    /// Length of the window.
    pub length: Duration,
}

impl Window {
    /// Starts the warm-up.
    ///
    /// # Errors
    /// Those of [`Meter::start`].
    pub fn start(self) -> anyhow::Result<Meter> {
        Meter::start(self.server, self.warm_up, self.length)
    }
}
