//! Whether anybody of the list answers: a registry that lists nobody is believed only if nobody does.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rand::seq::IteratorRandom;

use super::list::List;
use super::member::Member;
use crate::ClientOptions;

/// Whether an instance takes calls: a probe says so, or it does not say and there is a connection on which it
/// gets calls, as a full server accepts no other. At most `max_probes` of them, chosen at random, are probed.
pub(super) async fn anyone_answers(list: &List, options: &ClientOptions) -> bool {
    let members = list.all.members.iter().map(Arc::clone);
    let asked = members.sample(&mut rand::rng(), options.max_probes.max(1));
    let within = options.ejection.probe_timeout;
    let mut answers: FuturesUnordered<_> =
        asked.iter().map(|member| answers(member, within)).collect();
    while let Some(answers) = answers.next().await {
        if answers {
            return true;
        }
    }
    false
}

async fn answers(member: &Member, within: Duration) -> bool {
    let says_up = member.peer.says_up(within).await;
    says_up.unwrap_or_else(|| member.peer.is_connected_extended() && member.gets_calls())
}
