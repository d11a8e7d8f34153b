//! What each action does.

use super::{Effects, ask, copy, load, outside, press, registries, resume, search, send};
use crate::action::Action;
use crate::message::{DemoCommand, Effect, Now, Program};
use crate::model::diff::{Diff, diff};
use crate::model::elsewhere::{self, Elsewhere};
use crate::model::palette::{Entry, Palette, entries};
use crate::model::scroll::Step;
use crate::model::{Held, Model, Overlay, Pane, View, calls::Tab, form::TIMEOUTS};

/// Why an action cannot be done now; `None` when it can.
pub fn unavailable(model: &Model, action: Action) -> Option<&'static str> {
    let only_demo = || model.demo.is_none().then_some("only with --demo");
    match action {
        Action::DemoTraffic | Action::DemoServer | Action::DemoRegistry => only_demo(),
        Action::SwitchRegistry if model.registries.all().len() < 2 => {
            Some("config.ini names no other registry")
        }
        Action::OpenInstance | Action::LogsOf if model.instances.selected.is_none() => {
            Some("no instance is selected")
        }
        Action::OpenMethod if model.methods.selected_method().is_none() => {
            Some("no method is selected")
        }
        Action::Send
        | Action::NextTarget
        | Action::NextTimeout
        | Action::ResetForm
        | Action::EditJson
            if model.forms.get().is_none() =>
        {
            Some("no method is chosen")
        }
        Action::Fold | Action::Unfold | Action::ToggleFold | Action::FoldAll
            if model.calls.shown_call().and_then(|call| call.document()).is_none() =>
        {
            Some("there is no result to fold")
        }
        Action::Edit if model.focus() == Pane::Form => {
            model.forms.get().is_none().then_some("no method is chosen")
        }
        Action::Find if model.focus() == Pane::Logs => None,
        Action::Find => match model.calls.shown_call() {
            Some(call) if call.request.stream => {
                call.items.is_empty().then_some("no item came yet")
            }
            Some(call) if call.document().is_some() => None,
            _ => Some("there is no result"),
        },
        Action::NextHit | Action::PreviousHit if searched(model).is_empty() => {
            Some("nothing is searched: / does")
        }
        Action::Save | Action::Page | Action::Edit => outside::nothing(model),
        Action::Pick => {
            let form = model.forms.get();
            let field = form.and_then(|form| form.fields.get(form.focus));
            let few = field.is_some_and(|field| field.kind.choices().is_some());
            (!few).then_some("this field takes anything of its type")
        }
        Action::OpenCall | Action::Replay | Action::ReplayElsewhere if model.calls.is_empty() => {
            Some("no call was made yet")
        }
        Action::Bench
        | Action::StartLoad
        | Action::StopLoad
        | Action::LoadMode
        | Action::LoadTarget
        | Action::Compare => load::unavailable(model, action),
        _ => None,
    }
}

/// Rows of results there can be at most; what is drawn stops at the last one.
const MOST_RESULT_ROWS: usize = 200;

