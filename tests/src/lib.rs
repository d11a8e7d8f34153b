//! Fixtures and system tests: real processes, real sockets, port 0.
//!
//! In reading order:
//!
//! - [`eventually`]: waiting for a condition, with a deadline, instead of sleeping.
//! - [`binaries`]: where the programs under test are.
//! - [`home`]: the folder a program is started in, without settings of whoever runs the tests.
//! - [`daemon`]: a running program: its output, its address, its end.
//! - [`terminal`]: a program on a terminal of its own: keys in, screen out.
//! - [`python`]: the older system's server, client and registry, as processes.
//! - [`fakes`]: servers that speak exact bytes: an extended one, an older one, and whatever a test scripts.
//! - [`recording_registry`]: a registry that remembers what it was asked, and can misbehave.
//! - [`reserved_port`]: a port where nobody listens: for one who comes later, comes back, or never comes.
//! - [`raw`]: a connection on which a test says every byte itself, politely or rudely.
//! - [`slow`]: whether tests run that need a minute of wall clock.
//! - [`asking`]: what tests often ask a daemon.
//! - [`transcripts`]: what the older client and server were recorded to say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a fixture that cannot do its work is a failed test"
)]

pub mod asking;
pub mod binaries;
pub mod daemon;
pub mod eventually;
pub mod fakes;
pub mod home;
pub mod python;
pub mod raw;
pub mod recording_registry;
pub mod reserved_port;
pub mod slow;
pub mod terminal;
pub mod transcripts;
