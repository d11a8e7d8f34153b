//! Settings, by what they do in the programs that read them.
//!
//! In reading order:
//!
//! - [`effects`]: which test shows the effect of which key in which program.
//! - [`client`]: `[client]` in `rpcd` and on the console's screen.
//! - [`log`]: `[log]` in `rpcd serve`, `rpcd registry`, `rpcd call` and the console.
//! - [`console`]: `[console]` on the screen.
//! - [`precedence`]: flag, environment, `./config.ini`, the user's file, default: which one wins, for
//!   every section and program.
//! - [`files`]: which `config.ini` is read, and which one is passed over, with or without a warning.
//! - [`registries`]: registries whose instances reply with the port of their registry.
//! - [`ticks`]: servers whose one method counts its calls.
//! - [`programs`]: `rpcd` and the console's commands to their end, and the console on a terminal.

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
mod ticks;
