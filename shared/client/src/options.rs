//! Every limit and time of a client, with its default.

use std::time::Duration;

use rpc_security::ClientTlsOptions;
use rpc_wire::instance::{Instance, Tls};

#[cfg(feature = "registry")]
use crate::registry::RegistryClientOptions;
use crate::{ListCache, Token};

/// Limits and times of a [`Client`](crate::Client). Each field says its default.
///
/// Later versions may have more fields: end a literal with `..ClientOptions::default()`, which
/// `#[non_exhaustive]` would forbid.
///
/// ```
/// use std::time::Duration;
/// use rpc_client::{Balance, ClientOptions};
///
/// let options = ClientOptions {
///     timeout: Duration::from_secs(2),
///     balance: Balance::LeastInFlight,
///     service: Some("orders".to_owned()),
///     ..ClientOptions::default()
/// };
/// ```
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Timeout of a call, from its start to the whole reply; 10 s. A stream must start within it and has
    /// no other, unless its request sets one.
    pub timeout: Duration,
    /// Timeout of opening a connection and learning the peer's dialect; 10 s. One attempt serves all calls
    /// that wait for it, each with its own deadline.
    pub connect_timeout: Duration,
    /// How long a call waits for a connection to one instance before it fails over to another, and for the
    /// methods of one instance before another is asked; 2 s.
    pub failover_after: Duration,
    /// A connection is lost when the peer's system acknowledges neither data nor keepalive probes for this
    /// time; 20 s.
    pub tcp_user_timeout: Duration,
    /// How an instance is chosen; [`Balance::Random`].
    pub balance: Balance,
    /// Interval between refreshes of the registry's list, with a jitter of a tenth; 3 s. At least 10 ms and
    /// at most a day. A registry that can replies within it as soon as its list changes.
    pub refresh_interval: Duration,
    /// Where the registry's last list is kept, by which a new client calls while the registry cannot be reached;
    /// [`ListCache::Off`].
    pub list_cache: ListCache,
    /// Call only instances of this service (`parameters.service`); `None`, the default, is any.
    pub service: Option<String>,
    /// Timeout of one refresh of the registry's list; 5 s.
    pub registry_timeout: Duration,
    /// Largest reply; 64 MiB. A larger one is an error and closes its connection.
    pub max_reply_bytes: usize,
    /// Largest list of a registry; 32 MiB. A larger one counts as a failed refresh.
    pub max_list_bytes: usize,
    /// Longest line of a registry's event stream; 1 MiB. A longer one ends the stream.
    pub max_event_line_bytes: usize,
    /// Most connections to one older peer, which executes one call at a time on each; 16. Further calls
    /// wait.
    pub max_classic_connections: usize,
    /// Most calls that wait for a connection to one older peer; 4,096. Further calls fail.
    pub max_classic_queue: usize,
    /// An unused connection to an older peer is closed after this time; 1 s.
    pub classic_idle_timeout: Duration,
    /// How long a peer counts as an older one before its dialect is probed again; 60 s.
    pub dialect_ttl: Duration,
    /// An unused connection is closed after this time; 60 s.
    pub idle_timeout: Duration,
    /// Most calls in flight on one connection; 240, which is below a server's limit of 256. Further calls
    /// wait, each with its own deadline.
    pub max_in_flight: usize,
    /// Most addresses kept that were called by name ([`Request::on`](crate::Request::on)) and are not
    /// listed; 256. The least recently used makes room.
    pub max_unlisted_peers: usize,
    /// Most ejected instances that are probed at the same time; 16.
    pub max_probes: usize,
    /// Most instances that are asked for their methods at the same time; 32. They are asked only where a
    /// registry lists several contracts: once per contract, and each instance that shows none. Before a call
    /// fails because nobody offers its method, at most 64 others are asked themselves.
    pub max_discoveries: usize,
    /// Most methods of one instance; 10,000. With more, its methods count as unknown.
    pub max_methods: usize,
    /// Largest method list of one instance; 4 MiB. With a larger one, its methods count as unknown.
    pub max_method_list_bytes: usize,
    /// The secret that this client shows to servers and registries which ask for one: none. It is sent over
    /// TLS or to loopback only, unless `allow_plaintext_token`.
    pub token: Option<Token>,
    /// Whether the token is sent in plain text as well, to whom the network says it is; false.
    pub allow_plaintext_token: bool,
    /// TLS to every server: one at an address is verified by its host; the instances of a registry, by the service
    /// that each is listed with (`rpcd://service/NAME` in its certificate). Nothing falls back to plain text. False.
    /// Needs the feature `tls`.
    pub tls: bool,
    /// How the one server that is called by its address is listed, if a registry gave the address: then it is
    /// verified as an instance of that registry is. `None`: somebody named it.
    pub listed: Option<ListedAs>,
    /// Whom that trusts, and who this client is itself; also to a registry at `https://`. By default the
    /// authorities of the system, and nobody.
    pub tls_files: ClientTlsOptions,
    /// Which failed calls are retried, and how often.
    pub retry: RetryOptions,
    /// Which instances get no calls for a while, and how they come back.
    pub ejection: EjectionOptions,
}

