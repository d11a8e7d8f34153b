//! Every key of `[registry]`, `[client]`, `[log]` and `[console]` and every program that reads it, with the test of its
//! effect there. A key without such a test fails here. rpcd's own tests compare what the daemons get
//! of the other sections.

use std::collections::BTreeSet;

use rpc_settings::KEYS;

use crate::client::{console as screen, rpcd};
use crate::console;
use crate::log::{call, console as own_log, registry, serve};
use crate::registry as registry_of_console;

/// Section, key, program, and the test, which has the name of the key.
type Effect = (&'static str, &'static str, &'static str, fn());

macro_rules! effects {
    ($($section:literal in $program:literal, $module:ident: $($key:ident)*;)*) => {
        &[$($(($section, stringify!($key), $program, $module::$key),)*)*]
    };
}

const EFFECTS: &[Effect] = effects! {
    "client" in "rpcd", rpcd:
        timeout connect_timeout failover_after tcp_user_timeout balance refresh_interval
        list_cache registry_timeout max_reply_bytes max_list_bytes max_in_flight max_classic_connections
        max_classic_queue classic_idle_timeout dialect_ttl idle_timeout max_probes retry_attempts
        retry_ratio retry_burst retry_hedge service max_ejected_ratio
         ping_interval;
    "client" in "rpc-console", screen:
        timeout connect_timeout failover_after tcp_user_timeout balance refresh_interval
        list_cache registry_timeout max_reply_bytes max_list_bytes max_event_line_bytes max_in_flight
        max_classic_connections max_classic_queue classic_idle_timeout dialect_ttl idle_timeout
        max_probes retry_attempts retry_ratio retry_burst retry_hedge max_ejected_ratio ping_interval
        token_file tls tls_ca tls_cert tls_key tls_min_version;
    "log" in "rpcd serve", serve:
        level format save dir max_files max_file_bytes max_ring_lines max_ring_bytes max_queued_lines
        max_line_bytes;
    "log" in "rpcd registry", registry:
        level format save dir max_files max_file_bytes max_ring_lines max_ring_bytes max_queued_lines
        max_line_bytes;
    "log" in "rpcd call", call:
        level format save dir max_files max_file_bytes max_queued_lines max_line_bytes;
    "log" in "rpc-console", own_log:
        level format save dir max_files max_file_bytes max_ring_lines max_ring_bytes max_queued_lines
        max_line_bytes;
    "registry" in "rpc-console", registry_of_console:
        host port also color confirm token_file tls tls_ca tls_cert tls_key;
    "console" in "rpc-console", console:
        theme glyphs mouse max_log_lines max_log_bytes max_events max_history save_history max_probed;
};

/// Sections, and the programs that read them.
const READERS: &[(&str, &[&str])] = &[
    ("client", &["rpcd", "rpc-console"]),
    ("log", &["rpcd serve", "rpcd registry", "rpcd call", "rpc-console"]),
    ("registry", &["rpc-console"]),
    ("console", &["rpc-console"]),
];

/// Keys without effect in a program that reads their section, and why.
const MEANINGLESS: &[(&str, &str, &str)] = &[
    // It reads no event stream.
    ("client", "max_event_line_bytes", "rpcd"),
    // It shows all services; a form or a load test is of the service in its row.
    ("client", "service", "rpc-console"),
    // Shown in tests/system/doors.
    ("client", "token_file", "rpcd"),
    ("client", "allow_plaintext_token", "rpcd"),
    ("client", "allow_plaintext_token", "rpc-console"),
    // Shown in tests/system/tls.
    ("client", "tls", "rpcd"),
    ("client", "tls_ca", "rpcd"),
    ("client", "tls_cert", "rpcd"),
    ("client", "tls_key", "rpcd"),
    ("client", "tls_min_version", "rpcd"),
    // It serves no log.
    ("log", "max_ring_lines", "rpcd call"),
    ("log", "max_ring_bytes", "rpcd call"),
];

#[test]
fn every_key_has_a_test_of_its_effect_in_every_program_that_reads_it() {
    let keys = KEYS.iter().flat_map(|key| {
        let readers = READERS.iter().find(|(section, _)| *section == key.section);
        let programs = readers.map_or(&[][..], |(_, programs)| programs);
        programs.iter().map(|program| (key.section, key.name, *program))
    });
    let wanted: BTreeSet<_> = keys.filter(|key| !MEANINGLESS.contains(key)).collect();
    let tested: BTreeSet<_> =
        EFFECTS.iter().map(|(section, key, program, _)| (*section, *key, *program)).collect();
    let missing: Vec<_> = wanted.difference(&tested).collect();
    let gone: Vec<_> = tested.difference(&wanted).collect();
    assert!(missing.is_empty(), "without a test: {missing:?}");
    assert!(gone.is_empty(), "tests of unknown keys: {gone:?}");
}
