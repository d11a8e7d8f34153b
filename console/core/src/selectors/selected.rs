//! The selected call.

use crate::model::Model;

/// The call selected in the history, else the newest.
pub fn selected_call(model: &Model) -> Option<crate::model::calls::CallId> {
    let newest = model.calls.visible().first().map(|call| call.request.id);
    model.calls.selected.or(newest)
}
