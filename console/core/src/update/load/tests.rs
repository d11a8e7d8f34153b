//! Load tests: keys and messages in, effects and results out.

use rpc_load::{Mode, Phase};
use rpc_wire::paths::RPC_HEALTH;
use rpc_wire::target::Target;

use crate::fixture::{self, load_update, press, report, start_load, types};
use crate::key::{Code, Key};
use crate::message::{Effect, LoadUpdate, Msg};
use crate::model::load::LoadField;
use crate::model::{Pane, View};

const ENTER: Key = Key::plain(Code::Enter);
const ESC: Key = Key::plain(Code::Esc);
const SPACE: Key = Key::char(' ');

#[test]
fn a_load_test_starts_from_a_form() {
    let (mut model, now) = fixture::load_plan();
    assert_eq!((model.view, model.focus()), (View::Load, Pane::LoadPlan));
    assert_eq!(model.load.form.as_ref().unwrap().focused(), LoadField::Rate, "the first field");
    let request = start_load(&mut model, now);
    assert_eq!((request.method.as_str(), request.args.positional()), ("add", "[1,2]"));
    assert_eq!(request.mode, Mode::OpenLoop { rate: 100.0, max_in_flight: 240 });
    assert_eq!(request.target, Target::Registry { url: "http://127.0.0.1:9999".to_owned() });
    assert_eq!(model.focus(), Pane::LoadRun);
}

#[test]
fn space_stops_a_run_and_keeps_its_results() {
    let (mut model, now) = fixture::loading();
    assert_eq!(press(&mut model, SPACE, now), [Effect::StopLoad]);
    let request = model.load.run.as_ref().unwrap().request.clone();
    let mut kept = report(&request, 1);
    kept.stopped = true;
    load_update(&mut model, Phase::Done, kept, now);
    assert_eq!(model.load.run.as_ref().unwrap().status(), "stopped");
    assert!(model.toast.as_ref().unwrap().text.contains("stopped: 995 calls"));
    assert!(press(&mut model, SPACE, now).is_empty(), "no run to stop");
    assert!(model.paused.is_none(), "and no pause starts");
}

#[test]
fn escape_goes_back_and_never_stops_a_run() {
    let (mut model, now) = fixture::loading();
    assert_eq!(model.focus(), Pane::LoadRun);
    assert!(press(&mut model, ESC, now).is_empty());
    assert_eq!(model.focus(), Pane::LoadPlan);
    assert!(press(&mut model, ESC, now).is_empty());
    assert!(model.load.is_running());
    assert_eq!(press(&mut model, SPACE, now), [Effect::StopLoad]);
}

#[test]
fn during_a_run_the_form_is_locked_and_no_second_run_starts() {
    let (mut model, now) = fixture::loading();
    press(&mut model, Key::plain(Code::Tab), now);
    assert_eq!(model.focus(), Pane::LoadPlan);
    assert!(press(&mut model, ENTER, now).is_empty());
    assert_eq!(press(&mut model, SPACE, now), [Effect::StopLoad]);
    let form = model.load.form.as_ref().unwrap();
    assert_eq!(form.value(LoadField::Rate).value(), "100");
}

#[test]
fn an_invalid_field_gets_the_focus_and_nothing_starts() {
    let (mut model, now) = fixture::load_plan();
    types(&mut model, "x", now);
    assert!(press(&mut model, ENTER, now).is_empty());
    assert!(model.toast.as_ref().unwrap().text.contains("rate must be a number"));
    assert_eq!(model.load.form.as_ref().unwrap().focused(), LoadField::Rate);
    press(&mut model, Key::plain(Code::Backspace), now);
    start_load(&mut model, now);
}

#[test]
fn the_loop_is_switched_in_its_field_and_by_a_key() {
    let (mut model, now) = fixture::load_plan();
    press(&mut model, Key::plain(Code::Up), now);
    types(&mut model, " ", now);
    assert!(!model.load.form.as_ref().unwrap().open);
    press(&mut model, Key::ctrl('o'), now);
    assert!(model.load.form.as_ref().unwrap().open);
    press(&mut model, Key::ctrl('o'), now);
    assert_eq!(start_load(&mut model, now).mode, Mode::ClosedLoop { concurrency: 4 });
}

#[test]
fn a_target_is_one_instance_that_has_the_method_or_the_registry() {
    let (mut model, now) = fixture::load_plan();
    press(&mut model, Key::ctrl('t'), now);
    assert_eq!(start_load(&mut model, now).target, Target::direct("10.0.0.7:8089").unwrap());
}

#[test]
fn an_instance_is_load_tested_with_the_call_in_the_form_or_a_health_check() {
    let (mut model, now) = fixture::busy();
    press(&mut model, Key::char('b'), now);
    let request = start_load(&mut model, now);
    assert_eq!(request.method, RPC_HEALTH);
    assert_eq!(request.target, Target::direct("127.0.0.1:8089").unwrap());

    let (mut model, now) = fixture::replied();
    press(&mut model, ESC, now);
    press(&mut model, Key::char('1'), now);
    press(&mut model, Key::char('b'), now);
    let request = start_load(&mut model, now);
    assert_eq!((request.method.as_str(), request.args.positional()), ("add", "[1,2]"));
    assert_eq!(request.target, Target::direct("127.0.0.1:8089").unwrap());
}

#[test]
fn an_incomplete_form_is_not_load_tested() {
    let (mut model, now) = fixture::form();
    press(&mut model, Key::ctrl('b'), now);
    assert_eq!((model.view, model.focus()), (View::Methods, Pane::Form));
    assert!(model.toast.as_ref().unwrap().text.contains("fix a, b"));
}

#[test]
fn runs_are_compared_and_a_failed_one_is_not_kept() {
    let (mut model, now) = fixture::load_plan();
    let request = start_load(&mut model, now);
    press(&mut model, Key::char('c'), now);
    assert!(model.toast.as_ref().unwrap().text.contains("no previous run"));
    load_update(&mut model, Phase::Done, report(&request, 1), now);
    start_load(&mut model, now);
    let id = model.load.run.as_ref().unwrap().request.id;
    fixture::feed(&mut model, Msg::Load(id, LoadUpdate::Failed("no thread".to_owned())), now);
    assert_eq!(model.load.run.as_ref().unwrap().status(), "failed");
    start_load(&mut model, now);
    assert_eq!(model.load.previous.as_ref().unwrap().request.id, request.id);
    press(&mut model, Key::char('c'), now);
    assert!(model.load.comparing);
}

#[test]
fn messages_of_an_earlier_run_are_ignored() {
    let (mut model, now) = fixture::loading();
    let id = model.load.run.as_ref().unwrap().request.id;
    fixture::feed(&mut model, Msg::Load(id + 1, LoadUpdate::Failed("late".to_owned())), now);
    assert!(model.load.is_running());
}

#[test]
fn the_form_and_a_run_are_copied_as_a_command() {
    let (mut model, now) = fixture::loading();
    let effects = press(&mut model, Key::char('y'), now);
    let expected = "rpcd bench --rate 100 --concurrency 240 --connections 1 --duration 10s \
                    --warmup 1s --timeout 10s --registry http://127.0.0.1:9999 add 1 2";
    assert_eq!(effects, [Effect::Copy { what: "command".to_owned(), text: expected.to_owned() }]);
}
