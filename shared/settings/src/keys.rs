//! The table of keys: the name of each, its description, and the option it sets.

use rpc_wire::nearest;

use super::sections::{RegistryAddress, Settings};
use super::value::{
    addresses, advertised, answer, any_file, any_folder, any_service, attempts, auth, backlog,
    burst, bytes, choice, count, depth, duration, folder, hedge, host, level, list_cache, names,
    networks, origins, pause, port, prefix, ratio, roles, secret_file, service, share, switch,
    user,
};

/// A key of `config.ini`.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The section, without brackets.
    pub section: &'static str,
    /// The name in the section.
    pub name: &'static str,
    /// One sentence: its description.
    pub doc: &'static str,
    /// Sets it from text, or returns what was expected.
    pub(super) read: fn(&mut Settings, &str) -> Result<(), String>,
    /// The text of its current value.
    pub(super) show: fn(&Settings) -> String,
}

impl Key {
    /// Its environment variable: `RPCD_SECTION_KEY`.
    pub fn variable(&self) -> String {
        let section = self.section.to_uppercase().replace('-', "_");
        format!("{}{section}_{}", super::ENVIRONMENT_PREFIX, self.name.to_uppercase())
    }

    /// Its value in `settings`, as written in the file.
    pub fn value(&self, settings: &Settings) -> String {
        (self.show)(settings)
    }

    /// Its default, as written in the file.
    pub fn default_value(&self) -> String {
        self.value(&Settings::default())
    }
}

impl Key {
    /// Whether it says where secrets are or go, which the settings of a folder do not: whoever may write
    /// there could have them.
    pub(super) fn is_of_secrets(&self) -> bool {
        let is_of_clients = matches!(self.section, "client" | "registry");
        let is_trust = is_of_clients && self.name.starts_with("tls");
        let names =
            ["token_file", "allow_plaintext_token", "password_file", "allow_plaintext_password"];
        is_trust || names.contains(&self.name)
    }

    /// A bad value, for an error. Where a file of a secret is meant it may be the secret.
    pub(super) fn bad_value(&self, value: &str) -> String {
        match self.name {
            "token_file" => "bad value".to_owned(),
            _ => format!("bad value {value:?}"),
        }
    }
}

/// `kind, option, "doc"` for every key of a section.
macro_rules! keys {
    ($($section:literal { $($name:ident: $kind:ident, $($place:ident).+, $doc:literal;)* })*) => {
        &[$($(Key {
            section: $section,
            name: stringify!($name),
            doc: $doc,
            read: |settings, text| {
                settings.$($place).+ = $kind::read(text)?;
                Ok(())
            },
            show: |settings| $kind::show(&settings.$($place).+),
        },)*)*]
    };
}

