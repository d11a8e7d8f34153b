//! TLS without a socket: what a daemon shows and demands, what a client trusts.
//!
//! In reading order:
//!
//! - [`ServerTls`]: what a daemon's files ([`TlsOptions`](crate::TlsOptions)) hold, replaced when they change.
//! - [`PeerCertificate`](crate::PeerCertificate): who a client is, by the names of its certificate.
//! - [`ClientTls`]: whom a client trusts, and who it is itself ([`ClientTlsOptions`](crate::ClientTlsOptions)).
//!   [`ServerIdentity`] is whom it expects: a host, or a service.
//! - [`names`]: what names a certificate has, for people.
//! - [`TlsError`]: why files are not used. [`explain`]: why a handshake failed, for people.
//!
//! Inside: `{server, client} → files → {certificate, error}`. Nothing here can skip a verification.

mod certificate;
mod client;
mod error;
mod explain;
mod files;
mod provider;
mod server;
#[cfg(test)]
mod tests;

pub use client::{ClientTls, ServerIdentity};
pub use error::{TlsError, WrongService};
pub use explain::{Explained, explain};
pub use files::names;
pub use server::ServerTls;
pub use {rustls, rustls::pki_types};
