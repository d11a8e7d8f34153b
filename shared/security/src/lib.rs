//! Who a caller is, and what it may: tokens, roles, and the one function that decides.
//!
//! In reading order:
//!
//! - [`Role`], [`Roles`]: what may be done at all.
//! - [`Identity`]: a name with roles, which may be limited to services and hosts.
//! - [`Access`]: what a daemon allows: [`Access::decide`] answers for every route and method, whatever
//!   the protocol. [`Permission`] is what one of them needs, [`Object`] what it is about, [`Caller`] who asks.
//! - [`Tokens`]: the identities that a daemon knows, each by its [`Credential`], the SHA-256 of a secret or a name
//!   of its certificate; [`TokenFile`]: the same from a file, read again when it changes.
//! - [`Guard`]: all of that together, at the doors of a daemon: identifies, decides, counts, and knows when
//!   to ask again; [`Shown`]: what a caller has shown on a connection.
//! - [`AuditLog`]: what was done and refused, in a file, none lost.
//! - [`PeerCertificate`]: who a client is by its certificate.
//! - [`secret`]: a client's secret, from a file that nobody else reads, and new ones.
//! - [`TlsOptions`], [`ClientTlsOptions`]: where certificates and keys are, and what is demanded.
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
//! Inside: `guard → access → identity → object`, `token_file → tokens → secret → {file, digest}`,
//! `tokens → credential → {certificate, digest}`.
//!
//! No sockets and no runtime. Needs Rust 1.95 or later.

mod access;
mod audit;
mod certificate;
mod credential;
mod digest;
mod file;
mod guard;
mod identity;
mod object;
mod role;
pub mod secret;
#[cfg(feature = "tls")]
pub mod tls;
mod tls_options;
mod token_file;
mod tokens;

pub use access::{Access, Auth, Caller, Decision, Denied, Permission};
pub use audit::AuditLog;
pub use certificate::{PeerCertificate, SERVICE_URI};
pub use credential::Credential;
pub use digest::{Digest, mark};
pub use file::FileError;
pub use guard::{Figures, Guard, REASONS, RELOAD_INTERVAL, Shown, TOKEN_REASONS};
pub use identity::{Bounds, Identity};
pub use ipnet::IpNet;
pub use object::Object;
pub use role::{Role, Roles, UnknownRole};
pub use tls_options::{ClientTlsOptions, Require, TlsOptions, TlsVersion};
pub use token_file::TokenFile;
pub use tokens::{MAX_BYTES, MAX_TOKENS, NotIdentified, Tokens, TokensError};
