//! The settings as values: each section holds the options of the library it configures.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rpc_client::{ClientOptions, ListCache, SecretString};
use rpc_host::logging::LogOptions;
use rpc_registry::{EtcdOptions, RegistryOptions};
use rpc_security::{ClientTlsOptions, TlsOptions};
use rpc_server::Limits;
use rpc_worker::WorkerLimits;

use super::value::{Advertised, Colour, Glyphs, StoreKind, Theme};
use super::{Security, SettingsError};

/// All settings. [`KEYS`](super::KEYS), and so `config.ini`, describe each and its default; the
/// defaults are those of the libraries, except that programs keep lists of instances for their user.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `[registry]`: the address of the registry.
    pub registry: RegistryAddress,
    /// `[registry.NAME]`: further registries, by name.
    pub registries: BTreeMap<String, RegistryAddress>,
    /// `[registry-server]`: `rpcd registry`.
    pub registry_server: RegistryServer,
    /// `[etcd]`: the cluster of registries with `store = etcd`.
    pub etcd: EtcdOptions,
    /// Its members are those of a folder's file: no password of the environment is sent to them.
    pub(super) etcd_of_folder: bool,
    /// `[server]`: `rpcd serve`.
    pub server: Server,
    /// `[worker]`: `rpcd serve --worker`.
    pub worker: WorkerLimits,
    /// `[client]`: every program that calls. Its token is read by [`Settings::client_token`].
    pub client: ClientOptions,
    /// `[client] token_file`: the file with a client's token. Default none.
    pub client_token_file: Option<PathBuf>,
    /// `[tls]`: the certificates of `rpcd serve` and `rpcd registry`.
    pub tls: TlsOptions,
    /// `[security]`: who may do what in the daemons.
    pub security: Security,
    /// The program's own token, of [`TOKEN_VARIABLE`](super::TOKEN_VARIABLE); `None`: it is not set.
    pub token: Option<SecretString>,
    /// `[log]`: every program.
    pub log: LogOptions,
    /// `[console]`: `rpc-console`.
    pub console: Console,
    /// `[keys]`: keys of the console's actions, as written.
    pub keys: Vec<KeyLine>,
    /// The folder for programs' state, of the environment; `None`: there is none.
    pub state: Option<PathBuf>,
    /// What was ignored, one line each, for the program to show.
    pub warnings: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            registry: RegistryAddress::default(),
            registries: BTreeMap::default(),
            registry_server: RegistryServer::default(),
            etcd: EtcdOptions::default(),
            etcd_of_folder: false,
            server: Server::default(),
            worker: WorkerLimits::default(),
            client: ClientOptions { list_cache: ListCache::User, ..ClientOptions::default() },
            client_token_file: None,
            tls: TlsOptions::default(),
            security: Security::default(),
            token: None,
            log: LogOptions::default(),
            console: Console::default(),
            keys: Vec::default(),
            state: None,
            warnings: Vec::default(),
        }
    }
}

impl Settings {
    /// Has servers called by TLS if a file for it is named, and registries asked by TLS if servers are, or if they say so
    /// themselves: the settings name them without a scheme. To be repeated when flags have changed anything of it.
    pub fn settle_tls(&mut self) {
        self.client.tls |= self.client.tls_files.names_a_file();
        for registry in self.registries.values_mut().chain([&mut self.registry]) {
            registry.is_secure = self.client.tls || registry.wants_tls();
        }
    }

    /// The options of what is asked of `registry`, and of the instances that it lists: its own authorities and
    /// certificate in place of those of `[client]`.
    pub fn client_of(&self, registry: &RegistryAddress) -> ClientOptions {
        let mut options = self.client.clone();
        options.tls |= registry.wants_tls();
        let own = &registry.tls_files;
        if own.ca.is_some() {
            options.tls_files.ca.clone_from(&own.ca);
        }
        // A key belongs to its certificate.
        if own.cert.is_some() || own.key.is_some() {
            options.tls_files.cert.clone_from(&own.cert);
            options.tls_files.key.clone_from(&own.key);
        }
        options
    }
}

/// `[registry-server]`: `rpcd registry`.
#[derive(Debug, Clone)]
pub struct RegistryServer {
    /// The address to listen on. Default `0.0.0.0`.
    pub listen: String,
    /// What registrations are kept in. Default redb.
    pub store: StoreKind,
    /// The folder of the store; `None`, the default: below that for programs' state, named by the port.
    pub data_dir: Option<PathBuf>,
    /// The registry's own options; its store is what the two above say.
    pub options: RegistryOptions,
}

impl Default for RegistryServer {
    fn default() -> Self {
        // One that has started waits for a heartbeat of everybody; embedded, it is asked by
        // programs that start with it.
        let options = RegistryOptions { warming: Duration::from_secs(5), ..Default::default() };
        let (store, data_dir) = (StoreKind::default(), None);
        Self { listen: ALL_INTERFACES.to_owned(), store, data_dir, options }
    }
}

