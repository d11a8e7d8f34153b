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

/// The member's certificate has to be signed by one of `ca`, or else of this machine's, and made out to the host of
/// its endpoint.
///
/// # Errors
/// A file cannot be read, or does not have what it should.
pub(super) fn config(options: &EtcdOptions) -> Result<ClientConfig, String> {
    let EtcdOptions { ca, cert, key, .. } = options;
    let roots = match ca {
        Some(ca) => roots(ca)?,
        None => roots_of_machine()?,
    };
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

fn roots(ca: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate).map_err(|error| format!("{}: {error}", ca.display()))?;
    }
    Ok(roots)
}

fn roots_of_machine() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    // Some machines have certificates that nobody can use any more.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match roots.is_empty() {
        true => Err("this machine has no certificates to believe (ca-certificates); install them, or set ca in [etcd]".to_owned()),
        false => Ok(roots),
    }
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
