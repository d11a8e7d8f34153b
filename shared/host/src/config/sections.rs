//! The settings as values, section by section, with their defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;
use super::value::{Advertised, Balance, Glyphs, LogFormat, Theme};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Every setting there is. What each means and its default stand in [`KEYS`](super::KEYS) and so
/// in `config.ini`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Config {
    /// `[registry]`: where servers and clients find the registry.
    pub registry: RegistryAddress,
    /// `[registry.NAME]`: further registries, by name.
    pub registries: BTreeMap<String, RegistryAddress>,
    /// `[registry-server]`: the registry daemon.
    pub registry_server: RegistryServerSection,
    /// `[server]`: the server daemon.
    pub server: ServerSection,
    /// `[client]`: whoever calls.
    pub client: ClientSection,
    /// `[log]`: what is logged, and where to.
    pub log: LogSection,
    /// `[console]`: how the console looks.
    pub console: ConsoleSection,
    /// `[keys]`: which keys the console's actions have, as written.
    pub keys: Vec<KeyLine>,
    /// What was ignored in the environment, one line each, to be logged as warnings.
    pub warnings: Vec<String>,
}

/// A line of `[keys]`. Which actions and keys there are is the console's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLine {
    /// The action.
    pub action: String,
    /// Its keys, separated by blanks.
    pub keys: String,
    /// The file it stands in.
    pub file: String,
    /// Where in it, from 1.
    pub line: usize,
}

impl KeyLine {
    /// That something is wrong in this line.
    pub fn wrong(&self, message: String) -> ConfigError {
        ConfigError::Line { file: self.file.clone(), line: self.line, message }
    }
}

/// Where a registry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryAddress {
    /// An IP literal (IPv6 without brackets) or a name.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl RegistryAddress {
    /// `http://HOST:PORT`, IPv6 in brackets.
    pub fn url(&self) -> String {
        format!("http://{}", rpc_wire::instance::host_port(&self.host, self.port))
    }
}

impl Default for RegistryAddress {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: 9999 }
    }
}

/// Declares a section: fields with their defaults, documented by the table of keys.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }
    };
}

section! {
    /// `[registry-server]`: the registry daemon.
    RegistryServerSection {
        /// Where it listens.
        listen: String = "0.0.0.0".to_owned(),
        /// From a heartbeat to expiry.
        ttl: Duration = Duration::from_secs(10),
        /// How often expiry is checked.
        check_interval: Duration = Duration::from_secs(5),
        /// Instances in all.
        max_instances: usize = 200_000,
        /// Instances registered from one address beyond loopback.
        max_instances_per_peer: usize = 1000,
        /// Bytes of a request's body.
        max_body: usize = 64 * KIB,
        /// Bytes of an instance's host.
        max_host: usize = 253,
        /// Bytes of an instance's parameters as JSON.
        max_parameters: usize = 4 * KIB,
        /// Connections open at once.
        max_connections: usize = 10_000,
        /// Connections that may wait to be accepted.
        backlog: u32 = 1024,
        /// Event streams open at once.
        max_watchers: usize = 2000,
        /// How long an event stream may be silent.
        keep_alive: Duration = Duration::from_secs(5),
        /// Changes kept for watchers.
        history: usize = 4096,
        /// For a request's head to arrive.
        header_timeout: Duration = Duration::from_secs(10),
        /// For a request's body to arrive.
        body_timeout: Duration = Duration::from_secs(10),
        /// How long a peer may take nothing of an answer.
        write_timeout: Duration = Duration::from_secs(30),
        /// The longest long-poll.
        max_wait: Duration = Duration::from_secs(60),
        /// How long an unregistered older instance may prove to be back.
        rejoin_window: Duration = Duration::from_secs(60),
        /// Unregistered instances remembered for that.
        max_rejoins: usize = 10_000,
        /// For one such proof.
        probe_timeout: Duration = Duration::from_millis(500),
        /// Such proofs at the same time.
        max_probes: usize = 64,
        /// To answer what is under way when it ends.
        drain: Duration = Duration::from_millis(1500),
        /// Web origins that may send requests.
        allowed_origins: Vec<String> = Vec::new(),
    }
}

