//! The stack of tower layers of a client.

use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt};

use crate::layer_error::LayerError;
use crate::{CallError, Request, Response};

/// The stack of layers of a client, down to the client without them.
#[derive(Debug)]
pub(crate) struct Layers(BoxCloneSyncService<Request, Response, CallError>);

impl Layers {
    /// A stack whose outermost layer made this service.
    pub(crate) fn new<S>(service: S) -> Self
    where
        S: Service<Request, Response = Response> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
    {
        let service = service.map_err(|error| of_layer(error.into()));
        Self(BoxCloneSyncService::new(service))
    }

    pub(crate) async fn call(&self, request: Request) -> Result<Response, CallError> {
        // A clone: a service is told to be ready and called by one caller at a time.
        self.0.clone().oneshot(request).await
    }
}

fn of_layer(error: BoxError) -> CallError {
    match error.downcast::<CallError>() {
        Ok(error) => *error,
        Err(error) => CallError::Layer(LayerError::new(error)),
    }
}
