//! The task that probes who was set aside, and brings back who serves again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::list::Member;
use super::shared::Shared;

/// A probe waits so long for an answer.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Runs until the client ends, asleep while nobody is aside.
pub(super) async fn run(shared: Arc<Shared>) {
    let most = shared.context.options.max_probes.max(1);
    let mut probes = FuturesUnordered::new();
    loop {
        let next = start_due(&shared, most - probes.len(), |member| probes.push(probe(member)));
        tokio::select! {
            () = sleep_until(next) => {}
            () = shared.newly_aside.notified() => {}
            Some((member, serves)) = probes.next() => note(&shared, &member, serves),
        }
    }
}

/// Starts at most `room` of the probes that are due; when the next one will be, if there was room
/// for all of those.
fn start_due(
    shared: &Shared,
    mut room: usize,
    mut start: impl FnMut(Arc<Member>),
) -> Option<Instant> {
    let now = Instant::now();
    let mut next: Option<Instant> = None;
    for member in shared.list.load().members.iter() {
        let Some(at) = member.probe_at() else { continue };
        if at > now {
            next = Some(next.map_or(at, |earliest| earliest.min(at)));
        } else if room > 0 {
            room -= 1;
            member.begin_probe();
            start(Arc::clone(member));
        }
    }
    next
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn probe(member: Arc<Member>) -> (Arc<Member>, bool) {
    let serves = member.peer.serves(TIMEOUT).await;
    (member, serves)
}

fn note(shared: &Shared, member: &Member, serves: bool) {
    if serves {
        tracing::info!(instance = %member.peer.name(), "instance is back");
    }
    shared.update(|list| {
        member.probed(serves, Instant::now());
        Some(list.rechecked())
    });
}
