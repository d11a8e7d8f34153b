//! The certificate of a client: who it is, by its names.

use std::time::SystemTime;

/// What the URI begins with that names a service: `rpcd://service/orders`.
pub const SERVICE_URI: &str = "rpcd://service/";

/// The certificate of a client, which was verified. Only the handshake of TLS makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    pub(crate) names: Vec<String>,
    pub(crate) not_after: SystemTime,
    /// DER, its own first.
    pub(crate) chain: Vec<Vec<u8>>,
}

impl PeerCertificate {
    /// Whose it is: the URIs and DNS names of its subject alternative name, never its common name. The URI of
    /// a service, [`SERVICE_URI`] and its name, comes first.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The name of its service, if it names one.
    pub fn service(&self) -> Option<&str> {
        self.names.iter().find_map(|name| name.strip_prefix(SERVICE_URI))
    }

    /// Until when it is valid.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }
}

/// Whether two names are one: DNS names whatever their case, URIs, which have a colon, as they are.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    match one.contains(':') {
        true => one == other,
        false => one.eq_ignore_ascii_case(other),
    }
}