section! {
    /// `[server]`: the server daemon.
    ServerSection {
        /// Where it listens.
        listen: String = "0.0.0.0".to_owned(),
        /// Whether it registers.
        announce: bool = true,
        /// The address it registers; `None` for the one that routes to the registry.
        advertise: Option<Advertised> = None,
        /// Between heartbeats.
        heartbeat: Duration = Duration::from_secs(5),
        /// To answer what is in flight when it ends.
        drain: Duration = Duration::from_secs(8),
        /// To take leave of the registry when it ends.
        unregister: Duration = Duration::from_secs(1),
        /// The deadline of a unary call that brings none.
        default_deadline: Duration = Duration::from_secs(10),
        /// Bytes of a request.
        max_request: usize = 4 * MIB,
        /// Nesting of a request.
        max_nesting: u32 = 128,
        /// For a request that has begun to arrive whole.
        incomplete_request: Duration = Duration::from_secs(10),
        /// Calls in flight on one connection.
        max_calls_per_connection: usize = 256,
        /// Calls in flight in all.
        max_calls: usize = 4096,
        /// Bytes of unwritten replies on one connection before no more is read from it.
        max_unwritten: usize = 4 * MIB,
        /// Connections open at once.
        max_connections: usize = 10_000,
        /// Connections that may wait to be accepted.
        backlog: u32 = 1024,
        /// After which an unused connection is closed.
        idle: Duration = Duration::from_secs(300),
        /// Web origins that may send HTTP requests.
        allowed_origins: Vec<String> = Vec::new(),
    }
}

section! {
    /// `[client]`: whoever calls.
    ClientSection {
        /// For a call, all of it.
        timeout: Duration = Duration::from_secs(10),
        /// To connect and learn what a server speaks.
        connect_timeout: Duration = Duration::from_secs(10),
        /// For a connection to one instance before a call turns to another.
        patience: Duration = Duration::from_secs(2),
        /// A silent server whose system does not answer either is gone after so long.
        lost_after: Duration = Duration::from_secs(20),
        /// How an instance is chosen.
        balance: Balance = Balance::Random,
        /// Between looks at the registry.
        refresh: Duration = Duration::from_secs(3),
        /// For one look.
        registry_timeout: Duration = Duration::from_secs(5),
        /// Bytes of a reply.
        max_reply: usize = 64 * MIB,
        /// Bytes of a registry's list.
        max_list: usize = 32 * MIB,
        /// Bytes of a line of an event stream.
        max_sse_line: usize = MIB,
        /// Calls in flight on one connection.
        max_in_flight: usize = 240,
        /// Sockets to one older server.
        classic_connections: usize = 16,
        /// Calls that may wait for one of them.
        classic_queue: usize = 4096,
        /// After which an unused socket to an older server is closed.
        classic_idle: Duration = Duration::from_secs(1),
        /// How long a server is believed to be an older one.
        dialect_memory: Duration = Duration::from_secs(60),
        /// After which an unused connection is closed.
        idle: Duration = Duration::from_secs(60),
        /// Servers remembered that were called by address.
        max_other_peers: usize = 256,
        /// Instances probed at the same time.
        concurrent_probes: usize = 16,
        /// Attempts of one call, the first included.
        retry_attempts: u32 = 3,
        /// Retries per call in the long run.
        retry_ratio: f64 = 0.2,
        /// Retries at once before the ratio counts.
        retry_burst: u32 = 10,
    }
}

section! {
    /// `[log]`: what is logged, and where to.
    LogSection {
        /// A level, or levels by target.
        level: String = "info".to_owned(),
        /// How lines look.
        format: LogFormat = LogFormat::Text,
        /// Whether files are written.
        save: bool = false,
        /// Their folder.
        dir: PathBuf = PathBuf::from("logs"),
        /// Daily files kept.
        max_files: usize = 7,
        /// Lines kept in memory per daemon for streams.
        ring_lines: usize = 10_000,
        /// Bytes kept in memory per daemon for streams.
        ring_bytes: usize = crate::logging::DEFAULT_RING_BYTES,
        /// Lines that may wait for the terminal or the file.
        writer_lines: usize = 16_384,
        /// Bytes of one line.
        line_bytes: usize = 16 * KIB,
    }
}

section! {
    /// `[console]`: how the console looks.
    ConsoleSection {
        /// Colours.
        theme: Theme = Theme::Auto,
        /// Signs.
        glyphs: Glyphs = Glyphs::Unicode,
        /// Whether the mouse is taken.
        mouse: bool = true,
        /// Log lines kept.
        log_lines: usize = 100_000,
        /// Events kept.
        event_lines: usize = 1000,
        /// Calls kept.
        history: usize = 1000,
        /// Whether they are kept over restarts.
        save_history: bool = true,
        /// Instances probed at most.
        max_probed: usize = 200,
    }
}