/// Every key, in the order of the file.
pub const KEYS: &[Key] = keys! {
    "registry" {
        host: host, registry.host, "Address of the registry: an IP address or a name.";
        port: port, registry.port, "Port of the registry.";
        also: addresses, registry.also, "Further registries that share what they know with it: HOST:PORT, …; one that works is used when it does not, also when --registry names another.";
        color: choice, registry.color, "Colour of its name in rpc-console: none, red, yellow, green, blue, magenta or cyan.";
        confirm: answer, registry.confirm, "Whether rpc-console asks before calls and load tests.";
        token_file: secret_file, registry.token_file, "File with the token that rpcd serve registers with, and rpc-console shows to it, unless RPCD_TOKEN is set; others must not be able to read it.";
        tls: switch, registry.tls, "Whether it and the instances that it lists are reached by TLS, also without [client] tls.";
        tls_ca: any_file, registry.tls_files.ca, "PEM file with the authorities that are trusted there, which means TLS; empty: as in [client].";
        tls_cert: any_file, registry.tls_files.cert, "PEM file with the certificate that is shown there, which means TLS; empty: as in [client].";
        tls_key: any_file, registry.tls_files.key, "PEM file with its private key, which others must not be able to read.";
    }
    "registry-server" {
        listen: host, registry_server.listen, "Address to listen on; :: accepts IPv4 and IPv6.";
        ttl: duration, registry_server.options.ttl, "An instance expires this long after its last heartbeat.";
        check_interval: duration, registry_server.options.check_interval, "Interval between expiry checks.";
        max_instances: count, registry_server.options.max_instances, "Registered instances.";
        max_instances_per_peer: count, registry_server.options.max_instances_per_peer, "Instances registered from one address (IPv6: a /64) other than loopback.";
        max_table_bytes: bytes, registry_server.options.max_table_bytes, "Memory of all instances; beyond it new ones are refused.";
        max_body_bytes: bytes, registry_server.options.max_body_bytes, "Size of a request's body.";
        max_arriving_bytes: bytes, registry_server.options.max_arriving_bytes, "Bodies that are arriving; beyond it those that take longest are disconnected.";
        max_host_bytes: count, registry_server.options.max_host_bytes, "Length of an instance's host.";
        max_parameters_bytes: bytes, registry_server.options.max_parameters_bytes, "Size of an instance's parameters as JSON, at most 6KiB.";
        max_connections: count, registry_server.options.max_connections, "Open connections, at most as many as there are open files for (ulimit -n); a further one is refused and counted.";
        max_connections_per_peer: share, registry_server.options.max_connections_per_peer, "Of these from one address (IPv6: a /64); quarter: a quarter, at least 256; 0: no share, for a registry behind a proxy.";
        max_unidentified_bytes: bytes, registry_server.options.max_unidentified_bytes, "With auth = required: what is read of the body of a request that is refused for who sends it.";
        max_unidentified_connections: share, registry_server.options.max_unidentified_connections, "Connections that have not shown who they are, and may do nothing without; quarter: a quarter of max_connections, at least 256; 0: as many as there are connections; for a further one the oldest of the address with most is closed.";
        max_unidentified_connections_per_peer: share, registry_server.options.max_unidentified_connections_per_peer, "Of these from one address; quarter: a quarter, at least 256; for a further one its oldest is closed.";
        unidentified_timeout: duration, registry_server.options.unidentified_timeout, "They are closed after this time.";
        max_held_per_connection: count, registry_server.options.max_held_per_connection, "Instances that are probed when the connection of their heartbeats ends.";
        backlog: backlog, registry_server.options.backlog, "Connections waiting to be accepted.";
        max_watchers: count, registry_server.options.max_watchers, "Open event streams (/v1/watch, /v1/logs).";
        max_watchers_per_peer: share, registry_server.options.max_watchers_per_peer, "Of these for one address; as above.";
        keep_alive: duration, registry_server.options.keep_alive, "Longest silence of an event stream; then a comment is sent.";
        max_history: count, registry_server.options.max_history, "Changes kept for watchers that reconnect or fall behind.";
        max_history_bytes: bytes, registry_server.options.max_history_bytes, "Memory of these beside the instances; beyond it fewer are kept.";
        header_timeout: duration, registry_server.options.header_timeout, "Timeout for a request's headers.";
        body_timeout: duration, registry_server.options.body_timeout, "Timeout for a request's body.";
        write_timeout: duration, registry_server.options.write_timeout, "A peer that reads nothing for this long is disconnected.";
        tcp_user_timeout: duration, registry_server.options.tcp_user_timeout, "A peer whose system acknowledges nothing for this long is gone; it is asked when it is silent.";
        max_wait: pause, registry_server.options.max_wait, "Longest long poll (wait=).";
        max_pinned_bytes: bytes, registry_server.options.max_pinned_bytes, "Lists and snapshots that are not read yet; beyond it the slowest readers are disconnected.";
        rejoin_window: pause, registry_server.options.rejoin_window, "How long it is remembered that an instance unregistered, so that a late heartbeat does not list it again; 0s: not at all.";
        max_rejoins: count, registry_server.options.max_rejoins, "Unregistered instances remembered.";
        max_clock_ahead: duration, registry_server.options.max_clock_ahead, "How far ahead of this machine's clock the start of a server may be.";
        probes: switch, registry_server.options.probes, "Whether an instance is probed before it expires, and kept while it replies.";
        probe_timeout: duration, registry_server.options.probe_timeout, "Timeout of a probe, and of the connection that proves a rejoin.";
        max_probes: count, registry_server.options.max_probes, "Probes at a time; further ones wait for their turn.";
        probe_networks: networks, registry_server.options.probe_networks, "Networks whose addresses may be probed, whoever registers them: 10.0.0.0/8, …; by default only the address a registration came from.";
        suspect_window: pause, registry_server.options.suspect_window, "How long an instance stays listed that replies to probes but sends no heartbeats; 0s: for ever.";
        brake_share: ratio, registry_server.options.brake_share, "Share of all instances that has to fall silent within one TTL and two checks to be held instead of removed.";
        brake_min: count, registry_server.options.brake_min, "How many these have to be at least.";
        brake_window: pause, registry_server.options.brake_window, "How long silent instances are held at most (rpcd release-brake ends it); 0s: not at all.";
        max_moves_per_minute: count, registry_server.options.max_moves_per_minute, "How often a minute an instance passes from one of several registries to another because its heartbeats go there.";
        max_overrides: count, registry_server.options.max_overrides, "Instances that operators may have drained or in maintenance at a time (rpcd drain).";
        store: choice, registry_server.store, "What registrations are kept in: redb, a database in data_dir, so that they outlive the process; etcd, a cluster that several registries share; or none.";
        data_dir: any_folder, registry_server.data_dir, "Its folder, for one registry; empty: registry-PORT below $STATE_DIRECTORY, or below rpcd in $XDG_STATE_HOME or ~/.local/state.";
        store_timeout: duration, registry_server.options.store_timeout, "A store that does not answer for this long counts as failing; registrations are taken all the same. For so long after the start readers wait until etcd was read.";
        max_store_retry: duration, registry_server.options.max_store_retry, "Longest pause between attempts to write to a store that fails.";
        max_unsaved: count, registry_server.options.max_unsaved, "Changes noted for a slow store; beyond that it is given everything at once.";
        max_store_cache_bytes: bytes, registry_server.options.max_store_cache_bytes, "Memory of the store's cache.";
        warming: pause, registry_server.options.warming, "How long a registry that has started says so, so that clients keep whom it does not know yet.";
        drain_timeout: pause, registry_server.options.drain_timeout, "Time for requests in flight at shutdown.";
        allowed_hosts: names, registry_server.options.allowed_hosts, "Further host names by which requests may address it: NAME, …; others are refused at loopback, and everywhere once one is named.";
        allowed_origins: origins, registry_server.options.allowed_origins, "Web origins that may send requests: http://HOST:PORT, …; none by default.";
    }
    "etcd" {
        endpoints: origins, etcd.endpoints, "Its members: https://HOST:PORT, … or all of them http; one is used while it answers.";
        prefix: prefix, etcd.prefix, "What all keys begin with: the same for registries that share what they know, another one for others.";
        ca: any_file, etcd.ca, "PEM file with the certificates that sign those of members; without one those that this machine trusts do.";
        cert: any_file, etcd.cert, "PEM file with the registry's certificate, where etcd asks for one.";
        key: any_file, etcd.key, "PEM file with its private key, which its owner alone may read. All three are read again when a member cannot be reached.";
        user: user, etcd.user, "User, where etcd asks for one.";
        password_file: any_file, etcd.password_file, "File with the user's password, which its owner alone may read; without one it is in the variable RPCD_ETCD_PASSWORD.";
        allow_plaintext_password: switch, etcd.allow_plaintext_password, "Whether user and password may travel to other machines in plain text (http).";
        request_timeout: duration, etcd.request_timeout, "A member that does not answer for this long is left for another one.";
        watch_timeout: duration, etcd.watch_timeout, "A watch that tells nothing for this long is opened anew, from where it was: a proxy may have lost it.";
        lease_ttl: duration, etcd.lease_ttl, "The instances of a registry that shows no sign of life for this long are taken over by the others; whole seconds, 2s at least.";
        max_response_bytes: bytes, etcd.max_response_bytes, "Size of a response, and of one line of a watch.";
    }
    "security" {
        tokens: any_file, security.tokens, "File of tokens, which only its owner may write: NAME ROLES sha256:HEX …, as rpcd token new prints them; read again when it changes.";
        auth: auth, security.auth, "required: what a token does not allow is refused; warn: it is only logged; off. Empty: required with tokens, else off.";
        anonymous: roles, security.anonymous, "What may be done without a token, as older programs do: none, or call, observe, register, operate, comma-separated.";
        anonymous_networks: networks, security.anonymous_networks, "From where only: 10.0.0.0/8, …; empty: from anywhere.";
        audit: any_file, security.audit, "File to which rpcd registry appends who registered, replaced, unregistered and operated, rpcd mcp --listen who called which tool, and both what was refused; while it cannot be written these get 503, and no tool is called. Empty: none.";
    }
    "server" {
        listen: host, server.listen, "Address to listen on; :: accepts IPv4 and IPv6.";
        service: service, server.service, "Name of the service that it registers: 1 to 64 of A-Z a-z 0-9 . _ -.";
        announce: switch, server.announce, "Whether to register (--no-registry turns it off).";
        advertise: advertised, server.advertise, "HOST or HOST:PORT to register; empty: the address that routes to the registry.";
        heartbeat_interval: duration, server.heartbeat_interval, "Interval between heartbeats.";
        drain_timeout: pause, server.limits.drain_timeout, "Time for all of the shutdown after unregistering: shutdown_notice, calls in flight, close_timeout.";
        shutdown_notice: pause, server.limits.shutdown_notice, "How long it goes on serving after unregistering, if older clients called it of late: they look into the registry every 3 s.";
        older_client_window: pause, server.limits.older_client_window, "How long ago that may have been.";
        close_timeout: pause, server.limits.close_timeout, "Time for clients to close once they are told of the shutdown; what they still send is refused.";
        drain_notice: pause, server.limits.drain_notice, "How long calls of older clients are still taken once an operator drains it.";
        unregister_timeout: pause, server.limits.unregister_timeout, "Timeout for unregistering at shutdown.";
        max_deadline: duration, server.limits.max_deadline, "Longest deadline of a call; a longer one is cut to it.";
        default_deadline: duration, server.limits.default_deadline, "Deadline of a call that carries none.";
        max_request_bytes: bytes, server.limits.max_request_bytes, "Size of a request.";
        max_inline_bytes: bytes, server.limits.max_inline_bytes, "Arguments of a synchronous method that runs where they were read; with more it runs on a thread of its own.";
        max_nesting: depth, server.limits.max_nesting, "Nesting of JSON in a request, at most 128.";
        max_id_bytes: bytes, server.limits.max_id_bytes, "Size of a call's id.";
        max_batch_requests: count, server.limits.max_batch_requests, "Requests of one JSON-RPC batch.";
        request_timeout: duration, server.limits.request_timeout, "Time from a request's first byte to its last.";
        max_calls_per_connection: count, server.limits.max_calls_per_connection, "Calls in flight per connection.";
        max_calls: count, server.limits.max_calls, "Calls in flight in total.";
        max_calls_per_peer: share, server.limits.max_calls_per_peer, "Of these from one address (IPv6: a /64); quarter: a quarter, at least 256; 0: no share, for a server behind a proxy.";
        max_streams: count, server.limits.max_streams, "Of the calls, streams.";
        max_streams_per_peer: share, server.limits.max_streams_per_peer, "Of these for one address; as above.";
        max_log_streams: count, server.limits.max_log_streams, "Open streams of rpc.logs, which are no calls; for one address a quarter, unless max_streams_per_peer is 0.";
        max_unwritten_bytes: bytes, server.limits.max_unwritten_bytes, "Unsent replies per connection; beyond it the connection is not read.";
        max_buffered_bytes: bytes, server.limits.max_buffered_bytes, "Kept for all connections beyond 8 KiB of each; beyond it such connections are not read, and peers that take no replies are disconnected.";
        max_connections: count, server.limits.max_connections, "Open connections, at most as many as there are open files for (ulimit -n); a further one takes the place of that which has waited longest for a request, for a tenth of idle_timeout at least, or is refused and counted.";
        max_connections_per_peer: share, server.limits.max_connections_per_peer, "Of these from one address; as above.";
        max_unidentified_bytes: bytes, server.limits.max_unidentified_bytes, "With auth = required, on a connection that has shown no token: size of a request.";
        max_unidentified_connections: share, server.limits.max_unidentified_connections, "Such connections; quarter: a quarter of max_connections, at least 256; 0: as many as there are connections; for a further one the oldest of the address with most is closed.";
        max_unidentified_connections_per_peer: share, server.limits.max_unidentified_connections_per_peer, "Of these from one address; quarter: a quarter, at least 256; for a further one its oldest is closed.";
        unidentified_timeout: duration, server.limits.unidentified_timeout, "They are closed after this time.";
        backlog: backlog, server.limits.backlog, "Connections waiting to be accepted.";
        idle_timeout: duration, server.limits.idle_timeout, "An idle connection is closed after this time.";
        write_timeout: duration, server.limits.write_timeout, "An HTTP client that reads nothing for this long is disconnected.";
        tcp_user_timeout: duration, server.limits.tcp_user_timeout, "A client whose system acknowledges nothing for this long is gone; it is asked when it is silent.";
        allowed_hosts: names, server.allowed_hosts, "Further host names by which HTTP requests may address it: NAME, …; others are refused at loopback, and everywhere once one is named.";
        allowed_origins: origins, server.allowed_origins, "Web origins that may send HTTP requests: http://HOST:PORT, …; none by default.";
    }
    "worker" {
        workers: count, worker.workers, "Processes of the program.";
        concurrency: count, worker.concurrency, "Calls in flight of each process; with 1 it need not read while it works.";
        max_queued_calls: count, worker.max_queued_calls, "Calls that wait for a process; a further one is refused.";
        max_line_bytes: bytes, worker.max_line_bytes, "Size of one line that a process writes; beyond it the call whose reply it is fails, if known, or the process is restarted.";
        start_timeout: duration, worker.start_timeout, "Time from the start of a process to its list of methods.";
        cancel_timeout: duration, worker.cancel_timeout, "Time for a process to end a call that was cancelled or whose deadline passed; with as many overdue calls as concurrency, one that says nothing for this long is restarted.";
        linger_timeout: duration, worker.linger_timeout, "A process is restarted when cancelled calls take all its places for this long, though it still writes.";
        stall_timeout: duration, worker.stall_timeout, "A stream whose caller reads nothing for this long, while its process waits to write, is ended.";
        drain_timeout: pause, worker.drain_timeout, "Time for the calls in flight of a process that is replaced or stopped.";
        exit_timeout: duration, worker.exit_timeout, "Time for a process to end once its standard input is closed, and again after SIGTERM; then SIGKILL.";
        settled_after: duration, worker.settled_after, "A process that ends earlier than this died at once.";
        max_deaths: count, worker.max_deaths, "Deaths at once, in a row, after which the server unregisters and ends.";
    }
    "tls" {
        cert: any_file, tls.cert, "PEM file with the certificate of the server or registry, then those between it and its authority; empty: no TLS. On the same port as plain text.";
        key: any_file, tls.key, "PEM file with its private key, which others must not be able to read.";
        client_ca: any_file, tls.client_ca, "PEM file with the authorities of clients' certificates; empty: clients are not asked for one.";
        crl: any_file, tls.crl, "PEM file with the lists of revoked certificates of clients, one of each authority.";
        require: choice, tls.require, "What every connection must have: nothing, tls, or certificate: TLS with a certificate of client_ca.";
        min_version: choice, tls.min_version, "Oldest version of TLS: 1.2 or 1.3.";
    }
    "client" {
        timeout: duration, client.timeout, "Total time per call.";
        connect_timeout: duration, client.connect_timeout, "Time to connect and detect the server's dialect.";
        failover_after: duration, client.failover_after, "Connect timeout per instance before failing over; a connected server that never replies is not failed over.";
        tcp_user_timeout: duration, client.tcp_user_timeout, "A server whose system acknowledges nothing for this long is gone.";
        balance: choice, client.balance, "random, round_robin, weighted_random or least_in_flight.";
        token_file: secret_file, client_token_file, "File with the token that is shown to servers and registries, unless RPCD_TOKEN is set; others must not be able to read it.";
        tls: switch, client.tls, "Whether servers and registries are reached by TLS: servers of a registry by the service in their certificates, others by their host. Nothing falls back to plain text.";
        tls_ca: any_file, client.tls_files.ca, "PEM file with the authorities that are trusted, which means TLS; empty: those of the system.";
        tls_cert: any_file, client.tls_files.cert, "PEM file with the client's own certificate, where servers ask for one, which means TLS; also of a server towards its registry.";
        tls_key: any_file, client.tls_files.key, "PEM file with its private key, which others must not be able to read.";
        tls_min_version: choice, client.tls_files.min_version, "Oldest version of TLS: 1.2 or 1.3.";
        allow_plaintext_token: switch, client.allow_plaintext_token, "Whether a token is sent without TLS to others than this machine, to whom the network says it is.";
        service: any_service, client.service, "Call only instances of this service; empty: of any that offers the method. rpc-console shows all.";
        refresh_interval: duration, client.refresh_interval, "Interval between registry refreshes; a registry that can says at once what changes meanwhile.";
        list_cache: list_cache, client.list_cache, "Folder for the last list of each registry, by which calls go while it cannot be reached; auto: rpcd in $XDG_CACHE_HOME or ~/.cache; empty: none.";
        registry_timeout: duration, client.registry_timeout, "Timeout of one refresh.";
        max_reply_bytes: bytes, client.max_reply_bytes, "Size of a reply.";
        max_list_bytes: bytes, client.max_list_bytes, "Size of the registry's list of instances.";
        max_event_line_bytes: bytes, client.max_event_line_bytes, "Size of one line of the registry's event streams, which rpc-console reads.";
        max_in_flight: count, client.max_in_flight, "Calls in flight per connection (below the server's limit); further calls wait.";
        max_classic_connections: count, client.max_classic_connections, "Connections to one older server, which handles one call at a time on each.";
        max_classic_queue: count, client.max_classic_queue, "Calls waiting for one of them; a further one is refused.";
        classic_idle_timeout: duration, client.classic_idle_timeout, "An idle connection to an older server is closed after this time.";
        dialect_ttl: duration, client.dialect_ttl, "How long a server counts as an older one before it is probed again.";
        idle_timeout: duration, client.idle_timeout, "Any other idle connection is closed after this time.";
        max_probes: count, client.max_probes, "Instances probed at a time after refusing a connection.";
        retry_attempts: attempts, client.retry.attempts, "Attempts per call, the first included, each on another instance. Instances that are unreachable or draining do not count, here and below: no server worked.";
        retry_ratio: ratio, client.retry.ratio, "Retries per call in the long run, 0 to 1.";
        retry_burst: burst, client.retry.burst, "Retries allowed at once before that ratio applies.";
        retry_hedge: hedge, client.retry.hedge, "When a second attempt at a read-only call is made on another instance while the first is pending: off, a time such as 50ms, or p95 of the method's calls.";
        max_ejected_ratio: ratio, client.ejection.max_ejected_ratio, "Share of the instances for a call that may be set aside at a time because they fail or are slow where others are not; 0: none is.";
        ping_interval: pause, client.ejection.ping_interval, "An instance with calls in flight that sends nothing for this long is pinged, and gets no new calls if it does not answer; 0s: none is.";
    }
    "log" {
        level: level, log.level, "Minimum level: off, error, warn, info, debug or trace; per target: info,rpc_server=debug.";
        format: choice, log.format, "text, or json: one object per line.";
        save: switch, log.save, "Whether to write daily files.";
        dir: folder, log.dir, "Directory of the files.";
        max_files: count, log.max_files, "Files kept.";
        max_file_bytes: bytes, log.max_file_bytes, "Size of one; a fuller one is set aside as PREFIX.DAY.1.log, and the next begun.";
        max_ring_lines: count, log.max_ring_lines, "Lines kept in memory per daemon for log streams.";
        max_ring_bytes: bytes, log.max_ring_bytes, "Approximate memory for these lines.";
        max_queued_lines: count, log.max_queued_lines, "Lines waiting for terminal or file; further ones are dropped and counted.";
        max_line_bytes: bytes, log.max_line_bytes, "Message and fields of one line; the rest is cut off.";
    }
    "console" {
        theme: choice, console.theme, "auto, dark, light or mono.";
        glyphs: choice, console.glyphs, "auto, unicode or ascii. auto: ascii if LC_ALL, LC_CTYPE or LANG is C or POSIX, or TERM is linux.";
        mouse: switch, console.mouse, "Whether the console uses the mouse.";
        max_log_lines: count, console.max_log_lines, "Log lines kept.";
        max_log_bytes: bytes, console.max_log_bytes, "Memory for log lines; the oldest are dropped.";
        max_events: count, console.max_events, "Events kept.";
        max_history: count, console.max_history, "Calls kept.";
        save_history: switch, console.save_history, "Whether calls are saved between sessions: method, arguments, target, outcome, time.";
        max_probed: count, console.max_probed, "Instances asked for their methods, round-trip time and log; further ones are only listed.";
    }
};

