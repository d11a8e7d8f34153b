//! Every limit and time of a registry, with its default.

#[cfg(feature = "redb")]
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use rpc_host::logging::LogRing;
use rpc_host::shares::Share;
use rpc_security::{AuditLog, Guard, TlsOptions};
use rpc_wire::instance::MAX_ENTRY_BYTES;

use crate::error::RegistryError;

/// Where a registry's content outlives its process.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
#[cfg_attr(feature = "etcd", expect(clippy::large_enum_variant, reason = "a registry has one"))]
pub enum StoreOptions {
    /// Nowhere: after a restart the instances are listed again by their heartbeats.
    #[default]
    None,
    /// In a redb database.
    #[cfg(feature = "redb")]
    Redb {
        /// Its folder, made if it is not there; one registry at a time uses it.
        data_dir: PathBuf,
    },
    /// In an etcd cluster, which several registries share: each lists the instances of all.
    #[cfg(feature = "etcd")]
    Etcd(crate::EtcdOptions),
}

impl StoreOptions {
    /// Its name in `config.ini` and in `/readyz`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::None => "none",
            #[cfg(feature = "redb")]
            Self::Redb { .. } => "redb",
            #[cfg(feature = "etcd")]
            Self::Etcd(_) => "etcd",
        }
    }

    /// Whether several registries use it.
    pub(crate) fn is_shared(&self) -> bool {
        #[cfg(feature = "etcd")]
        return matches!(self, Self::Etcd(_));
        #[cfg(not(feature = "etcd"))]
        false
    }
}

