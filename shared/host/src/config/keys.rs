//! The one table of keys.

use rpc_wire::nearest;

use super::sections::{Config, RegistryAddress};
use super::value::{
    advertised, attempts, backlog, burst, bytes, choice, count, depth, duration, folder, host,
    level, list, pause, port, ratio, switch,
};

/// A key of `config.ini`.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The section, without brackets.
    pub section: &'static str,
    /// The name in it.
    pub name: &'static str,
    /// One sentence: what it does.
    pub doc: &'static str,
    /// Sets it from text, or says what was expected.
    pub(super) read: fn(&mut Config, &str) -> Result<(), String>,
    /// The text that would set it to what it is.
    pub(super) show: fn(&Config) -> String,
}

impl Key {
    /// Its environment variable: `RPCD_SECTION_KEY`.
    pub fn variable(&self) -> String {
        let section = self.section.to_uppercase().replace('-', "_");
        format!("{}{section}_{}", super::ENVIRONMENT_PREFIX, self.name.to_uppercase())
    }

    /// Its default, as it is written in the file.
    pub fn default_value(&self) -> String {
        (self.show)(&Config::default())
    }
}

/// `"key" kind field "doc"` for every key of a section.
macro_rules! keys {
    ($($section:literal $place:ident { $($name:ident: $kind:ident, $doc:literal;)* })*) => {
        &[$($(Key {
            section: $section,
            name: stringify!($name),
            doc: $doc,
            read: |config, text| {
                config.$place.$name = $kind::read(text)?;
                Ok(())
            },
            show: |config| $kind::show(&config.$place.$name),
        },)*)*]
    };
}

