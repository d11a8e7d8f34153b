//! What is known of contracts, without instances, sockets or a clock.

mod confirming;

use std::time::Duration;

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use rpc_wire::signature::{Effect, Signature};
use tokio::time::Instant;

use super::*;

const PAUSE: Duration = Duration::from_secs(3);

fn methods(names: &[&str]) -> Methods {
    let signature = |name: &&str| Signature { name: (*name).to_owned(), ..Signature::default() };
    Methods::new(names.iter().map(signature).collect(), 1)
}

#[test]
fn the_lists_of_all_contracts_take_a_bounded_amount_of_memory() {
    let mut contracts = Contracts::default();
    let now = Instant::now();
    let list = |name: &str| {
        let signature = Signature { name: name.to_owned(), ..Signature::default() };
        Methods::new(vec![signature], asking::MAX_MEMORY / 4)
    };
    let mut learn = |id: u64, name: &str| {
        let instance = shows_none(id);
        let has_room = contracts.has_room_for(&list(name));
        if has_room {
            contracts.learned(Contract::Own(id), &instance, Ok(list(name)), now);
        }
        has_room
    };
    for (id, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
        assert!(learn(id as u64, name));
    }
    assert!(!learn(10, "e"), "a fifth list");
    for id in 20..30 {
        assert!(learn(id, "a"), "one that is known takes nothing");
    }
    assert!(!learn(30, "e"), "a list that is shared counts once, and still counts");
}

/// Shows the digest of these methods.
fn shows(id: u64, names: &[&str]) -> Identity {
    Identity { id, digest: Some(methods(names).contract().into()) }
}

fn shows_none(id: u64) -> Identity {
    Identity { id, digest: None }
}

fn unreachable() -> CallError {
    CallError::Unreachable { peer: "p".to_owned(), reason: "r".to_owned() }
}

/// Asks for whatever is due; `reply` says what the instance with that index replies. Returns the indices.
fn ask_all(
    contracts: &mut Contracts,
    instances: &[Identity],
    now: Instant,
    mut reply: impl FnMut(usize) -> Result<Methods, CallError>,
) -> Vec<usize> {
    let usable: Vec<_> = instances.iter().map(|instance| (instance, true)).collect();
    let mut asked = Vec::new();
    loop {
        let due = contracts.due(&usable, (100, PAUSE), now, &mut SmallRng::seed_from_u64(1));
        if due.ask.is_empty() {
            return asked;
        }
        for (contract, index) in due.ask {
            asked.push(index);
            contracts.learned(contract, &instances[index], reply(index), now);
        }
    }
}

fn refs(instances: &[Identity]) -> Vec<&Identity> {
    instances.iter().collect()
}

fn offered_by(contracts: &Contracts, method: &str, instances: &[Identity]) -> Vec<usize> {
    contracts.offering(method, &refs(instances)).offered_by
}

#[test]
fn one_instance_of_each_contract_is_asked() {
    let lists: [&[&str]; 2] = [&["add"], &["add", "get"]];
    let instances: Vec<_> = (0..1000).map(|id| shows(id, lists[id as usize % 2])).collect();
    let mut contracts = Contracts::default();
    let reply = |index: usize| Ok(methods(lists[index % 2]));
    let asked = ask_all(&mut contracts, &instances, Instant::now(), reply);
    assert_eq!(asked.len(), 2);
    assert_eq!(offered_by(&contracts, "add", &instances).len(), 1000);
    assert_eq!(offered_by(&contracts, "get", &instances).len(), 500);
    assert_eq!(contracts.asked("put", &refs(&instances)), 1000);
}

