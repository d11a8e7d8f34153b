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

/// The request as it reads in the dialect of the instance; without one, in that of an instance that has the method.
pub fn request_text(
    model: &Model,
    key: Option<&InstanceKey>,
    method: &MethodId,
    args: &Args,
) -> String {
    let listed = model.methods.find(method);
    let signature = listed.map(|listed| &listed.signature);
    let parameters = signature.map(|signature| &signature.parameters);
    let names = parameters.into_iter().flatten().map(|parameter| parameter.name.as_str());
    let stream = signature.is_some_and(|signature| signature.stream);
    let has_method = || listed?.on.sorted().into_iter().next();
    let on = key.cloned().or_else(has_method);
    in_dialect(&speaks(model, on.as_ref()), &method.name, args, names, stream)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use crate::message::{InstanceUpdate, Msg};
    use crate::model::instances::Dialect;
    use crate::model::service::Service;

    #[test]
    fn a_request_to_any_instance_reads_as_those_with_the_method_speak() {
        let now = fixture::now();
        let mut model = Model::new("http://127.0.0.1:9999", now);
        fixture::snapshot(&mut model, vec![fixture::record("127.0.0.1", 8089, 0, 1)], now);
        fixture::learn(&mut model, fixture::key(8089), fixture::methods(), now);
        let method = MethodId { service: Service::default(), name: "add".to_owned() };
        let args = Args::from_values(&[1.into(), 2.into()], &serde_json::Map::new());
        let text = |model: &Model| request_text(model, None, &method, &args);
        assert!(text(&model).contains("method_args"), "{}", text(&model));
        let found = InstanceUpdate::Dialect(Dialect::JsonRpc);
        fixture::feed(&mut model, Msg::Instance(fixture::key(8089), found), now);
        assert_eq!(text(&model), r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#);
    }
}
