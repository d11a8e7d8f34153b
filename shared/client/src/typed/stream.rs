//! The items of a typed client's stream.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use tokio::time::Sleep;

use super::{BoxStream, Failed, Reader, timed_out};
use crate::{CallError, CallStream};

/// The items of a stream method, in order; it ends after an error. Dropping it cancels the call; so does
/// dropping the last clone of its client.
///
/// `F` is [`CallError`], or [`ServiceError`](crate::ServiceError) where the items are results.
pub struct TypedStream<T, F = CallError> {
    source: Source<T, F>,
    failed: Failed<F>,
}

enum Source<T, F> {
    Remote { items: CallStream, method: String, reader: Reader<T> },
    InProcess { items: BoxStream<Result<T, F>>, deadline: Option<(Duration, Pin<Box<Sleep>>)> },
    Over,
}

impl<T, F> TypedStream<T, F> {
    pub(super) fn remote(
        items: CallStream,
        method: String,
        reader: Reader<T>,
        failed: Failed<F>,
    ) -> Self {
        Self { source: Source::Remote { items, method, reader }, failed }
    }

    pub(super) fn in_process(
        items: BoxStream<Result<T, F>>,
        timeout: Option<Duration>,
        failed: Failed<F>,
    ) -> Self {
        let deadline = timeout.map(|after| (after, Box::pin(tokio::time::sleep(after))));
        Self { source: Source::InProcess { items, deadline }, failed }
    }

    /// The next item; `None` when the stream is over.
    pub async fn next(&mut self) -> Option<Result<T, F>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<T, F> Stream for TypedStream<T, F> {
    type Item = Result<T, F>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let item = match &mut this.source {
            Source::Remote { items, method, reader } => {
                let item = ready!(Pin::new(&mut *items).poll_next(cx));
                let item = item.map(|item| reader.0(&item?.value, method, items.peer()));
                item.map(|item| item.map_err(this.failed))
            }
            Source::InProcess { items, deadline } => match items.as_mut().poll_next(cx) {
                Poll::Ready(item) => item,
                Poll::Pending => {
                    let Some((after, sleep)) = deadline else { return Poll::Pending };
                    ready!(sleep.as_mut().poll(cx));
                    Some(Err((this.failed)(timed_out(*after))))
                }
            },
            Source::Over => None,
        };
        if !matches!(item, Some(Ok(_))) {
            this.source = Source::Over;
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
