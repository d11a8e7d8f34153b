//! The heartbeats of many instances in one request: for a program that speaks for all of them.

use rpc_wire::instance::{InstanceKey, OverrideState};
use serde::{Deserialize, Serialize};

use super::{Peer, Reply, json};
use crate::error::Refusal;
use crate::service::{Beat, Sender, Service};

/// What is sent of each instance; other keys are ignored.
#[derive(Deserialize)]
struct Sent {
    protocol: String,
    host: String,
    port: u16,
    incarnation: Option<u64>,
}

#[derive(Debug, Default, Serialize)]
struct Answer<'a> {
    /// How many live on.
    renewed: usize,
    /// Those that are not listed, or with another incarnation: to be registered again.
    unknown: Vec<&'a InstanceKey>,
    /// Those that an operator took out of use.
    overridden: Vec<Overridden<'a>>,
}

#[derive(Debug, Serialize)]
struct Overridden<'a> {
    #[serde(flatten)]
    key: &'a InstanceKey,
    state: OverrideState,
}

/// Renews the instances of the body, whose size bounds their number. `held_by` is who sends them on a
/// connection that is held for them.
///
/// # Errors
/// It is no list of instances.
pub(super) fn renew(
    service: &Service,
    body: &[u8],
    sender: &Sender,
    held_by: Option<&Peer>,
) -> Result<Reply, Refusal> {
    let sent: Vec<Sent> = serde_json::from_slice(body)
        .map_err(|error| Refusal::BadRequest(format!("body: not a list of instances: {error}")))?;
    let beats: Vec<_> = sent.into_iter().map(Sent::beat).collect();
    let mut answer = Answer::default();
    let mut beating = Vec::new();
    for (Beat { key, .. }, renewed) in beats.iter().zip(service.beat(&beats, sender)) {
        let Some(renewed) = renewed else {
            answer.unknown.push(key);
            continue;
        };
        answer.renewed += 1;
        answer.overridden.extend(renewed.overridden.map(|state| Overridden { key, state }));
        beating.push(key);
    }
    if let Some(Peer { ip, held, .. }) = held_by {
        held.note(service, beating.into_iter().cloned(), *ip);
    }
    // Names and numbers serialise.
    Ok(json(serde_json::to_vec(&answer).unwrap_or_default().into()))
}

impl Sent {
    fn beat(self) -> Beat {
        let Self { protocol, host, port, incarnation } = self;
        Beat { key: InstanceKey { protocol, host, port }, incarnation }
    }
}
