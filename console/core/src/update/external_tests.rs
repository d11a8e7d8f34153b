//! Search, comparison, saving, copying, and menus.

use std::sync::Arc;

use crate::fixture::{self, feed, press, types};
use crate::key::{Code, Key};
use crate::message::{Effect, MAX_COPIED_BYTES, Msg};
use crate::model::calls::Tab;
use crate::model::content::{Content, Program, SaveError};
use crate::model::diff::Diff;
use crate::model::json::{Document, Matches};
use crate::model::{Model, Overlay, Pane, View};

const ENTER: Key = Key::plain(Code::Enter);
const ESC: Key = Key::plain(Code::Esc);

fn toast(model: &Model) -> &str {
    model.toast.as_ref().map_or("", |toast| &toast.text)
}

fn reply(model: &mut Model, text: &str, now: crate::model::Now) -> u64 {
    let effects = press(model, Key::char('r'), now);
    let [Effect::Call(request)] = &effects[..] else { panic!("{effects:?}") };
    let mut outcome = fixture::outcome(Ok("0"));
    outcome.result = Ok(Arc::new(Document::of_text(text)));
    feed(model, Msg::CallEnded(request.id, Box::new(outcome)), now);
    request.id
}

#[test]
fn a_search_steps_through_matches_and_unfolds_them() {
    let (mut model, now) = fixture::folded();
    press(&mut model, Key::char('z'), now);
    press(&mut model, Key::char('z'), now);
    press(&mut model, Key::char('/'), now);
    types(&mut model, "DEEP", now);
    press(&mut model, ENTER, now);
    let call = model.calls.shown_call().unwrap();
    let document = Arc::clone(call.document().unwrap());
    let line = document.line(call.folding.cursor).unwrap();
    assert_eq!(line.key.map(|key| document.slice(&key).to_owned()).as_deref(), Some("\"deep\""));
    assert_eq!(call.folding.line_of(call.folding.row_of(call.folding.cursor)), call.folding.cursor);
    assert_eq!(model.calls.matches().unwrap().lines.len(), 1);
    press(&mut model, Key::char('n'), now);
    assert!(toast(&model).contains("continued from the top"));
    press(&mut model, ESC, now);
    assert!(model.calls.matches().is_none());
    press(&mut model, Key::char('n'), now);
    assert!(toast(&model).contains("no search; press /"));
}

#[test]
fn a_large_result_is_searched_in_the_background_after_the_text_is_typed() {
    let (mut model, now) = fixture::folded();
    let long = format!("[{}1]", "\"x\",".repeat(100_000));
    let id = reply(&mut model, &long, now);
    press(&mut model, Key::char('/'), now);
    assert!(press(&mut model, Key::char('1'), now).is_empty());
    let effects = press(&mut model, ENTER, now);
    assert!(
        matches!(&effects[..], [Effect::Search(found, _, needle)] if *found == id && needle == "1")
    );
    let matches = Matches { lines: vec![100_001], more: false };
    feed(&mut model, Msg::Found(id, "other".to_owned(), Matches::default()), now);
    assert!(model.calls.matches().is_none(), "a reply to an older search");
    feed(&mut model, Msg::Found(id, "1".to_owned(), matches), now);
    assert_eq!(model.calls.shown_call().unwrap().folding.cursor, 100_001);
}

#[test]
fn results_of_the_same_method_are_compared() {
    let (model, _) = fixture::changed();
    let call = model.calls.shown_call().unwrap();
    assert_eq!(call.tab, Tab::Diff);
    let Some(Diff::Changes(changes)) = &call.diff else { panic!("{:?}", call.diff) };
    let paths: Vec<_> = changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, [".list[1]", ".list[2].deep[1]", ".empty", ".tags[2]", ".new"]);
}

#[test]
fn a_large_result_is_copied_as_far_as_the_ways_to_copy_it_take_it() {
    let (mut model, now) = fixture::folded();
    reply(&mut model, &"x".repeat(MAX_COPIED_BYTES + 1), now);
    let effects = press(&mut model, Key::char('y'), now);
    assert!(
        matches!(&effects[..], [Effect::Copy { text, .. }] if text.len() > MAX_COPIED_BYTES),
        "the limit is the terminal's, not that of a program"
    );
}

