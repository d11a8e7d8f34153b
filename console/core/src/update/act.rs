//! Carries out each action.

use super::closing::{accept, back, cancel_call, close, escape};
use super::opening::{open_call, open_method};
use super::show::{next_pane, show, show_pane};
use super::steps::{next_field, step};
use super::{
    Effects, ask, copy, drain, external, fields, load, reading, registries, resume, saved, search,
    send,
};
use crate::action::Action;
use crate::message::{DemoCommand, Effect};
use crate::model::Now;
use crate::model::content::Program;
use crate::model::instances::Column;
use crate::model::palette::Palette;
use crate::model::resend::Resend;
use crate::model::scroll::Step;
use crate::model::sources::Sources;
use crate::model::{Model, Overlay, Pane, Paused, View, calls::Tab};
use crate::selectors::selected_call;

/// Carries out an action. Every action belongs to one of the groups below.
pub(super) fn act(model: &mut Model, action: Action, now: Now, effects: &mut Effects) {
    use Action::*;
    match action {
        Help | Palette | Actions | SwitchRegistry | Accept | Close | Back | Escape => {
            overlay(model, action, now, effects);
        }
        QuitNow | Suspend | Repaint | FullScreen | Pause | ToggleMouse => {
            console(model, action, now, effects);
        }
        DemoTraffic | DemoServer | DemoFault | DemoRegistry => demo(model, action, now, effects),
        ViewInstances | ViewMethods | ViewHistory | ViewLogs | ViewLoad | ViewDetail
        | ViewEvents | PreviousView | NextPane | PreviousPane | FocusResponse | FocusForm => {
            go_to(model, action, effects);
        }
        Up | Down | PageUp | PageDown | Top | Bottom => scroll(model, action, now),
        Filter | FilterPath | Search | NextMatch | PreviousMatch => search_text(model, action, now),
        Copy | CopyAs | CopyPath | Save | Pager | Edit => export(model, action, now, effects),
        Drain => drain::ask(model, now),
        OpenInstance | OpenLogs | SortLeft | SortRight | SortReverse => {
            instances(model, action, now);
        }
        OpenMethod | Send | NextField | PreviousField | EditField | EditJson | Pick | ResetForm
        | NextTarget | NextTimeout | Example => form(model, action, now, effects),
        CancelCall => cancel_call(model, now, effects),
        Docs => reading::docs(model, now, effects),
        Fold | Unfold | FoldAll if model.focus() == Pane::Instances => {
            instances(model, action, now);
        }
        Fold | Unfold | ToggleFold | FoldAll | PreviousTab | NextTab => {
            response(model, action, now);
        }
        SaveRequest | RenameRequest | DeleteRequest | NextEnvironment => {
            saved::act(model, action, now);
        }
        OpenCall | Older | Newer | Resend | ResendTo => calls(model, action, now, effects),
        Follow | Wrap | ShowTime | LevelDown | LevelUp | Sources | Mark => {
            logs(model, action, now);
        }
        LoadTest | StartLoad | StopLoad | LoadMode | LoadTarget | Compare => {
            load_test(model, action, now, effects);
        }
    }
}

/// Called for an action without an arm in its group; a test carries out every action.
fn unhandled(action: Action) {
    debug_assert!(false, "{action:?} has no arm in its group");
}

/// Opens and closes overlays.
fn overlay(model: &mut Model, action: Action, now: Now, effects: &mut Effects) {
    match action {
        Action::Help => {
            model.overlay = Some(Overlay::Help { filter: tui_input::Input::default(), top: 0 });
        }
        Action::Palette => {
            saved::read_again(model, effects);
            model.overlay = Some(Overlay::Palette(Palette::default()));
        }
        Action::Actions => ask::actions(model, now),
        Action::SwitchRegistry => registries::open(model),
        Action::Accept => accept(model, now, effects),
        Action::Close => close(model),
        Action::Back => back(model, effects),
        Action::Escape => escape(model, now),
        other => unhandled(other),
    }
}

/// The process, the terminal and live data.
fn console(model: &mut Model, action: Action, now: Now, effects: &mut Effects) {
    match action {
        Action::QuitNow => effects.push(Effect::Quit),
        Action::Suspend => effects.push(Effect::Suspend),
        Action::Repaint => effects.push(Effect::Repaint),
        Action::FullScreen => model.full_screen = !model.full_screen,
        Action::Pause if model.paused.is_some() => resume(model, now, effects),
        Action::Pause => {
            model.paused = Some(Paused { since: now, queued: Default::default(), bytes: 0 })
        }
        Action::ToggleMouse => {
            model.mouse = !model.mouse;
            effects.push(Effect::Mouse(model.mouse));
            let word = if model.mouse { "on" } else { "off: the terminal can select text" };
            model.notify(format!("mouse {word}"), now);
        }
        other => unhandled(other),
    }
}

