//! The registry: a list of live instances, kept by heartbeats, over HTTP.
//!
//! In reading order:
//!
//! - [`RegistryOptions`]: every limit and time, with its default.
//! - [`Registry`]: bind an address, serve until shut down.
//! - [`RegistryError`]: why a registry could not start, or stopped by itself.
//!
//! Inside, `http → service → table`: `table` is pure (instances, deadlines, prepared replies; the
//! clock is an argument), `service` shares it between tasks (lock, timer, change feed, probes),
//! and `http` is the only part that knows paths, status codes and hyper.
//!
//! Needs Rust 1.95 or later.

mod error;
mod http;
mod metrics;
mod options;
mod registration;
mod server;
mod service;
mod sse;
mod table;

pub use error::RegistryError;
pub use ipnet::IpNet;
pub use options::RegistryOptions;
pub use server::Registry;
