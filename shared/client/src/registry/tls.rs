//! TLS to registries at `https://`.

use std::sync::Arc;

use reqwest::ClientBuilder;
use rpc_security::tls::rustls::{ClientConfig, RootCertStore, crypto};
use rpc_security::tls::{ClientTls, TlsError};

use super::addresses::Addresses;
use super::{RegistryClientError, RegistryClientOptions};

/// With the authorities and the certificate that the options name, where the registry is at `https://`.
pub(super) fn with(
    builder: ClientBuilder,
    addresses: &Addresses,
    options: &RegistryClientOptions,
) -> Result<(ClientBuilder, Option<Arc<ClientTls>>), RegistryClientError> {
    if !addresses.are_secure() {
        // Its own would read the authorities of the system for nothing, and fail where there are none.
        return Ok((builder.tls_backend_preconfigured(trusts_nobody()?), None));
    }
    let load = || {
        let tls = Arc::new(ClientTls::load(&options.tls)?);
        Ok((tls.config()?, tls))
    };
    let (config, tls) = load().map_err(RegistryClientError::Tls)?;
    Ok((builder.https_only(true).tls_backend_preconfigured(config), Some(tls)))
}

fn trusts_nobody() -> Result<ClientConfig, RegistryClientError> {
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder =
        builder.map_err(|error| RegistryClientError::Tls(TlsError::Setup(error.to_string())))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