fn demo(model: &mut Model, action: Action, now: Now, effects: &mut Effects) {
    let Some(demo) = &model.demo else { return };
    let stopped = demo.servers.iter().find(|(_, runs)| !runs).map(|(key, _)| key.clone());
    let is_ours =
        |key: &&rpc_wire::instance::InstanceKey| demo.servers.iter().any(|(ours, _)| ours == *key);
    let selected = || model.instances.selected.as_ref().filter(is_ours).cloned();
    let command = match action {
        Action::DemoTraffic => Some(DemoCommand::Traffic(!demo.traffic)),
        Action::DemoRegistry => Some(DemoCommand::ToggleRegistry),
        Action::DemoFault => selected().map(DemoCommand::NextFault),
        _ => stopped.or_else(selected).map(DemoCommand::ToggleServer),
    };
    match command {
        Some(command) => effects.push(Effect::Demo(command)),
        None => model.notify_error("select a demo server first", now),
    }
}

/// Switches views and panes.
fn go_to(model: &mut Model, action: Action, effects: &mut Effects) {
    match action {
        Action::ViewInstances => show(model, View::Instances),
        Action::ViewMethods => {
            saved::read_again(model, effects);
            show(model, View::Methods);
        }
        Action::ViewHistory => show(model, View::History),
        Action::ViewLogs => show(model, View::Logs),
        Action::ViewLoad => show(model, View::Load),
        Action::ViewDetail => show_pane(model, View::Instances, Pane::Detail),
        Action::ViewEvents => show_pane(model, View::Instances, Pane::Events),
        Action::PreviousView => show(model, model.previous_view),
        Action::NextPane => next_pane(model, 1),
        Action::PreviousPane => next_pane(model, -1),
        Action::FocusResponse => model.set_focus(Pane::Response),
        Action::FocusForm => {
            model.set_focus(Pane::Form);
            if let Some(form) = model.forms.get_mut() {
                form.editing = true;
            }
        }
        other => unhandled(other),
    }
}

fn scroll(model: &mut Model, action: Action, now: Now) {
    let pane = model.focus();
    let page = isize::try_from(model.height(pane)).unwrap_or(10);
    let by = match action {
        Action::Up => Step::By(-1),
        Action::Down => Step::By(1),
        Action::PageUp => Step::By(-page),
        Action::PageDown => Step::By(page),
        Action::Top => Step::First,
        Action::Bottom => Step::Last,
        other => return unhandled(other),
    };
    step(model, pane, by, now);
}

/// Filtering and searching.
fn search_text(model: &mut Model, action: Action, now: Now) {
    match action {
        Action::Filter | Action::Search | Action::FilterPath => {
            model.logs.searching = action == Action::Search;
            model.calls.is_typing_path = action == Action::FilterPath;
            model.filtering = model.filter().is_some();
            let pane = model.focus();
            if let (Pane::Response, Some(call)) = (pane, model.calls.shown_call_mut()) {
                call.tab = Tab::Body;
            }
        }
        Action::NextMatch => search::step(model, 1, now),
        Action::PreviousMatch => search::step(model, -1, now),
        other => unhandled(other),
    }
}

/// Copies, saves, or opens in another program.
fn export(model: &mut Model, action: Action, now: Now, effects: &mut Effects) {
    match action {
        Action::Copy => copy::copy(model, now, effects),
        Action::CopyPath => copy::path(model, now, effects),
        Action::CopyAs => external::copy_as(model, now),
        Action::Save => ask::save(model, now),
        Action::Pager => external::view(model, Program::Pager, now, effects),
        Action::Edit if model.focus() == Pane::Form => external::edit(model, effects),
        Action::Edit => external::view(model, Program::Editor, now, effects),
        other => unhandled(other),
    }
}

fn instances(model: &mut Model, action: Action, now: Now) {
    match action {
        Action::OpenInstance if model.instances.selected_service.is_some() => {
            model.instances.toggle_fold();
        }
        Action::Fold => model.instances.fold(),
        Action::Unfold => model.instances.unfold(),
        Action::FoldAll => model.instances.toggle_fold_all(),
        Action::OpenInstance => {
            model.methods.scope.clone_from(&model.instances.selected);
            model.methods.keep_selection(false);
            show(model, View::Methods);
            model.set_focus(Pane::Methods);
        }
        Action::OpenLogs => {
            let key = model.instances.selected.clone();
            model.logs.show_source(key.map(crate::model::logs::Source::Server));
            show(model, View::Logs);
        }
        Action::SortLeft => sort(model, model.instances.sort.step(-1), false, now),
        Action::SortRight => sort(model, model.instances.sort.step(1), false, now),
        Action::SortReverse => sort(model, model.instances.sort, true, now),
        other => unhandled(other),
    }
}

