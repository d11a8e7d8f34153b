//! The task that probes ejected instances, restores those that are up, and ends their slow starts.

use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::Instant;

use super::member::Member;
use super::shared::Shared;

/// Runs until the client ends; sleeps while every instance is up.
pub(super) async fn run(shared: Arc<Shared>) {
    let limit = shared.context.options.max_probes.max(1);
    let mut probes = FuturesUnordered::new();
    loop {
        let room = limit - probes.len();
        let next = start_due(&shared, room, |member| probes.push(probe(&shared, member)));
        tokio::select! {
            () = sleep_until(next) => {}
            () = shared.health_changed.notified() => {}
            Some(first) = probes.next() => {
                let mut ended = vec![first];
                // Together: each restored instance replaces the list.
                while let Some(Some(next)) = probes.next().now_or_never() {
                    ended.push(next);
                }
                note(&shared, &ended);
            }
        }
    }
}

/// Starts at most `room` of the probes that are due, and ends slow starts. When the next one is due, if all of
/// those were started.
fn start_due(
    shared: &Shared,
    mut room: usize,
    mut start: impl FnMut(Arc<Member>),
) -> Option<Instant> {
    let (now, options) = (Instant::now(), shared.options());
    let mut next: Option<Instant> = None;
    let mut any_is_up = false;
    for member in shared.list.load().all.members.iter() {
        let mut health = member.health();
        let Some(at) = health.due(options) else { continue };
        if at > now {
            next = Some(next.map_or(at, |earliest| earliest.min(at)));
        } else if health.end_slow_start(now, options) {
            any_is_up = true;
        } else if room > 0 && health.begin_probe(now) {
            room -= 1;
            start(Arc::clone(member));
        }
    }
    if any_is_up {
        shared.update_usable();
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

async fn probe(shared: &Shared, member: Arc<Member>) -> (Arc<Member>, bool) {
    let is_up = member.peer.is_up(shared.options().probe_timeout).await;
    (member, is_up)
}

fn note(shared: &Shared, ended: &[(Arc<Member>, bool)]) {
    let now = Instant::now();
    for (member, _) in ended.iter().filter(|(_, is_up)| *is_up) {
        tracing::info!(instance = %member.peer.name(), "instance restored");
        let ejections = member.health().ejections();
        member.peer.load.comes_back(ejections, now);
    }
    let any_is_up = ended.iter().any(|(_, is_up)| *is_up);
    shared.update(|list, contracts| {
        let (options, mut rng) = (shared.options(), rand::rng());
        for (member, is_up) in ended {
            member.health().probed(*is_up, now, options, &mut rng);
            if *is_up {
                contracts.restored(&member.identity);
                contracts.is_wanted |= member.take_probed(contracts);
            }
        }
        // The others get as many calls as before: none.
        any_is_up.then(|| list.with_usable(contracts))
    });
    if any_is_up {
        shared.learn_wanted.notify_one();
    }
}
