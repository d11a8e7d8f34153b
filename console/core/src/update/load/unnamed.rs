//! Load tests of methods of instances that name no service.

use rpc_wire::target::Target;

use crate::action::{Action, Context};
use crate::model::Model;
use crate::model::load::LoadRequest;

/// Aims a load test of such a method at the instances that have it. A registry is asked for a service,
/// and has no name for them.
///
/// # Errors
/// A service has a method of this name, too, and several instances without a service have it.
pub(super) fn aim(model: &Model, request: &mut LoadRequest) -> Result<(), String> {
    let id = request.method_id();
    let method = model.methods.get(&id).filter(|_| id.service.name().is_none());
    let (Some(method), Target::Registry { .. }) = (method, &request.target) else { return Ok(()) };
    if let [one] = &method.on.sorted()[..] {
        request.target = Target::Direct { host: one.host.clone(), port: one.port };
    } else if model.methods.is_ambiguous(&id.name) {
        let key = model.keys.shown(Context::LoadPlan, Action::LoadTarget);
        return Err(format!("services have {} too; choose an instance ({key})", id.name));
    }
    Ok(())
}
