//! An embeddable RPC server: give it methods and an address, and stop it when you like.
//!
//! ```
//! use rpc_server::{Server, rpc_method};
//!
//! /// Adds two numbers.
//! #[rpc_method(read_only)]
//! #[example(1.0, 2.0)]
//! fn plus(a: f64, #[default(1.0)] b: f64) -> f64 {
//!     a + b
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder()
//!     .name("calculator") // the service, among others behind one registry
//!     .version(env!("CARGO_PKG_VERSION"))
//!     .method(plus::method())
//!     .bind(([127, 0, 0, 1], 0)) // any free port
//!     .await?;
//! println!("listening on {}", server.local_addr());
//! # server.handle().stop();
//! server.serve(std::future::pending()).await?; // until a signal, or `server.handle().stop()`
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(run()).unwrap();
//! ```
//!
//! # Which when
//!
//! | you want | use |
//! |---|---|
//! | a method from a function | [`#[rpc_method]`](rpc_method) |
//! | the methods of a trait, with a typed client for callers in Rust | [`#[rpc_service]`](rpc_service) |
//! | a method from a closure, or with a name known at run time | [`Method::named`] |
//! | work that is short | a plain `fn`, [`sync`](method::MethodBuilder::sync) |
//! | work that awaits | an `async fn`, [`asynchronous`](method::MethodBuilder::asynchronous) |
//! | work that blocks or computes for more than a millisecond | `#[rpc_method(blocking)]`, [`blocking`](method::MethodBuilder::blocking) |
//! | many results for one call | `#[rpc_method(stream)]`, [`stream`](method::MethodBuilder::stream) |
//! | a database, a cache, settings in a method | [`State`] |
//! | the deadline, the caller, whether it still waits | [`Call`] |
//! | something else made from the call | [`FromCall`] |
//! | an error with a code or data | [`Failure`]; one that a typed client reads again: [`Typed`] |
//! | logging, limits, timeouts, authorisation around all methods | [`ServerBuilder::layer`](ServerBuilder::layer) |
//! | limits of size, number and time | [`Limits`] |
//! | methods of another program, as it lists them | [`Method::forwarded`] |
//! | other methods while it serves | [`ServerHandle::replace_methods`] |
//! | to let in only who has a token | [`ServerBuilder::guard`] |
//! | to be found through a registry | `Announce` |
//! | to test methods without a socket | [`ServerBuilder::in_memory`], or call the function |
//!
//! # Features
//!
//! Two are on by default; without either the crate depends on no HTTP library.
//!
//! - `http`: metrics (`/metrics`), health (`/healthz`) and the OpenRPC document (`/openrpc.json`) over
//!   HTTP, on the same port.
//! - `announce`: registers with a registry while serving.
//!
//! One is not, since it compiles C:
//!
//! - `tls`: TLS on the same port ([`ServerBuilder::tls`]).
//!
//! # Inside
//!
//! In reading order, the way a call travels:
//!
//! - [`server`]: puts a server together, and shuts it down gracefully; `handle` does so from outside.
//! - `acceptor`: accepts connections within limits.
//! - `drain`: who asked the server to take no new calls for now; `older_clients`: who must get notice of
//!   its end.
//! - `places`: how many connections and calls there may be, and of one peer.
//! - `control`: a thread of its own for heartbeats, and for health while the workers lag.
//! - `connection`: one accepted socket; `sniff` detects its protocol by the first bytes.
//! - `admission`: which calls have waited too long to start; `lag` measures how long that was.
//! - `visitor`: who the peer has shown to be, and what it may.
//! - `permissions`: what the server's own methods and routes need, as a table.
//! - `session`: frames become calls, calls become replies; `calls` are those in flight;
//!   [`InMemory`] is a session without a socket.
//! - `buffers`: what all connections keep, bounded in sum.
//! - [`method`](mod@method): name → body; `arguments` bind values to parameters.
//! - [`extract`]: what a method takes in front of its parameters: the server's [`State`], the [`Call`].
//! - [`service`]: a named set of methods; what [`rpc_service`] makes of a trait.
//! - [`layer`]: tower layers around the methods.
//! - `reserved`: `all_your_methods` and `rpc.*`, the methods every server has.
//! - `catalogue`: methods that come and go while the server serves, and what discovery shows of all.
//! - [`builtin`]: the methods of the demo and of the original system.
//! - `http`: metrics, health and the OpenRPC document on the same port.
//! - [`announce`]: registers with a registry and sends heartbeats.
//! - `metrics`: counters and latencies behind `rpc.stats` and `/metrics`; `latency` counts each once for
//!   both.
//!
//! Inside: `server → acceptor → connection → session → dispatch → {calls, layered} → method`, `connection → http`.
//!
//! Needs Rust 1.95 or later.

mod acceptor;
mod admission;
#[cfg(feature = "announce")]
pub mod announce;
mod arguments;
mod buffers;
pub mod builtin;
mod call;
mod catalogue;
mod connection;
mod control;
mod drain;
mod error;
pub mod extract;
mod failure;
mod finite;
mod handle;
#[cfg(feature = "http")]
mod http;
mod lag;
mod latency;
pub mod layer;
mod limits;
pub mod method;
mod metrics;
mod older_clients;
mod permissions;
mod permit;
mod places;
mod reserved;
pub mod server;
pub mod service;
mod session;
mod sniff;
mod state;
mod visitor;

#[cfg(feature = "announce")]
pub use announce::Announce;
pub use call::{Call, Dialect, Identity, KeptBytes};
pub use error::ServerError;
pub use extract::{FromCall, State};
pub use failure::{Failure, MethodError, Typed};
pub use limits::Limits;
pub use method::Method;
pub use permissions::permissions;
pub use rpc_macros::{rpc_method, rpc_service};
pub use server::{Server, ServerBuilder, ServerHandle};
pub use session::InMemory;

// What the interface above is made of, of other crates: at the versions that it uses.
pub use futures_util::Stream;
pub use rpc_host::logging::LogRing;
pub use rpc_host::shares::Share;
pub use rpc_security as security;
pub use rpc_wire::call::Args;
pub use rpc_wire::fault::{Code, Fault};
pub use rpc_wire::signature::{self, Effect, Signature};
pub use tokio_util::sync::CancellationToken;
pub use {schemars, serde_json, tower};
