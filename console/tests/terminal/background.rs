//! What runs beside the console in this process: a runtime for registries and servers.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};

use rpc_tests::reserved_port::ReservedPort;

/// Tasks beside the test; dropping it ends them at once, as a crash would.
pub(crate) struct Background(Option<tokio::runtime::Runtime>);

impl Background {
    pub(crate) fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        Self(Some(builder.worker_threads(1).enable_all().build().unwrap()))
    }

    fn runtime(&self) -> &tokio::runtime::Runtime {
        self.0.as_ref().unwrap()
    }

    pub(crate) fn wait_for<T>(&self, task: impl Future<Output = T>) -> T {
        self.runtime().block_on(task)
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime().spawn(task);
    }

    /// Serves on a free port until this is dropped; returns the address.
    pub(crate) fn serve(&self, server: rpc_server::ServerBuilder) -> SocketAddr {
        self.serve_at((Ipv4Addr::LOCALHOST, 0).into(), server, std::future::pending())
    }

    /// Serves at this address until `stop` is done; it unregisters then.
    pub(crate) fn serve_at(
        &self,
        address: SocketAddr,
        server: rpc_server::ServerBuilder,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> SocketAddr {
        let bound = self.wait_for(server.bind(address)).unwrap();
        let address = bound.local_addr();
        self.spawn(async move {
            let _ = bound.serve(stop).await;
        });
        address
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A registry in this process; stops when dropped.
pub(crate) struct Registry(#[expect(dead_code, reason = "dropping it stops it")] Background);

impl Registry {
    pub(crate) fn start(port: &ReservedPort) -> Self {
        let background = Background::new();
        let options = rpc_registry::RegistryOptions::default();
        let registry = rpc_registry::Registry::bind(port.address(), options);
        let registry = background.wait_for(registry).unwrap();
        background.spawn(async move {
            let _ = registry.serve(std::future::pending()).await;
        });
        Self(background)
    }
}
