//! Benchmarks of the programs as shipped, every figure beside that of a bare limit.
//!
//! In reading order:
//!
//! - [`plan`]: what was typed; what every scenario may ask for.
//! - [`round`]: scenarios run one after another, again and again.
//! - [`scenarios`]: what is measured.
//! - [`clients`]: bare sockets, and our own client library, under one kind of load.
//! - [`exchange`]: what bare sockets send, and how every answer is checked.
//! - [`measure`]: the window, latencies, processor time and memory of one run.
//! - [`process`]: servers as child processes; [`raw`] is the limit, a server without a protocol.
//! - [`pin`]: which processor server and load may use.
//! - [`procfs`]: what the kernel knows of a process.
//! - [`table`]: medians, ratios, Markdown and JSON; [`place`] is where the JSON goes.

pub mod clients;
pub mod exchange;
pub mod measure;
pub mod pin;
pub mod place;
pub mod plan;
pub mod process;
pub mod procfs;
pub mod raw;
pub mod round;
pub mod scenarios;
pub mod table;
