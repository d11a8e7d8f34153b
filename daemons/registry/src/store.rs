//! Where what the registry knows outlives its process: records by kind and instance.
//!
//! `record` says what is kept, `database` keeps it in redb.
#![cfg_attr(
    not(feature = "simulation"),
    allow(unreachable_pub, reason = "public for the simulated disk of tests/torture only")
)]

#[cfg(feature = "redb")]
mod database;
mod error;
#[cfg(feature = "redb")]
mod file;
#[cfg(feature = "redb")]
mod recovery;
#[cfg(feature = "redb")]
mod sealed;

#[cfg(feature = "redb")]
pub use database::Database;
pub use error::StoreError;
pub use crate::record::{Change, Kind, Record, RecordKey};
