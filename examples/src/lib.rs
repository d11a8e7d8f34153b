//! Small complete programs: `cargo run --example service`, `cargo run --example caller`.
//!
//! - `service` and `caller`: a server with a registry, and a client of it.
//! - `state_and_call`: methods with the server's state and the context of the call.
//! - [`orders`]: a service as a trait; `orders_served` serves it and calls it with the typed client,
//!   `orders_in_process` calls the implementation with the same client.
//! - `layers`: tower layers that log and limit, around a server's methods and a client's calls.
//! - [`authority`]: signs certificates, for `secure`, which starts registry, servers, caller and console as processes
//!   with TLS and tokens, and for `secure_in_process`, which does it with the libraries.

pub mod authority;
pub mod orders;

/// Compiles the Rust of README.md.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// Compiles the Rust of docs/library.md.
#[cfg(doctest)]
#[doc = include_str!("../../docs/library.md")]
pub struct Library;
