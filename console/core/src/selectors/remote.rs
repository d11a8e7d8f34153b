//! Which load tests leave this machine.

use rpc_wire::instance::InstanceKey;
use rpc_wire::target::{Target, parse_url};

use crate::model::Model;
use crate::model::access::is_loopback;
use crate::model::load::LoadRequest;
use crate::text;

/// The target of a load test that is not only on this machine, for the question whether to start it.
pub fn remote_target(model: &Model, request: &LoadRequest) -> Option<String> {
    let is_remote = |key: &&InstanceKey| !is_loopback(&key.host);
    match &request.target {
        Target::Direct { host, port } => {
            (!is_loopback(host)).then(|| text::printable(&format!("{host}:{port}")).into_owned())
        }
        Target::JsonRpc { url } => {
            let is_here = parse_url(url).is_ok_and(|(host, _)| is_loopback(&host));
            (!is_here).then(|| text::printable(url).into_owned())
        }
        Target::Registry { url } => {
            let on: Vec<&InstanceKey> = match model.methods.find(&request.method_id()) {
                Some(method) => method.on.iter().collect(),
                None => model.instances.all().map(|row| &row.key).collect(),
            };
            let all = on.len();
            match on.iter().copied().filter(is_remote).collect::<Vec<_>>()[..] {
                // Nobody knows what an unknown list holds.
                [] if all == 0 => Some(text::printable(url).into_owned()),
                [] => None,
                [one] if all == 1 => Some(text::printable(&one.to_string()).into_owned()),
                ref remote => {
                    Some(format!("{} of {all} instances not on this machine", remote.len()))
                }
            }
        }
    }
}
