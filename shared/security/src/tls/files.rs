//! The files of TLS: certificates, keys, lists of revoked certificates.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::certificate::{Facts, date};
use super::error::TlsError;
use super::provider::provider;
use crate::file::{Demand, read};
use crate::token_file::Stamp;

/// The largest file: a list of revoked certificates may be long.
const MAX_BYTES: u64 = 16 << 20;

/// A certificate with its key, and until when it is valid.
pub(super) struct Own {
    pub(super) key: CertifiedKey,
    pub(super) not_after: SystemTime,
}

/// The chain in `cert` and its key, if it is valid at `now`.
pub(super) fn own(cert: &Path, key: &Path, now: SystemTime) -> Result<Own, TlsError> {
    let chain = certificates(cert)?;
    let facts = chain.first().and_then(|first| Facts::read(first));
    let facts = facts.ok_or_else(|| unreadable_certificate(cert))?;
    let not_valid = |when, advice| TlsError::NotValid { path: cert.to_owned(), when, advice };
    if facts.not_after <= now {
        let when = format!("expired at {}", date(facts.not_after));
        return Err(not_valid(when, "replace it by one that is valid"));
    }
    if facts.not_before > now {
        let when = format!("is not valid before {}", date(facts.not_before));
        return Err(not_valid(when, "wait, set the clock right, or replace it"));
    }
    let text = read(key, MAX_BYTES, Demand::Private)?;
    let private = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| {
        let advice = "give a PEM file with the private key, unencrypted";
        content(key, format!("holds no private key ({error})"), advice)
    })?;
    let certified = CertifiedKey::from_der(chain, private, &provider());
    let key = certified.map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::KeyMismatch { key: key.to_owned(), cert: cert.to_owned() }
        }
        error => {
            let what = format!("holds no key that can be used ({error})");
            content(key, what, "make one of ECDSA P-256, Ed25519 or RSA with 2048 bits or more")
        }
    })?;
    Ok(Own { key, not_after: facts.not_after })
}

/// The authorities in a file.
pub(super) fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| {
            let what = format!("holds a certificate that no authority can have ({error})");
            content(path, what, "give the certificates of authorities (CAs)")
        })?;
    }
    Ok(roots)
}

/// The names of the first certificate in a PEM file, by which a daemon knows it: URIs of services first.
///
/// # Errors
/// It cannot be read, or holds no certificate.
pub fn names(path: &Path) -> Result<Vec<String>, TlsError> {
    let chain = certificates(path)?;
    let facts = chain.first().and_then(|first| Facts::read(first));
    Ok(facts.ok_or_else(|| unreadable_certificate(path))?.names)
}

/// The lists of revoked certificates in a file.
pub(super) fn revoked(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    pem_items(path, "list of revoked certificates", "give a PEM file with an X509 CRL")
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    pem_items(path, "certificate", "give a PEM file with a CERTIFICATE")
}

fn pem_items<T: PemObject>(
    path: &Path,
    what: &str,
    advice: &'static str,
) -> Result<Vec<T>, TlsError> {
    let text = read(path, MAX_BYTES, Demand::Unwritable)?;
    let items: Result<Vec<_>, pem::Error> = T::pem_slice_iter(text.as_bytes()).collect();
    let items =
        items.map_err(|error| content(path, format!("is no PEM file ({error})"), advice))?;
    match items.is_empty() {
        true => Err(content(path, format!("holds no {what}"), advice)),
        false => Ok(items),
    }
}

fn unreadable_certificate(path: &Path) -> TlsError {
    content(path, "holds a certificate that cannot be read".to_owned(), "make it again")
}

pub(super) fn content(path: &Path, what: String, advice: &'static str) -> TlsError {
    TlsError::Content { path: path.to_owned(), what, advice }
}

/// Some files as they were last seen, whether that could be used or not.
#[derive(Debug, Default)]
pub(super) struct Watched(Vec<(PathBuf, Option<Stamp>)>);

impl Watched {
    /// As they are now. To be taken before they are read: what changes meanwhile is read again.
    pub(super) fn new<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        Self(paths.into_iter().map(|path| (path.clone(), stamp(path))).collect())
    }

    /// Whether one has changed since this was asked last.
    pub(super) fn have_changed(&mut self) -> bool {
        let mut changed = false;
        for (path, last) in &mut self.0 {
            let now = stamp(path);
            changed |= *last != now;
            *last = now;
        }
        changed
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    std::fs::metadata(path).ok().map(|metadata| Stamp::of(&metadata))
}
