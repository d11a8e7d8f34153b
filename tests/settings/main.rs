//! Settings, by what they do in the programs that read them.
//!
//! In reading order:
//!
//! - [`effects`]: every key and program, and the test that shows the effect there.
//! - [`client`]: `[client]` in `rpcd` and on the console's screen.
//! - [`log`]: `[log]` in `rpcd serve`, `rpcd registry`, `rpcd call` and the console.
//! - [`console`]: `[console]` on the screen.
//! - [`ticks`]: servers whose one method counts its calls.
//! - [`programs`]: `rpcd` to its end, and the console on a terminal.

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
