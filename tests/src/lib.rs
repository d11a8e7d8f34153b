//! Fixtures and system tests: real processes, real sockets, port 0.
//!
//! In reading order:
//!
//! - [`eventually`]: waiting for a condition, with a deadline, instead of sleeping.
//! - [`binaries`]: finds the programs under test.
//! - [`home`]: the directory a program is started in, without the developer's settings.
//! - [`daemon`]: a running program: its output, its address, its exit.
//! - [`terminal`]: a program on its own terminal: keys in, screen out.
//! - [`installed`]: programs that some tests need.
//! - [`python`]: the older system's server, client and registry, as processes.
//! - [`etcd`]: an etcd cluster of three members.
//! - [`pki`]: an authority, and certificates of every kind.
//! - [`prometheus`]: what Prometheus and the strict reader of OpenMetrics make of a page of metrics.
//! - [`fakes`]: servers that send exact bytes: extended, older and scripted ones.
//! - [`recording_registry`]: a registry that records its requests, and can misbehave.
//! - [`proxy`]: a way to a daemon that can be cut.
//! - [`reserved_port`]: a port where nothing listens yet, reserved for a later listener.
//! - [`raw`]: a connection on which a test sends every byte itself.
//! - [`sockets`]: the sockets of another process, reached as a debugger would.
//! - [`two_hosts`]: two hosts on one wire that can be cut without a word.
//! - [`slow`]: whether slow tests run.
//! - [`queries`]: common queries of tests.
//! - [`transcripts`]: recorded bytes of the older client and server.
//! - [`recordings`]: recorded bytes of an earlier build of rpcd; [`replayed`]: a server and a registry
//!   that know nothing else.
//! - [`http_reply`]: an HTTP reply from its bytes.
//! - [`understood`]: whether an earlier program finds in a value what it found there before.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a fixture that cannot do its work is a failed test"
)]

pub mod binaries;
pub mod daemon;
pub mod etcd;
pub mod eventually;
pub mod fakes;
pub mod home;
pub mod http_reply;
pub mod installed;
pub mod peers;
pub mod pki;
pub mod prometheus;
pub mod proxy;
pub mod python;
pub mod queries;
pub mod raw;
pub mod recording_registry;
pub mod recordings;
pub mod replayed;
pub mod reserved_port;
pub mod slow;
#[cfg(target_os = "linux")]
pub mod sockets;
pub mod terminal;
pub mod transcripts;
#[cfg(target_os = "linux")]
pub mod two_hosts;
pub mod understood;
