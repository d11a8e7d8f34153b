//! Which files hold certificates and keys, and what is demanded.

use std::path::PathBuf;

/// The files of a daemon's TLS; without [`cert`](Self::cert) it speaks none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsOptions {
    /// PEM file of its certificate, and of those between it and an authority.
    pub cert: Option<PathBuf>,
    /// PEM file of its private key, which others must not be able to read.
    pub key: Option<PathBuf>,
    /// PEM file of the authorities of clients' certificates; `None`: clients are not asked for one.
    pub client_ca: Option<PathBuf>,
    /// PEM file of revoked certificates of clients: the lists of all authorities that issue them.
    pub crl: Option<PathBuf>,
    /// What every connection must have; [`Require::Nothing`].
    pub require: Require,
    /// The oldest version that is spoken; 1.3.
    pub min_version: TlsVersion,
}

/// What every connection must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Require {
    /// Nothing: plain text is served as well.
    #[default]
    Nothing,
    /// TLS.
    Tls,
    /// TLS, with a certificate of one of the clients' authorities.
    Certificate,
}

impl Require {
    /// Every demand with the name it has in settings.
    pub const ALL: [(&'static str, Self); 3] =
        [("nothing", Self::Nothing), ("tls", Self::Tls), ("certificate", Self::Certificate)];
}

impl TlsOptions {
    /// Whether anything is set: then TLS is spoken, or the options are wrong.
    pub fn is_on(&self) -> bool {
        *self != Self { min_version: self.min_version, ..Self::default() }
    }
}

/// Whom a client trusts, and who it is itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientTlsOptions {
    /// PEM file of the authorities that are trusted; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// PEM file of the client's own certificate, for servers that ask for one; `None`: it has none.
    pub cert: Option<PathBuf>,
    /// PEM file of its private key, which others must not be able to read.
    pub key: Option<PathBuf>,
    /// The oldest version that is spoken; 1.3.
    pub min_version: TlsVersion,
}

impl ClientTlsOptions {
    /// Whether a file is named: nobody names one and wants plain text.
    pub fn names_a_file(&self) -> bool {
        self.ca.is_some() || self.cert.is_some() || self.key.is_some()
    }
}

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
}
