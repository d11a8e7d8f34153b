//! Moving: in a list, from field to field, from pane to pane.

use super::show::next_pane;
use super::{load, send};
use crate::model::Now;
use crate::model::calls::Tab;
use crate::model::diff::Diff;
use crate::model::scroll::Step;
use crate::model::{Model, Overlay, Pane};
use crate::selectors::{palette_entries, resend_targets};

/// Rows of results there can be at most; what is drawn stops at the last one.
const MOST_RESULT_ROWS: usize = 200;

/// Moves in a pane.
pub(super) fn step(model: &mut Model, pane: Pane, step: Step, now: Now) {
    if let Some(Overlay::Help { top, .. }) = &mut model.overlay {
        *top = step.from(*top, usize::MAX);
        return;
    }
    match &mut model.overlay {
        Some(Overlay::Menu(menu)) => {
            menu.selected = step.from(menu.selected, menu.items.len());
            return;
        }
        Some(Overlay::Prompt(_)) => return,
        _ => {}
    }
    if let Some(Overlay::Palette(palette)) = &model.overlay {
        let to = step.from(palette.selected, palette_entries(model, palette).len());
        if let Some(Overlay::Palette(palette)) = &mut model.overlay {
            palette.selected = to;
        }
        return;
    }
    if let Some(Overlay::Registries { selected }) = &mut model.overlay {
        *selected = step.from(*selected, model.registries.all().len());
        return;
    }
    if let Some(Overlay::Resend(choice)) = &model.overlay {
        let to = step.from(choice.selected, resend_targets(model, choice).len());
        if let Some(Overlay::Resend(choice)) = &mut model.overlay {
            choice.selected = to;
        }
        return;
    }
    let height = model.height(pane);
    match pane {
        Pane::Instances => {
            let (at, live) = (model.shown_at(now).at, model.link.is_live());
            model.instances.step(step, height, at, live);
        }
        Pane::Events => {
            let rows = model.events.len().saturating_sub(height) + 1;
            model.events.top = step.from(model.events.top, rows);
        }
        Pane::Methods => {
            model.methods.step(step, height);
            send::show_form(model);
        }
        Pane::Form => {
            let json = model.forms.get_mut().and_then(|form| form.json.as_mut());
            if let (Some(json), Step::By(rows)) = (json, step) {
                let (row, column) = json.area.cursor();
                json.area.place(row.saturating_add_signed(rows), column);
            }
        }
        Pane::LoadPlan => {}
        Pane::LoadRun => model.load.top = step.from(model.load.top, MOST_RESULT_ROWS),
        Pane::Response => step_response(model, step, height),
        Pane::History => {
            let visible = model.calls.visible();
            let is_selected =
                |call: &&&crate::model::calls::Call| Some(call.request.id) == model.calls.selected;
            let at = visible.iter().position(|call| is_selected(&call)).unwrap_or(0);
            let to = step.from(at, visible.len());
            let top =
                crate::model::scroll::keep_visible(model.calls.top, to, height, visible.len());
            let selected = visible.get(to).map(|call| call.request.id);
            (model.calls.selected, model.calls.top) = (selected, top);
        }
        Pane::Logs => model.logs.step(step, height),
    }
}

fn step_response(model: &mut Model, step: Step, height: usize) {
    let Some(call) = model.calls.shown_call_mut() else { return };
    if call.request.stream && call.tab == Tab::Body {
        return call.items.step(step);
    }
    if let (Tab::Diff, Some(Diff::Changes(changes))) = (call.tab, &call.diff) {
        let rows = changes.len().saturating_sub(height) + 1;
        call.diff_top = step.from(call.diff_top, rows);
        return;
    }
    let Some(Ok(document)) = call.outcome.as_ref().map(|outcome| &outcome.result) else { return };
    if call.tab != Tab::Body {
        return;
    }
    let rows = call.folding.rows(document);
    let to = step.from(call.folding.row_of(call.folding.cursor), rows);
    call.folding.cursor = call.folding.line_of(to);
    call.folding.top = crate::model::scroll::keep_visible(call.folding.top, to, height, rows);
}

pub(super) fn next_field(model: &mut Model, by: isize) {
    if model.focus() == Pane::LoadPlan {
        return load::next_knob(model, by);
    }
    let Some(form) = model.forms.get_mut() else { return next_pane(model, by) };
    if form.json.is_some() {
        return next_pane(model, by);
    }
    match form.focus.checked_add_signed(by).filter(|to| *to < form.fields.len()) {
        Some(to) => (form.focus, form.editing) = (to, true),
        None => next_pane(model, by),
    }
}
