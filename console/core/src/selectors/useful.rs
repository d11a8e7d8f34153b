//! Which keys the hint bar offers: not those that do nothing here.

use super::{exists, is_typing_load_field, unavailable};
use crate::action::Action;
use crate::model::calls::Tab;
use crate::model::{Model, Pane};

/// Whether an action would do something in the focused pane.
pub fn is_useful(model: &Model, action: Action) -> bool {
    use Action::*;
    if !exists(model, action) || unavailable(model, action).is_some() {
        return false;
    }
    match (model.focus(), action) {
        (Pane::Instances, Filter | SortLeft | SortRight | SortReverse | Copy) => {
            !model.instances.is_empty()
        }
        (Pane::Detail, Copy) => model.instances.selected.is_some(),
        (Pane::Events, Wrap | Copy) => !model.events.is_empty(),
        (Pane::Methods, Filter | Copy) => model.methods.all().next().is_some(),
        // Both would leave the tab.
        (Pane::Response, Search | FilterPath) => has_body(model),
        (Pane::Response, Copy | CopyAs | NextTab | Older) => !model.calls.is_empty(),
        (Pane::History, Filter | Copy | CopyAs) => !model.calls.is_empty(),
        (Pane::Logs, Filter | Search | Wrap | Mark | Follow) => model.logs.counts().1 > 0,
        (Pane::LoadPlan, NextField | Copy) => model.load.form.is_some(),
        (Pane::LoadPlan, Escape) => is_typing_load_field(model),
        (Pane::LoadRun, Copy) => model.load.run.is_some(),
        _ => true,
    }
}

/// Whether the response shows a result or the items of a stream.
fn has_body(model: &Model) -> bool {
    model.calls.shown_call().is_some_and(|call| {
        call.tab == Tab::Body && (call.document().is_some() || !call.items.is_empty())
    })
}