/// Every key, in the order of the file.
pub const KEYS: &[Key] = keys! {
    "registry" registry {
        host: host, "Where servers and clients find the registry: an IP address or a name.";
        port: port, "The registry's port.";
    }
    "registry-server" registry_server {
        listen: host, "Where it listens; :: takes IPv4 and IPv6.";
        ttl: duration, "An instance expires this long after its last heartbeat.";
        check_interval: duration, "How often expiry is checked.";
        max_instances: count, "Instances in all.";
        max_instances_per_peer: count, "Instances registered from one address beyond loopback.";
        max_body: bytes, "A request's body.";
        max_host: count, "Bytes of an instance's host.";
        max_parameters: bytes, "An instance's parameters, written as JSON.";
        max_connections: count, "Connections at once; one more is closed and counted.";
        backlog: backlog, "Connections that may wait to be accepted.";
        max_watchers: count, "Event streams (/v1/watch, /v1/logs) at once.";
        keep_alive: duration, "An event stream is not silent for longer.";
        history: count, "Changes kept for watchers that come back or fall behind.";
        header_timeout: duration, "For the head of a request to arrive.";
        body_timeout: duration, "For the body of a request to arrive.";
        write_timeout: duration, "A peer that takes nothing of an answer for so long is cut off.";
        max_wait: pause, "The longest long-poll (wait=).";
        rejoin_window: pause, "An older instance that unregistered is believed to be back, if it answers, for so long; 0s: never.";
        max_rejoins: count, "Unregistered instances remembered for that.";
        probe_timeout: duration, "For such an instance to answer.";
        max_probes: count, "Such instances asked at the same time.";
        drain: pause, "To answer what is under way when it ends.";
        allowed_origins: list, "Web pages that may send requests: http://HOST:PORT, …; none by default.";
    }
    "server" server {
        listen: host, "Where it listens; :: takes IPv4 and IPv6.";
        announce: switch, "Whether it registers (--no-registry: it does not).";
        advertise: advertised, "HOST or HOST:PORT to register; empty: the address that routes to the registry.";
        heartbeat: duration, "Between heartbeats.";
        drain: pause, "To answer what is in flight when it ends.";
        unregister: pause, "To take leave of the registry when it ends.";
        default_deadline: duration, "For a call that brings no deadline of its own.";
        max_request: bytes, "A request.";
        max_nesting: depth, "Brackets inside brackets in a request, 128 at most.";
        incomplete_request: duration, "For a request that has begun to be whole.";
        max_calls_per_connection: count, "Calls in flight on one connection.";
        max_calls: count, "Calls in flight in all.";
        max_unwritten: bytes, "Unwritten replies of a connection; beyond, nothing more is read from it.";
        max_connections: count, "Connections at once; one more is closed and counted.";
        backlog: backlog, "Connections that may wait to be accepted.";
        idle: duration, "An unused connection is closed after this time.";
        allowed_origins: list, "Web pages that may send HTTP requests: http://HOST:PORT, …; none by default.";
    }
    "client" client {
        timeout: duration, "For a call: to connect, send, wait and receive.";
        connect_timeout: duration, "To connect and learn what the server speaks, shared by the calls that wait for it.";
        patience: duration, "For a connection to one instance before a call turns to another.";
        lost_after: duration, "A silent server whose system does not answer either is gone after so long.";
        balance: choice, "random, round_robin, weighted_random or least_in_flight.";
        refresh: duration, "Between looks at the registry.";
        registry_timeout: duration, "For one such look.";
        max_reply: bytes, "A reply.";
        max_list: bytes, "The registry's list of instances.";
        max_sse_line: bytes, "A line of an event stream.";
        max_in_flight: count, "Calls in flight on one connection, fewer than the server allows; further ones wait.";
        classic_connections: count, "Sockets to one older server.";
        classic_queue: count, "Calls that may wait for one of them; one more is refused.";
        classic_idle: duration, "An unused socket to an older server is closed after this time.";
        dialect_memory: duration, "A server is believed to be an older one for so long, then asked again.";
        idle: duration, "Any other unused connection is closed after this time.";
        max_other_peers: count, "Servers remembered that were called by address but are in no list.";
        concurrent_probes: count, "Instances that refused a connection and are probed at the same time.";
        retry_attempts: attempts, "Attempts of one call, the first included.";
        retry_ratio: ratio, "Retries per call in the long run, 0 to 1.";
        retry_burst: burst, "Retries at once before that ratio counts.";
    }
    "log" log {
        level: level, "off, error, warn, info, debug or trace; by target: info,rpc_server=debug.";
        format: choice, "text, or json: one object per line.";
        save: switch, "Whether daily files are written.";
        dir: folder, "Their folder.";
        max_files: count, "Daily files kept.";
        ring_lines: count, "Lines kept in memory per daemon, for whoever streams the log.";
        ring_bytes: bytes, "Memory for them, roughly.";
        writer_lines: count, "Lines that may wait for the terminal or the file; beyond, lines are dropped and counted.";
        line_bytes: bytes, "One line's message and fields; the rest is cut off.";
    }
    "console" console {
        theme: choice, "auto, dark, light or mono.";
        glyphs: choice, "unicode, or ascii.";
        mouse: switch, "Whether the console takes the mouse.";
        log_lines: count, "Log lines kept.";
        event_lines: count, "Events kept.";
        history: count, "Calls kept.";
        save_history: switch, "Whether they are kept over restarts: method, arguments, target, outcome, time.";
        max_probed: count, "Instances probed, asked for their methods and their log; further ones are listed only.";
    }
};

/// The section of the console's keys.
const CONSOLE_KEYS: &str = "keys";

/// A section that exists.
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
    if let Some(registry) = name.strip_prefix("registry.") {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        return if !registry.is_empty() && registry.len() <= 64 && registry.chars().all(allowed) {
            Ok(Section::Registry(registry))
        } else {
            Err(format!("bad section [{name}]: a registry's name has 1 to 64 of a-z A-Z 0-9 . _ -"))
        };
    }
    let known = KEYS.iter().map(|key| key.section).chain([CONSOLE_KEYS]);
    Err(unknown(&format!("unknown section [{name}]"), name, known))
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

/// Sets a key of `[registry]` in another address.
pub(super) fn read_address(
    address: &mut RegistryAddress,
    key: &Key,
    text: &str,
) -> Result<(), String> {
    let mut config = Config { registry: address.clone(), ..Config::default() };
    (key.read)(&mut config, text)?;
    *address = config.registry;
    Ok(())
}

fn unknown(what: &str, name: &str, known: impl Iterator<Item = &'static str>) -> String {
    match nearest(name, known) {
        Some(near) => format!("{what}; did you mean {near:?}?"),
        None => what.to_owned(),
    }
}
