//! What the console's own client goes by: a list on disk, and whom it does not call.

use super::*;
use crate::fixture::{self, feed, key};
use crate::message::RegistryUpdate;
use crate::model::instances::Aged;
use crate::model::own_client::{OldList, OwnClient};
use rpc_wire::instance::Instance;

#[test]
fn a_list_on_disk_stands_in_for_the_registrys_until_that_is_known() {
    let (mut model, now) = fixture::unreachable();
    let list = OldList { on_disk: true, age: Aged::new(4_000, now.at) };
    let instances = vec![Instance::new("127.0.0.1", 8089), Instance::new("127.0.0.1", 8090)];
    let old = |instances| Msg::Registry(RegistryUpdate::OldList(instances, list.clone()));
    let effects = feed(&mut model, old(instances), now);
    let is_monitored = |effect: &&Effect| matches!(effect, Effect::Monitor(_));
    assert_eq!(effects.iter().filter(is_monitored).count(), 2, "their methods are wanted");
    let row = model.instances.get(&key(8089)).unwrap();
    assert_eq!(row.state_text(now.at, model.link.is_live()), "was up");
    assert_eq!(
        model.events.newest_first().next().unwrap().text,
        "2 instances, as last known: list on disk, 4s old"
    );
    // What the registry lists since then replaces it, and an older list no longer counts.
    fixture::snapshot(&mut model, vec![fixture::record("127.0.0.1", 8089, 0, 60)], now);
    assert!(model.instances.get(&key(8090)).unwrap().gone.is_some());
    feed(&mut model, old(vec![Instance::new("127.0.0.1", 8091)]), now);
    assert!(model.instances.get(&key(8091)).is_none());
}

#[test]
fn whom_the_own_client_sets_aside_and_calls_again_are_events() {
    let (mut model, now) = fixture::ejected();
    let said = |model: &Model| {
        let events = model.events.newest_first();
        let said: Vec<_> = events
            .map(|event| (event.word, event.subject.clone(), event.text.clone()))
            .take_while(|(word, ..)| ["ejected", "back"].contains(word))
            .collect();
        said
    };
    let dead = "127.0.0.1:8090".to_owned();
    let why =
        "gets none of your calls: cannot reach 127.0.0.1:8090: Connection refused (os error 111)";
    let ejected = ("ejected", dead.clone(), why.to_owned());
    assert_eq!(said(&model), std::slice::from_ref(&ejected), "one in slow start is no event");
    let own = model.own_client.clone();
    feed(&mut model, Msg::OwnClient(own), now);
    assert_eq!(said(&model), std::slice::from_ref(&ejected), "it is said once");
    feed(&mut model, Msg::OwnClient(OwnClient::default()), now);
    let back = ("back", dead, "gets your calls again".to_owned());
    assert_eq!(said(&model), [back, ejected]);
}
