//! TLS without a socket: what a daemon shows and demands, what a client trusts.
//!
//! In reading order:
//!
//! - [`TlsOptions`]: a daemon's files. [`ServerTls`]: what they hold, replaced when they change.
//! - [`PeerCertificate`](crate::PeerCertificate): who a client is, by the names of its certificate.
//! - [`ClientTlsOptions`], [`ClientTls`]: whom a client trusts, and who it is itself. [`ServerIdentity`] is whom
//!   it expects: a host, or a service.
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

pub use client::{ClientTls, ClientTlsOptions, ServerIdentity, WrongService};
pub use error::TlsError;
pub use explain::{Explained, explain};
pub use server::{Require, ServerTls, TlsOptions};
pub use {rustls, rustls::pki_types};

/// The oldest version of TLS that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3.
    V1_2,
    /// TLS 1.3 only.
    #[default]
    V1_3,
}

impl TlsVersion {
    /// Every version with the name it has in settings.
    pub const ALL: [(&'static str, Self); 2] = [("1.2", Self::V1_2), ("1.3", Self::V1_3)];

    fn supported(self) -> &'static [&'static SupportedProtocolVersion] {
        static FROM_1_2: [&SupportedProtocolVersion; 2] =
            [&rustls::version::TLS13, &rustls::version::TLS12];
        match self {
            Self::V1_2 => &FROM_1_2,
            Self::V1_3 => &FROM_1_2[..1],
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}