pub(super) fn act(model: &mut Model, action: Action, now: Now, effects: &mut Effects) {
    let pane = model.focus();
    let page = isize::try_from(model.height(pane)).unwrap_or(10);
    match action {
        Action::Help => {
            model.overlay = Some(Overlay::Help { filter: tui_input::Input::default(), top: 0 });
        }
        Action::Palette => model.overlay = Some(Overlay::Palette(Palette::default())),
        Action::Back => back(model, effects),
        Action::Escape => escape(model, now, effects),
        Action::QuitNow => effects.push(Effect::Quit),
        Action::Suspend => effects.push(Effect::Suspend),
        Action::Repaint => effects.push(Effect::Repaint),
        Action::ViewInstances => show(model, View::Instances),
        Action::ViewMethods => show(model, View::Methods),
        Action::ViewHistory => show(model, View::History),
        Action::ViewLogs => show(model, View::Logs),
        Action::ViewLoad => show(model, View::Load),
        Action::LastView => show(model, model.last_view),
        Action::NextPane => next_pane(model, 1),
        Action::PreviousPane => next_pane(model, -1),
        Action::FullScreen => model.full_screen = !model.full_screen,
        Action::Pause if model.held.is_some() => resume(model, now, effects),
        Action::Pause => model.held = Some(Held { since: now, waiting: Default::default() }),
        Action::ToggleMouse => {
            model.mouse = !model.mouse;
            effects.push(Effect::Mouse(model.mouse));
            let word = if model.mouse { "on" } else { "off: the terminal selects text" };
            model.say(format!("mouse {word}"), now);
        }
        Action::SwitchRegistry => registries::open(model),
        Action::DemoTraffic | Action::DemoServer | Action::DemoRegistry => {
            demo(model, action, now, effects);
        }
        Action::Up => step(model, pane, Step::By(-1), now),
        Action::Down => step(model, pane, Step::By(1), now),
        Action::PageUp => step(model, pane, Step::By(-page), now),
        Action::PageDown => step(model, pane, Step::By(page), now),
        Action::Top => step(model, pane, Step::First, now),
        Action::Bottom => step(model, pane, Step::Last, now),
        Action::Filter | Action::Find => {
            model.logs.searching = action == Action::Find;
            model.filtering = model.filter().is_some();
            if let (Pane::Response, Some(call)) = (pane, model.calls.shown_call_mut()) {
                call.tab = Tab::Body;
            }
        }
        Action::NextHit => search::step(model, 1, now),
        Action::PreviousHit => search::step(model, -1, now),
        Action::Copy => copy::copy(model, now, effects),
        Action::CopyAs => outside::copy_as(model, now),
        Action::Save => ask::save(model, now),
        Action::Page => outside::view(model, Program::Pager, now, effects),
        Action::Edit if pane == Pane::Form => outside::edit(model, effects),
        Action::Edit => outside::view(model, Program::Editor, now, effects),
        Action::EditJson => edit_json(model, now),
        Action::Pick => {
            ask::pick(model);
        }
        Action::Actions => ask::actions(model, now),
        Action::OpenInstance => {
            model.methods.scope.clone_from(&model.instances.selected);
            model.methods.keep_selection(false);
            show(model, View::Methods);
            model.set_focus(Pane::Methods);
        }
        Action::LogsOf => {
            let key = model.instances.selected.clone();
            model.logs.source = key.map(crate::message::Source::Server);
            model.logs.refilter();
            model.logs.bottom = None;
            show(model, View::Logs);
        }
        Action::SortLeft => model.instances.sort = model.instances.sort.step(-1),
        Action::SortRight => model.instances.sort = model.instances.sort.step(1),
        Action::SortInvert => model.instances.inverted = !model.instances.inverted,
        Action::OpenMethod => open_method(model),
        Action::Send => send::form(model, now, effects),
        Action::NextField => next_field(model, 1),
        Action::PreviousField => next_field(model, -1),
        Action::EditField if pane == Pane::LoadPlan => load::edit_knob(model),
        Action::EditField | Action::ResetForm | Action::NextTarget | Action::NextTimeout => {
            form(model, action);
        }
        Action::Fold
        | Action::Unfold
        | Action::ToggleFold
        | Action::FoldAll
        | Action::PreviousTab
        | Action::NextTab => response(model, action, now),
        Action::Older | Action::Newer => {
            let by = if action == Action::Older { -1 } else { 1 };
            if !model.calls.step_shown(by) {
                model.say("no further call", now);
            }
        }
        Action::OpenCall => open_call(model, now),
        Action::Replay => {
            let id = if pane == Pane::History { selected_call(model) } else { model.calls.shown };
            if let Some(id) = id {
                send::replay(model, id, now, effects);
            }
        }
        Action::ReplayElsewhere => {
            let id = if pane == Pane::History { selected_call(model) } else { model.calls.shown };
            let known = id.and_then(|id| model.calls.get(id));
            let known = known.is_some_and(|call| model.methods.get(&call.request.method).is_some());
            match id.filter(|_| known) {
                Some(id) => model.overlay = Some(Overlay::Elsewhere(Elsewhere::new(id))),
                None => model.complain("no instance has this method now", now),
            }
        }
        Action::Follow => model.logs.toggle_follow(),
        Action::Wrap if pane == Pane::Events => model.events.wrap = !model.events.wrap,
        Action::Wrap => model.logs.wrap = !model.logs.wrap,
        Action::ShowTime => model.logs.time = !model.logs.time,
        Action::LevelDown => model.logs.step_level(-1),
        Action::LevelUp => model.logs.step_level(1),
        Action::NextSource => model.logs.next_source(),
        Action::Mark => model.logs.mark(now.wall_ms),
        Action::Bench => load::bench(model, now),
        Action::StartLoad => load::start(model, now, effects),
        Action::StopLoad => load::stop(model, effects),
        Action::LoadMode | Action::LoadTarget => load::turn(model, action),
        Action::Compare => model.load.comparing = !model.load.comparing,
        Action::Accept => accept(model, now, effects),
        Action::Close => close(model),
    }
}

