//! Request bodies: read within limits, or discarded.

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header;
use hyper::http::request::Parts;
use rpc_host::body;

use crate::RegistryOptions;
use crate::error::Refusal;

/// The whole body.
///
/// # Errors
/// It is too large, too slow, or incomplete.
pub(super) async fn read(body: &mut Incoming, options: &RegistryOptions) -> Result<Bytes, Refusal> {
    let limit = options.max_body_bytes;
    let too_large = Refusal::BodyTooLarge(limit);
    if usize::try_from(body.size_hint().lower()).is_ok_and(|size| size > limit) {
        return Err(too_large);
    }
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
