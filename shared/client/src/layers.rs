//! Tower layers around the calls of a client: logging, limits, caches and whatever else wraps a call.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service, ServiceExt};

use crate::{CallError, Client, Request, Response};

/// The stack of layers of a client, down to the client without them.
#[derive(Debug)]
pub(crate) struct Layers(BoxCloneSyncService<Request, Response, CallError>);

/// An error of a layer itself: a limit it sets, say. What the call failed with is passed on as it is.
#[derive(Debug, Clone)]
pub struct LayerError(Arc<dyn std::error::Error + Send + Sync>);

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
        let service = layer.layer(self.clone()).map_err(|error| of_layer(error.into()));
        self.with_layers(Layers(BoxCloneSyncService::new(service)))
    }
}

impl Layers {
    pub(crate) async fn call(&self, request: Request) -> Result<Response, CallError> {
        // A clone: a service is told to be ready and called by one caller at a time.
        self.0.clone().oneshot(request).await
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

fn of_layer(error: BoxError) -> CallError {
    match error.downcast::<CallError>() {
        Ok(error) => *error,
        Err(error) => CallError::Layer(LayerError(error.into())),
    }
}

impl std::fmt::Display for LayerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a layer of the client failed the call: {}", self.0)
    }
}

impl std::error::Error for LayerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

/// The same error, not one that says the same.
impl PartialEq for LayerError {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
