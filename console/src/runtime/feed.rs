//! Changes and log of the registry; an older registry is polled for its list. Without a registry,
//! the one server that is opened by its address.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt, stream};
use rpc_client::ClientOptions;
use rpc_client::backoff::Backoff;
use rpc_client::registry::{List, RegistryClient, RegistryClientError, RegistryClientOptions};
use rpc_host::logging::LogRing;
use rpc_host::person::user_at_machine;
use rpc_wire::instance::{Instance, InstanceKey, OverrideRequest, WatchEvent};
use rpc_wire::paths::PROTO_JSON;
use rpc_wire::report::{Level, Readiness};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::batch::{self, Seen};
use rpc_console_core::message::{Msg, RegistryUpdate};
use rpc_console_core::model::link::Obstacle;
use rpc_console_core::model::logs::{Source, SourceState};
use rpc_console_core::model::standing::Standing;
use rpc_console_core::text;

/// Shortest interval of polls of an older registry, whatever the settings say.
const SHORTEST_POLL: Duration = Duration::from_millis(100);
/// Polls after which a watch is tried again: the registry may have been upgraded.
const POLLS_BEFORE_WATCH: u32 = 20;
/// A registry that sends nothing for this long is asked whether it is still there.
const QUIET: Duration = Duration::from_secs(2);
/// Interval of questions for the registry's own condition.
const CONDITION: Duration = Duration::from_secs(3);
/// Recent log lines requested.
const RECENT: usize = 200;
/// Interval of attempts to read the log of a registry that offers none.
const NO_LOG: Duration = Duration::from_secs(60);

/// Reports the one server that is opened without a registry; its monitor tells the rest.
pub(super) async fn server(instance: Instance, inbox: mpsc::Sender<Msg>) {
    send(&inbox, RegistryUpdate::Direct(instance)).await;
}

/// Reports that the registry's URL is not one.
pub(super) async fn unusable(error: RegistryClientError, inbox: mpsc::Sender<Msg>) {
    let retry_in = Duration::from_secs(3600);
    let (error, obstacle) = (reason(&error), obstacle(&error));
    send(&inbox, RegistryUpdate::Lost { error, obstacle, retry_in }).await;
}

/// Whether the screen has a list of instances, of the registry or of the disk.
pub(super) type HasList = Arc<AtomicBool>;

/// Watches the registry until the task is aborted.
pub(super) async fn changes(
    registry: RegistryClient,
    options: ClientOptions,
    has_list: HasList,
    inbox: mpsc::Sender<Msg>,
) {
    let backoff = Backoff::reconnect();
    let mut failures = 0;
    loop {
        let mut reached = false;
        let error = match watch(&registry, &inbox, &mut reached, &has_list).await {
            Err(RegistryClientError::Unsupported { .. }) => {
                poll(&registry, poll_interval(&options), &inbox, &mut reached).await
            }
            other => other,
        };
        failures = if reached { 1 } else { failures + 1 };
        let (error, obstacle) = match error {
            // The older registry may have been upgraded, or one that had just started knows everybody by
            // now: try to watch at once.
            Ok(()) => continue,
            Err(RegistryClientError::Unreachable { .. }) if reached => {
                ("connection lost".to_owned(), Obstacle::Unreachable)
            }
            Err(error) => (reason(&error), obstacle(&error)),
        };
        let retry_in = backoff.delay(failures);
        let url = registry.given_url();
        tracing::info!(registry = url, error, ?retry_in, "registry unreachable");
        let lost = RegistryUpdate::Lost { error, obstacle, retry_in };
        if inbox.send(Msg::Registry(lost)).await.is_err() {
            return;
        }
        sleep(retry_in).await;
    }
}

