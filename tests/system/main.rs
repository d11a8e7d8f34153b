//! System tests: the daemons as their users run them, together with the older system's programs.
//!
//! One module per topic; a test's name is what it verifies. `cargo test --workspace` builds the
//! programs that these tests start; `cargo test -p rpc-tests` alone does not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests say what they expect"
)]

mod addresses;
mod another_store;
mod any_split;
mod apart_registries;
mod architecture;
mod canary;
mod canary_console;
mod certificates;
mod client_ends;
mod console_secured;
mod contributing;
mod copied_commands;
mod dialects;
mod documents;
mod doors;
mod doors_mcp;
mod doors_server;
mod doors_walk;
mod embedding;
mod endings;
mod etcd_tls;
mod etcd_troubles;
mod every_reader_reads;
mod few_files;
mod graceful_ends;
mod json_rpc_servers;
mod killed_servers;
mod limits;
mod limits_page;
mod lives;
mod log_files;
mod many_clients;
mod mcp;
mod mcp_programs;
mod metrics;
mod old_programs;
mod other_programs;
mod overrides;
mod packages;
mod registry_lost_and_found;
mod registry_peers;
mod registry_store;
mod replaced;
mod rude_clients;
mod services;
mod several_registries;
mod shared_registries;
mod stopped_servers;
mod streams;
mod suspects;
mod tls;
mod transcripts;
#[cfg(target_os = "linux")]
mod vanished_peers;
mod version_skew;
mod ways;
mod workers;
