//! A client of an etcd cluster, by the JSON gateway that every member has beside gRPC.
//!
//! - [`EtcdOptions`]: where the cluster is, and every limit and time; `checks`: those that fit together.
//! - `client`: requests, each to one member and to the next while one does not answer.
//! - `transport`: TCP, and TLS with what `tls` reads; `access`: user, password, and the token for both.
//! - `message`: what is sent and received, as bytes; pure.
//! - `watch`: the changes of keys, from a revision on.
//! - [`EtcdError`]: what went wrong, by what follows from it.

mod access;
mod checks;
mod client;
mod error;
mod files;
mod message;
mod options;
#[cfg(feature = "etcd-tls")]
mod tls;
mod transport;
mod watch;

pub(crate) use client::Etcd;
pub(crate) use error::EtcdError;
pub(crate) use message::{Compared, KeyValue, Lease, Put, Txn, TxnOutcome, WatchEvent};
pub use options::EtcdOptions;
pub(crate) use watch::Watch;
