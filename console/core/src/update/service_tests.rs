//! Instances that change their service or contract, and calls that need no question.

use std::sync::Arc;

use super::*;
use crate::fixture::{self, feed, key, press, types};
use crate::key::{Code, Key};
use crate::message::{Effect, InstanceUpdate};
use crate::model::service::{MethodId, Service};
use rpc_wire::instance::WatchEvent;
use rpc_wire::signature::Signature;

const OTHER: &str = "ffffffffffffffffffffffffffffffff";

fn has(model: &Model, service: &str, name: &str, port: u16) -> bool {
    let id = MethodId::new(&Service::named(service), name);
    model.methods.get(&id).is_some_and(|method| method.on.contains(&key(port)))
}

#[test]
fn an_instance_with_another_contract_is_discovered_again() {
    let (mut model, now) = fixture::services();
    assert!(has(&model, "shop", "square", 8090));
    let mut record = fixture::record("127.0.0.1", 8090, 100, 7_980);
    for (name, value) in [("service", "shop"), ("contract", OTHER)] {
        record.instance.parameters.insert(name.to_owned(), value.into());
    }
    let update = RegistryUpdate::Change(WatchEvent::Updated(record), now.at);
    let effects = feed(&mut model, Msg::Registry(update), now);
    assert!(matches!(&effects[..], [Effect::Monitor(instance)] if instance.key() == key(8090)));
    assert!(!has(&model, "shop", "square", 8090) && has(&model, "shop", "square", 8089));
    let new = Signature { name: "new".to_owned(), ..Signature::default() };
    feed(&mut model, Msg::Contract(OTHER.to_owned(), Arc::new(vec![new].into())), now);
    assert!(has(&model, "shop", "new", 8090));
    assert_eq!(model.instances.get(&key(8090)).unwrap().methods, Some(1));
}

#[test]
fn a_reply_of_other_methods_counts_for_that_instance_alone() {
    let (mut model, now) = fixture::services();
    let own = Signature { name: "own".to_owned(), ..Signature::default() };
    let reply = InstanceUpdate::Methods(Ok(Arc::new(vec![own].into())));
    feed(&mut model, Msg::Instance(key(8089), reply), now);
    assert!(has(&model, "shop", "own", 8089) && !has(&model, "shop", "add", 8089));
    assert!(has(&model, "shop", "add", 8090) && !has(&model, "shop", "own", 8090));
}

#[test]
fn the_first_row_is_selected_until_one_is_chosen() {
    let (mut model, now) = fixture::services();
    press(&mut model, Key::char('2'), now);
    let rows = crate::selectors::method_rows(&model);
    assert_eq!(crate::selectors::selected_row(&model, &rows), Some(0));
    let earlier = Signature { name: "aaa".to_owned(), ..Signature::default() };
    let reply = |signature: &Signature| {
        InstanceUpdate::Methods(Ok(Arc::new(vec![signature.clone()].into())))
    };
    feed(&mut model, Msg::Instance(key(8089), reply(&earlier)), now);
    let selected = |model: &Model| model.methods.selected.as_ref().unwrap().name.clone();
    assert_eq!(selected(&model), "aaa");
    press(&mut model, Key::char('j'), now);
    let chosen = selected(&model);
    let earliest = Signature { name: "a".to_owned(), ..Signature::default() };
    feed(&mut model, Msg::Instance(key(8089), reply(&earliest)), now);
    assert_eq!(selected(&model), chosen);
}

#[test]
fn a_load_test_of_a_method_without_a_service_goes_to_those_that_have_it() {
    use rpc_wire::target::Target;
    let start = |model: &mut Model, now| {
        press(model, Key::ctrl('b'), now);
        let effects = press(model, Key::plain(Code::Enter), now);
        effects.into_iter().find_map(|effect| match effect {
            Effect::StartLoad(request) => Some(request.target),
            _ => None,
        })
    };
    let open = |model: &mut Model, now| {
        types(model, "2/unnamed add", now);
        press(model, Key::plain(Code::Enter), now);
        press(model, Key::plain(Code::Enter), now);
    };
    let older = |model: &mut Model, port: u16, now: Now| {
        let record = fixture::record("127.0.0.1", port, 100, 60);
        let update = RegistryUpdate::Change(WatchEvent::Registered(record), now.at);
        feed(model, Msg::Registry(update), now);
        let add = Signature { name: "add".to_owned(), ..Signature::default() };
        let reply = InstanceUpdate::Methods(Ok(Arc::new(vec![add].into())));
        feed(model, Msg::Instance(key(port), reply), now);
    };
    let (mut model, now) = fixture::services();
    let far = rpc_wire::instance::Instance::new("10.0.0.7", 8089).key();
    let update = RegistryUpdate::Change(WatchEvent::Unregistered(far), now.at);
    feed(&mut model, Msg::Registry(update), now);
    older(&mut model, 7001, now);
    open(&mut model, now);
    let target = start(&mut model, now);
    assert_eq!(target, Some(Target::direct("127.0.0.1:7001").unwrap()), "the only one");

    let (mut model, now) = fixture::services();
    older(&mut model, 7001, now);
    open(&mut model, now);
    assert_eq!(start(&mut model, now), None, "others of that name are of a service");
    let toast = &model.toast.as_ref().unwrap().text;
    assert!(toast.contains("choose an instance"), "{toast}");
}

#[test]
fn a_load_test_of_a_read_only_method_needs_no_question_wherever_it_runs() {
    for (method, starts) in [("forecast", true), ("add", false)] {
        let (mut model, now) = fixture::services();
        let mut far = fixture::record("10.0.0.9", 8092, 100, 60);
        let near = model.instances.get(&key(8092)).unwrap().instance.parameters.clone();
        far.instance.parameters = near;
        let update = RegistryUpdate::Change(WatchEvent::Registered(far), now.at);
        feed(&mut model, Msg::Registry(update), now);
        types(&mut model, &format!("2/weather {method}"), now);
        press(&mut model, Key::plain(Code::Enter), now);
        press(&mut model, Key::plain(Code::Enter), now);
        press(&mut model, Key::ctrl('b'), now);
        let effects = press(&mut model, Key::plain(Code::Enter), now);
        let started = effects.iter().any(|effect| matches!(effect, Effect::StartLoad(_)));
        assert_eq!((started, model.overlay.is_none()), (starts, starts), "{method}");
    }
}
