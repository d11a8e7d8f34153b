//! Benchmarks of the programs as shipped, each figure compared with that of a bare limit.
//!
//! In reading order:
//!
//! - [`plan`]: the command line; what every scenario needs.
//! - [`round`]: runs scenarios one after another, in several rounds.
//! - [`scenarios`]: what is measured.
//! - [`clients`]: bare sockets, and our own client library, under one kind of load.
//! - [`exchange`]: the requests of bare sockets, and the check of every reply.
//! - [`measure`]: the window, latencies, processor time and memory of one run.
//! - [`process`]: servers as child processes; [`raw`] is the limit, a server without a protocol;
//!   [`burn`] is the library with a method that computes, [`many`] with many methods or servers.
//! - [`pin`]: which processors server and load may use.
//! - [`procfs`]: the kernel's figures of a process.
//! - [`table`]: medians, ratios, Markdown and JSON; [`place`] is the directory of the JSON.
//! - [`plot`]: a picture of how cost grows, from that JSON.

pub mod burn;
pub mod clients;
pub mod exchange;
pub mod many;
pub mod measure;
pub mod pin;
pub mod place;
pub mod plan;
pub mod plot;
pub mod process;
pub mod procfs;
pub mod raw;
pub mod round;
pub mod scenarios;
pub mod table;
