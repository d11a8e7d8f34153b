//! TLS towards members: whom this registry believes, and how it shows who it is.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::EtcdOptions;
use super::files::{read, read_secret};

/// Certificates and keys are shorter.
const MAX_BYTES: u64 = 1 << 20;

/// The member's certificate has to be signed by one of `ca`, and made out to the host of its endpoint.
///
/// # Errors
/// A file cannot be read, or does not have what it should.
pub(super) fn config(options: &EtcdOptions) -> Result<ClientConfig, String> {
    let EtcdOptions { ca, cert, key, .. } = options;
    let mut roots = RootCertStore::empty();
    for certificate in ca.as_deref().map(certificates).transpose()?.unwrap_or_default() {
        roots.add(certificate).map_err(|error| format!("ca: {error}"))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let (Some(cert), Some(key)) = (cert, key) else { return Ok(builder.with_no_client_auth()) };
    let wrong = |error: &dyn std::fmt::Display| {
        format!("{} and {}: {error}; they belong together", cert.display(), key.display())
    };
    builder
        .with_client_auth_cert(certificates(cert)?, private_key(key)?)
        .map_err(|error| wrong(&error))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = read(file, MAX_BYTES)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) => Err(format!("{}: there is no certificate in it", file.display())),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = read_secret(file, MAX_BYTES)?;
    PrivateKeyDer::from_pem_slice(&text)
        .map_err(|error| format!("{}: there is no private key in it: {error}", file.display()))
}
