//! The JSONPath filter of the result on screen.

use super::Effects;
use super::search::LARGE_BYTES;
use crate::message::Effect;
use crate::model::calls::{CallId, Tab};
use crate::model::json::Selection;
use crate::model::{Model, View};

/// Applies the filter when it or the result on screen changed. Large results are filtered in the
/// background, after the path was typed.
pub(super) fn sync(model: &mut Model, effects: &mut Effects) {
    let path = model.calls.path.value().trim().to_owned();
    let typing = model.filtering && model.calls.is_typing_path && model.view == View::Methods;
    let Some(call) = model.calls.shown_call_mut().filter(|call| !call.request.stream) else {
        return;
    };
    let Some(document) = call.document().cloned() else { return };
    if call.filtered.as_ref().map_or("", |filtered| &filtered.path) == path {
        return;
    }
    let is_large = document.text().len() > LARGE_BYTES;
    if is_large && typing && !path.is_empty() {
        return;
    }
    let id = call.request.id;
    if path.is_empty() {
        if is_large {
            effects.push(Effect::StopSelect);
        }
        call.unfilter();
    } else {
        call.tab = Tab::Body;
        call.filter(&path);
        if is_large {
            effects.push(Effect::Select(id, document, path));
        } else {
            let selection = document.select(&path);
            call.set_selection(&path, selection);
        }
    }
    // Matches of a search are lines of what was shown before.
    model.calls.found = None;
}

/// Applies the outcome of filtering in the background.
pub(super) fn selected(
    model: &mut Model,
    id: CallId,
    path: &str,
    selection: Result<Selection, String>,
) {
    if let Some(call) = model.calls.get_mut(id) {
        call.set_selection(path, selection);
    }
    model.calls.found = None;
}