/// Limits and times of a registry. Each field says its default.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// An instance expires this long after its last heartbeat: 10 s.
    pub ttl: Duration,
    /// Interval between expiry checks: 5 s.
    pub check_interval: Duration,

    /// Instances in total: 200,000. A further one gets 503.
    pub max_instances: usize,
    /// Instances registered from one peer address (IPv6: one /64) other than loopback: 1,000. A
    /// further one gets 429.
    pub max_instances_per_peer: usize,
    /// Memory of all instances, in bytes: 112 MiB, with about 1 KB for each beside its text. A further instance, or larger parameters of a known
    /// one, get 503; heartbeats go on.
    pub max_table_bytes: usize,
    /// Bytes of a request's body: 64 KiB. A larger one gets 413.
    pub max_body_bytes: usize,
    /// Bodies of more than 4 KiB that are arriving, in bytes: 16 MiB. Beyond it the connections whose bodies
    /// have been arriving for the longest time are closed.
    pub max_arriving_bytes: usize,
    /// Bytes of an instance's host: 253.
    pub max_host_bytes: usize,
    /// Bytes of an instance's parameters as compact JSON: 4 KiB. At most 6 KiB, since readers skip
    /// entries over 8 KiB.
    pub max_parameters_bytes: usize,

    /// Connections: 10,000, and a few more from this machine, for health checks; fewer, and a
    /// warning, where there are not open files enough. A further one gets 503 and is closed.
    pub max_connections: usize,
    /// Connections from one address (IPv6: one /64): a quarter of `max_connections`. A further one
    /// gets 429 and is closed.
    pub max_connections_per_peer: Share,
    /// Where the [guard](Self::guard) asks who somebody is: bytes that are read of the body of a request that is refused
    /// for that: 64 KiB; then its connection is closed.
    pub max_unidentified_bytes: usize,
    /// Connections of those who may do nothing and have not shown yet who they are: a quarter of `max_connections`, at
    /// least 256. For a further one the oldest of the address that has most is closed.
    pub max_unidentified_connections: Share,
    /// Of these from one address (IPv6: one /64): a quarter, at least 256. For a further one its oldest is closed.
    pub max_unidentified_connections_per_peer: Share,
    /// Such a connection is closed after this time: 5 s.
    pub unidentified_timeout: Duration,
    /// Instances whose heartbeats come on one connection that their server holds for them: 64. They are
    /// probed when it ends; further ones are found dead by their TTL only.
    pub max_held_per_connection: usize,
    /// Connections waiting to be accepted: 1,024.
    pub backlog: u32,
    /// Event streams, of changes and of log lines together: 2,000. A further one gets 503.
    pub max_watchers: usize,
    /// Event streams of one address (IPv6: one /64): a quarter of `max_watchers`. A further one
    /// gets 429.
    pub max_watchers_per_peer: Share,
    /// Longest silence of an event stream: 5 s, then a comment is sent. It shows the reader that
    /// the stream is alive, and finds a reader that is gone with the second comment at the latest.
    pub keep_alive: Duration,
    /// Changes kept for watchers that reconnect or fall behind: 4,096. A watcher that missed more
    /// gets a new snapshot.
    pub max_history: usize,
    /// What these changes take beside the instances, in bytes: 16 MiB, with their events for watchers. Beyond it fewer
    /// are kept.
    pub max_history_bytes: usize,

    /// Timeout for a request's line and headers, and for the next request on a kept connection: 10
    /// s, then the connection is closed.
    pub header_timeout: Duration,
    /// Timeout for a request's body: 10 s, then 408.
    pub body_timeout: Duration,
    /// A peer that reads nothing of a reply for this long is disconnected: 30 s.
    pub write_timeout: Duration,
    /// A peer whose system acknowledges nothing for this long has vanished, and its connection is closed:
    /// 50 s. It is asked after two fifths of the time in silence (TCP keepalive).
    pub tcp_user_timeout: Duration,
    /// Longest long-poll (`wait=`); a longer one is cut to it: 60 s.
    pub max_wait: Duration,

    /// Lists and snapshots that wait for their readers, in bytes: 96 MiB, each counted once however
    /// many read it. Where there is no room for another one the connections that read slowest are closed;
    /// a request for which there is none within a second gets 503, and heartbeat ages are left out. One list alone may be
    /// larger.
    pub max_pinned_bytes: usize,

    /// How long it is remembered that an instance unregistered: 60 s; zero: not at all. Meanwhile an
    /// incarnation that unregistered, or a lower one, gets 409, and an instance without incarnation must
    /// accept a TCP connection before it is listed again.
    pub rejoin_window: Duration,
    /// Unregistered instances remembered for that: 10,000; the oldest are forgotten first.
    pub max_rejoins: usize,
    /// How far ahead of this machine's clock the start may be that an incarnation says: 25 h, so that a
    /// clock that is wrong by a day keeps no server out. A later one gets 400.
    pub max_clock_ahead: Duration,

    /// Whether an instance whose TTL has passed is probed before it is removed: true. A server of ours
    /// is asked for its health, to any other a connection is opened. It is kept while it replies
    /// (`suspect_window`).
    pub probes: bool,
    /// Timeout of a probe, and of the connection that proves a rejoin with the wait for its turn: 500 ms.
    pub probe_timeout: Duration,
    /// Probes at a time: 64. Further ones wait for their turn; what has had none after twice
    /// `check_interval` and `probe_timeout` counts as silent.
    pub max_probes: usize,
    /// Networks whose addresses may be probed, whoever registers them: none. Others are probed only
    /// where the registration came from that address; an instance that may not be probed expires with its
    /// TTL.
    pub probe_networks: Vec<IpNet>,
    /// How long an instance stays listed that replies to probes but sends no heartbeats: 60 s. Zero:
    /// for ever.
    pub suspect_window: Duration,
    /// The share of all instances, from 0 to 1, that has to fall silent within one TTL and two checks
    /// for the brake to hold them instead of removing them: 0.3.
    pub brake_share: f64,
    /// How many these have to be: 5.
    pub brake_min: usize,
    /// How long the brake holds silent instances at most: 60 s. Zero: there is no brake.
    pub brake_window: Duration,

    /// How often in a minute an instance passes from one of several registries to another because its heartbeats
    /// go there: 3. Then it stays until the minute is over, and its owner asks the instance itself whether it lives.
    pub max_moves_per_minute: usize,

    /// Operators' overrides of instances, listed or not: 10,000. A further one gets 503.
    pub max_overrides: usize,

    /// Where registrations outlive the process: nowhere.
    pub store: StoreOptions,
    /// The store counts as failing when it gives no answer for this long: 2 s. Then registrations are
    /// taken all the same, and their replies say that they are not durable. For so long after the start
    /// readers wait until a store that others share was read.
    pub store_timeout: Duration,
    /// Longest pause between attempts to write to a store that fails: 5 s.
    pub max_store_retry: Duration,
    /// Changes noted for a store that is slower than they come: 10,000. Beyond that it is given
    /// everything at once.
    pub max_unsaved: usize,
    /// Memory of the store's cache, in bytes: 16 MiB.
    pub max_store_cache_bytes: usize,
    /// How long a registry that has started says so (`rpcd-warming`), since instances that it does not list
    /// may have yet to send their heartbeats: zero, not at all.
    pub warming: Duration,

    /// Time for requests in flight at shutdown: 1.5 s, then their connections are closed.
    pub drain_timeout: Duration,
    /// Web origins (`Origin`) that may use the registry: none. Any other gets 403, so that a
    /// web page cannot drive a registry on localhost.
    pub allowed_origins: Vec<String>,
    /// TLS on the same port, beside plain text or instead of it: none. Needs the feature `tls`.
    pub tls: TlsOptions,
    /// Host names by which this registry may be addressed (`Host`), beside IP addresses, names
    /// without a dot and the machine's own: none. At loopback others get 403; at other addresses
    /// they do once this list is not empty, and are logged once before.
    pub allowed_hosts: Vec<String>,
    /// The log that `/v1/logs` streams: none (404).
    pub log_ring: Option<LogRing>,
    /// Who may do what: everyone everything. Tokens of its file are read again within a second of a
    /// change.
    pub guard: Guard,
    /// Where it is noted who registered, replaced, unregistered and operated, and what was refused: nowhere.
    /// While it cannot be written, registrations and operations get 503; heartbeats go on.
    pub audit: Option<AuditLog>,
}

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(10),
            check_interval: Duration::from_secs(5),
            max_instances: 200_000,
            max_instances_per_peer: 1000,
            max_table_bytes: 112 << 20,
            max_body_bytes: 64 * 1024,
            max_arriving_bytes: 16 << 20,
            max_host_bytes: 253,
            max_parameters_bytes: 4 * 1024,
            max_connections: 10_000,
            max_connections_per_peer: Share::Quarter,
            max_unidentified_bytes: 64 * 1024,
            max_unidentified_connections: Share::Quarter,
            max_unidentified_connections_per_peer: Share::Quarter,
            unidentified_timeout: Duration::from_secs(5),
            max_held_per_connection: 64,
            backlog: 1024,
            max_watchers: 2000,
            max_watchers_per_peer: Share::Quarter,
            keep_alive: Duration::from_secs(5),
            max_history: 4096,
            max_history_bytes: 16 << 20,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            tcp_user_timeout: Duration::from_secs(50),
            max_wait: Duration::from_secs(60),
            max_pinned_bytes: 96 << 20,
            rejoin_window: Duration::from_secs(60),
            max_rejoins: 10_000,
            max_clock_ahead: Duration::from_secs(25 * 3600),
            probes: true,
            probe_timeout: Duration::from_millis(500),
            max_probes: 64,
            probe_networks: Vec::new(),
            suspect_window: Duration::from_secs(60),
            brake_share: 0.3,
            brake_min: 5,
            brake_window: Duration::from_secs(60),
            max_moves_per_minute: 3,
            max_overrides: 10_000,
            store: StoreOptions::None,
            store_timeout: Duration::from_secs(2),
            max_store_retry: Duration::from_secs(5),
            max_unsaved: 10_000,
            max_store_cache_bytes: 16 << 20,
            warming: Duration::ZERO,
            drain_timeout: Duration::from_millis(1500),
            allowed_origins: Vec::new(),
            tls: TlsOptions::default(),
            allowed_hosts: Vec::new(),
            log_ring: None,
            guard: Guard::open(),
            audit: None,
        }
    }
}

