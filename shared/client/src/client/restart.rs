//! Streams that their instance did not start, because it does not have the method or takes no calls: they
//! are started on another one.

use std::sync::{Arc, Weak};

use super::attempts::{Attempts, Tried};
use super::inner::Inner;
use crate::stream::{Restart, Restarting};
use crate::{CallError, CallStream, Request};

/// Starts a stream on an instance that was not tried.
pub(super) async fn stream(
    inner: &Arc<Inner>,
    request: Request,
    tried: Tried,
) -> Result<CallStream, CallError> {
    let attempts = Attempts::new(inner, request.clone())?.after(tried);
    let method = request.method.clone();
    let (stream, tried) = attempts.stream_and_tried().await?;
    // It must not keep the client alive: dropping that ends its streams.
    let client = Arc::downgrade(inner);
    let restart: Restart = Box::new(move |error| restart(client, request, tried, error));
    Ok(stream.with_restart(method, restart))
}

fn restart(client: Weak<Inner>, request: Request, tried: Tried, error: CallError) -> Restarting {
    Box::pin(async move {
        let inner = client.upgrade().ok_or(CallError::Closed)?;
        let tried = tried.after(&inner, &request, error)?;
        stream(&inner, request, tried).await
    })
}
