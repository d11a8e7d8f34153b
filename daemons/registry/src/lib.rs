//! The registry: a list of live instances, kept by heartbeats, over HTTP.
//!
//! In reading order:
//!
//! - [`RegistryOptions`]: every limit and time, with its default.
//! - [`StoreOptions`]: whether registrations outlive the process, or are shared with other registries.
//! - [`Registry`]: bind an address, serve until shut down.
//! - [`RegistryError`]: why a registry could not start, or stopped by itself.
//!
//! Inside, `http → service → table → record` and `service → store → record`: `table` is pure (instances,
//! deadlines, prepared replies; the clock is an argument), `record` is what of it outlives the process,
//! `store` keeps that on disk or in etcd, `service` shares both between tasks (lock, timer, change feed, probes, the
//! thread that saves), and `http` is the only part that knows paths, status codes and hyper.
//!
//! Needs Rust 1.95 or later.

#![cfg_attr(
    not(all(feature = "redb", feature = "etcd")),
    allow(dead_code, reason = "each store has a use for another part of what all share")
)]

mod error;
mod http;
mod metrics;
mod options;
mod record;
mod registration;
mod server;
mod service;
mod sse;
mod store;
mod table;

pub use error::RegistryError;
pub use ipnet::IpNet;
pub use options::{RegistryOptions, StoreOptions};
pub use rpc_security as security;
pub use server::Registry;
#[cfg(feature = "redb")]
pub use store::Recovered;
pub use store::StoreError;
#[cfg(feature = "etcd")]
pub use store::etcd::EtcdOptions;

/// Method and path of every route, and what it needs, in the words of docs/security.md.
#[doc(hidden)]
pub fn routes() -> Vec<(String, security::Permission)> {
    http::route_table().collect()
}

/// For tests/torture, which has a simulated disk under the database.
#[cfg(feature = "simulation")]
#[doc(hidden)]
pub mod simulation {
    pub use crate::record::{Change, Kind, Record, RecordKey};
    pub use crate::service::simulation::{Answer, Clocks, Outcome, Registry};
    pub use crate::store::{Database, scan};
}
