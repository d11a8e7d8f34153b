//! What the bytes mean: data and bytes only, no I/O, no clock, no runtime.
//!
//! In reading order:
//!
//! - [`framing`]: where one JSON value ends in a growing buffer.
//! - [`call`]: a frame becomes a message; calls, replies and control messages become bytes.
//! - [`fault`]: why a call failed: codes, retryability, and the texts older clients read.
//! - [`json`]: one value as text, taken apart without another parse.
//! - [`exact`]: JSON values without rounded integers.
//! - [`signature`]: what discovery lists, in the classic form and as an OpenRPC document.
//! - [`instance`]: what a registry knows about a server.
//! - [`target`]: whom a client calls: one address, or whatever a registry lists.
//! - [`report`]: what a daemon says about itself: health, statistics, log lines.
//! - [`paths`]: HTTP paths, query names and reserved method names.
//! - [`nearest`]: the known name that somebody probably meant.
//!
//! Only this crate names the JSON keys of the TCP protocol.

pub mod call;
pub mod exact;
pub mod fault;
pub mod framing;
pub mod instance;
pub mod json;
mod nearest;
pub mod paths;
pub mod report;
pub mod signature;
pub mod target;

pub use nearest::nearest;

/// The version of the extended dialect, announced as `parameters.wire` and by `rpc.health`.
pub const WIRE_VERSION: u64 = 1;
