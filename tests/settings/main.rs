//! Settings, by their effect in the programs that read them.
//!
//! In reading order:
//!
//! - [`effects`]: every key and program, with the test of the effect there.
//! - [`client`]: `[client]` in `rpcd` and in the console.
//! - [`log`]: `[log]` in `rpcd serve`, `rpcd registry`, `rpcd call` and the console.
//! - [`console`]: `[console]` on the screen.
//! - [`registry`]: `[registry]` on the screen.
//! - [`precedence`]: flag, environment, `./config.ini`, the user's file, default: which one wins, for
//!   every section and program.
//! - [`files`]: which `config.ini` is read, and which one is passed over, with or without a warning.
//! - [`registries`]: registries whose instances reply with the port of their registry.
//! - [`secured`]: a registry and a server with certificates, a registry that asks for tokens, a peer of an earlier TLS.
//! - [`ticks`]: servers whose only method counts its calls.
//! - [`programs`]: runs `rpcd`, and the console on a terminal.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests say what they expect"
)]

mod client;
mod console;
mod effects;
mod files;
mod log;
mod precedence;
mod programs;
mod registries;
mod registry;
mod secured;
mod ticks;
