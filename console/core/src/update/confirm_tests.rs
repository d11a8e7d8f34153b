//! Registries whose calls and load tests ask first, and a server without a registry.

use crate::fixture::{self, feed, key, press, types};
use crate::key::{Code, Key};
use crate::message::{Effect, InstanceUpdate, Msg};
use crate::model::Overlay;
use crate::model::instances::State;
use rpc_wire::target::Target;

const ENTER: Key = Key::plain(Code::Enter);
const DOWN: Key = Key::plain(Code::Down);

fn is_call(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Call(_)))
}

fn asks(model: &crate::model::Model) -> bool {
    matches!(&model.overlay, Some(Overlay::Menu(menu)) if menu.title.contains("production?"))
}

#[test]
fn a_call_asks_first_and_cancel_is_the_default() {
    let (mut model, now) = fixture::production();
    assert!(!is_call(&press(&mut model, ENTER, now)) && asks(&model));
    assert!(!is_call(&press(&mut model, ENTER, now)));
    assert!(model.calls.is_empty() && model.overlay.is_none());
    press(&mut model, ENTER, now);
    press(&mut model, DOWN, now);
    assert!(is_call(&press(&mut model, ENTER, now)));

    // So do a call typed in the palette, and a resent one.
    press(&mut model, Key::plain(Code::Esc), now);
    press(&mut model, Key::ctrl('p'), now);
    types(&mut model, "add 1 2", now);
    assert!(!is_call(&press(&mut model, ENTER, now)) && asks(&model));
    press(&mut model, ENTER, now);
    press(&mut model, Key::char('3'), now);
    assert!(!is_call(&press(&mut model, Key::char('r'), now)) && asks(&model));
}

#[test]
fn a_load_test_asks_first() {
    let (mut model, now) = fixture::production();
    press(&mut model, Key::ctrl('b'), now);
    let started = |effects: &[Effect]| matches!(effects, [Effect::StartLoad(_)]);
    assert!(!started(&press(&mut model, ENTER, now)) && asks(&model));
    press(&mut model, ENTER, now);
    assert!(!model.load.is_running());
    press(&mut model, ENTER, now);
    press(&mut model, DOWN, now);
    assert!(started(&press(&mut model, ENTER, now)));
}

#[test]
fn the_state_of_a_server_without_a_registry_is_that_of_its_probe() {
    let (mut model, now) = fixture::direct();
    let state = |model: &crate::model::Model| {
        let row = model.instances.get(&key(8089)).unwrap();
        (row.state(now.at, model.link.is_live()), row.state_text(now.at, model.link.is_live()))
    };
    assert_eq!(state(&model), (State::Up, "up"));
    let failed = InstanceUpdate::Probe(Err("refused".to_owned()));
    feed(&mut model, Msg::Instance(key(8089), failed), now);
    assert_eq!(state(&model), (State::Unknown, "no reply"));
    let events: Vec<_> = model.events.newest_first().map(|event| event.word).collect();
    assert_eq!(events, ["no reply", "up", "open"]);
}

#[test]
fn calls_commands_and_load_tests_go_to_the_server_without_a_registry() {
    let (mut model, now) = fixture::direct();
    press(&mut model, Key::ctrl('p'), now);
    types(&mut model, "add 1 2", now);
    let effects = press(&mut model, ENTER, now);
    let request = effects.iter().find_map(|effect| match effect {
        Effect::Call(request) => Some(request),
        _ => None,
    });
    assert_eq!(request.unwrap().candidates, [key(8089)]);
    let (mut model, now) = fixture::direct();
    press(&mut model, Key::char('2'), now);
    press(&mut model, ENTER, now);
    types(&mut model, "1", now);
    press(&mut model, Key::plain(Code::Tab), now);
    types(&mut model, "2", now);
    press(&mut model, Key::plain(Code::Esc), now);
    press(&mut model, Key::char('Y'), now);
    let Some(Overlay::Menu(menu)) = &model.overlay else { panic!("{:?}", model.overlay) };
    assert!(menu.items[0].detail.starts_with("rpcd call -i 127.0.0.1 -p 8089"));
    press(&mut model, Key::plain(Code::Esc), now);
    press(&mut model, Key::ctrl('b'), now);
    press(&mut model, Key::ctrl('t'), now);
    let effects = press(&mut model, ENTER, now);
    let [Effect::StartLoad(request)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(request.target, Target::direct("127.0.0.1:8089").unwrap());
}

#[test]
fn there_is_nothing_to_unregister_without_a_registry_and_others_can_be_opened() {
    let (mut model, now) = fixture::direct();
    press(&mut model, Key::char('x'), now);
    let Some(Overlay::Menu(menu)) = &model.overlay else { panic!() };
    let unregister = menu.items.last().unwrap();
    assert_eq!(unregister.choice.as_ref().unwrap_err(), "no registry");
    press(&mut model, Key::plain(Code::Esc), now);
    press(&mut model, Key::char('@'), now);
    press(&mut model, DOWN, now);
    let effects = press(&mut model, ENTER, now);
    let url = "http://127.0.0.1:9999".to_owned();
    assert_eq!(effects, [Effect::SwitchRegistry(Target::Registry { url })]);
    assert!(model.instances.is_empty() && model.link.server.is_none());
    press(&mut model, Key::char('@'), now);
    press(&mut model, Key::plain(Code::Up), now);
    let effects = press(&mut model, ENTER, now);
    assert_eq!(effects, [Effect::SwitchRegistry(Target::direct("127.0.0.1:8089").unwrap())]);
    assert_eq!(model.link.server, Some(key(8089)));
}

#[test]
fn the_key_beside_an_entry_of_the_menu_of_actions_chooses_it() {
    let (mut model, now) = fixture::busy();
    let key = model.instances.selected.clone().unwrap();
    press(&mut model, Key::char('x'), now);
    press(&mut model, Key::char('o'), now);
    let Some(Overlay::Menu(menu)) = &model.overlay else { panic!("{:?}", model.overlay) };
    assert_eq!(menu.title, format!("Take {key} out of use?"));
    press(&mut model, Key::plain(Code::Esc), now);
    // Keys that move in the menu do so still.
    press(&mut model, Key::char('x'), now);
    press(&mut model, Key::char('j'), now);
    let Some(Overlay::Menu(menu)) = &model.overlay else { panic!("{:?}", model.overlay) };
    assert!(menu.title.starts_with("Actions"));
}
