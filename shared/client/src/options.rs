//! Every limit and time of a client, with its default.

use std::time::Duration;

use crate::registry::RegistryOptions;

/// What a [`Client`](crate::Client) may take and how long it waits.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// A call's deadline, from the call to the whole reply; 10 s. A stream has none unless its
    /// request names one, but must begin within this time.
    pub timeout: Duration,
    /// Opening a connection and learning the peer's dialect, shared by all calls that wait for
    /// it (each under its own deadline); 10 s.
    pub connect_timeout: Duration,
    /// With other instances to choose from, a call waits no longer for a connection to one before
    /// it turns to another; 2 s.
    pub failover_after: Duration,
    /// A peer whose system leaves what was sent unacknowledged for so long, or does not answer
    /// the system's own probes of a silent connection, is gone; 20 s.
    pub tcp_user_timeout: Duration,
    /// How an instance is chosen; [`Balance::Random`].
    pub balance: Balance,
    /// Between two looks at the registry's list, give or take a tenth; 3 s. Taken as at least
    /// 10 ms and at most a day.
    pub refresh_interval: Duration,
    /// One look at the registry's list, all of it; 5 s.
    pub registry_timeout: Duration,
    /// A reply; 64 MiB. A larger one is an error and closes its connection.
    pub max_reply_bytes: usize,
    /// A registry's list; 32 MiB. A larger one counts as a failed refresh.
    pub max_list_bytes: usize,
    /// One line of a registry's event stream; 1 MiB. A longer one ends the stream.
    pub max_event_line_bytes: usize,
    /// Sockets to one older peer, which does one call at a time on each; 16. Further calls wait.
    pub max_classic_connections: usize,
    /// Calls that may wait for a socket to one older peer; 4,096. One more is refused.
    pub max_classic_queue: usize,
    /// An unused socket to an older peer is closed after; 1 s.
    pub classic_idle_timeout: Duration,
    /// For how long a peer is believed to be an older one before it is asked again; 60 s.
    pub dialect_ttl: Duration,
    /// An unused connection is closed after; 60 s.
    pub idle_timeout: Duration,
    /// Calls in flight on one connection; 240, which is below a server's own limit of 256.
    /// Further calls wait under their own deadlines.
    pub max_in_flight: usize,
    /// Addresses remembered that were called by name ([`Request::on`](crate::Request::on))
    /// without being in the registry's list; 256. The longest unused makes room.
    pub max_unlisted_peers: usize,
    /// Instances that refused a connection and are probed at the same time; 16.
    pub max_probes: usize,
    /// Which failed calls are tried again, and how often.
    pub retry: RetryOptions,
}

impl ClientOptions {
    /// The options of a client of the registry that go with these.
    pub fn registry(&self) -> RegistryOptions {
        RegistryOptions {
            timeout: self.registry_timeout,
            max_list_bytes: self.max_list_bytes,
            max_event_line_bytes: self.max_event_line_bytes,
            ..RegistryOptions::default()
        }
    }
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            failover_after: Duration::from_secs(2),
            tcp_user_timeout: Duration::from_secs(20),
            balance: Balance::Random,
            refresh_interval: Duration::from_secs(3),
            registry_timeout: Duration::from_secs(5),
            max_reply_bytes: 64 << 20,
            max_list_bytes: 32 << 20,
            max_event_line_bytes: 1 << 20,
            max_classic_connections: 16,
            max_classic_queue: 4096,
            classic_idle_timeout: Duration::from_secs(1),
            dialect_ttl: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            max_in_flight: 240,
            max_unlisted_peers: 256,
            max_probes: 16,
            retry: RetryOptions::default(),
        }
    }
}

/// How an instance is chosen among those that serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// Any, with equal chance.
    #[default]
    Random,
    /// One after another.
    RoundRobin,
    /// Any, with chances as `parameters.weight` says (1 when it says nothing; 0 is for when there
    /// is no other).
    WeightedRandom,
    /// The less busy of two chosen at random: calls in flight times usual latency.
    LeastInFlight,
}

impl Balance {
    /// Every policy with the name it has in settings.
    pub const ALL: [(&'static str, Self); 4] = [
        ("random", Self::Random),
        ("round_robin", Self::RoundRobin),
        ("weighted_random", Self::WeightedRandom),
        ("least_in_flight", Self::LeastInFlight),
    ];
}

/// When a call is tried again, always on another instance and within the same deadline.
///
/// A call that provably was not executed (connection refused, not one byte written, the server
/// draining or overloaded) always may be; one that may have been executed only when its request is
/// marked [`idempotent`](crate::Request::idempotent).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryOptions {
    /// Attempts of one call, the first included; 3.
    pub attempts: u32,
    /// Retries per call in the long run, over all calls of the client; 0.2. It keeps retries from
    /// multiplying the load when everything fails. Retries of calls that found no connection do
    /// not count: nobody had work with those.
    pub ratio: f64,
    /// Retries that may be made at once before the ratio counts; 10.
    pub burst: u32,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self { attempts: 3, ratio: 0.2, burst: 10 }
    }
}
