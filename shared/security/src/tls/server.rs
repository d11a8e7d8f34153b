//! What a daemon shows to its clients and demands of them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;

use super::certificate;
use super::error::TlsError;
use super::explain::explain;
use super::files::{self, Own, Watched};
use super::provider::{provider, supported};
use crate::{PeerCertificate, Require, TlsOptions};

impl TlsOptions {
    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.cert, &self.key, &self.client_ca, &self.crl].into_iter().flatten()
    }

    /// The certificate and key, if there is TLS at all.
    fn own(&self) -> Result<Option<(&PathBuf, &PathBuf)>, TlsError> {
        let incomplete = |given, missing| Err(TlsError::Incomplete { given, missing });
        match (&self.cert, &self.key) {
            (Some(_), None) => incomplete("cert", "key"),
            (None, Some(_)) => incomplete("key", "cert"),
            (None, None) if self.client_ca.is_some() => incomplete("client_ca", "cert"),
            (None, None) if self.require != Require::Nothing => incomplete("require", "cert"),
            (_, _) if self.crl.is_some() && self.client_ca.is_none() => {
                incomplete("crl", "client_ca")
            }
            (_, _) if self.require == Require::Certificate && self.client_ca.is_none() => {
                incomplete("require = certificate", "client_ca")
            }
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => Ok(Some((cert, key))),
        }
    }
}

/// A daemon's TLS, for those who take the current configuration at any time, and one who asks whether the files
/// have changed.
#[derive(Debug)]
pub struct ServerTls {
    options: TlsOptions,
    current: ArcSwap<Loaded>,
    watched: Mutex<Watched>,
}

/// What the files held when they could last be used.
#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    verifier: Arc<dyn ClientCertVerifier>,
    not_after: SystemTime,
}

impl ServerTls {
    /// Reads the files; `None` without a certificate.
    ///
    /// # Errors
    /// A file cannot be read or is not what it should be, the own certificate is not valid now, or an option
    /// lacks another: the daemon must not start.
    pub fn load(options: &TlsOptions) -> Result<Option<Self>, TlsError> {
        if options.own()?.is_none() {
            return Ok(None);
        }
        Self::load_at(options, SystemTime::now()).map(Some)
    }

    pub(super) fn load_at(options: &TlsOptions, now: SystemTime) -> Result<Self, TlsError> {
        let watched = Mutex::new(Watched::new(options.paths()));
        let current = ArcSwap::from_pointee(load(options, now)?);
        Ok(Self { options: options.clone(), current, watched })
    }

    /// Reads the files again if one has changed since the last time, and says whether others hold now.
    /// Connections that are open stay. Blocks for the files; to be called once a second.
    ///
    /// # Errors
    /// They cannot be used, and what was read before holds on; said once for each content.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if !watched.have_changed() {
            return Ok(false);
        }
        self.current.store(Arc::new(load(&self.options, SystemTime::now())?));
        Ok(true)
    }

    /// The configuration for a handshake.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }

    /// What every connection must have.
    pub fn requires(&self) -> Require {
        self.options.require
    }

    /// Until when the own certificate is valid.
    pub fn not_after(&self) -> SystemTime {
        self.current.load().not_after
    }

    /// The client of a handshake that is over, by the chain that it showed. A session that is resumed brings the
    /// chain of its first handshake: hence it is verified here, too.
    ///
    /// # Errors
    /// It is not accepted, for this reason.
    pub fn client(
        &self,
        chain: &[CertificateDer<'_>],
        now: SystemTime,
    ) -> Result<PeerCertificate, String> {
        let certificate = certificate::of_chain(chain);
        let certificate = certificate.ok_or_else(|| "it cannot be read".to_owned())?;
        self.accepts(&certificate, now)?;
        Ok(certificate)
    }

    /// Whether a certificate that was accepted still would be: it may have expired, or been revoked.
    ///
    /// # Errors
    /// Why not.
    pub fn accepts(&self, certificate: &PeerCertificate, now: SystemTime) -> Result<(), String> {
        let chain: Vec<CertificateDer<'_>> =
            certificate.chain.iter().map(|der| der.as_slice().into()).collect();
        let Some((first, between)) = chain.split_first() else {
            return Err("there is none".to_owned());
        };
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(since_epoch);
        let verified = self.current.load().verifier.verify_client_cert(first, between, now);
        verified.map(drop).map_err(|error| explain(&error).text)
    }
}

fn load(options: &TlsOptions, now: SystemTime) -> Result<Loaded, TlsError> {
    let Some((cert, key)) = options.own()? else {
        return Err(TlsError::Incomplete { given: "TLS", missing: "cert" });
    };
    let Own { key, not_after } = files::own(cert, key, now)?;
    let verifier = verifier(options)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(supported(options.min_version))
        .map_err(setup)?
        .with_client_cert_verifier(Arc::clone(&verifier))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    // A request in the first flight could be sent again by whoever has seen it.
    config.max_early_data_size = 0;
    Ok(Loaded { config: Arc::new(config), verifier, not_after })
}

fn verifier(options: &TlsOptions) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(client_ca) = &options.client_ca else { return Ok(Arc::new(NoClientAuth)) };
    let roots = Arc::new(files::roots(client_ca)?);
    let revoked = options.crl.as_deref().map(files::revoked).transpose()?;
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
    let builder = builder.with_crls(revoked.into_iter().flatten());
    let builder = match options.require {
        Require::Certificate => builder,
        Require::Nothing | Require::Tls => builder.allow_unauthenticated(),
    };
    let built = builder.build();
    built.map(|verifier| verifier as Arc<dyn ClientCertVerifier>).map_err(|error| {
        let path = options.crl.as_ref().unwrap_or(client_ca);
        files::content(path, format!("cannot be used ({error})"), "make it again")
    })
}

fn setup(error: impl std::fmt::Display) -> TlsError {
    TlsError::Setup(error.to_string())
}
