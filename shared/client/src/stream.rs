//! The items of a stream method, as they arrive.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use tokio::time::Sleep;

use crate::connection::Subscription;
use crate::item::{StreamEvent, StreamItem};
use crate::{CallError, Phase};

/// Starts the stream on another instance, if it may; the error is that of this one.
pub(crate) type Restart = Box<dyn FnOnce(CallError) -> Restarting + Send>;
/// A stream that is being started on another instance.
pub(crate) type Restarting = Pin<Box<dyn Future<Output = Result<CallStream, CallError>> + Send>>;

/// The items of a stream method, in order; it ends after an error. Dropping it cancels the call; so does
/// closing or dropping its client. It has a connection of its own: a slow reader puts back-pressure on its
/// server and delays no other call.
pub struct CallStream {
    peer: String,
    events: Subscription,
    deadline: Option<(Duration, Pin<Box<Sleep>>)>,
    over: bool,
    /// For an instance that did not start it: it does not have the method, or takes no calls. Dropped with
    /// the first item.
    restart: Option<(String, Restart)>,
    restarting: Option<Restarting>,
}

impl CallStream {
    pub(crate) fn new(
        peer: String,
        events: Subscription,
        deadline: Option<(Duration, tokio::time::Instant)>,
    ) -> Self {
        let deadline = deadline.map(|(after, at)| (after, Box::pin(tokio::time::sleep_until(at))));
        Self { peer, events, deadline, over: false, restart: None, restarting: None }
    }

    /// The same stream, which goes on with `restart` if its instance does not start `method`.
    pub(crate) fn with_restart(mut self, method: String, restart: Restart) -> Self {
        self.restart = Some((method, restart));
        self
    }

    /// The server that sends it, as `host:port`.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// The next item; `None` when the stream is over.
    pub async fn next(&mut self) -> Option<Result<StreamItem, CallError>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn fail(&mut self, error: CallError) -> Option<Result<StreamItem, CallError>> {
        self.over = true;
        Some(Err(error))
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
        if let Some(restarting) = &mut this.restarting {
            let restarted = match restarting.as_mut().poll(cx) {
                Poll::Ready(restarted) => restarted,
                Poll::Pending => return this.poll_timeout(cx).map(|error| this.fail(error)),
            };
            this.restarting = None;
            match restarted {
                // The deadline is that of the whole.
                Ok(other) => *this = Self { deadline: this.deadline.take(), ..other },
                Err(error) => return Poll::Ready(this.fail(error)),
            }
        }
        let error = match this.events.events.poll_recv(cx) {
            Poll::Ready(Some(StreamEvent::Item(item))) => {
                this.restart = None;
                return Poll::Ready(Some(Ok(item)));
            }
            Poll::Ready(Some(StreamEvent::End(last))) => {
                this.over = true;
                this.events.finished();
                return Poll::Ready(last.map(Ok));
            }
            Poll::Ready(Some(StreamEvent::Failed(error))) => {
                this.events.finished();
                match this.restart.take() {
                    Some((method, restart))
                        if error.is_unoffered(&method) || error.is_not_executed() =>
                    {
                        this.restarting = Some(restart(error));
                        return self.poll_next(cx);
                    }
                    _ => error,
                }
            }
            Poll::Ready(None) => this.events.driver_gone(),
            Poll::Pending => std::task::ready!(this.poll_timeout(cx)),
        };
        Poll::Ready(this.fail(error))
    }
}

impl std::fmt::Debug for CallStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallStream")
            .field("peer", &self.peer)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}