/// Watches until the connection ends; returns `Ok` when a registry that had just started should know
/// everybody.
async fn watch(
    registry: &RegistryClient,
    inbox: &mpsc::Sender<Msg>,
    reached: &mut bool,
    has_list: &AtomicBool,
) -> Result<(), RegistryClientError> {
    // Always start with a snapshot: it is cheap, and no event can be missed.
    let mut events = registry.watch(PROTO_JSON, true, None).await?;
    let at = registry.url().to_owned();
    say_which(registry, inbox).await;
    // Until then what it does not list is kept, as while it was lost: it may only have to register again.
    let warm = registry
        .warming()
        .filter(|_| has_list.load(Relaxed))
        .and_then(|left| Instant::now().checked_add(left));
    let mut tag = None;
    let mut invalid = 0;
    loop {
        let left = warm.map(|warm| warm.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(());
        }
        let event = match timeout(left.unwrap_or(QUIET).min(QUIET), events.next()).await {
            Ok(event) => event,
            Err(_) if warm.is_some() => continue,
            // What it sends meanwhile does not wait for the reply.
            Err(_quiet) => tokio::select! {
                biased;
                event = events.next() => event,
                reply = registry.find_all_if_changed(PROTO_JSON, None, tag.as_deref()) => {
                    match reply {
                        Ok(List::Changed { etag, .. }) => tag = etag,
                        Ok(List::NotModified) => {}
                        Err(
                            error @ (RegistryClientError::Unreachable { .. }
                            | RegistryClientError::Timeout { .. }),
                        ) => return Err(error),
                        // Whatever it replies, it is there.
                        Err(_) => {}
                    }
                    // Another one replied: this one does not work any more.
                    if registry.url() != at {
                        return Err(ended(registry));
                    }
                    send(inbox, RegistryUpdate::Heard(Instant::now())).await;
                    continue;
                }
            },
        };
        let change = match event {
            Some(event) => event?.1,
            None => return Err(ended(registry)),
        };
        if !*reached {
            // A connection alone proves nothing; the snapshot is the first event of a registry.
            *reached = matches!(change, WatchEvent::Snapshot(_));
            send(inbox, RegistryUpdate::Live { ages: true }).await;
            send(inbox, RegistryUpdate::Heard(Instant::now())).await;
        }
        say_invalid(&mut invalid, events.invalid(), inbox).await;
        let arrived = Instant::now();
        match change {
            WatchEvent::Snapshot(records) if warm.is_some() => {
                for record in records {
                    let known = WatchEvent::Registered(record);
                    send(inbox, RegistryUpdate::Change(known, arrived)).await;
                }
            }
            change => {
                has_list.fetch_or(matches!(change, WatchEvent::Snapshot(_)), Relaxed);
                send(inbox, RegistryUpdate::Change(change, arrived)).await;
            }
        }
    }
}

/// Asks the registry for its own condition, and who the console is for it, until the task is aborted; reports each
/// change.
pub(super) async fn condition(registry: RegistryClient, inbox: mpsc::Sender<Msg>) {
    let (mut known, mut stands) = (Readiness::default(), Standing::default());
    loop {
        // An older registry says nothing; that one cannot be reached is known by its changes.
        if let Ok(said) = registry.readiness().await {
            let said = Readiness { status: String::new(), ..said };
            if said != known {
                known = said.clone();
                send(&inbox, RegistryUpdate::Readiness(said)).await;
            }
        }
        if let Some(said) = standing(&registry).await
            && said != stands
        {
            stands = said.clone();
            send(&inbox, RegistryUpdate::Standing(said)).await;
        }
        sleep(CONDITION).await;
    }
}

/// Who the console is for the registry; `None`: it does not say so now.
async fn standing(registry: &RegistryClient) -> Option<Standing> {
    match registry.whoami().await {
        Ok(whoami) => Some(Standing::of(&whoami)),
        Err(error @ RegistryClientError::NotAllowed { .. }) => {
            Some(Standing::Refused(reason(&error)))
        }
        // An older one.
        Err(RegistryClientError::Unsupported { .. }) => Some(Standing::Unknown),
        Err(_) => None,
    }
}

/// Says which of several registries is in use.
async fn say_which(registry: &RegistryClient, inbox: &mpsc::Sender<Msg>) {
    if registry.url() != registry.given_url() {
        send(inbox, RegistryUpdate::At(registry.url().to_owned())).await;
    }
}

