//! The task that probes ejected instances and restores those that are up.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::member::Member;
use super::shared::Shared;

/// Timeout of one probe.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Runs until the client ends; sleeps while no instance is ejected.
pub(super) async fn run(shared: Arc<Shared>) {
    let limit = shared.context.options.max_probes.max(1);
    let mut probes = FuturesUnordered::new();
    loop {
        let next = start_due(&shared, limit - probes.len(), |member| probes.push(probe(member)));
        tokio::select! {
            () = sleep_until(next) => {}
            () = shared.newly_ejected.notified() => {}
            Some((member, is_up)) = probes.next() => note(&shared, &member, is_up),
        }
    }
}

/// Starts at most `room` of the probes that are due. When the next one is due, if all of those were
/// started.
fn start_due(
    shared: &Shared,
    mut room: usize,
    mut start: impl FnMut(Arc<Member>),
) -> Option<Instant> {
    let now = Instant::now();
    let mut next: Option<Instant> = None;
    for member in shared.list.load().all.members.iter() {
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

/// Waits until then, if ever.
pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn probe(member: Arc<Member>) -> (Arc<Member>, bool) {
    let is_up = member.peer.is_up(TIMEOUT).await;
    (member, is_up)
}

fn note(shared: &Shared, member: &Member, is_up: bool) {
    if is_up {
        tracing::info!(instance = %member.peer.name(), "instance restored");
    }
    shared.update(|list, contracts| {
        member.probed(is_up, Instant::now());
        if is_up {
            contracts.restored(&member.identity);
            contracts.is_wanted |= member.take_probed(contracts);
        }
        Some(list.with_usable(contracts))
    });
    shared.learn_wanted.notify_one();
}
