//! The task that asks instances for their methods, once per contract.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::Instant;

use super::contracts::{Contract, Due, Identity};
use super::member::Member;
use super::probe::sleep_until;
use super::shared::Shared;
use crate::method_list::Methods;
use crate::{CallError, Phase, Rounded, methods};

const NO_ROOM: &str = "the method lists of all instances take more than 256 MiB";

/// The reply of an instance that was asked for the methods of a contract.
struct Reply {
    contract: Contract,
    member: Arc<Member>,
    result: Result<Methods, CallError>,
}

/// Runs until the client ends. Calls that wait for what it learns share its requests.
pub(super) async fn run(shared: Arc<Shared>) {
    let limit = shared.context.options.max_discoveries.max(1);
    let mut asked = FuturesUnordered::new();
    loop {
        let (started, hedge_at) = start_due(&shared, limit - asked.len());
        for (contract, member) in started {
            asked.push(ask(&shared, contract, member));
        }
        tokio::select! {
            () = shared.learn_wanted.notified() => {}
            () = sleep_until(hedge_at) => {}
            Some(first) = asked.next() => {
                let mut replies = vec![first];
                // Together: each change replaces the list.
                while let Some(Some(reply)) = asked.next().now_or_never() {
                    replies.push(reply);
                }
                note(&shared, replies);
            }
        }
    }
}

/// How long a failed contract is not asked for again, at least; also the age at which the list of an
/// instance without a digest is doubted.
pub(super) fn pause(shared: &Shared) -> Duration {
    super::refresh::interval(&shared.context.options)
}

/// Whom to ask now, and when to look again if nobody replies.
fn start_due(shared: &Shared, room: usize) -> (Vec<(Contract, Arc<Member>)>, Option<Instant>) {
    let mut started = Vec::new();
    let mut look_again = None;
    if room == 0 {
        return (started, look_again);
    }
    let mut any_gave_up = false;
    shared.update(|list, contracts| {
        if list.all.is_uniform && !contracts.is_wanted {
            return None;
        }
        let members = &list.all.members;
        let instances: Vec<(&Identity, bool)> =
            members.iter().map(|member| (&*member.identity, member.gets_calls())).collect();
        let limits = (room, pause(shared));
        let Due { ask, gave_up, hedge_at } =
            contracts.due(&instances, limits, Instant::now(), &mut rand::rng());
        let member = |index: usize| members.get(index).map(Arc::clone);
        started.extend(ask.into_iter().filter_map(|(it, index)| Some((it, member(index)?))));
        (any_gave_up, look_again) = (gave_up, hedge_at);
        gave_up.then(|| list.with_usable(contracts))
    });
    if any_gave_up {
        shared.learned.send_modify(|changes| *changes += 1);
    }
    (started, look_again)
}

async fn ask(shared: &Shared, contract: Contract, member: Arc<Member>) -> Reply {
    let options = &shared.context.options;
    // A slow one holds nobody up for long: another one is asked, or called without knowing.
    let within = options.failover_after.min(options.timeout);
    let result = methods::ask(&member.peer, options, within).await.map_err(|error| match error {
        // As for a call that could go to another one: it gets no calls until a probe finds it up.
        CallError::Timeout { peer, after, phase: Phase::Connect } => {
            let reason =
                format!("no connection or no reply to the probe within {}", Rounded(after));
            CallError::Unreachable { peer, reason }
        }
        error => error,
    });
    Reply { contract, member, result }
}

fn note(shared: &Shared, replies: Vec<Reply>) {
    let failures = replies.iter().filter_map(|Reply { member, result, .. }| {
        let error = result.as_ref().err()?;
        tracing::debug!(instance = %member.peer.name(), %error, "its methods are unknown");
        Some((&member.peer, error))
    });
    shared.note_failures(failures, true);
    shared.update(|list, contracts| {
        let now = Instant::now();
        for Reply { contract, member, result } in replies {
            let result = result.and_then(|methods| match contracts.has_room_for(&methods) {
                true => Ok(methods),
                false => Err(CallError::bad_reply(member.peer.name(), NO_ROOM)),
            });
            contracts.learned(contract, &member.identity, result, now);
        }
        contracts.retain(&list.identities(), now);
        Some(list.with_usable(contracts))
    });
    shared.learned.send_modify(|changes| *changes += 1);
}
