//! An embeddable RPC server: give it methods and an address, and stop it when you like.
//!
//! ```no_run
//! use rpc_server::{Server, rpc_method};
//!
//! /// Adds two numbers.
//! #[rpc_method]
//! fn plus(a: f64, #[default(1.0)] b: f64) -> f64 {
//!     a + b
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().method(plus::method()).bind(([127, 0, 0, 1], 8089)).await?;
//! server.serve(std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! In reading order, the way a call travels:
//!
//! - [`server`]: puts a server together, and shuts it down gracefully.
//! - `acceptor`: accepts connections within limits.
//! - `connection`: one accepted socket; `sniff` detects its protocol by the first bytes.
//! - `session`: frames become calls, calls become replies; `calls` are those in flight;
//!   [`InMemory`] is a session without a socket.
//! - [`method`](mod@method): name → body; `arguments` bind values to parameters.
//! - [`extract`]: what a method takes in front of its parameters: the server's [`State`], the [`Call`].
//! - [`service`]: a named set of methods; what [`rpc_service`] makes of a trait.
//! - [`layer`]: tower layers around the methods.
//! - `reserved`: `all_your_methods` and `rpc.*`, the methods every server has.
//! - [`builtin`]: the methods of the demo and of the original system.
//! - `http`: metrics, health and the OpenRPC document on the same port.
//! - [`announce`]: registers with a registry and sends heartbeats.
//! - `metrics`: counters and latencies behind `rpc.stats` and `/metrics`.
//!
//! Inside: `server → acceptor → connection → session → dispatch → calls → method`, `connection → http`.

mod acceptor;
#[cfg(feature = "announce")]
pub mod announce;
mod arguments;
pub mod builtin;
mod call;
mod connection;
mod error;
pub mod extract;
mod failure;
mod finite;
#[cfg(feature = "http")]
mod http;
mod latency;
pub mod layer;
mod limits;
pub mod method;
mod metrics;
mod permit;
mod reserved;
pub mod server;
pub mod service;
mod session;
mod sniff;
mod state;

#[cfg(feature = "announce")]
pub use announce::Announce;
pub use call::{Call, Dialect, Identity};
pub use error::ServerError;
pub use extract::{FromCall, State};
pub use failure::{Failure, Typed};
pub use futures_util::Stream;
pub use limits::Limits;
pub use method::Method;
pub use rpc_macros::{rpc_method, rpc_service};
pub use rpc_wire::fault::{Code, Fault};
pub use rpc_wire::signature::{self, Effect, Signature};
pub use schemars;
pub use server::{Server, ServerBuilder, ServerHandle};
pub use session::InMemory;
