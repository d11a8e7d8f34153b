//! What the console's token does not allow is said before it is tried, where that is certain.

use rpc_wire::report::Whoami;

use crate::action::Action;
use crate::fixture::{self, feed, press, types};
use crate::key::{Code, Key};
use crate::message::{Effect, InstanceUpdate, Msg, RegistryUpdate};
use crate::model::standing::Standing;
use crate::model::{Model, Now, Overlay};
use crate::selectors;

fn with_roles(roles: &[&str]) -> Standing {
    Standing::of(&Whoami {
        auth: "required".to_owned(),
        name: Some("ops".to_owned()),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..Whoami::default()
    })
}

/// A model whose registry and instances give these roles.
fn guarded((mut model, now): (Model, Now), at_registry: &[&str], at_all: &[&str]) -> (Model, Now) {
    let said = RegistryUpdate::Standing(with_roles(at_registry));
    feed(&mut model, Msg::Registry(said), now);
    let keys: Vec<_> = model.instances.all().map(|row| row.key.clone()).collect();
    for key in keys {
        let said = InstanceUpdate::Standing(with_roles(at_all));
        feed(&mut model, Msg::Instance(key, said), now);
    }
    (model, now)
}

/// The entry of the menu of actions whose detail begins so: its detail, and why it cannot be chosen.
fn entry(model: &mut Model, begins: &str, now: Now) -> (String, Option<String>) {
    press(model, Key::char('x'), now);
    let Some(Overlay::Menu(menu)) = &model.overlay else { panic!("{:?}", model.overlay) };
    let found = menu.items.iter().find(|item| item.detail.starts_with(begins));
    let found = found.unwrap_or_else(|| panic!("no {begins} in {:?}", menu.items)).clone();
    press(model, Key::plain(Code::Esc), now);
    (found.detail, found.choice.err())
}

#[test]
fn unregistering_needs_a_role_of_two() {
    let unregister = |roles: &[&str]| {
        let (mut model, now) = guarded(fixture::busy(), roles, &["observe"]);
        entry(&mut model, "unregister", now).1
    };
    let lacks = Some("your token lacks the role operate".to_owned());
    assert_eq!(unregister(&["observe"]), lacks);
    // Its own it may.
    assert_eq!(unregister(&["observe", "register"]), None);
    assert_eq!(unregister(&["operate"]), None);
}

#[test]
fn at_a_registry_that_keeps_the_console_out_nothing_is_done_and_it_says_why() {
    let (mut model, now) = fixture::refused_later();
    press(&mut model, Key::char('o'), now);
    let expected = "the registry does not let the console in";
    assert_eq!(model.toast.as_ref().unwrap().text, expected);
    assert_eq!(entry(&mut model, "unregister", now).1.as_deref(), Some(expected));
}

#[test]
fn the_logs_of_an_instance_that_must_not_be_read_are_not_opened() {
    let (mut model, now) = guarded(fixture::busy(), &["operate"], &["call"]);
    press(&mut model, Key::char('L'), now);
    assert_eq!(model.toast.as_ref().unwrap().text, "your token lacks the role observe");
    let (mut model, now) = guarded(fixture::busy(), &["operate"], &["observe"]);
    press(&mut model, Key::char('L'), now);
    assert!(model.toast.is_none() && model.logs.source.is_some());
}

#[test]
fn a_call_that_is_probably_not_allowed_is_marked_and_can_be_tried() {
    let (mut model, now) = guarded(fixture::form(), &["observe"], &["observe"]);
    let why = Some("your token lacks the role call");
    for action in [Action::Send, Action::LoadTest] {
        assert_eq!(selectors::not_allowed(&model, action, now), why, "{action:?}");
    }
    assert_eq!(selectors::not_allowed(&model, Action::Drain, now), None, "it is unavailable");
    types(&mut model, "1", now);
    press(&mut model, Key::plain(Code::Tab), now);
    types(&mut model, "2", now);
    let effects = press(&mut model, Key::plain(Code::Enter), now);
    assert!(matches!(effects[..], [Effect::Call(_)]), "{effects:?}");

    // One instance that allows it is enough.
    let method = model.forms.get().unwrap().id();
    let key = selectors::candidates(&model, &method, now)[0].clone();
    let may = InstanceUpdate::Standing(with_roles(&["call"]));
    feed(&mut model, Msg::Instance(key, may), now);
    assert_eq!(selectors::not_allowed(&model, Action::Send, now), None);
}
