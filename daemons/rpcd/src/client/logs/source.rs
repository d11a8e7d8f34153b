//! One daemon's log: asked for, and passed on line by line until it ends.

use rpc_client::registry::{RegistryClient, RegistryClientError};
use rpc_client::{CallError, Client, IntoArgs, ListedAs, Request};
use rpc_wire::paths::{CONTAINS, LEVEL, RECENT, RPC_LOGS};
use rpc_wire::report::{Level, LogLine};
use serde_json::json;
use tokio::sync::mpsc::Sender;

use super::super::reserved;
use crate::failure::{Exit, Failure};

/// Recent lines asked for after an interruption; those that were printed before are left out.
pub(super) const RESUMED: u32 = 200;

/// Whose log.
pub(super) enum Source {
    Registry(Box<RegistryClient>),
    /// One that the client asks, and how its registry lists it, if that gave the address.
    Instance(Client, Option<ListedAs>),
}

/// Which lines.
pub(super) struct Wanted {
    pub(super) level: Level,
    pub(super) contains: String,
    pub(super) recent: u32,
}

/// What a source says.
pub(super) enum Event {
    /// The lines of the daemon with this name follow.
    Started(String),
    Line(Line),
    /// There are no more.
    Ended(Ended),
}

/// A line, and whose it is.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) line: LogLine,
    /// Lines lost just before it.
    pub(super) dropped: u64,
}

/// A daemon's log ended, or there is none.
pub(super) struct Ended {
    pub(super) name: String,
    pub(super) failure: Failure,
    /// Asking again is of no use.
    pub(super) is_unsupported: bool,
}

/// Follows the log of `name` to its end.
pub(super) async fn follow(source: Source, name: String, wanted: Wanted, events: Sender<Event>) {
    let ended = match source {
        Source::Registry(registry) => of_registry(&registry, &name, &wanted, &events).await,
        Source::Instance(client, listed) => {
            of_instance(&client, (&name, listed), &wanted, &events).await
        }
    };
    let (failure, is_unsupported) =
        ended.err().unwrap_or_else(|| (Failure::new(Exit::Unreachable, "the log ended"), false));
    let _ = events.send(Event::Ended(Ended { name, failure, is_unsupported })).await;
}

/// Why, and whether asking again is of no use.
type Why = (Failure, bool);

async fn of_registry(
    registry: &RegistryClient,
    name: &str,
    wanted: &Wanted,
    events: &Sender<Event>,
) -> Result<(), Why> {
    let ended = |error: RegistryClientError| {
        let is_unsupported = matches!(error, RegistryClientError::Unsupported { .. });
        (Failure::from(error), is_unsupported)
    };
    let recent = usize::try_from(wanted.recent).unwrap_or(usize::MAX);
    let logs = registry.logs(wanted.level, &wanted.contains, recent).await;
    let mut lines = logs.map_err(ended)?;
    let _ = events.send(Event::Started(name.to_owned())).await;
    while let Some(line) = lines.next().await {
        let line = line.map_err(ended)?;
        let line = Line { name: name.to_owned(), line: line.line, dropped: line.dropped };
        let _ = events.send(Event::Line(line)).await;
    }
    Ok(())
}

async fn of_instance(
    client: &Client,
    (name, listed): (&str, Option<ListedAs>),
    wanted: &Wanted,
    events: &Sender<Event>,
) -> Result<(), Why> {
    let args = json!({LEVEL: wanted.level, CONTAINS: wanted.contains, RECENT: wanted.recent});
    let args = args.into_args().map_err(|error| (Failure::from(error), true))?;
    let request = Request {
        method: RPC_LOGS.to_owned(),
        args,
        timeout: None,
        idempotent: true,
        service: None,
        on: Some(name.to_owned()),
        listed: listed.clone(),
        traceparent: None,
        wire: None,
        attempts: None,
    };
    let mut items = match client.stream_request(request).await {
        Ok(items) => items,
        Err(error) => return Err(ended(client, error, listed.as_ref()).await),
    };
    // The first item, or the first error, says that the server has one.
    let mut started = false;
    while let Some(item) = next(&mut items, &mut started, name, events).await {
        let item = match item {
            Ok(item) => item,
            Err(error) => return Err(ended(client, error, listed.as_ref()).await),
        };
        // A line of a later version that cannot be read is skipped; the others still count.
        let Ok(line) = serde_json::from_str(item.value.get()) else { continue };
        let line = Line { name: name.to_owned(), line, dropped: item.dropped };
        let _ = events.send(Event::Line(line)).await;
    }
    Ok(())
}

async fn ended(client: &Client, error: CallError, listed: Option<&ListedAs>) -> Why {
    let is_unsupported = reserved::is_missing(&error);
    (reserved::failure(client, error, RPC_LOGS, listed).await, is_unsupported)
}

/// The next item. A log without a line is as good as one that has some: after a while it counts as
/// started.
async fn next(
    items: &mut rpc_client::CallStream,
    started: &mut bool,
    name: &str,
    events: &Sender<Event>,
) -> Option<Result<rpc_client::StreamItem, CallError>> {
    if *started {
        return items.next().await;
    }
    let first = tokio::time::timeout(super::QUIET, items.next()).await;
    *started = true;
    match first {
        Ok(Some(Err(error))) => Some(Err(error)),
        Ok(item) => {
            let _ = events.send(Event::Started(name.to_owned())).await;
            item
        }
        Err(_) => {
            let _ = events.send(Event::Started(name.to_owned())).await;
            items.next().await
        }
    }
}
