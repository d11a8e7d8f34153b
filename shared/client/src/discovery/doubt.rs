//! Whether anybody of the list answers: a registry that lists nobody is believed only if nobody does.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rand::seq::IteratorRandom;

use super::list::List;

/// For how long a probe waits before the registry is believed.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Whether an instance that gets calls has a connection, or a probe finds one that takes calls: at most
/// `max_probes` of them, chosen at random, are probed at once.
pub(super) async fn anyone_answers(list: &List, max_probes: usize) -> bool {
    let members = list.all.members.iter();
    if members.clone().any(|member| !member.is_ejected() && member.peer.is_connected_extended()) {
        return true;
    }
    let probed = members.map(Arc::clone).sample(&mut rand::rng(), max_probes.max(1));
    let probe = async |member: &super::Member| member.peer.is_up(TIMEOUT).await;
    let mut probes: FuturesUnordered<_> = probed.iter().map(|member| probe(member)).collect();
    while let Some(is_up) = probes.next().await {
        if is_up {
            return true;
        }
    }
    false
}