#[test]
fn a_contract_that_is_being_asked_for_is_not_asked_for_again() {
    let instances = [shows(1, &["add"]), shows(2, &["add"])];
    let usable: Vec<_> = instances.iter().map(|instance| (instance, true)).collect();
    let mut contracts = Contracts::default();
    let (now, mut rng) = (Instant::now(), SmallRng::seed_from_u64(1));
    assert_eq!(contracts.due(&usable, (100, PAUSE), now, &mut rng).ask.len(), 1);
    let due = contracts.due(&usable, (100, PAUSE), now, &mut rng);
    assert_eq!((due.ask, due.gave_up), (Vec::new(), false));
    assert_eq!(contracts.offering("add", &refs(&instances)).pending, [0, 1]);
    // One that is silent does not hold up the others of its contract.
    let at = due.hedge_at.unwrap();
    assert!(at - now < PAUSE / 2);
    assert_eq!(contracts.due(&usable, (100, PAUSE), at, &mut rng).ask.len(), 1);
    assert_eq!(contracts.due(&usable, (100, PAUSE), at, &mut rng), Due::default());

    let instances: Vec<_> = (0..1000).map(|id| shows(id, &["add"])).collect();
    let usable: Vec<_> = instances.iter().map(|instance| (instance, true)).collect();
    let mut contracts = Contracts::default();
    let step = |n: u32| now + (at - now) * n;
    let asked = (0..6).map(|n| contracts.due(&usable, (100, PAUSE), step(n), &mut rng).ask.len());
    assert_eq!(asked.collect::<Vec<_>>(), [1, 1, 2, 4, 8, 16]);
}

#[test]
fn after_each_failure_more_instances_of_the_contract_are_asked_at_once() {
    let instances: Vec<_> = (0..1000).map(|id| shows(id, &["add"])).collect();
    let usable: Vec<_> = instances.iter().map(|instance| (instance, true)).collect();
    let mut contracts = Contracts::default();
    let (now, mut rng) = (Instant::now(), SmallRng::seed_from_u64(1));
    let mut rounds = Vec::new();
    for _ in 0..8 {
        let due = contracts.due(&usable, (32, PAUSE), now, &mut rng);
        rounds.push(due.ask.len());
        for (contract, index) in due.ask {
            contracts.learned(contract, &instances[index], Err(unreachable()), now);
        }
    }
    assert_eq!(rounds, [1, 2, 4, 8, 16, 32, 32, 32]);
    assert_eq!(contracts.offering("add", &refs(&instances)).pending.len(), 1000);
}

#[test]
fn at_most_as_many_are_asked_at_once_as_there_is_room() {
    let instances: Vec<_> = (0..10).map(shows_none).collect();
    let usable: Vec<_> = instances.iter().map(|instance| (instance, true)).collect();
    let due = Contracts::default().due(
        &usable,
        (3, PAUSE),
        Instant::now(),
        &mut SmallRng::seed_from_u64(1),
    );
    assert_eq!(due.ask.len(), 3);
}

#[test]
fn an_instance_that_shows_the_digest_of_another_counts_for_itself_only() {
    let instances = [shows(0, &["add"]), shows(1, &["add"]), shows(2, &["add"])];
    for liar in 0..3 {
        let mut contracts = Contracts::default();
        assert!(contracts.is_uniform(&refs(&instances)));
        let reply = |index| Ok(methods(if index == liar { &["sub"] } else { &["add"] }));
        let asked = ask_all(&mut contracts, &instances, Instant::now(), reply);
        if !asked.contains(&liar) {
            continue;
        }
        let honest: Vec<_> = (0..3).filter(|index| *index != liar).collect();
        assert_eq!(offered_by(&contracts, "add", &instances), honest);
        assert_eq!(offered_by(&contracts, "sub", &instances), [liar]);
        assert!(!contracts.is_uniform(&refs(&instances)));
    }
}

#[test]
fn what_an_instance_says_it_lacks_is_not_expected_of_it() {
    let instances = [shows(0, &["add", "get"]), shows(1, &["add", "get"])];
    let mut contracts = Contracts::default();
    let now = Instant::now();
    contracts.note_unoffered(&instances[0], "add", (now, PAUSE));
    contracts.note_unoffered(&instances[0], "put", (now, PAUSE));
    assert!(contracts.is_uniform(&refs(&instances)), "nothing says yet that it should have it");
    ask_all(&mut contracts, &instances, now, |_| Ok(methods(&["add", "get"])));
    assert!(!contracts.is_uniform(&refs(&instances)));
    assert_eq!(offered_by(&contracts, "add", &instances), [1]);
    assert_eq!(offered_by(&contracts, "get", &instances), [0, 1]);
    contracts.retain(&refs(&instances), now + NOTE_TTL);
    assert!(contracts.is_uniform(&refs(&instances)), "the note is old");
}

