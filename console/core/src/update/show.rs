//! Switching views and panes.

use crate::model::{Model, Pane, View};

/// Shows a view with this pane focused, in full screen if it was: a small terminal shows only the
/// focused pane.
pub(super) fn show_pane(model: &mut Model, view: View, pane: Pane) {
    let full_screen = model.full_screen && model.view == view;
    show(model, view);
    model.set_focus(pane);
    model.full_screen = full_screen;
}

/// Shows a view and closes overlays.
pub(super) fn show(model: &mut Model, view: View) {
    (model.overlay, model.filtering) = (None, false);
    if model.view != view {
        model.previous_view = std::mem::replace(&mut model.view, view);
        model.full_screen = false;
    }
}

pub(super) fn next_pane(model: &mut Model, by: isize) {
    let panes = model.view.panes();
    let at = panes.iter().position(|pane| *pane == model.focus()).unwrap_or(0);
    let to = at.saturating_add(panes.len()).saturating_add_signed(by) % panes.len().max(1);
    let Some(pane) = panes.get(to).copied() else { return };
    model.set_focus(pane);
    if pane == Pane::LoadPlan
        && let Some(form) = &mut model.load.form
    {
        form.editing = true;
        form.focus = if by > 0 { 0 } else { form.fields().len().saturating_sub(1) };
    }
    if pane == Pane::Form
        && let Some(form) = model.forms.get_mut()
    {
        form.editing = true;
        form.focus = if by > 0 { 0 } else { form.fields.len().saturating_sub(1) };
    }
}
