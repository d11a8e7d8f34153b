//! The wire format: data and bytes only, no I/O, no clock, no runtime.
//!
//! In reading order:
//!
//! - [`framing`]: where one JSON value ends in a growing buffer.
//! - [`call`]: frames to messages; calls, replies and control messages to bytes.
//! - [`fault`]: why a call failed: codes, retryability, and the texts older clients read.
//! - [`json`]: one value as text, split into parts without parsing again.
//! - [`exact`]: JSON values without rounded integers.
//! - [`signature`]: what discovery lists, in the classic form and as an OpenRPC document.
//! - [`instance`]: what a registry knows about an instance.
//! - [`target`]: what a client calls: one address, or the instances that a registry lists.
//! - [`report`]: what a daemon reports about itself: health, statistics, log lines.
//! - [`paths`]: HTTP paths, query names and reserved method names.
//! - [`is_hidden`]: the characters that no terminal, log or clipboard gets as they are.
//! - [`is_traceparent`]: the trace contexts that are handed on.
//! - [`shell_word`]: a text as one word of a command.
//! - [`nearest`], [`most_similar`]: the known names that were probably meant.
//!
//! Only this crate names the JSON keys of the TCP protocol.
//!
//! Needs Rust 1.95 or later.

pub mod call;
pub mod exact;
pub mod fault;
pub mod framing;
mod hidden;
pub mod instance;
pub mod json;
#[doc(hidden)]
pub mod mutants;
mod nearest;
pub mod paths;
pub mod report;
mod shell;
pub mod signature;
pub mod target;
mod trace;

pub use hidden::is_hidden;
pub use nearest::{most_similar, nearest};
pub use shell::shell_word;
pub use trace::is_traceparent;

/// The version of the extended dialect, announced as `parameters.wire` and by `rpc.health`.
pub const WIRE_VERSION: u64 = 1;
