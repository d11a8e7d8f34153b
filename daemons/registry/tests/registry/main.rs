//! A registry on a real socket, and its clients: older programs, browsers, watchers, rude peers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests say what they expect"
)]

mod doors;
mod ending;
mod harness;
mod held;
mod limits;
mod lists;
mod lives;
mod monitoring;
mod older;
mod overrides;
mod refusals;
mod streams;
