//! The items of a stream method, as they arrive.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::time::Sleep;

use crate::connection::Subscription;
use crate::item::{StreamEvent, StreamItem};
use crate::{CallError, Phase};

/// The items of a stream method, in order; it ends after an error. Dropping it cancels the call; so does
/// closing or dropping its client. It has a connection of its own: a slow reader puts back-pressure on its
/// server and delays no other call.
#[derive(Debug)]
pub struct CallStream {
    peer: String,
    events: Subscription,
    deadline: Option<(Duration, Pin<Box<Sleep>>)>,
    over: bool,
}

impl CallStream {
    pub(crate) fn new(
        peer: String,
        events: Subscription,
        deadline: Option<(Duration, tokio::time::Instant)>,
    ) -> Self {
        let deadline = deadline.map(|(after, at)| (after, Box::pin(tokio::time::sleep_until(at))));
        Self { peer, events, deadline, over: false }
    }

    /// The server that sends it, as `host:port`.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The next item; `None` when the stream is over.
    pub async fn next(&mut self) -> Option<Result<StreamItem, CallError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<CallError> {
        let Some((after, sleep)) = &mut self.deadline else { return Poll::Pending };
        let (peer, after) = (self.peer.clone(), *after);
        sleep.as_mut().poll(cx).map(|()| CallError::Timeout { peer, after, phase: Phase::Reply })
    }
}

impl Stream for CallStream {
    type Item = Result<StreamItem, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        let error = match this.events.events.poll_recv(cx) {
            Poll::Ready(Some(StreamEvent::Item(item))) => return Poll::Ready(Some(Ok(item))),
            Poll::Ready(Some(StreamEvent::End(last))) => {
                this.over = true;
                this.events.finished();
                return Poll::Ready(last.map(Ok));
            }
            Poll::Ready(Some(StreamEvent::Failed(error))) => {
                this.events.finished();
                error
            }
            Poll::Ready(None) => this.events.driver_gone(),
            Poll::Pending => std::task::ready!(this.poll_timeout(cx)),
        };
        this.over = true;
        Poll::Ready(Some(Err(error)))
    }
}
