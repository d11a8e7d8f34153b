//! The certificate that a client has shown.

#[cfg(feature = "tls")]
use std::sync::Arc;

#[cfg(feature = "tls")]
use rpc_security::tls::PeerCertificate;

/// The certificate that the client of a connection has shown, which was verified; or none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    #[cfg(feature = "tls")]
    pub(crate) certificate: Option<Arc<PeerCertificate>>,
}

impl Shown {
    /// The names in it, `rpcd://service/NAME` first; none without one.
    pub(crate) fn names(&self) -> &[String] {
        #[cfg(feature = "tls")]
        return self.certificate.as_deref().map_or(&[], PeerCertificate::names);
        #[cfg(not(feature = "tls"))]
        &[]
    }
}