/// How the names of further registries' sections begin.
pub(super) const REGISTRY_PREFIX: &str = "registry.";
/// The section of the console's keys.
const CONSOLE_KEYS: &str = "keys";

/// A known section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section<'a> {
    Plain(&'a str),
    /// `[registry.NAME]`.
    Registry(&'a str),
    /// `[keys]`, which the console reads.
    ConsoleKeys,
}

pub(super) fn known_section(name: &str) -> Result<Section<'_>, String> {
    if KEYS.iter().any(|key| key.section == name) {
        return Ok(Section::Plain(name));
    }
    if name == CONSOLE_KEYS {
        return Ok(Section::ConsoleKeys);
    }
    if let Some(registry) = name.strip_prefix(REGISTRY_PREFIX) {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        return if !registry.is_empty() && registry.len() <= 64 && registry.chars().all(allowed) {
            Ok(Section::Registry(registry))
        } else {
            Err(format!("bad section [{name}]: a registry's name has 1 to 64 of a-z A-Z 0-9 . _ -"))
        };
    }
    Err(match nearest_section(name) {
        Some(near) => format!("unknown section [{name}]; did you mean [{near}]?"),
        None => format!(
            "unknown section [{name}]; if this file belongs to another program, name yours with --config"
        ),
    })
}

