//! The client library: direct or through a registry, with balancing, deadlines and failover.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use rpc_client::{Client, ClientOptions};
//!
//! let client = Client::through_registry("http://127.0.0.1:9999", ClientOptions::default())?;
//! let sum = client.call("add", (1, 2)).await?;
//! println!("{sum}");
//! client.close().await;
//! # Ok(()) }
//! ```
//!
//! In reading order:
//!
//! - [`Client`]: calls, streams, discovery.
//! - [`ClientOptions`]: every limit and time, with its default.
//! - [`Target`]: one address, or whatever a registry lists.
//! - [`Request`] and [`Response`]: a call with all its options, and its result with timing and peer.
//! - [`WireLog`]: the messages of a call as they were on the wire.
//! - [`rpc_service`]: a trait becomes a typed client; [`CallOptions`], [`TypedStream`] and
//!   [`ServiceError`] are what it takes and returns.
//! - [`CallError`]: why a call failed, by who must act.
//! - [`registry`]: the registry's HTTP routes, typed.
//! - [`backoff`]: delays between retries.
//! - [`blocking`]: the same calls without async.

pub mod backoff;
mod balance;
pub mod blocking;
mod catalog;
mod client;
mod connection;
mod context;
mod deadline;
mod discovery;
mod error;
mod item;
mod kind;
mod method_list;
mod methods;
mod options;
mod pool;
pub mod registry;
mod request;
mod retry;
mod stream;
#[doc(hidden)]
pub mod typed;
mod wire_log;

pub use catalog::{Catalog, CatalogMethod, Replicas, UnknownInstance, Variant};
pub use client::{Client, ClientStats};
pub use error::{CallError, ClientError, Phase, Rounded};
pub use futures_util::Stream;
pub use item::StreamItem;
pub use kind::ErrorKind;
pub use options::{Balance, ClientOptions, RetryOptions};
pub use request::{Dialect, KnownInstance, Request, Response, Timing};
#[cfg(feature = "macros")]
pub use rpc_macros::rpc_service;
pub use rpc_wire::call::{Args, ArgsError, IntoArgs};
pub use rpc_wire::fault::{Code, Fault};
pub use rpc_wire::target::{AddressError, Target};
pub use stream::CallStream;
pub use typed::{CallOptions, ServiceError, TypedStream};
pub use wire_log::{WireLog, WireMessage};
