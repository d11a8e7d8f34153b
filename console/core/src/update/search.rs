//! Search in the result on screen and in the log.

use super::Effects;
use crate::message::Effect;
use crate::model::Now;
use crate::model::calls::{CallId, Found, Tab};
use crate::model::json::Matches;
use crate::model::logs::SearchStep;
use crate::model::scroll::keep_visible;
use crate::model::{Model, Pane};
use crate::text::Needle;

/// Larger results are searched in the background, after the text was typed.
pub(super) const LARGE_BYTES: usize = 256 * 1024;
/// Maximum matches counted.
pub const MAX_MATCHES: usize = 100_000;

/// Updates the matches when the searched text or the result on screen changed.
pub(super) fn sync(model: &mut Model, effects: &mut Effects) {
    let calls = &mut model.calls;
    let needle = calls.search.value();
    if needle.is_empty() {
        calls.found = None;
        return;
    }
    let shown = calls.shown_call().filter(|call| !call.request.stream);
    let Some((id, document)) = shown.and_then(|call| Some((call.request.id, call.body()?))) else {
        return;
    };
    if calls.found.as_ref().is_some_and(|found| found.id == id && found.needle == needle) {
        return;
    }
    let needle = needle.to_owned();
    let typing =
        model.filtering && !calls.is_typing_path && model.view == crate::model::View::Methods;
    if document.text().len() > LARGE_BYTES {
        if typing {
            return;
        }
        effects.push(Effect::Search(id, document.clone(), needle.clone()));
        calls.found = Some(Found { id, needle, matches: None });
        return;
    }
    let matches = Some(document.find(&needle, MAX_MATCHES));
    calls.found = Some(Found { id, needle, matches });
    if typing {
        select_nearest(model);
    }
}

/// Applies the matches of a background search.
pub(super) fn found(model: &mut Model, id: CallId, needle: String, matches: Matches) {
    let wanted = model.calls.found.as_mut().filter(|f| f.id == id && f.needle == needle);
    let Some(wanted) = wanted else { return };
    wanted.matches = Some(matches);
    select_nearest(model);
}

/// Selects the first match at or below the cursor, else the first of all.
fn select_nearest(model: &mut Model) {
    let Some(cursor) = model.calls.shown_call().map(|call| call.folding.cursor) else { return };
    let Some(matches) = model.calls.matches() else { return };
    let at = matches.lines.partition_point(|line| *line < cursor);
    if let Some(line) = matches.lines.get(at).or(matches.lines.first()).copied() {
        reveal(model, line);
    }
}

/// Moves to the next (`1`) or previous (`-1`) match.
pub(super) fn step(model: &mut Model, by: isize, now: Now) {
    if model.focus() == Pane::Logs {
        let height = model.height(Pane::Logs);
        return match model.logs.next_match(by, height) {
            SearchStep::Found => {}
            SearchStep::Pending => model.notify("still searching", now),
            SearchStep::NoMatch => model.notify_error("no match", now),
        };
    }
    let needle = Needle::new(model.calls.search.value());
    let shown = model.calls.shown_call_mut();
    if let Some(call) = shown.filter(|call| call.request.stream) {
        if !call.items.select_next_match(&needle, by) {
            model.notify_error("no match", now);
        }
        return;
    }
    let Some(cursor) = model.calls.shown_call().map(|call| call.folding.cursor) else { return };
    let Some(matches) = model.calls.matches() else {
        return model.notify("still searching", now);
    };
    let (next, wrapped) = if by > 0 {
        let at = matches.lines.partition_point(|line| *line <= cursor);
        (matches.lines.get(at), matches.lines.first())
    } else {
        let at = matches.lines.partition_point(|line| *line < cursor);
        (at.checked_sub(1).and_then(|at| matches.lines.get(at)), matches.lines.last())
    };
    match (next.copied(), wrapped.copied()) {
        (Some(line), _) => reveal(model, line),
        (None, Some(line)) => {
            reveal(model, line);
            model.notify(
                if by > 0 { "continued from the top" } else { "continued from the bottom" },
                now,
            );
        }
        (None, None) => model.notify_error("no match", now),
    }
}

fn reveal(model: &mut Model, line: usize) {
    let height = model.height(Pane::Response);
    let Some(call) = model.calls.shown_call_mut() else { return };
    let Some(document) = call.body().cloned() else { return };
    call.tab = Tab::Body;
    call.folding.reveal(line);
    let (row, rows) = (call.folding.row_of(line), call.folding.rows(&document));
    call.folding.top = keep_visible(call.folding.top, row, height, rows);
}

/// Applies a change of the focused pane's filter.
pub(super) fn filter_changed(model: &mut Model) {
    match model.focus() {
        Pane::Methods => model.methods.keep_selection(true),
        Pane::Logs if model.logs.searching => {
            model.logs.restart_search();
            let height = model.height(Pane::Logs);
            model.logs.newest_match(height);
        }
        Pane::Logs => {
            model.logs.refilter();
            model.logs.bottom = None;
        }
        Pane::Response if !model.calls.is_typing_path && !model.calls.search.value().is_empty() => {
            let needle = Needle::new(model.calls.search.value());
            let shown = model.calls.shown_call_mut();
            if let Some(call) = shown.filter(|call| call.request.stream) {
                call.items.select_match(&needle);
            }
        }
        _ => {}
    }
}
