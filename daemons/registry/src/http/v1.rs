//! The new routes, for people: records with ages, changes and log lines as event streams.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use rpc_host::logging::{Followed, LogFollower};
use rpc_host::shares::{Full, Place};
use rpc_security::Object;
use rpc_wire::paths;
use rpc_wire::report::{Level, MAX_CONTAINS_BYTES};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Context, JSON, Reply, Visitor, in_pieces, query, warming, whole};
use crate::error::Refusal;
use crate::service::{Page, Reader, Service, View, Watcher};
use crate::sse;
use crate::table::Scope;

/// The instances of `proto` and `service`, or all, with their ages: in parts, each made when the previous
/// one is written.
pub(super) async fn instances(
    context: &Context,
    head: &Parts,
    visitor: Visitor<'_>,
) -> Result<Reply, Refusal> {
    by_pages(context, head, visitor, View::Records).await
}

/// The same as targets of Prometheus.
pub(super) async fn targets(
    context: &Context,
    head: &Parts,
    visitor: Visitor<'_>,
) -> Result<Reply, Refusal> {
    by_pages(context, head, visitor, View::Targets).await
}

/// The services that have instances.
pub(super) async fn catalog(context: &Context, visitor: &Visitor<'_>) -> Result<Reply, Refusal> {
    context.service.be_read().await;
    let scope = Scope { sight: visitor.sender.sight(), ..Scope::default() };
    let body = context.service.catalog(&scope).await?;
    Ok(whole(JSON, context.service.answers.pieces(body, &visitor.peer.cut)))
}

async fn by_pages(
    context: &Context,
    head: &Parts,
    Visitor { peer, mut sender, permission }: Visitor<'_>,
    view: View,
) -> Result<Reply, Refusal> {
    let query = head.uri.query().unwrap_or_default();
    let scope = query::scope(query, &sender)?;
    let (service, cut) = (Arc::clone(&context.service), peer.cut.clone());
    service.be_read().await;
    let mut page = Page::new(view, reader(context, query)?);
    let first = service.page(&scope, &mut page).await.unwrap_or_default();
    service.make_room(first.len()).await?;
    let parts = stream::unfold((page, Some(first)), move |(mut page, first)| {
        let (service, cut, scope) = (Arc::clone(&service), cut.clone(), scope.clone());
        let sees = sender.still_sees(permission, Object::Everything, scope.sight.as_deref());
        async move {
            if !sees {
                // As below.
                cut.cancel();
                return std::future::pending().await;
            }
            let part = match first {
                Some(first) => first,
                None => service.page(&scope, &mut page).await?,
            };
            if service.make_room(part.len()).await.is_err() {
                // What was sent is not all, and must not look like it.
                cut.cancel();
                return std::future::pending().await;
            }
            let part = service.answers.keep(part.into());
            Some((service.answers.pieces(part, &cut), (page, None)))
        }
    });
    let reply = in_pieces(JSON, parts.flat_map(stream::iter));
    Ok(named(warming(reply, &context.service), &context.service))
}

/// What the reader makes of a record.
fn reader(context: &Context, query: &str) -> Result<Reader, Refusal> {
    let knows_owners = query::is_on(query, paths::OWNERS)?;
    let has_owners = context.service.membership().is_some();
    Ok(if knows_owners && has_owners { Reader::Owners } else { Reader::Ages })
}

/// Says which of several registries replies.
fn named(mut reply: Reply, service: &Service) -> Reply {
    let id = service.membership().and_then(|it| HeaderValue::from_str(it.id()).ok());
    if let Some(id) = id {
        reply.headers_mut().insert(REGISTRY, id);
    }
    reply
}

/// The changes of `proto` and `service`, or all: a snapshot or the changes since `Last-Event-ID`, then each new
/// one.
pub(super) async fn watch(
    context: &Context,
    head: &Parts,
    Visitor { peer, mut sender, permission }: Visitor<'_>,
) -> Result<Reply, Refusal> {
    let query = head.uri.query().unwrap_or_default();
    let scope = query::scope(query, &sender)?;
    let sight = scope.sight.clone();
    let beats = query::is_on(query, paths::BEATS)?;
    let reader = reader(context, query)?;
    let last = head.headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let open = OpenStream::new(context, peer.ip)?;
    context.service.be_read().await;
    let mut watcher = Watcher::new(Arc::clone(&context.service), (scope, reader), last, beats);
    watcher.start().await?;
    let frames =
        stream::unfold(watcher, async |mut watcher| Some((watcher.next().await?, watcher)));
    let frames = while_seen(frames, context.service.rights(), move || {
        sender.still_sees(permission, Object::Everything, sight.as_deref())
    });
    let (answers, cut) = (Arc::clone(&context.service.answers), peer.cut.clone());
    let pieces = frames.flat_map(move |frame| stream::iter(answers.pieces(frame, &cut)));
    Ok(named(warming(event_stream(open, pieces), &context.service), &context.service))
}

