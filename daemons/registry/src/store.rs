//! Where what the registry knows outlives its process: records by kind and instance.
//!
//! A [`Store`] is written by one thread. `database` keeps the records in redb, `file` is a database in a
//! folder, `recovery` saves what is readable of a damaged one, `sealed` is a record as bytes.
#![cfg_attr(
    not(feature = "simulation"),
    allow(unreachable_pub, reason = "public for the simulated disk of tests/torture only")
)]

#[cfg(feature = "redb")]
mod database;
mod error;
#[cfg(feature = "etcd")]
pub(crate) mod etcd;
#[cfg(feature = "redb")]
mod file;
#[cfg(feature = "redb")]
mod recovery;
#[cfg(feature = "redb")]
mod sealed;

use std::fmt;

#[cfg(feature = "redb")]
pub use database::Database;
pub use error::StoreError;
#[cfg(feature = "redb")]
pub(crate) use file::FileStore;
#[cfg(feature = "redb")]
pub use recovery::Recovered;
#[cfg(feature = "redb")]
pub(crate) use recovery::recover;
#[cfg(feature = "simulation")]
pub use recovery::scan;

use crate::record::{Change, Record};

/// Keeps records. It may block: it has a thread of its own.
///
/// A store that several registries share (etcd) has its own word on what changes, and so needs a way back
/// into the table; what it is given stays the same.
pub(crate) trait Store: fmt::Debug + Send {
    /// Applies changes: durable when it returns.
    ///
    /// # Errors
    /// None of them may be durable, or all. The next call is a [`replace`](Self::replace).
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError>;

    /// Makes the records these and no others, also after a failure.
    ///
    /// # Errors
    /// As of [`commit`](Self::commit).
    fn replace(&mut self, records: &[Record]) -> Result<(), StoreError>;

    /// Ends in order.
    fn close(&mut self);
}
