//! How bytes reach a member: HTTP/1.1 over TCP, or over TLS.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use url::Url;

use super::{EtcdError, EtcdOptions};

#[cfg(feature = "etcd-tls")]
type Connector = hyper_rustls::HttpsConnector<HttpConnector>;
#[cfg(not(feature = "etcd-tls"))]
type Connector = HttpConnector;

/// Connections to members, kept open between requests.
#[derive(Debug)]
pub(super) struct Transport(Mutex<Client<Connector, Full<Bytes>>>);

impl Transport {
    /// # Errors
    /// What the options name for TLS cannot be used.
    pub(super) fn new(options: &EtcdOptions) -> Result<Self, String> {
        client(options).map(Mutex::new).map(Self)
    }

    /// Reads the files for TLS again, which may be others by now; open connections go on.
    ///
    /// # Errors
    /// They cannot be used: what was read before is used on.
    pub(super) fn reload(&self, options: &EtcdOptions) -> Result<(), String> {
        if is_secure(options) {
            let client = client(options)?;
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = client;
        }
        Ok(())
    }

    /// The head of the response to a request.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
        member: &Url,
    ) -> Result<Response<Incoming>, EtcdError> {
        let client = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        client.request(request).await.map_err(|error| EtcdError::of(&error, member))
    }
}

/// Whether members are reached by TLS: all are, or none.
pub(super) fn is_secure(options: &EtcdOptions) -> bool {
    options.endpoints.iter().any(|url| url.starts_with("https:"))
}

/// How many probes of an idle connection may stay without an answer.
const PROBES: u32 = 2;
/// After this time a connection that nobody uses is closed.
const MAX_IDLE: Duration = Duration::from_secs(60);

fn client(options: &EtcdOptions) -> Result<Client<Connector, Full<Bytes>>, String> {
    let timeout = Some(options.request_timeout);
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(timeout);
    tcp.set_nodelay(true);
    // A watch whose member has vanished would be silent for ever.
    tcp.set_keepalive(timeout);
    tcp.set_keepalive_interval(timeout);
    tcp.set_keepalive_retries(Some(PROBES));
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(MAX_IDLE);
    Ok(builder.build(connector(options, tcp)?))
}

#[cfg(feature = "etcd-tls")]
fn connector(options: &EtcdOptions, mut tcp: HttpConnector) -> Result<Connector, String> {
    tcp.enforce_http(false);
    let tls = super::tls::config(options)?;
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls);
    let builder = match is_secure(options) {
        true => builder.https_only(),
        false => builder.https_or_http(),
    };
    Ok(builder.enable_http1().wrap_connector(tcp))
}

#[cfg(not(feature = "etcd-tls"))]
fn connector(options: &EtcdOptions, tcp: HttpConnector) -> Result<Connector, String> {
    match is_secure(options) {
        true => Err("this program was built without TLS; write http://HOST:PORT".to_owned()),
        false => Ok(tcp),
    }
}