#[test]
fn a_list_without_a_digest_is_asked_for_again_when_it_is_older_than_a_refresh() {
    let instances = [shows_none(0), shows_none(1)];
    let mut contracts = Contracts::default();
    let now = Instant::now();
    ask_all(&mut contracts, &instances, now, |_| Ok(methods(&["add"])));
    assert!(!contracts.doubt(&refs(&instances), now - PAUSE));
    assert!(!contracts.offering("get", &refs(&instances)).is_confirming);
    assert!(contracts.doubt(&refs(&instances), now));
    assert!(contracts.offering("get", &refs(&instances)).is_confirming);
    assert_eq!(offered_by(&contracts, "add", &instances), [0, 1], "what is known still counts");
    let reply = |index| if index == 0 { Ok(methods(&["get"])) } else { Err(unreachable()) };
    ask_all(&mut contracts, &instances, now + PAUSE, reply);
    assert_eq!(offered_by(&contracts, "get", &instances), [0]);
    assert_eq!(offered_by(&contracts, "add", &instances), [1]);
}

#[test]
fn a_contract_that_nobody_can_tell_is_unknown_until_it_is_asked_for_again() {
    let instances: Vec<_> = (0..10).map(|id| shows(id, &["add"])).collect();
    let mut contracts = Contracts::default();
    let now = Instant::now();
    let asked = ask_all(&mut contracts, &instances, now, |_| Err(unreachable()));
    assert_eq!(asked.len(), 10, "no instance is left that was not asked");
    let offering = contracts.offering("add", &refs(&instances));
    assert_eq!((offering.unknown.len(), offering.pending.len()), (10, 0));
    assert_eq!(contracts.asked("add", &refs(&instances)), 0);
    let reply = |_| Ok(methods(&["add"]));
    assert_eq!(ask_all(&mut contracts, &instances, now + PAUSE / 2, reply).len(), 0);
    assert_eq!(ask_all(&mut contracts, &instances, now + PAUSE, reply).len(), 1);
    assert_eq!(offered_by(&contracts, "add", &instances).len(), 10);
}

#[test]
fn an_instance_that_is_restored_is_asked_at_once() {
    let instances = [shows_none(0)];
    let mut contracts = Contracts { is_wanted: true, ..Contracts::default() };
    let now = Instant::now();
    assert_eq!(ask_all(&mut contracts, &instances, now, |_| Err(unreachable())), [0]);
    assert!(ask_all(&mut contracts, &instances, now, |_| Ok(methods(&["add"]))).is_empty());
    contracts.restored(&instances[0]);
    assert_eq!(ask_all(&mut contracts, &instances, now, |_| Ok(methods(&["add"]))), [0]);
    contracts.restored(&instances[0]);
    assert_eq!(offered_by(&contracts, "add", &instances), [0], "what is known stays");
}

#[test]
fn an_ejected_instance_is_asked_only_if_there_is_no_other() {
    let instances = [shows(0, &["add"]), shows(1, &["add"])];
    for seed in 0..20 {
        let usable = [(&instances[0], false), (&instances[1], true)];
        let mut rng = SmallRng::seed_from_u64(seed);
        let due = Contracts::default().due(&usable, (9, PAUSE), Instant::now(), &mut rng);
        assert_eq!(due.ask[0].1, 1);
    }
    let only = [(&instances[0], false)];
    let mut rng = SmallRng::seed_from_u64(1);
    let due = Contracts::default().due(&only, (9, PAUSE), Instant::now(), &mut rng);
    assert_eq!(due.ask[0].1, 0);
}

#[test]
fn the_effect_is_that_of_the_contract() {
    let list = || {
        let effect = Effect::ReadOnly;
        Methods::new(vec![Signature { name: "get".to_owned(), effect, ..Signature::default() }], 1)
    };
    let instances = [Identity { id: 0, digest: Some(list().contract().into()) }, shows_none(1)];
    let mut contracts = Contracts::default();
    assert_eq!(contracts.effect("get", &instances[0]), None);
    let reply = |index| if index == 0 { Ok(list()) } else { Err(unreachable()) };
    ask_all(&mut contracts, &instances, Instant::now(), reply);
    assert_eq!(contracts.effect("get", &instances[0]), Some(Effect::ReadOnly));
    assert_eq!(contracts.effect("put", &instances[0]), Some(Effect::Unknown));
    assert_eq!(contracts.effect("get", &instances[1]), Some(Effect::Unknown));
}

