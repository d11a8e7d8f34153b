//! Nothing is called by accident: earlier sessions, other machines, `--readonly`, incomplete forms.

use rpc_wire::paths::RPC_HEALTH;
use tui_input::Input;

use crate::fixture::{self, press, types};
use crate::key::{Code, Key};
use crate::message::{Effect, Msg};
use crate::model::Now;
use crate::model::calls::PastCall;
use crate::model::{Model, Overlay, Pane};

const ENTER: Key = Key::plain(Code::Enter);
const ESC: Key = Key::plain(Code::Esc);

fn toast(model: &Model) -> &str {
    model.toast.as_ref().map_or("", |toast| &toast.text)
}

/// The history of an earlier session with one call, which is selected.
fn earlier() -> (Model, Now) {
    let (mut model, now) = fixture::busy();
    let (other, _) = fixture::history_restored();
    let calls = other.calls.visible();
    let add = calls.iter().find(|call| call.past.is_some() && call.request.method == "add");
    let past = PastCall::of(add.unwrap(), &fixture::outcome(Ok("7")), 0);
    fixture::feed(&mut model, Msg::History(vec![past]), now);
    (model, now)
}

#[test]
fn a_load_test_is_never_planned_from_an_earlier_session() {
    let (mut model, now) = earlier();
    press(&mut model, Key::char('b'), now);
    assert_eq!(model.load.form.as_ref().unwrap().method, RPC_HEALTH, "not the stored call");
    let (mut model, now) = earlier();
    press(&mut model, Key::char('3'), now);
    press(&mut model, Key::char('b'), now);
    assert!(model.load.form.is_none());
    assert!(toast(&model).contains("earlier session"), "{}", toast(&model));
    assert!(toast(&model).contains("press r to resend it first"), "{}", toast(&model));
}

#[test]
fn a_form_that_nobody_filled_in_is_not_planned() {
    let (mut model, now) = fixture::busy();
    press(&mut model, Key::char('2'), now);
    (model.methods.selected, model.methods.is_chosen) = (Some("now".into()), true);
    fixture::feed(&mut model, Msg::Tick, now);
    assert_eq!(model.forms.current, Some("now".into()), "it needs no arguments");
    press(&mut model, Key::char('1'), now);
    press(&mut model, Key::char('b'), now);
    assert_eq!(model.load.form.as_ref().unwrap().method, RPC_HEALTH);
}

#[test]
fn resending_a_call_of_an_earlier_session_asks_first() {
    for (keys, confirms) in [("", false), ("y", false), ("jk", false), ("j", true)] {
        for action in ["r", "R"] {
            let (mut model, now) = earlier();
            press(&mut model, Key::char('3'), now);
            types(&mut model, action, now);
            if action == "R" {
                assert!(press(&mut model, ENTER, now).is_empty(), "an instance is chosen");
            }
            let Some(Overlay::Menu(menu)) = &model.overlay else { panic!("no question") };
            assert!(menu.title.contains("Resend add 3,4, a call of an earlier session?"));
            types(&mut model, keys, now);
            let effects = press(&mut model, ENTER, now);
            let sent = matches!(&effects[..], [Effect::Call(call)] if call.method == "add");
            assert_eq!(sent, confirms, "{action} {keys}");
            assert_eq!(toast(&model).contains("cancelled: nothing sent"), !confirms);
        }
    }
}

#[test]
fn a_load_test_of_another_machine_asks_first() {
    let (mut model, now) = fixture::load_plan();
    assert!(press(&mut model, ENTER, now).is_empty());
    let Some(Overlay::Menu(menu)) = &model.overlay else { panic!("no question") };
    assert_eq!(menu.title, "Load-test add on 1 of 3 instances not on this machine?");
    assert!(press(&mut model, ENTER, now).is_empty(), "no by default");
    assert!(toast(&model).contains("cancelled") && !model.load.is_running());
    press(&mut model, ENTER, now);
    press(&mut model, ESC, now);
    assert!(model.overlay.is_none() && !model.load.is_running());
    press(&mut model, ENTER, now);
    types(&mut model, "j", now);
    assert!(matches!(&press(&mut model, ENTER, now)[..], [Effect::StartLoad(_)]));
    assert_eq!(model.focus(), Pane::LoadRun);
}

#[test]
fn a_load_test_of_this_machine_does_not_ask() {
    let (mut model, now) = fixture::load_plan();
    model.load.form.as_mut().unwrap().target = Some(fixture::key(8089));
    assert!(matches!(&press(&mut model, ENTER, now)[..], [Effect::StartLoad(_)]));
}

#[test]
fn readonly_refuses_calls_load_tests_and_unregistering_with_the_reason() {
    let refused = |model: &mut Model, keys: &[Key], now| {
        model.toast = None;
        for key in keys {
            let effects = press(model, *key, now);
            assert!(effects.is_empty(), "{effects:?}");
        }
        assert!(toast(model).contains("read-only (--readonly)"), "{keys:?}: {}", toast(model));
    };
    let (mut model, now) = fixture::history();
    model.readonly = true;
    for key in ['r', 'R', 'b'] {
        refused(&mut model, &[Key::char(key)], now);
    }
    let (mut model, now) = fixture::form();
    model.readonly = true;
    types(&mut model, "1", now);
    refused(&mut model, &[ENTER], now);
    refused(&mut model, &[Key::ctrl('b')], now);
    press(&mut model, ESC, now);
    press(&mut model, Key::char(':'), now);
    types(&mut model, "add 1 2", now);
    refused(&mut model, &[ENTER], now);
    let (mut model, now) = fixture::load_plan();
    model.readonly = true;
    refused(&mut model, &[ENTER], now);
}

#[test]
fn an_incomplete_form_is_neither_copied_nor_sent() {
    let (mut model, now) = fixture::form();
    let form = model.forms.get_mut().unwrap();
    for (field, text) in [(0, "151x"), (1, "2")] {
        form.fields[field].input = Input::new(text.to_owned());
        form.fields[field].touched = true;
    }
    press(&mut model, ESC, now);
    for key in [Key::char('y'), Key::char('Y'), Key::ctrl('b'), ENTER] {
        model.toast = None;
        assert!(press(&mut model, key, now).is_empty(), "{key}");
        assert!(model.overlay.is_none());
        assert!(toast(&model).contains("fix a"), "{key}: {}", toast(&model));
        model.forms.get_mut().unwrap().editing = false;
    }
}
