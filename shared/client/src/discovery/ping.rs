//! The task that looks at busy instances: it pings those that are silent, and compares latencies.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use super::health::Look;
use super::member::Member;
use super::shared::Shared;
use crate::InstanceState;

/// The longest time between two looks.
const LONGEST: Duration = Duration::from_millis(250);
const SHORTEST: Duration = Duration::from_millis(5);
/// A ping on a connection with calls may wait for so many times as long as one on a new connection: it stands behind
/// those calls.
const PATIENCE: u32 = 2;
/// After so many looks at which nobody was busy it sleeps until calls are made.
const IDLE_LOOKS: u32 = 8;

/// Runs until the client ends; sleeps while no calls are made.
pub(super) async fn run(shared: Arc<Shared>) {
    let limit = shared.context.options.max_probes.max(1);
    let pause = (shared.options().ping_interval / 2).clamp(SHORTEST, LONGEST);
    let mut pings = FuturesUnordered::new();
    let mut idle_looks = 0;
    let mut next = Instant::now();
    loop {
        if Instant::now() >= next {
            let room = limit - pings.len();
            let left = still_called(&shared);
            let start = |member| pings.push(ping(&shared, member));
            let any = look(&shared, &left, room, start);
            idle_looks = if any || !pings.is_empty() { 0 } else { idle_looks + 1 };
            next = Instant::now() + pause;
        }
        if idle_looks >= IDLE_LOOKS {
            shared.is_watched.store(false, Ordering::Relaxed);
            shared.calls_begin.notified().await;
            (idle_looks, next) = (0, Instant::now());
        }
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            Some((member, answered)) = pings.next() => note(&shared, &member, answered),
        }
    }
}

/// Instances that left the list and are still called: their calls go elsewhere if they are silent.
fn still_called(shared: &Shared) -> Vec<Arc<Member>> {
    let mut left = shared.left.lock().unwrap_or_else(PoisonError::into_inner);
    left.retain(|member| member.peer.load.in_flight() > 0);
    left.clone()
}

/// Starts at most `room` pings of those that are listed and of those that have left. Whether any instance needs
/// another look soon.
fn look(
    shared: &Shared,
    left: &[Arc<Member>],
    mut room: usize,
    mut start: impl FnMut(Arc<Member>),
) -> bool {
    let (now, options) = (Instant::now(), shared.options());
    let list = shared.list.load();
    let mut any = false;
    let mut any_revived = false;
    for member in list.all.members.iter().chain(left) {
        let is_busy = member.peer.load.in_flight() > 0;
        let heard = member.peer.heard();
        let looked = {
            let mut health = member.health();
            any |= is_busy || health.is_suspect();
            let may_ping = room > 0 && !options.ping_interval.is_zero();
            health.look((heard, is_busy), may_ping, now, options)
        };
        match looked {
            // It is called whether it answers or not.
            Look::Ping if list.all.members.len() < 2 => member.health().is_alone(now),
            Look::Ping => {
                room -= 1;
                start(Arc::clone(member));
            }
            Look::Revived => any_revived = true,
            Look::Nothing if is_busy => shared.compare_latency(&list, member, now),
            Look::Nothing => {}
        }
    }
    if any_revived {
        shared.update_usable();
        shared.health_changed.notify_one();
    }
    any
}

async fn ping(shared: &Shared, member: Arc<Member>) -> (Arc<Member>, bool) {
    let within = shared.options().ping_timeout;
    let answered = member.peer.ping(within).await;
    if answered && member.peer.leaves_stuck_connection(within * PATIENCE).await {
        let instance = member.peer.name();
        tracing::info!(instance, "a connection is stuck: calls go over a new one");
    }
    (member, answered)
}

fn note(shared: &Shared, member: &Member, answered: bool) {
    let (now, options) = (Instant::now(), shared.options());
    let heard = member.peer.heard();
    let changed = member.health().pinged(answered, heard, now, options, &mut rand::rng());
    if !changed {
        return;
    }
    let health = member.health().describe(now, options);
    let (state, reason) = (health.state, health.reason.unwrap_or_default());
    let what = match state {
        InstanceState::Suspect => "instance suspected: it gets no new calls",
        InstanceState::Ejected => "instance ejected: it gets no calls for a while",
        _ => "instance takes calls again",
    };
    tracing::info!(instance = %member.peer.name(), %state, reason, "{what}");
    shared.update_usable();
    shared.health_changed.notify_one();
    if !state.gets_calls() {
        member.peer.note_suspicion();
    }
}