/// Says how many entries of the registry cannot be shown, when their number changes.
async fn say_invalid(known: &mut usize, invalid: usize, inbox: &mpsc::Sender<Msg>) {
    if std::mem::replace(known, invalid) == invalid || invalid == 0 {
        return;
    }
    let what = if invalid == 1 { "1 entry" } else { &format!("{invalid} entries") };
    let text = format!("{what} of the registry cannot be read; its log says who registers what");
    let _ = inbox.send(Msg::Notice(text)).await;
}

/// Interval of polls of an older registry.
pub(super) fn poll_interval(options: &ClientOptions) -> Duration {
    options.refresh_interval.max(SHORTEST_POLL)
}

/// Polls an older registry; returns `Ok` when it is time to try a watch again.
async fn poll(
    registry: &RegistryClient,
    interval: Duration,
    inbox: &mpsc::Sender<Msg>,
    reached: &mut bool,
) -> Result<(), RegistryClientError> {
    let mut invalid = 0;
    for _ in 0..POLLS_BEFORE_WATCH {
        let list = registry.find_all(PROTO_JSON).await?;
        say_invalid(&mut invalid, registry.invalid(), inbox).await;
        say_which(registry, inbox).await;
        if !*reached {
            *reached = true;
            send(inbox, RegistryUpdate::Live { ages: false }).await;
        }
        send(inbox, RegistryUpdate::List(list)).await;
        sleep(interval).await;
    }
    Ok(())
}

/// Takes an instance out of use, or brings it back. The registry's event shows what holds then.
pub(super) async fn set_override(
    url: String,
    options: RegistryClientOptions,
    key: InstanceKey,
    asked: Option<OverrideRequest>,
    inbox: mpsc::Sender<Msg>,
) {
    let done = async {
        let registry = RegistryClient::new(&url, options)?;
        match asked {
            Some(asked) => {
                let asked = OverrideRequest { by: Some(user_at_machine()), ..asked };
                registry.set_override(&key, &asked).await?;
                Ok(format!("{key} takes no new calls"))
            }
            None => {
                registry.clear_override(&key).await?;
                Ok(format!("{key} takes calls again with its next heartbeat"))
            }
        }
    };
    let msg = match done.await {
        Ok(text) => {
            tracing::info!(instance = %key, registry = url, "{text}");
            Msg::Notice(text)
        }
        Err(error) => Msg::Error(format!("not changed: {}", reason(&error))),
    };
    let _ = inbox.send(msg).await;
}

/// Unregisters an instance.
pub(super) async fn unregister(
    url: String,
    options: RegistryClientOptions,
    instance: Instance,
    inbox: mpsc::Sender<Msg>,
) {
    let key = instance.key();
    let done = match RegistryClient::new(&url, options) {
        Ok(registry) => registry.unregister(&instance).await.map(|_| ()),
        Err(error) => Err(error),
    };
    let msg = match done {
        Ok(()) => {
            tracing::info!(instance = %key, registry = url, "unregistered from the console");
            Msg::Notice(format!("unregistered {key}; if it is alive, it registers again"))
        }
        Err(error) => Msg::Error(format!("not unregistered: {}", reason(&error))),
    };
    let _ = inbox.send(msg).await;
}

async fn send(inbox: &mpsc::Sender<Msg>, update: RegistryUpdate) {
    // The inbox is closed only when the console quits, which aborts this task.
    let _ = inbox.send(Msg::Registry(update)).await;
}

fn ended(registry: &RegistryClient) -> RegistryClientError {
    RegistryClientError::Unreachable {
        url: registry.url().to_owned(),
        reason: "connection closed".to_owned(),
    }
}

/// The reason without the address, which the screen shows beside it.
fn reason(error: &RegistryClientError) -> String {
    match error {
        RegistryClientError::Unreachable { reason, .. }
        | RegistryClientError::Insecure { reason, .. } => text::note(reason),
        RegistryClientError::NotAllowed { message, kept_back: false, .. } => text::note(message),
        RegistryClientError::Timeout { .. } => "no reply in time".to_owned(),
        other => text::note(&other.to_string()),
    }
}

