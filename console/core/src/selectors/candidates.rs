//! The instances a call can be sent to.

use rpc_wire::instance::InstanceKey;

use crate::model::instances::State;
use crate::model::resend::Resend;
use crate::model::service::MethodId;
use crate::model::{Model, Now};

/// Instances that have the method: those that are up; if none is, all that are not gone.
pub fn candidates(model: &Model, method: &MethodId, now: Now) -> Vec<InstanceKey> {
    let Some(method) = model.methods.find(method) else {
        return undescribed(model).cloned().into_iter().collect();
    };
    let live = model.link.is_live();
    let in_state = |wanted: &dyn Fn(State) -> bool| -> Vec<InstanceKey> {
        let is_wanted = |key: &&InstanceKey| {
            model.instances.get(key).is_some_and(|row| wanted(row.state(now.at, live)))
        };
        let mut found: Vec<_> = method.on.iter().filter(is_wanted).cloned().collect();
        found.sort();
        found
    };
    let up = in_state(&|state| state == State::Up);
    if up.is_empty() { in_state(&|state| state != State::Gone) } else { up }
}

/// The one server that is opened, while it describes no method: then any can be called by its name.
pub(super) fn undescribed(model: &Model) -> Option<&InstanceKey> {
    model.link.server.as_ref().filter(|_| model.methods.all().next().is_none())
}

/// Instances that have the call's method and match the filter; the one that replied comes last.
pub fn resend_targets(model: &Model, choice: &Resend) -> Vec<InstanceKey> {
    let Some(call) = model.calls.get(choice.call) else { return Vec::new() };
    let Some(method) = model.methods.find(&call.request.method_id()) else { return Vec::new() };
    let filter = choice.filter.value().trim().to_lowercase();
    let passes = |key: &&InstanceKey| key.to_string().to_lowercase().contains(&filter);
    let mut found: Vec<_> = method.on.iter().filter(passes).cloned().collect();
    found.sort();
    let replied = call.peer();
    found.sort_by_key(|key| replied == Some(key.to_string().as_str()));
    found
}
