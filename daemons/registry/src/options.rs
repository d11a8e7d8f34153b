//! Every limit and time of a registry, with its default.

use std::time::Duration;

use rpc_host::logging::LogRing;

use crate::error::RegistryError;

/// What a registry allows and how long it waits. [`Default`] is what is documented here.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// From the last heartbeat to expiry: 10 s.
    pub ttl: Duration,
    /// How often expiry is looked for: 5 s.
    pub check_interval: Duration,

    /// Instances in all: 200,000. One more gets 503.
    pub max_instances: usize,
    /// Instances registered from one peer address beyond loopback: 1,000. One more gets 429.
    pub max_instances_per_peer: usize,
    /// Bytes of a request's body: 64 KiB. A larger one gets 413.
    pub max_body_bytes: usize,
    /// Bytes of an instance's host: 253.
    pub max_host_bytes: usize,
    /// Bytes of an instance's parameters as compact JSON: 4 KiB.
    pub max_parameters_bytes: usize,

    /// Connections: 10,000. One more is closed without a byte, and counted.
    pub max_connections: usize,
    /// Connections that may wait to be accepted: 1,024.
    pub backlog: u32,
    /// Event streams, of changes and of log lines together: 2,000. One more gets 503.
    pub max_watchers: usize,
    /// How long an event stream may be silent: 5 s, then a comment shows that it is alive, and that
    /// its reader is: one that left gives its place back with the second comment at the latest.
    pub keep_alive: Duration,
    /// Changes remembered for watchers that come back or fall behind: 4,096. Whoever missed more
    /// gets a fresh snapshot.
    pub max_history: usize,

    /// For a request's line and headers, and for the next request on a kept connection: 10 s, then
    /// the connection is closed.
    pub header_timeout: Duration,
    /// For a request's body: 10 s, then 408.
    pub body_timeout: Duration,
    /// How long a peer may take nothing of a reply: 30 s, then the connection is closed.
    pub write_timeout: Duration,
    /// The longest long-poll (`wait=`); a longer wish is cut to it: 60 s.
    pub max_wait: Duration,

    /// How long an unregistered instance without incarnation must prove by an accepted TCP connect
    /// that it is back, before it is listed again: 60 s. Zero: never.
    pub rejoin_window: Duration,
    /// Unregistered instances remembered for that: 10,000, the oldest are forgotten first.
    pub max_rejoins: usize,
    /// For one such connect, the wait for its turn included: 500 ms.
    pub probe_timeout: Duration,
    /// Such connects at a time: 64.
    pub max_probes: usize,

    /// For requests in flight when the registry ends: 1.5 s, then their connections are closed.
    pub drain_timeout: Duration,
    /// Values of `Origin` that may use the registry: none. Any other gets 403, so that a
    /// web page cannot drive a registry on localhost.
    pub allowed_origins: Vec<String>,
    /// What `/v1/logs` streams: nothing (404).
    pub log_ring: Option<LogRing>,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(10),
            check_interval: Duration::from_secs(5),
            max_instances: 200_000,
            max_instances_per_peer: 1000,
            max_body_bytes: 64 * 1024,
            max_host_bytes: 253,
            max_parameters_bytes: 4 * 1024,
            max_connections: 10_000,
            backlog: 1024,
            max_watchers: 2000,
            keep_alive: Duration::from_secs(5),
            max_history: 4096,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            max_wait: Duration::from_secs(60),
            rejoin_window: Duration::from_secs(60),
            max_rejoins: 10_000,
            probe_timeout: Duration::from_millis(500),
            max_probes: 64,
            drain_timeout: Duration::from_millis(1500),
            allowed_origins: Vec::new(),
            log_ring: None,
        }
    }
}

impl RegistryOptions {
    /// Refuses values with which a registry cannot work.
    pub(crate) fn check(&self) -> Result<(), RegistryError> {
        let a_year = Duration::from_secs(365 * 24 * 3600);
        let times = [
            ("ttl", self.ttl),
            ("check_interval", self.check_interval),
            ("keep_alive", self.keep_alive),
        ];
        for (name, time) in times {
            if time.is_zero() || time > a_year {
                return Err(RegistryError::BadOption {
                    name,
                    expected: "above 0 and within a year",
                });
            }
        }
        if self.max_connections == 0 {
            return Err(RegistryError::BadOption { name: "max_connections", expected: "above 0" });
        }
        Ok(())
    }
}