#[test]
fn notes_are_bounded() {
    let mut contracts = Contracts::default();
    for n in 0..10_000 {
        contracts.note_unoffered(&shows_none(1), &n.to_string(), (Instant::now(), PAUSE));
    }
    assert_eq!(contracts.notes[&1].len(), MAX_NOTES);
}

#[derive(Debug, Clone)]
enum Event {
    List(Vec<u64>),
    Ask,
    Note(u64, usize),
    Doubt,
    Wait(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        prop::collection::vec(0u64..12, 0..8).prop_map(Event::List),
        Just(Event::Ask),
        (0u64..12, 0usize..3).prop_map(|(id, method)| Event::Note(id, method)),
        Just(Event::Doubt),
        (0u64..40).prop_map(Event::Wait),
    ];
    prop::collection::vec(event, 0..40)
}

const NAMES: [&str; 3] = ["add", "get", "put"];

/// What instance `id` really offers: never nothing.
fn really(id: u64) -> Vec<&'static str> {
    NAMES.into_iter().enumerate().filter(|(at, _)| (id + 1) >> at & 1 == 1).map(|it| it.1).collect()
}

/// Some show none, some the wrong one.
fn identity(id: u64) -> Identity {
    match id % 4 {
        0 => shows_none(id),
        1 => shows(id, &["add"]),
        _ => shows(id, &really(id)),
    }
}

proptest! {
    /// Whatever happens: only instances of the list are candidates; nobody is a candidate for what it said it
    /// lacks; what an instance that was asked offers is what it really has; nothing of others is kept.
    #[test]
    fn candidates_are_listed_and_do_not_contradict_themselves(events in events()) {
        let mut contracts = Contracts::default();
        let mut instances: Vec<Identity> = Vec::new();
        let mut now = Instant::now();
        for event in events {
            match event {
                Event::List(mut ids) => {
                    ids.sort_unstable();
                    ids.dedup();
                    instances = ids.into_iter().map(identity).collect();
                    contracts.retain(&refs(&instances), now);
                }
                Event::Ask => {
                    let ids: Vec<u64> = instances.iter().map(|it| it.id).collect();
                    let reply = |at: usize| match ids[at] % 5 {
                        4 => Err(unreachable()),
                        _ => Ok(methods(&really(ids[at]))),
                    };
                    ask_all(&mut contracts, &instances, now, reply);
                    prop_assert!(!contracts.is_pending(&refs(&instances)));
                }
                Event::Note(id, method) => {
                    if let Some(instance) = instances.iter().find(|it| it.id == id) {
                        contracts.note_unoffered(instance, NAMES[method], (now, PAUSE));
                        prop_assert!(!offered_by(&contracts, NAMES[method], &instances)
                            .iter()
                            .any(|&at| instances[at].id == id));
                    }
                }
                Event::Doubt => drop(contracts.doubt(&refs(&instances), now - PAUSE)),
                Event::Wait(seconds) => now += Duration::from_secs(seconds),
            }
            for method in NAMES {
                let offering = contracts.offering(method, &refs(&instances));
                for &at in offering.offered_by.iter().chain(&offering.unknown) {
                    prop_assert!(at < instances.len());
                }
                for &at in &offering.offered_by {
                    let instance = &instances[at];
                    // One that shows the digest of another is taken at its word until it was asked.
                    let lies = instance.id % 4 == 1;
                    prop_assert!(lies || really(instance.id).contains(&method));
                }
                prop_assert!(contracts.asked(method, &refs(&instances)) <= instances.len());
            }
            prop_assert!(contracts.entries.len() <= 2 * instances.len().max(6));
            let ids: Vec<u64> = instances.iter().map(|it| it.id).collect();
            prop_assert!(contracts.notes.keys().all(|id| ids.contains(id)));
            prop_assert!(contracts.words.keys().chain(&contracts.to_confirm).all(|id| ids.contains(id)));
            prop_assert!(contracts.misfits.keys().all(|id| ids.contains(id)));
        }
    }
}