/// `[server]`: `rpcd serve`.
#[derive(Debug, Clone)]
pub struct Server {
    /// The address to listen on. Default `0.0.0.0`.
    pub listen: String,
    /// The name of the service that it registers. Default `rpcd`.
    pub service: String,
    /// Whether it registers. Default true.
    pub announce: bool,
    /// The address it registers; `None`, the default: the one that routes to the registry.
    pub advertise: Option<Advertised>,
    /// Interval between heartbeats. Default 5 s.
    pub heartbeat_interval: Duration,
    /// Web origins that may send HTTP requests. Default none.
    pub allowed_origins: Vec<String>,
    /// Further host names by which HTTP requests may address it. Default none.
    pub allowed_hosts: Vec<String>,
    /// The server's own limits.
    pub limits: Limits,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: ALL_INTERFACES.to_owned(),
            service: "rpcd".to_owned(),
            announce: true,
            advertise: None,
            heartbeat_interval: Duration::from_secs(5),
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// `[console]`: `rpc-console`.
#[derive(Debug, Clone)]
pub struct Console {
    /// Colours. Default by the terminal.
    pub theme: Theme,
    /// Lines and symbols. Default by locale and terminal.
    pub glyphs: Glyphs,
    /// Whether the mouse is used. Default true.
    pub mouse: bool,
    /// Log lines kept. Default 100,000.
    pub max_log_lines: usize,
    /// Bytes of log lines kept. Default 256 MiB.
    pub max_log_bytes: usize,
    /// Events kept. Default 1,000.
    pub max_events: usize,
    /// Calls kept. Default 1,000.
    pub max_history: usize,
    /// Whether calls are saved between sessions. Default true.
    pub save_history: bool,
    /// Instances probed. Default 200.
    pub max_probed: usize,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            theme: Theme::Auto,
            glyphs: Glyphs::Auto,
            mouse: true,
            max_log_lines: 100_000,
            max_log_bytes: 64 << 20,
            max_events: 1000,
            max_history: 1000,
            save_history: true,
            max_probed: 200,
        }
    }
}

/// The older system's default, kept here.
const ALL_INTERFACES: &str = "0.0.0.0";

/// A line of `[keys]`. The console knows the valid actions and keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLine {
    /// The action.
    pub action: String,
    /// Its keys, separated by blanks.
    pub keys: String,
    /// The file that has the line.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

impl KeyLine {
    /// An error in this line.
    pub fn wrong(&self, message: String) -> SettingsError {
        SettingsError::Line { file: self.file.clone(), line: self.line, message }
    }
}

/// A registry: its address, and how the console treats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryAddress {
    /// An IP literal (IPv6 without brackets) or a name. Default `127.0.0.1`.
    pub host: String,
    /// Its port. Default 9999.
    pub port: u16,
    /// Addresses of registries that share what they know with it. Default none.
    pub also: Vec<String>,
    /// The colour of its name in the console. Default none.
    pub color: Colour,
    /// Whether the console asks before calls and load tests. Default false.
    pub confirm: bool,
    /// The file with the token for it. Default none.
    pub token_file: Option<PathBuf>,
    /// Whether it and its instances are reached by TLS, whatever `[client]` says. Default false.
    pub tls: bool,
    /// Whom that trusts, and who a client is there, which both mean TLS; what is not set is as in `[client]`.
    /// Default nothing.
    pub tls_files: ClientTlsOptions,
    /// Whether it is asked by TLS, see [`Settings::settle_tls`]. Default false.
    pub is_secure: bool,
    /// Which of the keys that say where it is are from the `./config.ini` of a folder, which is read because it is
    /// there: while there is one, no token is shown to it. Default none.
    pub of_folder: Vec<&'static str>,
}

impl RegistryAddress {
    /// Whether it says itself that it is reached by TLS.
    fn wants_tls(&self) -> bool {
        self.tls || self.tls_files.names_a_file()
    }

    /// `http://HOST:PORT`, or https; IPv6 in brackets; further addresses follow a comma.
    pub fn url(&self) -> String {
        let first = rpc_wire::instance::host_port(&self.host, self.port);
        let scheme = if self.is_secure { "https" } else { "http" };
        self.with_also(format!("{scheme}://{first}"))
    }

    /// Notes what was changed of where it was before a file of a folder was read.
    pub(super) fn note_folder(&mut self, before: &Self) {
        let changed = [
            ("host", self.host != before.host),
            ("port", self.port != before.port),
            ("also", self.also != before.also),
        ];
        let changed = changed.into_iter().filter(|(_, is_changed)| *is_changed);
        self.of_folder.extend(changed.map(|(key, _)| key));
    }

    /// The URL of another registry, with the further addresses that it does not have yet.
    pub fn with_also(&self, mut url: String) -> String {
        for address in &self.also {
            let addresses = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
            let has = addresses.split(',').any(|known| known == address);
            if !has {
                url.push(',');
                url.push_str(address);
            }
        }
        url
    }
}

impl Default for RegistryAddress {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 9999,
            also: Vec::new(),
            color: Colour::None,
            confirm: false,
            token_file: None,
            tls: false,
            tls_files: ClientTlsOptions::default(),
            is_secure: false,
            of_folder: Vec::new(),
        }
    }
}
