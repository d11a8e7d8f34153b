//! Instances that change their service or contract, and calls that need no question.

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
    feed(&mut model, Msg::Contract(OTHER.to_owned(), vec![new]), now);
    assert!(has(&model, "shop", "new", 8090));
    assert_eq!(model.instances.get(&key(8090)).unwrap().methods, Some(1));
}

#[test]
fn a_reply_of_other_methods_counts_for_that_instance_alone() {
    let (mut model, now) = fixture::services();
    let own = Signature { name: "own".to_owned(), ..Signature::default() };
    let reply = InstanceUpdate::Methods(Ok(vec![own]));
    feed(&mut model, Msg::Instance(key(8089), reply), now);
    assert!(has(&model, "shop", "own", 8089) && !has(&model, "shop", "add", 8089));
    assert!(has(&model, "shop", "add", 8090) && !has(&model, "shop", "own", 8090));
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
