//! Opening a text over the view: a string of the result, an item of a stream, a documentation.

use super::Effects;
use crate::message::Effect;
use crate::model::json::{Part, Scalar, scalar};
use crate::model::methods::Method;
use crate::model::reader::Reader;
use crate::model::{Model, Now, Overlay, Pane};
use crate::selectors::docs_of;

/// Longer strings are opened by →, too: most are cut at the edge of the pane.
const LONG: usize = 40;

/// Opens the documentation of the method in the form, or of the selected one.
pub(super) fn docs(model: &mut Model, now: Now, effects: &mut Effects) {
    let found = match model.focus() {
        Pane::Methods => model.methods.selected_method().map(|method| method.id.clone()),
        _ => model.forms.current.clone(),
    };
    if let Some(method) = found.as_ref().and_then(|id| model.methods.get(id)) {
        ask_again(method, effects);
    }
    match found.and_then(|id| docs_of(model, &id)).map(Reader::docs) {
        Some(reader) => model.overlay = Some(Overlay::Reader(reader)),
        None => model.notify_error("no method selected", now),
    }
}

/// Asks one of the instances that have the method: its documentation may have changed.
pub(super) fn ask_again(method: &Method, effects: &mut Effects) {
    effects.extend(method.on.iter().next().cloned().map(Effect::AskAgain));
}

/// Shows the documentation that instances have now, if one is open.
pub(super) fn renew(model: &mut Model) {
    let Some(Overlay::Reader(reader)) = &mut model.overlay else { return };
    let Some(id) = reader.method() else { return };
    model.methods.refresh();
    if let Some(docs) = docs_of(model, &id)
        && let Some(Overlay::Reader(reader)) = &mut model.overlay
    {
        reader.renew(docs);
    }
}

/// Opens the item or the string under the cursor; returns whether there was one. With `only_long`
/// short strings are not opened.
pub(super) fn open_value(model: &mut Model, only_long: bool) -> bool {
    let reader = model.calls.shown_call().and_then(|call| {
        if call.request.stream {
            let method = &call.request.method;
            let title = format!("{method}, item {}", call.items.number());
            return call.items.current().map(|item| Reader::json(title, item));
        }
        let document = call.body()?;
        let line = document.line(call.folding.cursor)?;
        let Part::Scalar(range) = &line.part else { return None };
        let text = document.slice(range);
        let string: String = serde_json::from_str(text).ok()?;
        let is_long = string.chars().count() > LONG || string.contains('\n');
        let opens = scalar(text) == Scalar::String && (is_long || !only_long);
        opens.then(|| Reader::text(call.path_under_cursor().unwrap_or_default(), &string))
    });
    let found = reader.is_some();
    if let Some(reader) = reader {
        model.overlay = Some(Overlay::Reader(reader));
    }
    found
}
