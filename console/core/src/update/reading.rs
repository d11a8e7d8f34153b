//! Opening a text over the view: a string of the result, an item of a stream, a documentation.

use crate::model::json::{Part, Scalar, scalar};
use crate::model::reader::Reader;
use crate::model::{Model, Now, Overlay, Pane};
use crate::selectors::docs_of;

/// Longer strings are opened by →, too: most are cut at the edge of the pane.
const LONG: usize = 40;

/// Opens the documentation of the method in the form, or of the selected one.
pub(super) fn docs(model: &mut Model, now: Now) {
    let found = match model.focus() {
        Pane::Methods => model.methods.selected_method().map(|method| method.id.clone()),
        _ => model.forms.current.clone(),
    };
    match found.and_then(|id| docs_of(model, &id)).map(Reader::docs) {
        Some(reader) => model.overlay = Some(Overlay::Reader(reader)),
        None => model.notify_error("no method selected", now),
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
