//! Request bodies: read within limits, or discarded.

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header;
use hyper::http::request::Parts;

use crate::RegistryOptions;
use crate::error::Refusal;

/// An unread body is read and discarded up to this size, so that a sender that reads no reply
/// before it has sent everything gets the reply instead of a reset connection.
const MAX_DISCARDED: usize = 32 * 1024 * 1024;

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
        false => (MAX_DISCARDED, options.body_timeout),
    };
    if body.is_end_stream() || head.headers.contains_key(header::EXPECT) {
        return;
    }
    let take_in = async {
        let mut taken = 0;
        while let Some(Ok(frame)) = body.frame().await {
            taken += frame.data_ref().map_or(0, Bytes::len);
            if taken > most {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(within, take_in).await;
}