/// What is searched in the focused pane.
fn searched(model: &Model) -> &str {
    match model.focus() {
        Pane::Logs => model.logs.search.value(),
        _ => model.calls.search.value(),
    }
}

/// Arguments as JSON, or back to the fields.
fn edit_json(model: &mut Model, now: Now) {
    let Some(form) = model.forms.get_mut() else { return };
    if form.json.is_none() {
        form.open_json(&form.to_json(), None);
    } else if !form.close_json() {
        model.complain("the text is kept until it is right; d resets it", now);
    }
}

/// Shows a view; what lies over it goes.
pub(super) fn show(model: &mut Model, view: View) {
    (model.overlay, model.filtering) = (None, false);
    if model.view != view {
        model.last_view = std::mem::replace(&mut model.view, view);
        model.full_screen = false;
    }
}

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
        let to = step.from(palette.selected, entries(model, palette).len());
        if let Some(Overlay::Palette(palette)) = &mut model.overlay {
            palette.selected = to;
        }
        return;
    }
    if let Some(Overlay::Registries { selected }) = &mut model.overlay {
        *selected = step.from(*selected, model.registries.all().len());
        return;
    }
    if let Some(Overlay::Elsewhere(choice)) = &model.overlay {
        let to = step.from(choice.selected, elsewhere::entries(model, choice).len());
        if let Some(Overlay::Elsewhere(choice)) = &mut model.overlay {
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

pub(super) fn next_pane(model: &mut Model, by: isize) {
    let panes: Vec<Pane> = model
        .view
        .panes()
        .iter()
        .copied()
        .filter(|pane| *pane != Pane::Events || model.shows_events())
        .collect();
    let at = panes.iter().position(|pane| *pane == model.focus()).unwrap_or(0);
    let to = at.saturating_add(panes.len()).saturating_add_signed(by) % panes.len().max(1);
    let Some(pane) = panes.get(to).copied() else { return };
    model.set_focus(pane);
    if pane == Pane::LoadPlan
        && let Some(sheet) = &mut model.load.sheet
    {
        sheet.editing = true;
        sheet.focus = if by > 0 { 0 } else { sheet.knobs().len().saturating_sub(1) };
    }
    if pane == Pane::Form
        && let Some(form) = model.forms.get_mut()
    {
        form.editing = true;
        form.focus = if by > 0 { 0 } else { form.fields.len().saturating_sub(1) };
    }
}

fn next_field(model: &mut Model, by: isize) {
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

fn open_method(model: &mut Model) {
    let Some(method) = model.methods.selected_method() else { return };
    let (signature, scope) = (method.signature.clone(), model.methods.scope.clone());
    let form = model.forms.open(&signature);
    (form.focus, form.editing) = (0, true);
    if scope.is_some() {
        form.target = scope;
    }
    model.filtering = false;
    model.set_focus(Pane::Form);
}

/// Compares the result on the screen with the one before, once that is asked for.
pub(super) fn show_diff(model: &mut Model) {
    let Some(call) = model.calls.shown_call() else { return };
    if call.tab != Tab::Diff || call.diff.is_some() {
        return;
    }
    let before = model.calls.before(call.request.id).and_then(|call| call.document());
    let (Some(old), Some(new)) = (before, call.document()) else { return };
    let found = diff(old, new);
    if let Some(call) = model.calls.shown_call_mut() {
        call.diff = Some(found);
    }
}

fn form(model: &mut Model, action: Action) {
    let on = model.forms.current.as_ref().and_then(|name| model.methods.get(name));
    let on: Vec<_> = on.map(|method| method.on.iter().cloned().collect()).unwrap_or_default();
    let Some(form) = model.forms.get_mut() else { return };
    match action {
        Action::EditField => form.editing = true,
        Action::ResetForm => form.reset(),
        Action::NextTimeout => form.next_timeout(),
        _ => {
            let at = form.target.as_ref().and_then(|key| on.iter().position(|on| on == key));
            form.target = match (&form.target, at) {
                (None, _) => on.first().cloned(),
                (Some(_), Some(at)) => on.get(at + 1).cloned(),
                (Some(_), None) => None,
            };
        }
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
    let Some(Ok(document)) = call.outcome.as_ref().map(|outcome| &outcome.result) else { return };
    match action {
        Action::Fold => call.folding.fold(document),
        Action::Unfold => call.folding.unfold(),
        Action::FoldAll => {
            if !call.folding.toggle_all(document) {
                model.say("folded a part: there is too much", now);
            }
        }
        _ => call.folding.toggle(document),
    }
}

pub(super) fn selected_call(model: &Model) -> Option<crate::model::calls::CallId> {
    let newest = model.calls.visible().first().map(|call| call.request.id);
    model.calls.selected.or(newest)
}

fn open_call(model: &mut Model, now: Now) {
    let Some(id) = selected_call(model) else { return };
    model.calls.shown = Some(id);
    let Some(call) = model.calls.get(id) else { return };
    let (request, target) = (call.request.clone(), call.target().cloned());
    let known = fill(model, &request.method, &request.args);
    if let Some(form) = model.forms.get_mut().filter(|_| known) {
        form.target = target.filter(|key| model.instances.get(key).is_some());
        form.timeout = request.timeout;
    }
    show(model, View::Methods);
    model.set_focus(Pane::Response);
    if !known {
        let method = crate::text::printable(&request.method).into_owned();
        model.complain(format!("no instance has {method} now: there is no form for it"), now);
    }
}

/// Puts the arguments of a call into the form of its method; whether the method is known.
fn fill(model: &mut Model, method: &str, args: &rpc_wire::call::Args) -> bool {
    let Some(method) = model.methods.get(method) else { return false };
    let signature = method.signature.clone();
    model.methods.selected = Some(signature.name.clone());
    model.methods.filter.reset();
    let form = model.forms.open(&signature);
    form.json = None;
    form.reset();
    form.fill(args.positional());
    form.fill(args.keyword());
    true
}

fn back(model: &mut Model, effects: &mut Effects) {
    if model.full_screen {
        model.full_screen = false;
        return;
    }
    match model.focus() {
        Pane::Instances => effects.push(Effect::Quit),
        Pane::Events => model.set_focus(Pane::Instances),
        Pane::Methods | Pane::History | Pane::Logs | Pane::LoadPlan => {
            show(model, View::Instances);
        }
        Pane::LoadRun => model.set_focus(Pane::LoadPlan),
        Pane::Form => model.set_focus(Pane::Methods),
        Pane::Response => model.set_focus(Pane::Form),
    }
    // Going back must land where `q` means back again, not where it types a q.
    load::leave_knob(model);
    if let Some(form) = model.forms.get_mut() {
        form.editing = false;
    }
}

fn escape(model: &mut Model, now: Now, effects: &mut Effects) {
    if model.view == View::Methods
        && let Some(call) = model.calls.running()
    {
        effects.push(Effect::Cancel(call.request.id));
        return;
    }
    if model.view == View::Load && load::escape(model, effects) {
        return;
    }
    if model.focus() == Pane::Form {
        match model.forms.get_mut() {
            Some(form) if form.is_typing() => form.editing = false,
            _ => model.set_focus(Pane::Methods),
        }
        return;
    }
    model.logs.searching = false;
    if model.full_screen {
        model.full_screen = false;
    } else if model.focus() == Pane::Logs && !model.logs.search.value().is_empty() {
        model.logs.searching = true;
        close(model);
    } else if model.filter().is_some_and(|filter| !filter.value().is_empty()) {
        close(model);
    } else if model.focus() == Pane::Methods && model.methods.scope.is_some() {
        model.methods.scope = None;
    } else if model.focus() == Pane::Logs && model.logs.source.is_some() {
        model.logs.source = None;
        model.logs.refilter();
    } else if model.focus() == Pane::Response {
        model.set_focus(Pane::Methods);
    } else {
        model.say("nothing to close; q goes back, and quits at the top", now);
    }
}

/// Keeps a filter, or does what the palette has selected.
fn accept(model: &mut Model, now: Now, effects: &mut Effects) {
    let palette = match model.overlay.take() {
        Some(Overlay::Palette(palette)) => palette,
        Some(Overlay::Registries { selected }) => {
            return registries::enter(model, selected, now, effects);
        }
        asking @ Some(Overlay::Menu(_) | Overlay::Prompt(_)) => {
            model.overlay = asking;
            return ask::accept(model, now, effects);
        }
        Some(Overlay::Elsewhere(choice)) => return send_elsewhere(model, &choice, now, effects),
        Some(Overlay::Help { .. }) | None => {
            model.filtering = false;
            return;
        }
    };
    let entry = entries(model, &palette).into_iter().nth(palette.selected);
    match entry {
        None => model.complain("nothing is called that", now),
        Some(Entry::Call(_, Err(why))) => model.complain(format!("not sent: {why}"), now),
        Some(Entry::Call(method, Ok(args))) => {
            show(model, View::Methods);
            model.set_focus(Pane::Response);
            model.methods.selected = Some(method.clone());
            fill(model, &method, &args);
            send::call(model, &method, args, None, TIMEOUTS[0], now, effects);
        }
        Some(Entry::Method(name, _)) => {
            model.methods.scope = None;
            model.methods.filter.reset();
            model.methods.selected = Some(name);
            show(model, View::Methods);
            open_method(model);
        }
        Some(Entry::Instance(key)) => {
            model.instances.filter.reset();
            model.instances.selected = Some(key);
            show(model, View::Instances);
            model.set_focus(Pane::Instances);
        }
        Some(Entry::Action(action, ..)) => act(model, action, now, effects),
    }
}

fn send_elsewhere(model: &mut Model, choice: &Elsewhere, now: Now, effects: &mut Effects) {
    match elsewhere::entries(model, choice).into_iter().nth(choice.selected) {
        Some(key) => send::again(model, choice.call, Some(key), now, effects),
        None => model.complain("not sent: no instance is called that", now),
    }
}

/// Closes what is open over the view, or clears the filter.
fn close(model: &mut Model) {
    if model.overlay.take().is_some() {
        return;
    }
    model.filtering = false;
    if let Some(filter) = model.filter_mut() {
        filter.reset();
    }
    press::filtered(model);
}

fn demo(model: &mut Model, action: Action, now: Now, effects: &mut Effects) {
    let Some(demo) = &model.demo else { return };
    let stopped = demo.servers.iter().find(|(_, runs)| !runs).map(|(key, _)| key.clone());
    let is_ours =
        |key: &&rpc_wire::instance::InstanceKey| demo.servers.iter().any(|(ours, _)| ours == *key);
    let command = match action {
        Action::DemoTraffic => Some(DemoCommand::Traffic(!demo.traffic)),
        Action::DemoRegistry => Some(DemoCommand::ToggleRegistry),
        _ => stopped
            .or_else(|| model.instances.selected.as_ref().filter(is_ours).cloned())
            .map(DemoCommand::ToggleServer),
    };
    match command {
        Some(command) => effects.push(Effect::Demo(command)),
        None => model.complain("select a demo server first", now),
    }
}
