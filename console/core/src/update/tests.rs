//! What keys and messages do to the model.

use std::time::Duration;

use super::*;
use crate::action::Action;
use crate::fixture::{self, press, types};
use crate::key::{Code, Key};
use crate::message::{DemoCommand, RegistryUpdate};
use crate::model::calls::Failure;
use crate::model::link::LinkState;
use crate::model::{Overlay, Pane, View};

const ENTER: Key = Key::plain(Code::Enter);
const ESC: Key = Key::plain(Code::Esc);
const TAB: Key = Key::plain(Code::Tab);

fn only_call(effects: &[Effect]) -> &crate::model::calls::CallRequest {
    match effects {
        [Effect::Call(request)] => request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn enter_drills_in_from_instance_to_methods_to_form_to_send() {
    let (mut model, now) = fixture::busy();
    press(&mut model, ENTER, now);
    assert_eq!((model.view, model.focus()), (View::Methods, Pane::Methods));
    assert_eq!(model.methods.scope, Some(fixture::key(8089)));
    press(&mut model, ENTER, now);
    assert_eq!(model.focus(), Pane::Form);
    types(&mut model, "1", now);
    press(&mut model, TAB, now);
    types(&mut model, "2", now);
    let effects = press(&mut model, ENTER, now);
    let request = only_call(&effects);
    assert_eq!((request.method.as_str(), request.args.positional()), ("add", "[1,2]"));
    assert_eq!(request.candidates, [fixture::key(8089)], "the instance it was opened from");
    assert_eq!(model.focus(), Pane::Form, "ready for the next call");
}

#[test]
fn a_call_without_a_target_goes_to_instances_that_are_up_and_have_the_method() {
    let (mut model, now) = fixture::busy();
    press(&mut model, Key::char(':'), now);
    types(&mut model, "add 1 2 c=3", now);
    let effects = press(&mut model, ENTER, now);
    let request = only_call(&effects);
    assert_eq!(request.args.keyword(), r#"{"c":3}"#);
    assert_eq!(request.candidates, [fixture::key(8089), fixture::key(8090)], "not the late one");
}

#[test]
fn escape_leaves_the_field_then_the_form_and_neither_cancels_nor_quits() {
    let (mut model, now) = fixture::form();
    types(&mut model, "1", now);
    press(&mut model, TAB, now);
    types(&mut model, "2", now);
    let id = only_call(&press(&mut model, ENTER, now)).id;
    assert!(press(&mut model, ESC, now).is_empty(), "the call goes on");
    assert!(model.forms.get().is_some_and(|form| !form.editing));
    press(&mut model, ESC, now);
    assert_eq!(model.focus(), Pane::Methods);
    for _ in 0..5 {
        assert!(press(&mut model, ESC, now).is_empty());
    }
    assert_eq!(press(&mut model, Key::ctrl('x'), now), [Effect::Cancel(id)]);
    let failure = Failure::new("cancelled", "");
    fixture::feed(&mut model, Msg::CallEnded(id, Box::new(fixture::outcome(Err(failure)))), now);
    assert!(press(&mut model, Key::ctrl('x'), now).is_empty(), "nothing is in flight");
}

#[test]
fn in_a_text_field_every_printable_key_is_text() {
    let (mut model, now) = fixture::form();
    types(&mut model, "q2?:/ ", now);
    assert_eq!(model.forms.get().unwrap().fields[0].input.value(), "q2?:/ ");
    assert_eq!(model.view, View::Methods);
    press(&mut model, ESC, now);
    press(&mut model, Key::char('4'), now);
    assert_eq!(model.view, View::Logs);
}

#[test]
fn q_goes_back_step_by_step_and_quits_at_the_top() {
    let (mut model, now) = fixture::replied();
    press(&mut model, ESC, now);
    for expected in [Pane::Methods, Pane::Instances] {
        assert!(press(&mut model, Key::char('q'), now).is_empty());
        assert_eq!(model.focus(), expected);
    }
    assert_eq!(press(&mut model, Key::char('q'), now), [Effect::Quit]);
}

#[test]
fn tab_leaves_the_form_after_its_last_field_and_returns_to_its_first() {
    let (mut model, now) = fixture::form();
    for _ in 0..3 {
        press(&mut model, TAB, now);
    }
    assert_eq!(model.focus(), Pane::Response);
    press(&mut model, TAB, now);
    assert_eq!(model.focus(), Pane::Methods);
    press(&mut model, TAB, now);
    assert_eq!((model.focus(), model.forms.get().unwrap().focus), (Pane::Form, 0));
}

#[test]
fn enter_applies_a_filter_and_escape_clears_it() {
    let (mut model, now) = fixture::busy();
    press(&mut model, Key::char('/'), now);
    types(&mut model, "10.0.0.7", now);
    press(&mut model, ENTER, now);
    assert_eq!(model.instances.visible(now.at, true).len(), 1);
    assert_eq!(model.instances.selected.as_ref().unwrap().host, "10.0.0.7");
    press(&mut model, ESC, now);
    assert_eq!(model.instances.visible(now.at, true).len(), 4);
}

#[test]
fn a_method_that_was_found_stays_selected_when_its_filter_is_cleared() {
    let (mut model, now) = fixture::busy();
    press(&mut model, Key::char('2'), now);
    let last = model.methods.visible().last().unwrap().id.clone();
    assert_ne!(model.methods.selected.as_ref(), Some(&last));
    press(&mut model, Key::char('/'), now);
    types(&mut model, &last.name, now);
    press(&mut model, ENTER, now);
    assert_eq!(model.methods.selected.as_ref(), Some(&last));
    press(&mut model, ESC, now);
    assert!(model.methods.filter.value().is_empty());
    assert_eq!(model.methods.selected.as_ref(), Some(&last));
}

#[test]
fn a_pause_queues_live_data_and_applies_it_on_resume() {
    let (mut model, now) = fixture::busy();
    press(&mut model, Key::char(' '), now);
    let later = fixture::after(now, 30_000);
    fixture::beat(&mut model, 100, later);
    assert_eq!(model.paused.as_ref().unwrap().queued.len(), 1);
    assert_eq!(model.shown_at(later), now);
    press(&mut model, Key::char(' '), later);
    assert!(model.paused.is_none());
    let age = model.instances.get(&fixture::key(8089)).unwrap().age(later.at);
    assert_eq!(age, Some(Duration::from_millis(100)));
}

#[test]
fn a_pause_ends_when_too_many_updates_are_queued() {
    let (mut model, now) = fixture::busy();
    press(&mut model, Key::char(' '), now);
    for _ in 0..=crate::model::MAX_QUEUED {
        fixture::beat(&mut model, 100, now);
    }
    assert!(model.paused.is_none());
    assert!(model.toast.as_ref().unwrap().text.contains("resumed: too many updates were waiting"));
}

#[test]
fn a_pause_ends_when_the_updates_that_are_queued_take_too_much_memory() {
    let (mut model, now) = fixture::busy();
    press(&mut model, Key::char(' '), now);
    let mut record = fixture::record("127.0.0.1", 8089, 100, 1);
    record.instance.parameters.insert("a".to_owned(), vec![serde_json::json!([]); 4_000].into());
    let list = || {
        let change = rpc_wire::instance::WatchEvent::Snapshot(vec![record.clone(); 20]);
        Msg::Registry(RegistryUpdate::Change(change, now.at))
    };
    let mut count = 0;
    while model.paused.is_some() {
        fixture::feed(&mut model, list(), now);
        count += 1;
    }
    assert!((2..20).contains(&count), "a list takes 10 MB in memory: {count}");
}

#[test]
fn an_outage_keeps_the_list_and_its_end_is_an_event() {
    let (mut model, now) = fixture::lost();
    assert!(matches!(model.link.state, LinkState::Lost { attempts: 3, was_live: true, .. }));
    assert_eq!(model.instances.counts(now.at, false).unknown, 3);
    let records = vec![fixture::record("127.0.0.1", 8089, 100, 7_990)];
    fixture::snapshot(&mut model, records, now);
    let texts: Vec<_> =
        model.events.newest_first().take(3).map(|event| event.text.as_str()).collect();
    assert_eq!(texts[..2], ["no longer listed"; 2]);
    assert!(texts[2].starts_with("reconnected after 13.0 s (3 attempts)"), "{texts:?}");
}

#[test]
fn after_a_reconnect_no_instance_is_late_before_the_new_list() {
    let (mut model, now) = fixture::lost();
    let before = model.events.len();
    fixture::feed(&mut model, Msg::Registry(RegistryUpdate::Live { ages: true }), now);
    let records = ["127.0.0.1:8089", "127.0.0.1:8090", "10.0.0.7:8089"].map(|address| {
        let (host, port) = address.split_once(':').unwrap();
        fixture::record(host, port.parse().unwrap(), 100, 7_990)
    });
    let list = rpc_wire::instance::WatchEvent::Snapshot(records.to_vec());
    fixture::feed(&mut model, Msg::Registry(RegistryUpdate::Change(list, now.at)), now);
    let words: Vec<_> = model.events.newest_first().map(|event| event.word).collect();
    let fresh = &words[..words.len() - before];
    assert!(!fresh.contains(&"late"), "{fresh:?}");
}

#[test]
fn instances_are_monitored_until_they_unregister() {
    let (mut model, now) = fixture::busy();
    let record = fixture::record("10.0.0.9", 1, 0, 0);
    let key = record.instance.key();
    let registered = rpc_wire::instance::WatchEvent::Registered(record);
    let effects =
        fixture::feed(&mut model, Msg::Registry(RegistryUpdate::Change(registered, now.at)), now);
    assert!(matches!(&effects[..], [Effect::Monitor(instance)] if instance.key() == key));
    let event = rpc_wire::instance::WatchEvent::Unregistered(key.clone());
    let effects =
        fixture::feed(&mut model, Msg::Registry(RegistryUpdate::Change(event, now.at)), now);
    assert_eq!(effects, [Effect::StopMonitor(key)]);
}

#[test]
fn a_new_incarnation_restarts_monitoring() {
    let (mut model, now) = fixture::busy();
    let with_incarnation = |incarnation: u64| {
        let mut record = fixture::record("10.0.0.9", 1, 0, 0);
        record.instance.parameters.insert("incarnation".to_owned(), incarnation.into());
        rpc_wire::instance::WatchEvent::Updated(record)
    };
    fixture::feed(
        &mut model,
        Msg::Registry(RegistryUpdate::Change(with_incarnation(1), now.at)),
        now,
    );
    let again = fixture::feed(
        &mut model,
        Msg::Registry(RegistryUpdate::Change(with_incarnation(1), now.at)),
        now,
    );
    assert!(again.is_empty());
    let restarted = fixture::feed(
        &mut model,
        Msg::Registry(RegistryUpdate::Change(with_incarnation(2), now.at)),
        now,
    );
    assert!(matches!(restarted[..], [Effect::Monitor(_)]));
}

#[test]
fn a_key_opens_the_logs_of_an_instance() {
    let (mut model, now) = fixture::logs();
    press(&mut model, Key::char('1'), now);
    press(&mut model, Key::char('L'), now);
    assert_eq!(model.view, View::Logs);
    assert!(
        model
            .logs
            .upwards()
            .all(|line| line.source == crate::model::logs::Source::Server(fixture::key(8089)))
    );
    press(&mut model, ESC, now);
    assert_eq!(model.logs.source, None);
}

#[test]
fn a_disabled_key_says_why() {
    let (mut model, now) = fixture::busy();
    assert!(press(&mut model, Key::char('D'), now).is_empty());
    assert!(model.toast.as_ref().unwrap().text.contains("only with --demo"));
}

#[test]
fn keys_control_the_demo() {
    let (mut model, now) = fixture::demo();
    let traffic = Effect::Demo(DemoCommand::Traffic(false));
    assert_eq!(press(&mut model, Key::char('D'), now), [traffic]);
    let fault = Effect::Demo(DemoCommand::NextFault(fixture::key(8089)));
    assert_eq!(press(&mut model, Key::char('F'), now), [fault]);
    let crash = Effect::Demo(DemoCommand::ToggleServer(fixture::key(8089)));
    assert_eq!(press(&mut model, Key::char('K'), now), std::slice::from_ref(&crash));
    let crashed = crate::message::DemoUpdate::Server(fixture::key(8089), false);
    fixture::feed(&mut model, Msg::Demo(crashed), now);
    model.instances.selected = Some(fixture::key(8090));
    assert_eq!(press(&mut model, Key::char('K'), now), [crash], "the crashed one restarts first");
}

#[test]
fn a_resend_sends_the_same_call() {
    let (mut model, now) = fixture::history();
    let effects = press(&mut model, Key::char('r'), now);
    let request = only_call(&effects);
    assert_eq!((request.method.as_str(), request.args.positional()), ("add", "[1,2]"));
    assert_eq!(model.calls.len(), 4);
}

#[test]
fn a_finished_call_is_recorded_without_its_result() {
    let (mut model, now) = fixture::form();
    model.logs.shift_ms = 3_600_000;
    types(&mut model, "1", now);
    press(&mut model, TAB, now);
    types(&mut model, "2", now);
    let id = only_call(&press(&mut model, ENTER, now)).id;
    let called = || Msg::CallEnded(id, Box::new(fixture::outcome(Ok("\"secret\""))));
    let effects = fixture::feed(&mut model, called(), now);
    let [Effect::RecordCall(past)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((past.method.as_str(), past.args.positional()), ("add", "[1,2]"));
    assert_eq!(past.at_ms, now.wall_ms - 3_600_000, "in UTC");
    assert!(!format!("{past:?}").contains("secret"));
    assert!(fixture::feed(&mut model, called(), now).is_empty(), "once");
}

#[test]
fn a_call_of_an_earlier_session_fills_the_form_and_is_resent() {
    let (mut model, now) = fixture::history_restored();
    assert_eq!(model.calls.len(), 6);
    press(&mut model, Key::char('g'), now);
    for _ in 0..3 {
        press(&mut model, Key::char('j'), now);
    }
    press(&mut model, ENTER, now);
    let form = model.forms.get().unwrap();
    let values: Vec<_> = form.fields.iter().map(|field| field.input.value()).collect();
    assert_eq!(values, ["3", "4", ""]);
    assert_eq!((form.target.clone(), form.timeout.as_secs()), (Some(fixture::key(8090)), 30));
    assert!(model.calls.running().is_none(), "it is not in flight");
    assert!(press(&mut model, Key::char('r'), now).is_empty(), "it asks first");
    types(&mut model, "j", now);
    let effects = press(&mut model, ENTER, now);
    let request = only_call(&effects);
    assert_eq!(request.args.positional(), "[3,4]");
    assert_eq!(request.candidates, [fixture::key(8090)]);
}

#[test]
fn a_call_of_an_unknown_method_says_so() {
    let (mut model, now) = fixture::history_restored();
    press(&mut model, Key::char('G'), now);
    press(&mut model, ENTER, now);
    assert!(model.toast.as_ref().unwrap().text.contains("no form: no instance has gone_method"));
    model.view = View::History;
    assert!(press(&mut model, Key::char('R'), now).is_empty());
    assert!(model.overlay.is_none());
}

#[test]
fn earlier_calls_never_evict_current_ones() {
    let (mut model, now) = fixture::history();
    model.calls.limit = 4;
    let (other, _) = fixture::history_restored();
    let before = model.calls.shown;
    let call = other.calls.visible().pop().unwrap();
    let past = crate::model::calls::PastCall::of(call, &fixture::outcome(Ok("1")), 0);
    fixture::feed(&mut model, Msg::History(vec![past.clone(), past]), now);
    assert_eq!((model.calls.len(), model.calls.shown), (4, before));
}

#[test]
fn a_call_is_resent_to_a_chosen_instance() {
    let (mut model, now) = fixture::resend();
    assert!(matches!(model.overlay, Some(Overlay::Resend(_))));
    types(&mut model, "8090", now);
    let effects = press(&mut model, ENTER, now);
    let request = only_call(&effects);
    assert_eq!(request.candidates, [fixture::key(8090)]);
    assert!(model.overlay.is_none());
    let (mut model, now) = fixture::resend();
    press(&mut model, Key::plain(Code::Down), now);
    assert_eq!(only_call(&press(&mut model, ENTER, now)).candidates, [fixture::key(8089)]);
    let (mut model, now) = fixture::resend();
    press(&mut model, ESC, now);
    assert!(model.overlay.is_none());
}

#[test]
fn a_call_of_the_history_fills_the_form_again() {
    let (mut model, now) = fixture::history();
    model.forms.get_mut().unwrap().reset();
    press(&mut model, ENTER, now);
    assert_eq!((model.view, model.focus()), (View::Methods, Pane::Response));
    assert_eq!(model.forms.get().unwrap().fields[1].input.value(), "2");
}

#[test]
fn targets_cycle_and_a_gone_target_stays() {
    let (mut model, now) = fixture::form();
    let target = |model: &Model| model.forms.get().unwrap().target.clone();
    let mut seen = Vec::new();
    for _ in 0..4 {
        press(&mut model, Key::ctrl('t'), now);
        seen.push(target(&model).map(|key| key.to_string()));
    }
    let expected = ["10.0.0.7:8089", "127.0.0.1:8089", "127.0.0.1:8090"];
    assert_eq!(seen[..3], expected.map(|key| Some(key.to_owned())));
    assert_eq!(seen[3], None);
    press(&mut model, Key::ctrl('t'), now);
    let gone = target(&model).unwrap();
    let event = rpc_wire::instance::WatchEvent::Expired(gone.clone(), None);
    fixture::feed(&mut model, Msg::Registry(RegistryUpdate::Change(event, now.at)), now);
    assert_eq!(target(&model), Some(gone), "a call for one server goes to no other");
    press(&mut model, Key::ctrl('t'), now);
    assert_eq!(target(&model), None);
}

#[test]
fn help_and_palette_open_filter_and_close() {
    let (mut model, now) = fixture::busy();
    press(&mut model, Key::char('?'), now);
    types(&mut model, "quit", now);
    assert!(
        matches!(&model.overlay, Some(Overlay::Help { filter, .. }) if filter.value() == "quit")
    );
    press(&mut model, ESC, now);
    press(&mut model, Key::ctrl('p'), now);
    types(&mut model, "logs registry", now);
    press(&mut model, ENTER, now);
    assert_eq!(model.view, View::Logs);
}

#[test]
fn every_action_works_in_every_view_and_none_is_destructive() {
    for view in View::ALL {
        for row in crate::action::BINDINGS {
            let (mut model, now) = fixture::replied();
            model.view = view;
            let mut effects = Effects::new();
            act::act(&mut model, row.action, now, &mut effects);
            let destroys = |effect: &Effect| {
                matches!(
                    effect,
                    Effect::Unregister(..)
                        | Effect::Override(..)
                        | Effect::Save { overwrite: true, .. }
                )
            };
            assert!(!effects.iter().any(destroys), "{:?} is one key away", row.action);
            assert!(row.action != Action::Help || model.overlay.is_some());
        }
    }
}

#[test]
fn events_say_why_an_instance_expired_that_the_brake_holds_it_and_that_it_registers_drained() {
    use rpc_wire::instance::{
        ExpiryReason, InstanceRecord, InstanceState, OverrideRecord, OverrideState, WatchEvent,
    };
    let (mut model, now) = fixture::busy();
    let record: InstanceRecord = fixture::record("127.0.0.1", 8090, 0, 10);
    let key = record.instance.key();
    let mut said = |event: WatchEvent| {
        let update = RegistryUpdate::Change(event, now.at);
        fixture::feed(&mut model, Msg::Registry(update), now);
        let event = model.events.newest_first().next().unwrap();
        format!("{} {}", event.word, event.text)
    };
    let held =
        InstanceRecord { state: InstanceState::Suspect, held_ms: Some(60_000), ..record.clone() };
    assert_eq!(said(WatchEvent::Suspect(held)), "suspect silent, held by the brake");
    let expired = said(WatchEvent::Expired(key, Some(ExpiryReason::Refused)));
    assert!(expired.contains("expired: it refuses connections; last heartbeat "), "{expired}");
    let (state, reason) = (OverrideState::Draining, Some("deploy 7".to_owned()));
    let overridden = OverrideRecord { state, reason, by: None, for_ms: None };
    let drained =
        InstanceRecord { state: InstanceState::Draining, overridden: Some(overridden), ..record };
    let said = said(WatchEvent::Registered(drained));
    assert_eq!(said, "draining registered, draining: deploy 7");
}