#[test]
fn saving_asks_for_a_path_and_before_overwriting() {
    let (mut model, now) = fixture::folded();
    assert!(press(&mut model, Key::char('s'), now).is_empty());
    let effects = press(&mut model, ENTER, now);
    let [Effect::Save { path, content: Content::Document(_), overwrite: false }] = &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert!(path.starts_with("add-14") && path.ends_with(".json"), "{path}");
    let exists = Msg::Saved(path.clone(), Err(SaveError::Exists));
    feed(&mut model, exists, now);
    types(&mut model, "2", now);
    let effects = press(&mut model, ENTER, now);
    assert!(matches!(&effects[..], [Effect::Save { overwrite: false, .. }]), "another path");
    press(&mut model, Key::plain(Code::Backspace), now);
    feed(&mut model, Msg::Saved(path.clone(), Err(SaveError::Exists)), now);
    let effects = press(&mut model, ENTER, now);
    assert!(matches!(&effects[..], [Effect::Save { overwrite: true, .. }]));
    feed(&mut model, Msg::Saved(path.clone(), Ok(120)), now);
    assert!(model.overlay.is_none() && toast(&model).contains("saved 120 B"));
}

#[test]
fn a_call_is_copied_as_a_command_or_a_program() {
    let (mut model, now) = fixture::folded();
    press(&mut model, Key::char('Y'), now);
    let effects = press(&mut model, ENTER, now);
    let [Effect::Copy { text, .. }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(text, "rpcd call --registry http://127.0.0.1:9999 -- add 1 2");
    model.set_focus(Pane::Form);
    press(&mut model, ESC, now);
    press(&mut model, Key::char('Y'), now);
    for _ in 0..4 {
        press(&mut model, Key::char('j'), now);
    }
    let effects = press(&mut model, ENTER, now);
    assert!(
        matches!(&effects[..], [Effect::Copy { text, .. }] if text.starts_with("printf %s '{"))
    );
}

#[test]
fn the_wire_tab_copies_its_messages() {
    let (mut model, now) = fixture::replied();
    model.set_focus(Pane::Response);
    press(&mut model, Key::char('}'), now);
    let effects = press(&mut model, Key::char('y'), now);
    let [Effect::Copy { what, text }] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((what.as_str(), text.lines().last()), ("messages", Some(r#"{"id":1,"res":13}"#)));
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn pager_and_editor_get_the_result_and_the_lines_shown() {
    let (mut model, now) = fixture::folded();
    for (key, wanted) in [('v', Program::Pager), ('e', Program::Editor)] {
        let effects = press(&mut model, Key::char(key), now);
        assert!(matches!(&effects[..], [Effect::View { program, .. }] if *program == wanted));
    }
    let (mut model, now) = fixture::logs();
    let effects = press(&mut model, Key::char('v'), now);
    let [Effect::View { content: Content::Lines(lines), .. }] = &effects[..] else {
        panic!("{effects:?}")
    };
    assert_eq!(lines.len(), model.logs.counts().0);
}

#[test]
fn log_lines_are_searched_while_stopped_paused_and_filtered() {
    let (mut model, now) = fixture::logs_stopped();
    press(&mut model, Key::char('/'), now);
    types(&mut model, "#1", now);
    press(&mut model, ENTER, now);
    let (at, count) = model.logs.match_counts();
    assert!(at == Some(count) && count > 1, "{at:?} of {count}");
    press(&mut model, Key::char('N'), now);
    assert_eq!(model.logs.match_counts().0, Some(count - 1));
    press(&mut model, ESC, now);
    assert_eq!(model.logs.match_counts(), (None, 0));
    assert!(!model.logs.filter.value().is_empty(), "the next escape clears the filter");
    press(&mut model, ESC, now);
    assert!(model.logs.filter.value().is_empty());
}

#[test]
fn the_actions_menu_says_why_an_entry_is_unavailable() {
    let (mut model, now) = fixture::busy();
    model.view = View::Methods;
    model.set_focus(Pane::Response);
    press(&mut model, Key::char('x'), now);
    let Some(Overlay::Menu(menu)) = &model.overlay else { panic!() };
    let save = menu.items.iter().find(|item| item.label == "s").unwrap();
    assert_eq!(save.choice.as_ref().unwrap_err(), "no result");
    press(&mut model, ESC, now);
    assert!(model.overlay.is_none());
}

fn unregister_is_chosen(model: &mut Model, now: crate::model::Now) -> bool {
    press(model, Key::char('x'), now);
    press(model, Key::plain(Code::Up), now);
    let Some(Overlay::Menu(menu)) = &mut model.overlay else { panic!() };
    let Some(at) = menu.items.iter().position(|item| item.detail.contains("unregister")) else {
        return false;
    };
    menu.selected = at;
    press(model, ENTER, now);
    true
}

#[test]
fn unregistering_needs_the_typed_address() {
    let (mut model, now) = fixture::busy();
    assert!(unregister_is_chosen(&mut model, now));
    assert!(press(&mut model, ENTER, now).is_empty(), "the default is to cancel");
    assert!(toast(&model).contains("cancelled"));
    assert!(unregister_is_chosen(&mut model, now));
    types(&mut model, "127.0.0.1:8089", now);
    let effects = press(&mut model, ENTER, now);
    assert!(matches!(&effects[..], [Effect::Unregister(url, instance)]
        if url == "http://127.0.0.1:9999" && instance.key() == fixture::key(8089)));
}

#[test]
fn readonly_refuses_unregistering_with_the_reason() {
    let (mut model, now) = fixture::busy();
    model.readonly = true;
    assert!(unregister_is_chosen(&mut model, now));
    assert!(matches!(model.overlay, Some(Overlay::Menu(_))), "no question follows");
    assert!(toast(&model).contains("read-only"));
}

#[test]
fn a_call_of_an_earlier_session_is_copied_at_once_but_as_what_needs_names_of_parameters() {
    use crate::model::calls::PastCall;
    let now = fixture::now();
    let mut model = Model::new("http://127.0.0.1:9999", now);
    let (other, _) = fixture::history_restored();
    let calls = other.calls.visible();
    let add = calls.iter().find(|call| call.past.is_some() && call.request.method == "add");
    let mut past = PastCall::of(add.unwrap(), &fixture::outcome(Ok("7")), 0);
    // It went to any instance; no method is known yet.
    past.target = None;
    feed(&mut model, Msg::History(vec![past]), now);
    assert!(model.methods.is_empty());
    press(&mut model, Key::char('3'), now);
    press(&mut model, Key::char('Y'), now);
    let Some(Overlay::Menu(menu)) = &model.overlay else { panic!("{:?}", model.overlay) };
    for item in &menu.items {
        assert_eq!(item.choice.is_ok(), item.label != "MCP command", "{item:?}");
    }
    assert!(menu.items.iter().any(|item| item.detail.ends_with("nc -N -- 127.0.0.1 8089")));
}

#[test]
fn a_filter_has_a_limit_that_is_said() {
    let (mut model, now) = fixture::folded();
    press(&mut model, Key::char('&'), now);
    feed(&mut model, Msg::Paste("[?@.a]".repeat(5_000)), now);
    assert_eq!(toast(&model), "not pasted: it is 29.3 KiB, a filter or search takes 2.0 KiB");
    assert_eq!(model.calls.path.value(), "");
    feed(&mut model, Msg::Paste("$.list\n".to_owned()), now);
    assert_eq!(model.calls.path.value(), "$.list");
    types(&mut model, &"x".repeat(2_100), now);
    assert_eq!(model.calls.path.value().len(), 2_048);
}

#[test]
fn a_message_from_before_a_dialog_does_not_stay_under_it() {
    let (mut model, now) = fixture::folded();
    model.notify("earlier", now);
    press(&mut model, Key::char('z'), now);
    assert_eq!(toast(&model), "earlier");
    press(&mut model, Key::char('Y'), now);
    assert!(model.overlay.is_some() && model.shown_toast().is_none());
    model.notify("later", now);
    press(&mut model, Key::plain(Code::Down), now);
    assert_eq!(model.shown_toast().unwrap().text, "later", "what is said while it is open stays");
    press(&mut model, ESC, now);
    assert_eq!(model.shown_toast().unwrap().text, "later");
}

#[test]
fn invalid_json_names_the_key_that_resets_it() {
    let (mut model, now) = fixture::form();
    press(&mut model, Key::ctrl('j'), now);
    types(&mut model, "}", now);
    press(&mut model, Key::ctrl('j'), now);
    assert_eq!(toast(&model), "fix the JSON first, or press ^r to reset it");
    press(&mut model, Key::ctrl('r'), now);
    press(&mut model, Key::ctrl('j'), now);
    assert!(model.forms.get().unwrap().json.is_none());
}
