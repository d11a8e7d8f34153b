//! Moving in lists, between fields and between panes.

use super::show::next_pane;
use super::{load, saved, send};
use crate::model::Now;
use crate::model::calls::{Call, Tab};
use crate::model::diff::Diff;
use crate::model::scroll::Step;
use crate::model::{Model, Overlay, Pane};
use crate::selectors::{palette_entries, resend_targets, sources};

/// Moves in the overlay, if one is open, else in a pane.
pub(super) fn step(model: &mut Model, pane: Pane, step: Step, now: Now) {
    if model.overlay.is_some() {
        step_overlay(model, step);
    } else {
        step_pane(model, pane, step, now);
    }
}

fn step_overlay(model: &mut Model, step: Step) {
    if let Some(Overlay::Reader(reader)) = &mut model.overlay {
        return reader.step(step, model.size);
    }
    let len = match &model.overlay {
        Some(Overlay::Help { .. }) => usize::MAX,
        Some(Overlay::Menu(menu)) => menu.items.len(),
        Some(Overlay::Palette(palette)) => palette_entries(model, palette).len(),
        Some(Overlay::Registries { .. }) => model.registries.all().len(),
        Some(Overlay::Resend(choice)) => resend_targets(model, choice).len(),
        Some(Overlay::Sources(choice)) => sources(model, choice).len(),
        Some(Overlay::Reader(_) | Overlay::Prompt(_)) | None => return,
    };
    let position = match &mut model.overlay {
        Some(Overlay::Help { top, .. }) => top,
        Some(Overlay::Menu(menu)) => &mut menu.selected,
        Some(Overlay::Palette(palette)) => &mut palette.selected,
        Some(Overlay::Registries { selected }) => selected,
        Some(Overlay::Resend(choice)) => &mut choice.selected,
        Some(Overlay::Sources(choice)) => &mut choice.selected,
        Some(Overlay::Reader(_) | Overlay::Prompt(_)) | None => return,
    };
    *position = step.from(*position, len);
}

fn step_pane(model: &mut Model, pane: Pane, step: Step, now: Now) {
    let (height, last) = (model.height(pane), model.last_top(pane));
    match pane {
        Pane::Instances => {
            let (at, live) = (model.shown_at(now).at, model.link.is_live());
            model.instances.step(step, height, at, live);
        }
        Pane::Detail => scroll(&mut model.instances.detail_top, last, step),
        Pane::Events => {
            let rows = model.events.len().saturating_sub(height) + 1;
            model.events.top = step.from(model.events.top, rows);
        }
        Pane::Methods => {
            saved::step(model, step, height);
            send::sync_form(model);
        }
        Pane::Form => step_json(model, step),
        Pane::LoadPlan => {}
        Pane::LoadRun => scroll(&mut model.load.top, last, step),
        Pane::Response => step_response(model, step, height),
        Pane::History => step_history(model, step, height),
        Pane::Logs => model.logs.step(step, height),
    }
}

/// Scrolls a pane whose rows only the view knows. A larger pane may have left `top` behind its end.
fn scroll(top: &mut usize, last: usize, step: Step) {
    *top = step.from((*top).min(last), last + 1);
}

fn step_json(model: &mut Model, step: Step) {
    let json = model.forms.get_mut().and_then(|form| form.json.as_mut());
    if let (Some(json), Step::By(rows)) = (json, step) {
        let (row, column) = json.area.cursor();
        json.area.move_to(row.saturating_add_signed(rows), column);
    }
}

fn step_history(model: &mut Model, step: Step, height: usize) {
    let visible = model.calls.visible();
    let selected = model.calls.selected;
    let at = visible.iter().position(|call| Some(call.request.id) == selected).unwrap_or(0);
    let to = step.from(at, visible.len());
    let top = crate::model::scroll::keep_visible(model.calls.top, to, height, visible.len());
    let selected = visible.get(to).map(|call| call.request.id);
    (model.calls.selected, model.calls.top) = (selected, top);
}

fn step_response(model: &mut Model, step: Step, height: usize) {
    let (all_rows, last) = (model.rows(Pane::Response), model.last_top(Pane::Response));
    let Some(call) = model.calls.shown_call_mut() else { return };
    if call.shows_items() && call.tab == Tab::Body {
        return step_items(call, step, last);
    }
    if call.tab == Tab::Wire {
        let tops = all_rows.unwrap_or(height).saturating_sub(height) + 1;
        call.wire.top = step.from(call.wire.top.min(tops - 1), tops);
        return;
    }
    if let (Tab::Diff, Some(Diff::Changes(changes))) = (call.tab, &call.diff) {
        let rows = changes.len().saturating_sub(height) + 1;
        call.diff_top = step.from(call.diff_top, rows);
        return;
    }
    if call.tab == Tab::Timing {
        return scroll(&mut call.timing_top, last, step);
    }
    if call.tab == Tab::Body && call.has_failed() {
        return scroll(&mut call.failure_top, last, step);
    }
    let Some(document) = call.body().cloned() else { return };
    if call.tab != Tab::Body {
        return;
    }
    let rows = call.folding.rows(&document);
    let to = step.from(call.folding.row_of(call.folding.cursor), rows);
    call.folding.cursor = call.folding.line_of(to);
    call.folding.top = crate::model::scroll::keep_visible(call.folding.top, to, height, rows);
}

/// Moves in the items of a stream, and below the last one in the error that ended it.
fn step_items(call: &mut Call, step: Step, last: usize) {
    let is_above = match step {
        Step::By(rows) => rows < 0 && call.failure_top == 0,
        Step::First => true,
        Step::Last => !call.items.is_following(),
    };
    if call.has_failed() && call.items.is_following() && !is_above {
        return scroll(&mut call.failure_top, last, step);
    }
    call.failure_top = 0;
    call.items.step(step);
}

pub(super) fn next_field(model: &mut Model, by: isize) {
    if model.focus() == Pane::LoadPlan {
        return load::next_field(model, by);
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
