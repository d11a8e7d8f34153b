//! Settings, by their effect in the programs that read them.
//!
//! In reading order:
//!
//! - [`effects`]: every key and program, with the test of the effect there.
//! - [`client`]: `[client]` in `rpcd` and in the console.
//! - [`log`]: `[log]` in `rpcd serve`, `rpcd registry`, `rpcd call` and the console.
//! - [`console`]: `[console]` on the screen.
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
mod log;
mod programs;
mod ticks;
