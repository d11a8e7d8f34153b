//! The way to a peer: its address, and who has to be there.

use std::sync::Arc;

#[cfg(feature = "tls")]
use rpc_security::tls::ServerIdentity;
use rpc_socket::Socket;
use rpc_wire::instance::{Tls, host_port};

use super::connect::{connect, unreachable};
use crate::context::Context;
use crate::{CallError, ListedAs};

/// The way to a peer.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// `host:port`. There may be a hundred thousand peers: the host is not kept twice.
    name: Arc<str>,
    port: u16,
    expected: Expected,
}

/// Who has to be there, where the connection can prove it.
#[derive(Debug, Clone)]
enum Expected {
    /// The host that the caller named.
    Host,
    /// The service that the registry lists, if it says which; and what it says of TLS.
    Service(Option<Arc<str>>, Option<Tls>),
}

impl Route {
    /// The way to an address that the caller named.
    pub(crate) fn to(host: &str, port: u16) -> Self {
        Self::expecting(host, port, Expected::Host)
    }

    /// The way to an instance of a registry, which could name any address.
    pub(crate) fn to_listed(
        host: &str,
        port: u16,
        service: Option<&str>,
        tls: Option<Tls>,
    ) -> Self {
        Self::expecting(host, port, Expected::Service(service.map(Arc::from), tls))
    }

    /// The way to an address: that of an instance, if a registry gave it.
    pub(crate) fn as_listed(host: &str, port: u16, listed: Option<&ListedAs>) -> Self {
        match listed {
            Some(ListedAs { service, tls }) => {
                Self::to_listed(host, port, service.as_deref(), *tls)
            }
            None => Self::to(host, port),
        }
    }

    fn expecting(host: &str, port: u16, expected: Expected) -> Self {
        Self { name: host_port(host, port).into(), port, expected }
    }

    /// `host:port`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    pub(super) fn host(&self) -> &str {
        let host = self.name.rsplit_once(':').map_or(&*self.name, |(host, _port)| host);
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Whether the caller named the address: a server of any make may be there.
    pub(super) fn is_named(&self) -> bool {
        matches!(self.expected, Expected::Host)
    }

    /// A new connection, inside TLS if the client is told so.
    pub(super) async fn connect(&self, context: &Context) -> Result<Socket, CallError> {
        self.check(context)?;
        let stream = connect(self.host(), self.port, context.options.tcp_user_timeout).await;
        let stream = stream.map_err(|error| unreachable(&self.name, &error))?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &context.tls {
            let expected = match &self.expected {
                Expected::Service(Some(name), _) => {
                    ServerIdentity::Service { name, at: self.host() }
                }
                Expected::Host | Expected::Service(None, _) => ServerIdentity::Host(self.host()),
            };
            return crate::tls::secure(tls, stream, expected, &self.name).await;
        }
        Ok(Socket::Plain(stream))
    }

    /// Whether both sides can speak alike, as far as the registry says.
    fn check(&self, context: &Context) -> Result<(), CallError> {
        #[cfg(feature = "tls")]
        let is_secure = context.tls.is_some();
        #[cfg(not(feature = "tls"))]
        let (is_secure, _) = (false, context);
        let reason = match &self.expected {
            Expected::Service(_, Some(Tls::Required)) if !is_secure => {
                "it takes TLS only; call it with TLS (rpcd call --tls)"
            }
            Expected::Service(None, _) if is_secure => {
                "the registry does not say of which service it is, by which its certificate would be verified"
            }
            _ => return Ok(()),
        };
        Err(CallError::Insecure { peer: self.name.to_string(), reason: reason.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_what_the_way_was_made_of() {
        for host in ["10.0.0.1", "::1", "fe80::1", "a.example"] {
            assert_eq!(Route::to(host, 8089).host(), host);
        }
    }
}