/// The known section that was probably meant.
pub(super) fn nearest_section(name: &str) -> Option<&'static str> {
    nearest(name, KEYS.iter().map(|key| key.section).chain([CONSOLE_KEYS]))
}

pub(super) fn known_key(section: Section<'_>, name: &str) -> Result<&'static Key, String> {
    let (shown, table) = match section {
        Section::Plain(section) => (section.to_owned(), section),
        Section::Registry(registry) => (format!("registry.{registry}"), "registry"),
        Section::ConsoleKeys => (CONSOLE_KEYS.to_owned(), CONSOLE_KEYS),
    };
    let keys = || KEYS.iter().filter(|key| key.section == table);
    keys().find(|key| key.name == name).ok_or_else(|| {
        unknown(&format!("unknown key {name:?} in [{shown}]"), name, keys().map(|key| key.name))
    })
}

/// Sets a key of `[registry]` in an address.
pub(super) fn read_address(
    address: &mut RegistryAddress,
    key: &Key,
    text: &str,
) -> Result<(), String> {
    let mut settings = Settings { registry: address.clone(), ..Settings::default() };
    (key.read)(&mut settings, text)?;
    *address = settings.registry;
    Ok(())
}

fn unknown(what: &str, name: &str, known: impl Iterator<Item = &'static str>) -> String {
    match nearest(name, known) {
        Some(near) => format!("{what}; did you mean {near:?}?"),
        None => what.to_owned(),
    }
}
