//! Answers with something to tell before them, as Server-Sent Events. Dropped with the connection, they
//! cancel what they are about.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::task::AbortOnDropHandle;

use super::door::Visitor;
use super::room::Held;
use super::{Http, no_room};
use crate::audit::Who;
use crate::protocol::{Call, Subscription};
use crate::reply::{self, Reply};

/// Events that wait to be sent; of progress, further ones are lost.
const QUEUE: usize = 16;
/// How often it is looked whether a subscriber still may be one.
const RECHECK: Duration = Duration::from_secs(1);

/// A call with its progress, then its result.
pub(super) fn of_call(http: Arc<Http>, call: Box<Call>, who: Who, held: Held) -> Response {
    response(|sender| async move {
        let mut report = |message: String| drop(sender.try_send(event(&message).into()));
        let reply = http.gateway.call(&call, &who, &mut report).await.reply(&call);
        drop(held);
        let last = http.room.house(event(&reply.json));
        let last = last.unwrap_or_else(|why| event(&no_room(&call, why)).into());
        let _ = sender.send(last).await;
    })
}

/// Changes of the list, until the client closes, or may no longer know of them, or the gateway ends.
pub(super) fn of_subscription(
    http: Arc<Http>,
    subscription: Subscription,
    mut visitor: Visitor,
    place: OwnedSemaphorePermit,
) -> Response {
    response(|sender| async move {
        let _place = place;
        let Subscription { id, list_changed } = subscription;
        let mut changes = http.gateway.changes();
        let mut keepalive = every(http.options.keepalive_interval);
        let mut recheck = every(RECHECK);
        let first = event(&reply::acknowledged(&id, list_changed));
        let mut sent = sender.send(first.into()).await;
        while sent.is_ok() {
            sent = tokio::select! {
                () = changes.next(), if list_changed => {
                    sender.send(event(&reply::list_changed(Some(&id))).into()).await
                }
                _ = keepalive.tick() => sender.send(Bytes::from_static(b":\n\n")).await,
                _ = recheck.tick() => match visitor.may_stay() {
                    true => Ok(()),
                    false => return,
                },
                () = http.ending.cancelled() => break,
            };
        }
        let _ = sender.send(event(&Reply::end_of_subscription(&id).json).into()).await;
    })
}

/// A response of what `tell` sends.
fn response<F>(tell: impl FnOnce(mpsc::Sender<Bytes>) -> F) -> Response
where
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(QUEUE);
    let telling = AbortOnDropHandle::new(tokio::spawn(tell(sender)));
    let events = stream::unfold((receiver, telling), async |(mut receiver, telling)| {
        let event = receiver.recv().await?;
        Some((Ok::<_, Infallible>(event), (receiver, telling)))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        // A proxy must not keep them back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(events)).into_response()
}

fn event(message: &str) -> String {
    format!("event: message\ndata: {message}\n\n")
}

/// Ticks, the first after a period.
fn every(period: Duration) -> Interval {
    let period = period.max(Duration::from_millis(10));
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
