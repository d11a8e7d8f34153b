//! A certificate: its names and the time for which it is valid.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::{PeerCertificate, SERVICE_URI};

/// More names of one certificate are not looked at.
const MAX_NAMES: usize = 100;

/// The first certificate of a chain, as far as it can be read.
pub(super) fn of_chain(chain: &[CertificateDer<'_>]) -> Option<PeerCertificate> {
    let facts = Facts::read(chain.first()?)?;
    let chain = chain.iter().map(|der| der.to_vec()).collect();
    Some(PeerCertificate { names: facts.names, not_after: facts.not_after, chain })
}

/// What is read of a certificate.
pub(super) struct Facts {
    /// URIs of services first.
    pub(super) names: Vec<String>,
    /// IP addresses, which name nobody.
    pub(super) addresses: Vec<IpAddr>,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl Facts {
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let alternatives = certificate.subject_alternative_name().ok()?;
        let mut names: Vec<String> = alternatives
            .iter()
            .flat_map(|extension| &extension.value.general_names)
            // A DNS name that looks like a URI would pass for one: an authority for DNS names could name a service.
            .filter_map(|name| match name {
                GeneralName::URI(name) => name.contains(':').then(|| (*name).to_owned()),
                GeneralName::DNSName(name) => (!name.contains(':')).then(|| (*name).to_owned()),
                _ => None,
            })
            .take(MAX_NAMES)
            .collect();
        names.sort_by_key(|name| !name.starts_with(SERVICE_URI));
        let addresses = alternatives
            .iter()
            .flat_map(|extension| &extension.value.general_names)
            .filter_map(|name| match name {
                GeneralName::IPAddress(bytes) => address(bytes),
                _ => None,
            })
            .take(MAX_NAMES)
            .collect();
        let validity = certificate.validity();
        Some(Self {
            names,
            addresses,
            not_before: time(validity.not_before.timestamp()),
            not_after: time(validity.not_after.timestamp()),
        })
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4().or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}

fn time(seconds: i64) -> SystemTime {
    let span = Duration::from_secs(seconds.unsigned_abs());
    match seconds < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(span),
        false => SystemTime::UNIX_EPOCH.checked_add(span),
    }
    .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A day and a time, in UTC.
pub(super) fn date(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}