/// The registry's own log: recent lines, then each new one.
pub(super) fn logs(
    context: &Context,
    head: &Parts,
    Visitor { peer, mut sender, permission }: Visitor<'_>,
) -> Result<Reply, Refusal> {
    const RECENT: usize = 200;
    let ring = context.service.options.log_ring.as_ref().ok_or(Refusal::NotFound)?;
    let query = head.uri.query().unwrap_or_default();
    let level = match query::first(query, paths::LEVEL) {
        None => Level::Info,
        Some(name) => Level::from_name(&name)
            .ok_or_else(|| query::bad(paths::LEVEL, "must be trace, debug, info, warn or error"))?,
    };
    let recent = match query::first(query, paths::RECENT) {
        None => RECENT,
        Some(text) => {
            text.parse().map_err(|_| query::bad(paths::RECENT, "must be a number of lines"))?
        }
    };
    let contains = query::first(query, paths::CONTAINS).unwrap_or_default();
    if contains.len() > MAX_CONTAINS_BYTES {
        let what = format!("must be at most {MAX_CONTAINS_BYTES} bytes");
        return Err(query::bad(paths::CONTAINS, &what));
    }
    let open = OpenStream::new(context, peer.ip)?;
    let follower = ring.follow(recent, level, &contains);
    let keep_alive = context.service.options.keep_alive;
    let frames = stream::unfold(follower, move |mut follower| async move {
        Some((next_line(&mut follower, keep_alive).await?, follower))
    });
    let frames = while_seen(frames, context.service.rights(), move || {
        sender.still_sees(permission, Object::AllInstances, None)
    });
    Ok(event_stream(open, frames))
}

/// What goes on as long as its reader may see it: each frame, and the silence between them.
fn while_seen(
    frames: impl Stream<Item = Bytes> + Send + 'static,
    rights: watch::Receiver<u64>,
    sees: impl FnMut() -> bool + Send + 'static,
) -> impl Stream<Item = Bytes> + Send + 'static {
    stream::unfold((Box::pin(frames), rights, sees), async |(mut frames, mut rights, mut sees)| {
        loop {
            let frame = tokio::select! {
                biased;
                // Never an error: the service has the sender.
                Ok(()) = rights.changed() => None,
                frame = frames.next() => Some(frame?),
            };
            if !sees() {
                return None;
            }
            if let Some(frame) = frame {
                return Some((frame, (frames, rights, sees)));
            }
        }
    })
}

const REGISTRY: HeaderName = HeaderName::from_static(paths::REGISTRY_HEADER);
const LAST_EVENT_ID: &str = "last-event-id";
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

async fn next_line(follower: &mut LogFollower, keep_alive: Duration) -> Option<Bytes> {
    tokio::select! {
        followed = follower.next() => followed.map(|followed| line(&followed)),
        () = tokio::time::sleep(keep_alive) => Some(sse::comment()),
    }
}

/// The line, with `dropped` if lines before it were lost.
fn line(Followed { line, dropped }: &Followed) -> Bytes {
    // Both come from JSON or from the log layer, which serialise.
    let mut value = serde_json::to_value(line).unwrap_or_default();
    if let Some(object) = value.as_object_mut().filter(|_| *dropped > 0) {
        object.insert("dropped".to_owned(), (*dropped).into());
    }
    sse::line("line", &value.to_string())
}

/// A place among the event streams, released when the stream ends.
struct OpenStream {
    ending: CancellationToken,
    service: Arc<Service>,
    _place: Place,
}

impl OpenStream {
    fn new(context: &Context, peer: IpAddr) -> Result<Self, Refusal> {
        let place = context.streams.take(peer).map_err(|full| match full {
            Full::Whole(all) => Refusal::TooManyStreams(all),
            Full::Share(share) => Refusal::TooManyStreamsOfPeer(share),
        })?;
        let service = Arc::clone(&context.service);
        service.metrics.streams.inc();
        Ok(Self { ending: context.ending.clone(), service, _place: place })
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.service.metrics.streams.dec();
    }
}

/// Frames until the peer closes or the registry shuts down. A frame is requested only when the
/// previous ones are written, so a slow reader costs no memory.
fn event_stream(open: OpenStream, frames: impl Stream<Item = Bytes> + Send + 'static) -> Reply {
    let ended = open.ending.clone().cancelled_owned();
    let frames = frames.take_until(ended).map(move |frame| {
        let _open = &open;
        frame
    });
    let mut reply = in_pieces(EVENT_STREAM, frames);
    reply.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    reply
}
