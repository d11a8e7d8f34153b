//! The items of a typed client's stream.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use serde::de::DeserializeOwned;
use tokio::time::Sleep;

use super::{BoxStream, read_as, timed_out};
use crate::{CallError, CallStream};

/// The items of a stream method, in order; it ends after an error. Dropping it cancels the call; so does
/// dropping the last clone of its client.
///
/// `F` is [`CallError`], or [`ServiceError`](crate::ServiceError) where the items are results.
pub struct TypedStream<T, F = CallError> {
    source: Source<T, F>,
}

enum Source<T, F> {
    Remote { items: CallStream, method: String },
    InProcess { items: BoxStream<Result<T, F>>, deadline: Option<(Duration, Pin<Box<Sleep>>)> },
    Over,
}

impl<T, F> TypedStream<T, F> {
    pub(super) fn remote(items: CallStream, method: String) -> Self {
        Self { source: Source::Remote { items, method } }
    }

    pub(super) fn in_process(items: BoxStream<Result<T, F>>, timeout: Option<Duration>) -> Self {
        let deadline = timeout.map(|after| (after, Box::pin(tokio::time::sleep(after))));
        Self { source: Source::InProcess { items, deadline } }
    }
}

impl<T: DeserializeOwned, F: From<CallError>> TypedStream<T, F> {
    /// The next item; `None` when the stream is over.
    pub async fn next(&mut self) -> Option<Result<T, F>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<T: DeserializeOwned, F: From<CallError>> Stream for TypedStream<T, F> {
    type Item = Result<T, F>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = match &mut self.source {
            Source::Remote { items, method } => {
                let item = ready!(Pin::new(&mut *items).poll_next(cx));
                item.map(|item| Ok(read_as(&item?.value, method, items.peer())?))
            }
            Source::InProcess { items, deadline } => match items.as_mut().poll_next(cx) {
                Poll::Ready(item) => item,
                Poll::Pending => {
                    let Some((after, sleep)) = deadline else { return Poll::Pending };
                    ready!(sleep.as_mut().poll(cx));
                    Some(Err(timed_out(*after).into()))
                }
            },
            Source::Over => None,
        };
        if !matches!(item, Some(Ok(_))) {
            self.source = Source::Over;
        }
        Poll::Ready(item)
    }
}

impl<T, F> fmt::Debug for TypedStream<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("TypedStream");
        if let Source::Remote { items, .. } = &self.source {
            shown.field("items", items);
        }
        shown.finish_non_exhaustive()
    }
}
