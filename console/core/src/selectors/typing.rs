//! Where the next key goes.

use crate::action::Context;
use crate::model::{Model, Overlay, Pane};

/// Whether character keys type text.
pub fn is_typing(model: &Model) -> bool {
    let in_form =
        || model.focus() == Pane::Form && model.forms.get().is_some_and(|form| form.is_typing());
    match &model.overlay {
        Some(overlay) => overlay.is_text(),
        None => model.filtering || in_form() || is_typing_load_field(model),
    }
}

/// Whether character keys edit a field of the load test form; not while a load test runs.
pub(crate) fn is_typing_load_field(model: &Model) -> bool {
    model.focus() == Pane::LoadPlan
        && !model.load.is_running()
        && model.load.form.as_ref().is_some_and(|form| form.editing)
}

/// The context of the next key.
pub fn context(model: &Model) -> Context {
    match model.overlay {
        Some(Overlay::Help { .. }) => Context::Help,
        Some(Overlay::Palette(_)) => Context::Palette,
        Some(Overlay::Registries { .. }) => Context::Registries,
        Some(Overlay::Menu(_)) => Context::Menu,
        Some(Overlay::Prompt(_)) => Context::Prompt,
        Some(Overlay::Resend(_)) => Context::Resend,
        Some(Overlay::Sources(_)) => Context::Sources,
        Some(Overlay::Reader(_)) => Context::Reader,
        None if model.filtering => Context::Filter,
        None if model.focus() == Pane::Form
            && model.forms.get().is_some_and(|form| form.json.is_some()) =>
        {
            Context::Json
        }
        None => Context::of(model.focus()),
    }
}
