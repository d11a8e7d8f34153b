//! Who a caller is, and what it may: tokens, roles, and the one function that decides.
//!
//! In reading order:
//!
//! - [`Role`], [`Roles`]: what may be done at all.
//! - [`Identity`]: a name with roles, which may be limited to services and hosts.
//! - [`Access`]: what a daemon allows: [`Access::decide`] answers for every route and method, whatever
//!   the protocol. [`Permission`] is what one of them needs, [`Object`] what it is about, [`Caller`] who asks.
//! - [`Tokens`]: the identities that a daemon knows, by the SHA-256 of their secrets; [`TokenFile`]: the
//!   same from a file, read again when it changes.
//! - [`secret`]: a client's secret, from a file that nobody else reads, and new ones.
//! - `tls` (with that feature): the certificates of daemons and clients, and whom each trusts.
//!
//! ```
//! use std::time::SystemTime;
//! use rpc_security::{Access, Auth, Caller, Object, Permission, Role, Tokens, secret};
//!
//! let secret = secret::generate();
//! let tokens = Tokens::parse(&secret::line("ci", &[Role::Call], &secret)).unwrap();
//! let ci = tokens.identify(&secret, SystemTime::now()).unwrap();
//!
//! let access = Access { auth: Auth::Required, ..Access::default() };
//! let caller = Caller { identity: Some(&ci), address: "10.1.2.3".parse().unwrap() };
//! assert!(access.decide(caller, Permission::Needs(Role::Call), Object::default()).is_allowed());
//! assert!(!access.decide(caller, Permission::Needs(Role::Operate), Object::default()).is_allowed());
//! ```
//!
//! No sockets and no runtime. Needs Rust 1.95 or later.

mod access;
mod file;
mod identity;
mod role;
pub mod secret;
#[cfg(feature = "tls")]
pub mod tls;
mod tokens;

pub use access::{Access, Auth, Caller, Decision, Denied, Object, Permission};
pub use file::{FileError, TokenFile};
pub use identity::Identity;
pub use role::{Role, Roles, UnknownRole};
pub use tokens::{Digest, MAX_BYTES, MAX_TOKENS, NotIdentified, Tokens, TokensError};
