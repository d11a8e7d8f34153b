//! What an instance speaks, and how a request to it reads.

use rpc_wire::call::Args;
use rpc_wire::instance::InstanceKey;
use rpc_wire::target::Target;

use crate::model::Model;
use crate::model::instances::Row;
use crate::model::service::MethodId;
use crate::model::snippet::{Speaks, in_dialect};

/// What the instance speaks, as far as it is known; without one, what the only server does.
pub fn speaks(model: &Model, key: Option<&InstanceKey>) -> Speaks {
    let Some(key) = key.or(model.link.server.as_ref()) else { return Speaks::Ours };
    match model.link.target_of(key) {
        Target::JsonRpc { url } => Speaks::JsonRpcAt(url),
        _ if model.instances.get(key).is_some_and(Row::speaks_json_rpc) => Speaks::JsonRpc,
        _ => Speaks::Ours,
    }
}

/// The request as it reads in the dialect of the instance.
pub fn request_text(
    model: &Model,
    key: Option<&InstanceKey>,
    method: &MethodId,
    args: &Args,
) -> String {
    let signature = model.methods.find(method).map(|listed| &listed.signature);
    let parameters = signature.map(|signature| &signature.parameters);
    let names = parameters.into_iter().flatten().map(|parameter| parameter.name.as_str());
    let stream = signature.is_some_and(|signature| signature.stream);
    in_dialect(&speaks(model, key), &method.name, args, names, stream)
}
