//! Request bodies: read within limits, or discarded.

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header;
use hyper::http::request::Parts;
use rpc_host::body;
use tokio_util::sync::CancellationToken;

use super::arriving::Arriving;
use crate::RegistryOptions;
use crate::error::Refusal;

/// The whole body.
///
/// # Errors
/// It is too large, too slow, or incomplete.
pub(super) async fn read(
    body: &mut Incoming,
    options: &RegistryOptions,
    arriving: &Arriving,
    cut: &CancellationToken,
) -> Result<Bytes, Refusal> {
    let limit = options.max_body_bytes;
    let too_large = Refusal::BodyTooLarge(limit);
    if usize::try_from(body.size_hint().lower()).is_ok_and(|size| size > limit) {
        return Err(too_large);
    }
    let most = body.size_hint().upper().and_then(|most| usize::try_from(most).ok());
    let _place = arriving.enter(most.unwrap_or(limit).min(limit), cut);
    let whole = Limited::new(body, limit).collect();
    match tokio::time::timeout(options.body_timeout, whole).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large),
        Ok(Err(error)) => Err(Refusal::BadRequest(format!("body: {error}"))),
        Err(_) => Err(Refusal::BodyTimeout),
    }
}

/// Reads and discards the rest of a body, unless its sender waits for `100 Continue`.
pub(super) async fn discard(
    head: &Parts,
    body: &mut Incoming,
    is_stranger: bool,
    options: &RegistryOptions,
) {
    let (most, within) = match is_stranger {
        true => (options.max_unidentified_bytes, options.unidentified_timeout),
        false => (body::MAX_DISCARDED, options.body_timeout),
    };
    if !head.headers.contains_key(header::EXPECT) {
        body::discard(body, most, within).await;
    }
}
