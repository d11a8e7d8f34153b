//! A gateway as its clients meet it, with a server behind it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect")]

mod harness;
mod http;
mod lines;