#[cfg(feature = "registry")]
impl ClientOptions {
    /// The options of a client of the registry that go with these.
    pub fn registry(&self) -> RegistryClientOptions {
        RegistryClientOptions {
            max_list_bytes: self.max_list_bytes,
            max_event_line_bytes: self.max_event_line_bytes,
            token: self.token.clone(),
            allow_plaintext_token: self.allow_plaintext_token,
            tls: self.tls_files.clone(),
            ..RegistryClientOptions::default()
        }
        .within(self.registry_timeout)
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
            list_cache: ListCache::Off,
            service: None,
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
            max_discoveries: 32,
            max_methods: 10_000,
            max_method_list_bytes: 4 << 20,
            token: None,
            allow_plaintext_token: false,
            tls: false,
            listed: None,
            tls_files: ClientTlsOptions::default(),
            retry: RetryOptions::default(),
            ejection: EjectionOptions::default(),
        }
    }
}

/// What a registry says of an instance that a connection can prove, see [`ClientOptions::listed`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ListedAs {
    /// Its service, which its certificate must name. Without one it is not called by TLS.
    pub service: Option<String>,
    /// What it says of TLS: one that takes nothing else is not called in plain text.
    pub tls: Option<Tls>,
}

impl From<&Instance> for ListedAs {
    fn from(instance: &Instance) -> Self {
        Self { service: instance.service().map(str::to_owned), tls: instance.tls() }
    }
}

/// How an instance is chosen for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Balance {
    /// At random, all with the same probability.
    #[default]
    Random,
    /// In turn.
    RoundRobin,
    /// At random, with probabilities in proportion to `parameters.weight`: 1 if not given; 0 gets calls only
    /// if no other has a weight.
    WeightedRandom,
    /// The less busy of two chosen at random, by calls in flight times usual latency.
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

/// When a call is retried: always on another instance and before the same deadline.
///
/// A call that was certainly not executed (connection refused, not a byte written, server draining or
/// overloaded) may always be retried; one that may have been executed (connection lost, abandoned by a server that
/// ended), only if its request is [`idempotent`](crate::Request::idempotent) or its method says so. Such a call is
/// also retried if its method fails (-32603) on an instance whose calls fail more than twice as often as those of
/// half of the others.
///
/// An attempt that no server had to work for (no connection, not a byte written, draining) is not counted by any of
/// these: such a call goes from instance to instance while there are others and time is left. When all are tried,
/// it waits for the next look into the registry, and goes on if that finds one that takes calls. So does a call that
/// may be repeated and was lost with its connection, whose first repetition needs no budget: as many calls are lost
/// at once as are in flight, and the server that had the work of them is gone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryOptions {
    /// Attempts of one call that a server had to work for, the first included; 3.
    pub attempts: u32,
    /// The retry budget: retries per call in the long run, over all calls of the client; 0.2. It keeps
    /// retries from multiplying the load when everything fails.
    pub ratio: f64,
    /// Retries that may be made at once before the ratio applies; 10.
    pub burst: u32,
    /// When a second attempt at a call that only reads is made while the first is pending; [`Hedge::Off`].
    pub hedge: Hedge,
}

