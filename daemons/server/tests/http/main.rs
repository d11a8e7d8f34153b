//! A server's HTTP, on real sockets: calls, limits, lists, peers who do not say who they are.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

mod calls;
mod guarded;
mod harness;
mod limits;
mod lists;
mod memory;
mod notifications;
mod strangers;
