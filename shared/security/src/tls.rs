//! TLS without a socket: what a daemon shows and demands, what a client trusts.
//!
//! In reading order:
//!
//! - [`ServerTls`]: what a daemon's files ([`TlsOptions`](crate::TlsOptions)) hold, replaced when they change.
//! - [`PeerCertificate`](crate::PeerCertificate): who a client is, by the names of its certificate.
//! - [`ClientTls`]: whom a client trusts, and who it is itself ([`ClientTlsOptions`](crate::ClientTlsOptions)).
//!   [`ServerIdentity`] is whom it expects: a host, or a service.
//! - [`TlsError`]: why files are not used. [`explain`]: why a handshake failed, for people.
//!
//! Nothing here can skip a verification.

mod certificate;
mod client;
mod error;
mod explain;
mod files;
mod server;
#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;

use crate::TlsVersion;

pub use client::{ClientTls, ServerIdentity, WrongService};
pub use error::TlsError;
pub use explain::{Explained, explain};
pub use server::ServerTls;
pub use {rustls, rustls::pki_types};

fn supported(oldest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_1_2: [&SupportedProtocolVersion; 2] =
        [&rustls::version::TLS13, &rustls::version::TLS12];
    match oldest {
        TlsVersion::V1_2 => &FROM_1_2,
        TlsVersion::V1_3 => &FROM_1_2[..1],
    }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}
