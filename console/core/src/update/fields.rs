//! Actions on all fields of a form: examples, JSON, the target.

use crate::action::{Action, Context};
use crate::model::{Model, Now};

/// Fills in the next example of the method.
pub(super) fn example(model: &mut Model, now: Now) {
    let Some(form) = model.forms.get_mut() else { return };
    match form.fill_example() {
        Some(filled) => model.notify(filled, now),
        None => model.notify_error("the method has no examples", now),
    }
}

/// Switches between fields and JSON.
pub(super) fn edit_json(model: &mut Model, now: Now) {
    let Some(form) = model.forms.get_mut() else { return };
    if form.json.is_none() {
        form.open_json(&form.to_json(), None);
    } else if !form.close_json() {
        let key = model.keys.shown(Context::Json, Action::ResetForm);
        model.notify_error(format!("fix the JSON first, or press {key} to reset it"), now);
    }
}

/// Cycles through any instance and each one that has the method.
pub(super) fn next_target(model: &mut Model) {
    let on = model.forms.current.as_ref().and_then(|id| model.methods.get(id));
    let on = on.map(|method| method.on.sorted()).unwrap_or_default();
    let Some(form) = model.forms.get_mut() else { return };
    let at = form.target.as_ref().and_then(|key| on.iter().position(|on| on == key));
    form.target = match (&form.target, at) {
        (None, _) => on.first().cloned(),
        (Some(_), Some(at)) => on.get(at + 1).cloned(),
        (Some(_), None) => None,
    };
}
