//! Where else a call of the history could be sent: the instances that have its method.

use rpc_wire::instance::InstanceKey;
use tui_input::Input;

use super::Model;
use super::calls::CallId;

/// The choice of an instance for a call to be sent again.
#[derive(Debug)]
pub struct Elsewhere {
    /// The call.
    pub call: CallId,
    /// What addresses must contain.
    pub filter: Input,
    /// The selected instance.
    pub selected: usize,
}

impl Elsewhere {
    /// A choice for that call, with nothing typed.
    pub fn new(call: CallId) -> Self {
        Self { call, filter: Input::default(), selected: 0 }
    }
}

/// Instances that have the call's method and pass the filter. Who answered it comes last: it is
/// the one that is not elsewhere.
pub fn entries(model: &Model, elsewhere: &Elsewhere) -> Vec<InstanceKey> {
    let Some(call) = model.calls.get(elsewhere.call) else { return Vec::new() };
    let Some(method) = model.methods.get(&call.request.method) else { return Vec::new() };
    let filter = elsewhere.filter.value().trim().to_lowercase();
    let passes = |key: &&InstanceKey| key.to_string().to_lowercase().contains(&filter);
    let mut found: Vec<_> = method.on.iter().filter(passes).cloned().collect();
    let answered = call.peer();
    found.sort_by_key(|key| answered == Some(key.to_string().as_str()));
    found
}