impl RegistryOptions {
    /// Refuses values that a registry cannot work with.
    pub(crate) fn check(&self) -> Result<(), RegistryError> {
        let a_year = Duration::from_secs(365 * 24 * 3600);
        let times = [
            ("ttl", self.ttl),
            ("check_interval", self.check_interval),
            ("keep_alive", self.keep_alive),
            ("store_timeout", self.store_timeout),
            ("max_store_retry", self.max_store_retry),
        ];
        for (name, time) in times {
            if time.is_zero() || time > a_year {
                return Err(RegistryError::BadOption {
                    name,
                    expected: "above 0 and within a year",
                });
            }
        }
        #[cfg(feature = "etcd")]
        if let StoreOptions::Etcd(options) = &self.store {
            let crate::EtcdOptions { lease_ttl, request_timeout, watch_timeout, .. } = options;
            // Beyond that a time is a mistake; etcd takes no shorter lease.
            let times = Duration::from_secs(2)..=Duration::from_secs(3600);
            if !times.contains(lease_ttl) {
                let expected = "within 2s and an hour";
                return Err(RegistryError::BadOption { name: "lease_ttl", expected });
            }
            for (name, time) in
                [("request_timeout", request_timeout), ("watch_timeout", watch_timeout)]
            {
                if time.is_zero() || time > times.end() {
                    let expected = "above 0 and within an hour";
                    return Err(RegistryError::BadOption { name, expected });
                }
            }
        }
        if self.max_connections == 0 {
            return Err(RegistryError::BadOption { name: "max_connections", expected: "above 0" });
        }
        if self.max_parameters_bytes > MAX_ENTRY_BYTES - BESIDE_PARAMETERS {
            let expected = "at most 6KiB, since readers skip larger instances";
            return Err(RegistryError::BadOption { name: "max_parameters_bytes", expected });
        }
        Ok(())
    }
}

/// What a reader gets of an instance beside its parameters: its address, ages, an override, and names of
/// keys.
const BESIDE_PARAMETERS: usize = 2048;
