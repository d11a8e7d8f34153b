//! What has become of the method of the form on screen.

use crate::model::Model;
use crate::model::form::Form;
use crate::text;

/// What has become of the method of a form since it was opened, last sent or reset.
pub fn method_news(model: &Model, form: &Form) -> Option<String> {
    let id = form.id();
    if model.methods.is_gone(&id) {
        let of = id.service.name().map(|name| format!(" of {}", text::printable(name)));
        return Some(format!("no instance{} has it any more", of.unwrap_or_default()));
    }
    let changes = text::printable(&form.changes()?).into_owned();
    Some(format!("the method has changed: {changes}"))
}
