//! A client of an etcd cluster, by the JSON gateway that every member has beside gRPC.
//!
//! - [`EtcdOptions`]: where the cluster is, and every limit and time.
//! - `client`: requests, each to one member and to the next while one does not answer.
//! - `message`: what is sent and received, as bytes; pure.
//! - `watch`: the changes of keys, from a revision on.
//! - [`EtcdError`]: what went wrong, by what follows from it.

mod client;
mod error;
mod message;
mod options;
mod watch;

pub(crate) use client::Etcd;
pub(crate) use error::EtcdError;
pub(crate) use message::{Compared, KeyValue, Lease, Put, Txn, TxnOutcome, WatchEvent};
pub use options::EtcdOptions;
pub(crate) use watch::Watch;