/// Sorts by a column, in the same or the reversed order.
pub(super) fn sort(model: &mut Model, by: Column, reverse: bool, now: Now) {
    let reversed = model.instances.reversed ^ reverse;
    (model.instances.sort, model.instances.reversed) = (by, reversed);
    let (at, live) = (model.shown_at(now).at, model.link.is_live());
    model.instances.select_first(at, live);
}

/// The call form; its field actions also work on the load test form.
fn form(model: &mut Model, action: Action, now: Now, effects: &mut Effects) {
    match action {
        Action::OpenMethod => match model.saved.selected.clone() {
            Some(name) => saved::open(model, &name, now),
            None => open_method(model, effects),
        },
        Action::Send => send::form(model, now, effects),
        Action::NextField => next_field(model, 1),
        Action::PreviousField => next_field(model, -1),
        Action::EditField if model.focus() == Pane::LoadPlan => load::edit_field(model),
        Action::EditJson => fields::edit_json(model, now),
        Action::Example => fields::example(model, now),
        Action::Pick => {
            ask::pick(model);
        }
        Action::NextTarget => fields::next_target(model),
        Action::EditField | Action::ResetForm | Action::NextTimeout => {
            let Some(form) = model.forms.get_mut() else { return };
            match action {
                Action::EditField => form.editing = true,
                Action::ResetForm => form.reset(),
                _ => form.next_timeout(),
            }
        }
        other => unhandled(other),
    }
}

fn response(model: &mut Model, action: Action, now: Now) {
    let Some(call) = model.calls.shown_call_mut() else { return };
    if let Action::NextTab | Action::PreviousTab = action {
        let at = Tab::ALL.iter().position(|tab| *tab == call.tab).unwrap_or(0);
        let by = if action == Action::NextTab { 1 } else { Tab::ALL.len() - 1 };
        call.tab = Tab::ALL[(at + by) % Tab::ALL.len()];
        return;
    }
    let opens = matches!(action, Action::ToggleFold | Action::Unfold) && call.tab == Tab::Body;
    if opens && reading::open_value(model, action == Action::Unfold) {
        return;
    }
    let Some(call) = model.calls.shown_call_mut() else { return };
    let Some(document) = call.body().cloned() else { return };
    match action {
        Action::Fold => call.folding.fold(&document),
        Action::Unfold => call.folding.unfold(),
        Action::FoldAll => {
            if !call.folding.toggle_all(&document) {
                model.notify("partly folded: the result is too large", now);
            }
        }
        _ => call.folding.toggle(&document),
    }
}

/// The history: which call is shown, and resending.
fn calls(model: &mut Model, action: Action, now: Now, effects: &mut Effects) {
    let in_history = model.focus() == Pane::History;
    let id = if in_history { selected_call(model) } else { model.calls.shown };
    match action {
        Action::OpenCall => open_call(model, now),
        Action::Older | Action::Newer => {
            let by = if action == Action::Older { -1 } else { 1 };
            if !model.calls.step_shown(by) {
                model.notify("no more calls", now);
            }
        }
        Action::Resend => {
            if let Some(id) = id {
                send::resend(model, id, now, effects);
            }
        }
        Action::ResendTo => {
            let known = id.and_then(|id| model.calls.get(id));
            let known =
                known.is_some_and(|call| model.methods.find(&call.request.method_id()).is_some());
            match id.filter(|_| known) {
                Some(id) => model.overlay = Some(Overlay::Resend(Resend::new(id))),
                None => model.notify_error("no instance has this method", now),
            }
        }
        other => unhandled(other),
    }
}

/// The log view, and wrapping of events.
fn logs(model: &mut Model, action: Action, now: Now) {
    match action {
        Action::Follow => model.logs.toggle_follow(),
        Action::Wrap if model.focus() == Pane::Response => model.calls.wrap = !model.calls.wrap,
        Action::Wrap if model.focus() == Pane::Events => model.events.wrap = !model.events.wrap,
        Action::Wrap => model.logs.wrap = !model.logs.wrap,
        Action::ShowTime => model.logs.time = model.logs.time.next(),
        Action::LevelDown => model.logs.step_level(-1),
        Action::LevelUp => model.logs.step_level(1),
        Action::Sources => model.overlay = Some(Overlay::Sources(Sources::new(&model.logs))),
        Action::Mark => model.logs.mark(now.wall_ms),
        other => unhandled(other),
    }
}

fn load_test(model: &mut Model, action: Action, now: Now, effects: &mut Effects) {
    match action {
        Action::LoadTest => load::plan(model, now),
        Action::StartLoad => load::start(model, now, effects),
        Action::StopLoad => load::stop(model, effects),
        Action::LoadMode | Action::LoadTarget => load::switch(model, action),
        Action::Compare => model.load.comparing = !model.load.comparing,
        other => unhandled(other),
    }
}