/// When a second attempt at a call is made, on another instance, while the first is pending. The first result
/// counts, and the other attempt is cancelled. Only calls of methods that say that they are read-only are hedged,
/// and each second attempt takes its share of the retry budget. Behind a registry only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Hedge {
    /// Never.
    #[default]
    Off,
    /// When there was no reply for this time.
    After(Duration),
    /// When there was no reply for the time within which 95 of 100 of the latest calls of the method were done.
    P95,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self { attempts: 3, ratio: 0.2, burst: 10, hedge: Hedge::Off }
    }
}

/// When an instance of a registry gets no calls for a while, and how it comes back.
///
/// One that refuses connections or is draining is ejected at once. Else it is compared with the other instances
/// of its service, so that calls that fail everywhere eject nobody: time-outs, lost connections, refusals,
/// invalid replies and errors of methods count as failures; errors that say that the call was wrong (invalid
/// arguments, unknown method) do not. An instance is never ejected if it is the only one for a call.
///
/// A failed or slow call counts the more, the rarer such calls are with the others, and good calls outweigh it. So a
/// few are enough where others have none, and where all have many, only many more stand out.
///
/// After [`min_ejection`](Self::min_ejection) it is probed. If it takes calls, it gets one, and if that is well, a
/// share that grows for [`slow_start_window`](Self::slow_start_window). If not, it is ejected for twice as long; also
/// by its next failed or slow call, until good ones have outweighed what it was ejected for: the more of them, the
/// more often it came back in vain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EjectionOptions {
    /// So many failures in a row eject, where other instances fail less; 5. Where others hardly ever fail, three do
    /// that are not of one moment.
    pub max_consecutive_failures: u32,
    /// An instance that fails this share of its calls is ejected after a dozen or so, where others fail none; 0.5.
    /// The lower it is, the less do good calls weigh.
    pub max_failure_ratio: f64,
    /// What the calls of others take is known after so many; 10.
    pub min_calls: u32,
    /// How long calls are remembered for these; 10 s, at most a minute.
    pub failure_window: Duration,
    /// A call that takes so many times as long as the fastest of the others is slow, and three slow calls in a row
    /// eject, where others have fewer. Of calls that overlap, those count that took so long after the last one that
    /// did, so that a pause is one slow call; 10. 0: none is slow.
    pub max_latency_factor: f64,
    /// A call that takes less is not slow; 10 ms.
    pub min_latency: Duration,
    /// Most instances that are ejected by such judgements, as a share of those that a call may go to; 0.5.
    /// Instances that refuse connections or are draining do not count.
    pub max_ejected_ratio: f64,
    /// How long an instance is ejected at first; 1 s. It doubles with each further time, until the instance was
    /// well for `failure_window`.
    pub min_ejection: Duration,
    /// How long an instance is ejected at most; 4 s, so that one that is well again is back within 5 s.
    pub max_ejection: Duration,
    /// Timeout of the probe of an ejected instance; 1 s.
    pub probe_timeout: Duration,
    /// How long the share of an instance that is back grows; 3 s.
    pub slow_start_window: Duration,
    /// An instance with calls in flight that has sent nothing for this time is pinged, on a connection of its
    /// own; 250 ms. Older servers get a connection without a byte. 0: none is pinged.
    pub ping_interval: Duration,
    /// An instance that does not answer a ping for this time is suspect; 250 ms. It gets no new calls, and those
    /// of its calls that may run twice are retried on another instance.
    pub ping_timeout: Duration,
}

impl Default for EjectionOptions {
    fn default() -> Self {
        Self {
            max_consecutive_failures: 5,
            max_failure_ratio: 0.5,
            min_calls: 10,
            failure_window: Duration::from_secs(10),
            max_latency_factor: 10.0,
            min_latency: Duration::from_millis(10),
            max_ejected_ratio: 0.5,
            min_ejection: Duration::from_secs(1),
            max_ejection: Duration::from_secs(4),
            probe_timeout: Duration::from_secs(1),
            slow_start_window: Duration::from_secs(3),
            ping_interval: Duration::from_millis(250),
            ping_timeout: Duration::from_millis(250),
        }
    }
}
