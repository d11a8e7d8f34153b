//! A client as a tower service, and with layers: logging, limits, caches and whatever else wraps a call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tower::{BoxError, Layer, Service};

use crate::layers::Layers;
use crate::{CallError, Client, Request, Response};

impl Client {
    /// The same client, which shares its connections, with a layer around every call: around a call as a
    /// whole, its attempts on several instances included. Streams do not pass through layers.
    ///
    /// A later layer is around the earlier ones. Errors of a layer that are no [`CallError`] become
    /// [`CallError::Layer`].
    ///
    /// ```
    /// use rpc_client::{Client, ClientOptions};
    /// use tower::limit::ConcurrencyLimitLayer;
    ///
    /// let client = Client::direct("127.0.0.1:8080", ClientOptions::default())?;
    /// let polite = client.layer(ConcurrencyLimitLayer::new(8));
    /// # Ok::<(), rpc_client::ClientError>(())
    /// ```
    #[must_use]
    pub fn layer<L>(&self, layer: L) -> Self
    where
        L: Layer<Self>,
        L::Service: Service<Request, Response = Response> + Clone + Send + Sync + 'static,
        <L::Service as Service<Request>>::Error: Into<BoxError>,
        <L::Service as Service<Request>>::Future: Send + 'static,
    {
        self.with_layers(Layers::new(layer.layer(self.clone())))
    }
}

impl Service<Request> for Client {
    type Response = Response;
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, CallError>> + Send>>;

    /// Always ready: a call waits for its connection itself, with its own deadline.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let client = self.clone();
        Box::pin(async move { client.request(request).await })
    }
}
