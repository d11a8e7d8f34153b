//! TLS to what is at `https://`.

use std::sync::Arc;

use reqwest::ClientBuilder;
use rpc_security::ClientTlsOptions;
use rpc_security::tls::rustls::{ClientConfig, RootCertStore, crypto};
use rpc_security::tls::{ClientTls, TlsError};

/// With the authorities and the certificate that the options name, where it is at `https://`.
pub(crate) fn with(
    builder: ClientBuilder,
    is_secure: bool,
    options: &ClientTlsOptions,
) -> Result<(ClientBuilder, Option<Arc<ClientTls>>), TlsError> {
    if !is_secure {
        // Its own would read the authorities of the system for nothing, and fail where there are none.
        return Ok((builder.tls_backend_preconfigured(trusts_nobody()?), None));
    }
    let tls = Arc::new(ClientTls::load(options)?);
    let builder = builder.https_only(true).tls_backend_preconfigured(tls.config()?);
    Ok((builder, Some(tls)))
}

fn trusts_nobody() -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| TlsError::Setup(error.to_string()))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}
