//! Whom a client trusts, and who it is itself.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ResolvesClientCert, Resumption, WantsClientCert, WebPkiServerVerifier,
    verify_server_cert_signed_by_trust_anchor,
};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, ConfigBuilder, DigitallySignedStruct, Error,
    OtherError, RootCertStore, SignatureScheme,
};

use super::certificate::Facts;
use super::error::{TlsError, WrongService};
use super::files::{self, Watched};
use super::provider::{provider, supported};
use crate::{ClientTlsOptions, SERVICE_URI};

/// Who a server must be by its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerIdentity<'a> {
    /// The host that the caller named: a DNS name or an IP address.
    Host(&'a str),
    /// The service, by its URI; `at` is where it is said to be, which proves nothing.
    Service {
        /// Its name.
        name: &'a str,
        /// The host, which the server may need to choose its certificate.
        at: &'a str,
    },
}

/// A client's TLS, for those who connect at any time. Files that have changed are read again.
#[derive(Debug)]
pub struct ClientTls {
    options: ClientTlsOptions,
    current: ArcSwap<Loaded>,
    watched: Mutex<(Watched, Instant)>,
}

/// What the files held when they could last be used.
#[derive(Debug)]
struct Loaded {
    roots: Arc<RootCertStore>,
    own: Option<Arc<SingleCertAndKey>>,
    verifier: Arc<WebPkiServerVerifier>,
    by_host: Arc<ClientConfig>,
}

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

impl ClientTls {
    /// Reads the files. Blocks for them.
    ///
    /// # Errors
    /// One cannot be read or is not what it should be, or the own certificate is not valid now.
    pub fn load(options: &ClientTlsOptions) -> Result<Self, TlsError> {
        let watched =
            Watched::new([&options.ca, &options.cert, &options.key].into_iter().flatten());
        let current = ArcSwap::from_pointee(load(options, SystemTime::now())?);
        let watched = Mutex::new((watched, Instant::now()));
        Ok(Self { options: options.clone(), current, watched })
    }

    /// Reads the files again if one has changed, which is looked at once a second at most. Says whether others hold
    /// now. Blocks for the files.
    ///
    /// # Errors
    /// They cannot be used, and what was read before holds on; said once for each content.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let (files, last) = &mut *watched;
        if last.elapsed() < LOOK {
            return Ok(false);
        }
        *last = Instant::now();
        if !files.have_changed() {
            return Ok(false);
        }
        self.current.store(Arc::new(load(&self.options, SystemTime::now())?));
        Ok(true)
    }

    /// Whether it is time to [`reload`](Self::reload).
    pub fn is_due(&self) -> bool {
        self.watched.lock().is_ok_and(|watched| watched.1.elapsed() >= LOOK)
    }

    /// The configuration for connections that verify the host of a URL, such as a registry's. It goes by what the
    /// files hold at the time of each handshake.
    ///
    /// # Errors
    /// The TLS library does not accept it.
    pub fn config(self: &Arc<Self>) -> Result<ClientConfig, TlsError> {
        let current = Arc::new(Current(Arc::clone(self)));
        let builder = builder(&self.options, Arc::clone(&current) as Arc<dyn ServerCertVerifier>)?;
        let mut config = builder.with_client_cert_resolver(current);
        // A session that is resumed is not verified again.
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    /// One end of a connection, which fails unless the other one is `expected`.
    ///
    /// # Errors
    /// The host is neither a name nor an address.
    pub fn connect(&self, expected: ServerIdentity<'_>) -> Result<ClientConnection, TlsError> {
        let loaded = self.current.load();
        let (config, host) = match expected {
            ServerIdentity::Host(host) => (Arc::clone(&loaded.by_host), host),
            ServerIdentity::Service { name, at } => {
                let verifier =
                    ByService { roots: Arc::clone(&loaded.roots), name: name.to_owned() };
                (Arc::new(config(&self.options, Arc::new(verifier), loaded.own.clone())?), at)
            }
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            TlsError::Setup(format!("{host:?} is neither the name of a host nor an address"))
        })?;
        ClientConnection::new(config, name).map_err(setup)
    }
}

fn load(options: &ClientTlsOptions, now: SystemTime) -> Result<Loaded, TlsError> {
    let roots = Arc::new(match &options.ca {
        Some(path) => files::roots(path)?,
        None => system_roots()?,
    });
    let own = match (&options.cert, &options.key) {
        (Some(cert), Some(key)) => Some(Arc::new(single(files::own(cert, key, now)?.key))),
        (None, None) => None,
        (Some(_), None) => {
            return Err(TlsError::Incomplete { given: "tls_cert", missing: "tls_key" });
        }
        (None, Some(_)) => {
            return Err(TlsError::Incomplete { given: "tls_key", missing: "tls_cert" });
        }
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider());
    let verifier = verifier.build().map_err(setup)?;
    let mut by_host = config(options, Arc::clone(&verifier) as _, own.clone())?;
    by_host.resumption = Resumption::in_memory_sessions(64);
    Ok(Loaded { roots, own, verifier, by_host: Arc::new(by_host) })
}

fn single(key: CertifiedKey) -> SingleCertAndKey {
    SingleCertAndKey::from(key)
}

fn config(
    options: &ClientTlsOptions,
    verifier: Arc<dyn ServerCertVerifier>,
    own: Option<Arc<SingleCertAndKey>>,
) -> Result<ClientConfig, TlsError> {
    let builder = builder(options, verifier)?;
    let mut config = match own {
        Some(own) => builder.with_client_cert_resolver(own),
        None => builder.with_no_client_auth(),
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn builder(
    options: &ClientTlsOptions,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, TlsError> {
    // Rustls calls it dangerous since a verifier could accept anything: those here do not.
    let versions = supported(options.min_version);
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions);
    Ok(builder.map_err(setup)?.dangerous().with_custom_certificate_verifier(verifier))
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // The system's own may hold some that nobody understands any more.
    roots.add_parsable_certificates(found.certs);
    match roots.is_empty() {
        true => {
            let why = found.errors.first().map(|error| format!(": {error}"));
            Err(TlsError::NoSystemRoots { why: why.unwrap_or_default() })
        }
        false => Ok(roots),
    }
}

fn setup(error: impl fmt::Display) -> TlsError {
    TlsError::Setup(error.to_string())
}

/// Verifies hosts, and shows a certificate, by what the files hold now.
#[derive(Debug)]
struct Current(Arc<ClientTls>);

impl ServerCertVerifier for Current {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verifier = &self.0.current.load().verifier;
        verifier.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

impl ResolvesClientCert for Current {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let own = self.0.current.load().own.clone()?;
        ResolvesClientCert::resolve(&*own, root_hint_subjects, schemes)
    }

    fn has_certs(&self) -> bool {
        self.0.current.load().own.is_some()
    }
}

/// Verifies that a certificate was issued for a service. Rustls does not look at URIs.
#[derive(Debug)]
struct ByService {
    roots: Arc<RootCertStore>,
    name: String,
}

impl ServerCertVerifier for ByService {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _at: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            algorithms().all,
        )?;
        let facts = Facts::read(end_entity)
            .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let is_it = |name: &String| name.strip_prefix(SERVICE_URI) == Some(self.name.as_str());
        if facts.names.iter().any(is_it) {
            return Ok(ServerCertVerified::assertion());
        }
        let addresses = facts.addresses.iter().map(IpAddr::to_string);
        let names = facts.names.iter().cloned().chain(addresses).collect();
        let wrong = WrongService { expected: self.name.clone(), names };
        Err(CertificateError::Other(OtherError(Arc::new(wrong))).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    provider().signature_verification_algorithms
}
