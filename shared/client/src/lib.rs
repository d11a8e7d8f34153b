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
//! - [`Client`]: calls, notifications, streams, discovery.
//! - [`ClientOptions`]: every limit and time, with its default; [`EjectionOptions`]: which instances get no
//!   calls for a while.
//! - [`KnownInstance`]: an instance, with its [`InstanceHealth`].
//! - [`Target`]: one address, or whatever a registry lists.
//! - [`ListStatus`]: where the list is from that calls go by, and why it is not the registry's.
//! - [`Request`] and [`Response`]: a call with all its options, and its result with timing and peer.
//! - [`WireLog`]: the messages of a call as they were on the wire. [`AttemptLog`]: which instances it was sent
//!   to, why, and how each attempt ended.
//! - [`rpc_service`]: a trait becomes a typed client; [`CallOptions`], [`TypedStream`] and
//!   [`ServiceError`] are what it takes and returns.
//! - [`Token`]: the secret that tells servers and registries who calls.
//! - [`CallError`]: why a call failed, by who must act.
//! - [`Catalog`]: the methods of all instances, with who has what.
//! - [`Client::layer`]: tower layers around every call.
//! - [`registry`]: the registry's HTTP routes, typed.
//! - `tls` (with that feature): connections inside TLS, also for what is no call.
//! - [`backoff`]: delays between retries.
//! - [`blocking`]: the same calls without async.
//!
//! # Which instance is called
//!
//! Behind a registry there may be several services, and several versions of one. While all instances show the
//! same contract (the digest of their methods, `parameters.contract`), any of them gets a call, as `balance`
//! says. Otherwise the client asks once per contract what it offers, and each instance that shows none, and
//! a call goes to one that offers the method. [`Client::service`] limits calls to one service. A digest may be
//! wrong: before a call fails because nobody offers its method, instances that were not asked are, at most 64
//! per call. An instance
//! that says that it does not have the method was not at fault: another one is called, and no retry counts.
//!
//! # Features
//!
//! These are on by default; each works alone.
//!
//! - `registry`: instances from a registry. Without it a client calls one address, and no HTTP client is built.
//! - `blocking`: the module [`blocking`].
//! - `tower`: [`Client`] is a [`tower::Service`](https://docs.rs/tower), and [`Client::layer`] exists.
//! - `macros`: [`rpc_service`].
//!
//! One is not, since it compiles C:
//!
//! - `tls`: [`ClientOptions::tls`], and registries at `https://`.
//!
//! Needs Rust 1.95 or later.

#![cfg_attr(
    not(feature = "registry"),
    allow(dead_code, reason = "only instances of a registry are probed, balanced and failed over")
)]

mod attempt_log;
pub mod backoff;
#[cfg(feature = "registry")]
mod balance;
mod blame;
#[cfg(feature = "blocking")]
pub mod blocking;
mod catalog;
mod client;
mod connection;
mod context;
mod deadline;
#[cfg_attr(not(feature = "registry"), path = "no_discovery.rs")]
mod discovery;
mod error;
mod instance_health;
mod item;
mod kind;
#[cfg(feature = "tower")]
mod layer_error;
#[cfg(feature = "tower")]
mod layers;
mod list_cache;
#[cfg(feature = "registry")]
mod list_status;
mod method_list;
mod methods;
mod options;
mod pool;
#[cfg(feature = "registry")]
pub mod registry;
mod request;
mod retry;
mod stream;
#[cfg(feature = "tls")]
pub mod tls;
mod token;
#[doc(hidden)]
pub mod typed;
mod unwritten;
mod wanted;
mod wire_log;

pub use attempt_log::{Attempt, AttemptEnd, AttemptLog, AttemptReason};
pub use catalog::{Catalog, CatalogMethod, Replicas, UnknownInstance, Variant};
pub use client::{Client, ClientStats};
pub use error::{CallError, ClientError, NoSuchMethod, Phase, Rounded};
pub use futures_util::Stream;
pub use instance_health::{InstanceHealth, InstanceState};
pub use item::StreamItem;
pub use kind::ErrorKind;
#[cfg(feature = "tower")]
pub use layer_error::LayerError;
pub use list_cache::ListCache;
#[cfg(feature = "registry")]
pub use list_status::{ListProblem, ListSource, ListStatus};
pub use methods::methods_of_document;
pub use options::{Balance, ClientOptions, EjectionOptions, Hedge, ListedAs, RetryOptions};
pub use request::{Dialect, KnownInstance, Request, Response, Timing};
#[cfg(feature = "macros")]
pub use rpc_macros::rpc_service;
pub use rpc_security::{ClientTlsOptions, TlsVersion};
pub use rpc_wire::call::{Args, ArgsError, IntoArgs};
pub use rpc_wire::fault::{Code, Fault};
pub use rpc_wire::target::{AddressError, Target};
pub use secrecy::SecretString;
pub use stream::CallStream;
pub use token::Token;
pub use typed::{CallOptions, ServiceError, TypedStream};
pub use wire_log::{WireLog, WireMessage};
