//! What is selected.

use crate::model::Model;

/// The call that is selected in the history, else the newest.
pub fn selected_call(model: &Model) -> Option<crate::model::calls::CallId> {
    let newest = model.calls.visible().first().map(|call| call.request.id);
    model.calls.selected.or(newest)
}
