//! Which methods change nothing, as all instances that have them say.

use crate::action::Action;
use crate::model::service::MethodId;
use crate::model::{Model, Pane};

/// The methods of the protocol (`rpc.health`) change nothing.
const RESERVED: &str = "rpc.";

/// Whether a method says that it changes nothing.
pub fn is_read_only(model: &Model, id: &MethodId) -> bool {
    let known = || model.methods.find(id).is_some_and(|one| one.signature.effect.is_read_only());
    id.name.starts_with(RESERVED) || known()
}

/// The method that an action would call.
pub(super) fn called(model: &Model, action: Action) -> Option<MethodId> {
    let of_call = |id| Some(model.calls.get(id)?.request.method_id());
    match (action, model.focus()) {
        (Action::StartLoad, _) => model.load.form.as_ref().map(|form| form.method_id()),
        (Action::Resend | Action::ResendTo | Action::LoadTest, Pane::History) => {
            super::selected_call(model).and_then(of_call)
        }
        (Action::Resend | Action::ResendTo | Action::LoadTest, Pane::Response) => {
            model.calls.shown.and_then(of_call)
        }
        // On an instance the method is chosen first; the start asks again.
        (Action::LoadTest, Pane::Instances | Pane::Detail) => None,
        _ => model.forms.current.clone(),
    }
}