/// What kind of reason it is.
fn obstacle(error: &RegistryClientError) -> Obstacle {
    match error {
        #[cfg(feature = "tls")]
        RegistryClientError::Tls(_) => Obstacle::Insecure,
        RegistryClientError::Insecure { .. } => Obstacle::Insecure,
        RegistryClientError::NotAllowed { .. } => Obstacle::Refused,
        _ => Obstacle::Unreachable,
    }
}

/// Streams the registry's log until the task is aborted.
pub(super) async fn logs(registry: RegistryClient, inbox: mpsc::Sender<Msg>) {
    let backoff = Backoff::reconnect();
    let mut failures = 0;
    let mut seen = Seen::default();
    loop {
        let ended = match registry.logs(Level::Trace, "", RECENT).await {
            Ok(mut lines) => {
                failures = 0;
                let live = Msg::LogSource(Source::Registry, SourceState::Live);
                let _ = inbox.send(live).await;
                let lines = stream::poll_fn(|context| lines.poll_next_unpin(context))
                    .map_ok(|next| (next.line, next.dropped));
                batch::forward(&Source::Registry, &inbox, &mut seen, lines).await
            }
            Err(error) => Err(error),
        };
        failures += 1;
        let (state, wait) = match ended {
            Err(RegistryClientError::Unsupported { .. }) => (SourceState::Unsupported, NO_LOG),
            Err(error @ RegistryClientError::NotAllowed { .. }) => {
                (SourceState::Refused(reason(&error)), backoff.delay(failures))
            }
            Err(error) => (SourceState::Lost(reason(&error)), backoff.delay(failures)),
            Ok(()) => {
                let why = "connection closed".to_owned();
                (SourceState::Lost(why), backoff.delay(failures))
            }
        };
        if inbox.send(Msg::LogSource(Source::Registry, state)).await.is_err() {
            return;
        }
        sleep(wait).await;
    }
}

/// Follows the console's own log.
pub(super) async fn own_log(ring: LogRing, inbox: mpsc::Sender<Msg>) {
    let mut lines = ring.follow(RECENT, Level::Trace, "");
    let lines = stream::poll_fn(move |context| lines.poll_next_unpin(context));
    let lines = lines.map(|followed| Ok::<_, Infallible>((followed.line, followed.dropped)));
    let _ = inbox.send(Msg::LogSource(Source::Console, SourceState::Live)).await;
    let Ok(()) = batch::forward(&Source::Console, &inbox, &mut Seen::default(), lines).await;
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const NONE: &str = "event: snapshot\ndata: []\n\n";

    /// A registry that answers a watch with these headers and this snapshot.
    async fn answer(
        listener: &TcpListener,
        headers: &str,
        snapshot: &str,
    ) -> tokio::net::TcpStream {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
        let reply = format!("{head}{headers}\r\n{snapshot}");
        stream.write_all(reply.as_bytes()).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn what_a_registry_that_started_with_nothing_does_not_list_is_gone_only_once_it_knows_all()
     {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (inbox, mut sent) = mpsc::channel(100);
        let options = ClientOptions::default();
        let registry = RegistryClient::new(&url, options.registry()).unwrap();
        let feed = tokio::spawn(changes(registry, options, HasList::default(), inbox));
        let fake = async {
            drop(answer(&listener, "", NONE).await);
            let warming = answer(&listener, "rpcd-warming: 1\r\n", NONE).await;
            (Instant::now(), answer(&listener, "", NONE).await, warming)
        };
        let (warming_at, ..) = timeout(Duration::from_secs(20), fake).await.unwrap();
        assert!(warming_at.elapsed() >= Duration::from_millis(900), "asked again too early");
        let mut snapshots = Vec::new();
        while snapshots.len() < 2 {
            let next = timeout(Duration::from_secs(20), sent.recv()).await.unwrap().unwrap();
            if let Msg::Registry(RegistryUpdate::Change(WatchEvent::Snapshot(_), at)) = next {
                snapshots.push(at);
            }
        }
        assert!(
            snapshots[1] > warming_at + Duration::from_millis(900),
            "its list was taken for whole"
        );
        feed.abort();
    }
}
