//! What documents of other registries do to the table: the rules one by one.

mod faults;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use rpc_wire::instance::Instance;
use serde_json::json;

use super::*;
use crate::RegistryOptions;
use crate::registration::Registration;
use crate::table::{Apart, ChangeKind, NEVER, Outcome, Override, Scope, Standing};

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SECOND: Duration = Duration::from_secs(1);

fn key(port: u16) -> InstanceKey {
    Instance::new("127.0.0.1", port).key()
}

fn body(port: u16, incarnation: Option<u64>) -> Vec<u8> {
    let parameters = incarnation.map_or(json!({}), |given| json!({"incarnation": given}));
    json!({"protocol": "json", "host": "127.0.0.1", "port": port, "parameters": parameters})
        .to_string()
        .into_bytes()
}

fn options() -> RegistryOptions {
    RegistryOptions { brake_window: Duration::ZERO, ..RegistryOptions::default() }
}

fn table(now: Instant) -> Table {
    let mut table = Table::new(&options(), now);
    table.set_wall(SystemTime::now(), now);
    table.save_changes(1000);
    table
}

fn register(table: &mut Table, port: u16, incarnation: Option<u64>, now: Instant) -> bool {
    let body = body(port, incarnation);
    if let Some(_known) = table.renew(&body, now) {
        return true;
    }
    let registration = Registration::parse(&body, &options()).unwrap();
    table.register(registration, &body, PEER, now).is_ok()
}

fn listed(table: &Table) -> BTreeSet<u16> {
    let scope = Scope { protocol: Some("json".to_owned()), ..Scope::default() };
    table.rows(&scope).iter().map(|row| row.entry.key.port).collect()
}

fn take(table: &mut Table, port: u16, document: Option<&Bytes>, now: Instant) -> Vec<Change> {
    take_as("me", table, port, document, now)
}

fn take_as(
    me: &str,
    table: &mut Table,
    port: u16,
    document: Option<&Bytes>,
    now: Instant,
) -> Vec<Change> {
    let shared = match document {
        Some(document) => Shared::read(key(port), document).unwrap(),
        None => Shared::nothing(key(port)),
    };
    table.take_shared(shared, me, Pending::NOTHING, SystemTime::now(), now)
}

/// What another registry writes of an instance that registers there.
fn document(port: u16, incarnation: Option<u64>, now: Instant) -> Bytes {
    let mut other = table(now);
    assert!(register(&mut other, port, incarnation, now));
    written(&mut other, "other").remove(&port).unwrap().unwrap()
}

/// What a table has to write.
fn written(table: &mut Table, me: &str) -> BTreeMap<u16, Option<Bytes>> {
    let (unshared, _) = table.take_unshared(me, std::iter::empty());
    unshared.into_iter().map(|one| (one.key.port, one.document)).collect()
}

#[test]
fn what_registers_elsewhere_is_listed_and_never_expires_here() {
    let now = Instant::now();
    let mut table = table(now);
    let changes = take(&mut table, 1, Some(&document(1, Some(5), now)), now);
    assert!(matches!(changes[..], [Change { kind: ChangeKind::Registered, .. }]));
    assert!(table.check(now + 3600 * SECOND).probes.is_empty());
    assert_eq!(listed(&table), [1].into());
    assert_eq!(written(&mut table, "me"), BTreeMap::new(), "it is there already");
    let changes = take(&mut table, 1, None, now);
    assert!(matches!(changes[..], [Change { kind: ChangeKind::Expired(None), .. }]));
    assert_eq!(listed(&table), [].into());
}

#[test]
fn whoever_gets_a_heartbeat_owns_the_instance_and_further_ones_write_nothing() {
    let now = Instant::now();
    let mut table = table(now);
    take(&mut table, 1, Some(&document(1, Some(5), now)), now);
    assert!(register(&mut table, 1, Some(5), now));
    let mine = written(&mut table, "me").remove(&1).unwrap().unwrap();
    assert!(String::from_utf8_lossy(&mine).contains(r#""owner":"me""#));
    assert!(register(&mut table, 1, Some(5), now + SECOND));
    assert_eq!(written(&mut table, "me"), BTreeMap::new());
    assert_eq!(
        table.check(now + 60 * SECOND).probes.len(),
        0,
        "late by 55 s, which extends its TTL"
    );
    // Its heartbeats go elsewhere again.
    take(&mut table, 1, Some(&document(1, Some(5), now)), now);
    assert_eq!(written(&mut table, "me"), BTreeMap::new());
    assert_eq!(table.orphans(&["other".into()].into(), |_| true), [key(1)]);
}

#[test]
fn an_earlier_life_replaces_nothing_and_what_has_left_does_not_come_back() {
    let now = Instant::now();
    let mut table = table(now);
    assert!(register(&mut table, 1, Some(7), now));
    written(&mut table, "me");
    take(&mut table, 1, Some(&document(1, Some(5), now)), now);
    let mine = written(&mut table, "me").remove(&1).unwrap().unwrap();
    assert!(String::from_utf8_lossy(&mine).contains("7"), "it is written again");
    table.unregister(&key(1), Some(7), now);
    written(&mut table, "me");
    assert!(take(&mut table, 1, Some(&document(1, Some(7), now)), now).is_empty());
    assert_eq!(listed(&table), [].into());
    let farewell = written(&mut table, "me").remove(&1).unwrap().unwrap();
    let farewell = String::from_utf8_lossy(&farewell).into_owned();
    assert!(farewell.contains("departure") && !farewell.contains("owner"), "{farewell}");
    assert_eq!(take(&mut table, 1, Some(&document(1, Some(8), now)), now).len(), 1);
}

#[test]
fn a_farewell_said_elsewhere_removes_it_here_and_is_remembered() {
    for incarnation in [Some(5), None] {
        let now = Instant::now();
        let (mut one, mut other) = (table(now), table(now));
        assert!(register(&mut other, 1, incarnation, now));
        let there = written(&mut other, "other").remove(&1).unwrap();
        take(&mut one, 1, there.as_ref(), now);
        other.unregister(&key(1), incarnation, now);
        let farewell = written(&mut other, "other").remove(&1).unwrap();
        let changes = take(&mut one, 1, farewell.as_ref(), now);
        assert!(matches!(changes[..], [Change { kind: ChangeKind::Unregistered, .. }]));
        assert_eq!(written(&mut one, "me"), BTreeMap::new());
        let is_refused = !register(&mut one, 1, incarnation, now);
        assert_eq!(is_refused, incarnation.is_some(), "others are asked to connect first");
        assert!(incarnation.is_some() || !one.unregistered_recently(&key(1), now));
    }
}

fn said(table: &mut Table, version: u64, now: Instant) {
    let parameters = json!({"version": version.to_string()});
    let body =
        json!({"protocol": "json", "host": "127.0.0.1", "port": 1, "parameters": parameters})
            .to_string()
            .into_bytes();
    let registration = Registration::parse(&body, &options()).unwrap();
    table.register(registration, &body, PEER, now).unwrap();
}

fn version(table: &Table) -> Option<u64> {
    let entry = table.entry(&key(1))?;
    let instance: serde_json::Value = serde_json::from_slice(&entry.reply).unwrap();
    instance["parameters"]["version"].as_str()?.parse().ok()
}

#[test]
fn of_two_registrations_by_registries_that_did_not_hear_of_each_other_the_later_holds() {
    for (here_at, is_later) in [(SECOND, false), (3 * SECOND, true)] {
        let now = Instant::now();
        let (mut one, mut other) = (table(now), table(now));
        said(&mut other, 0, now);
        let there = written(&mut other, "other").remove(&1).unwrap();
        take(&mut one, 1, there.as_ref(), now);
        // It is cut off.
        said(&mut one, 1, now + here_at);
        said(&mut other, 2, now + 2 * SECOND);
        let there = written(&mut other, "other").remove(&1).unwrap();
        take(&mut one, 1, there.as_ref(), now + 4 * SECOND);
        assert_eq!(version(&one), Some(if is_later { 1 } else { 2 }));
        let mine = written(&mut one, "me").remove(&1);
        assert_eq!(mine.is_some(), is_later, "only what was said last is written");
        let last = mine.flatten().or(there);
        take_as("other", &mut other, 1, last.as_ref(), now + 5 * SECOND);
        assert_eq!(version(&other), version(&one));
    }
}

#[test]
fn of_two_decisions_about_an_override_the_later_holds_also_to_take_it_back() {
    let draining = |reason: &str| Override {
        state: rpc_wire::instance::OverrideState::Draining,
        reason: Some(reason.to_owned()),
        by: None,
        until_ms: None,
    };
    type Steps = &'static [(bool, Option<&'static str>)];
    // Who decides what, in order, while they do not hear of each other; and whether it was drained before.
    let cases: [(bool, Steps); 8] = [
        (false, &[(true, Some("me")), (false, Some("other"))]),
        (false, &[(false, Some("other")), (true, Some("me"))]),
        (true, &[(true, Some("me")), (false, None)]),
        (true, &[(false, None), (true, Some("me"))]),
        (true, &[(true, None), (false, Some("other"))]),
        (true, &[(false, Some("other")), (true, None)]),
        (false, &[(true, Some("me")), (false, Some("other")), (false, None)]),
        (false, &[(false, Some("other")), (false, None), (true, Some("me"))]),
    ];
    for (was_drained, steps) in cases {
        let start = Instant::now();
        let mut at = start;
        let (mut one, mut other) = (table(start), table(start));
        let decide = |table: &mut Table, what: Option<&str>, now: Instant| match what {
            Some(reason) => {
                let standing = Standing::new(draining(reason), now, SystemTime::now());
                _ = table.set_override(key(1), standing, now).unwrap();
            }
            None => _ = table.clear_override(&key(1), now),
        };
        assert!(register(&mut other, 1, Some(5), at));
        if was_drained {
            decide(&mut other, Some("before"), at);
        }
        let there = written(&mut other, "other").remove(&1).unwrap();
        take(&mut one, 1, there.as_ref(), at);
        let mut last = there.clone();
        for (is_here, what) in steps {
            at += SECOND;
            decide(if *is_here { &mut one } else { &mut other }, *what, at);
            if !is_here {
                last = written(&mut other, "other").remove(&1).unwrap();
            }
        }
        take(&mut one, 1, last.as_ref(), at + SECOND);
        let mine = written(&mut one, "me").remove(&1).flatten();
        take_as("other", &mut other, 1, mine.as_ref().or(last.as_ref()), at + 2 * SECOND);
        let reason = |table: &Table| {
            table.overrides.get(&key(1)).and_then(|standing| standing.what.reason.clone())
        };
        let expected = steps.last().unwrap().1.map(str::to_owned);
        assert_eq!((reason(&one), reason(&other)), (expected.clone(), expected), "{steps:?}");
    }
}

#[test]
fn of_a_farewell_without_incarnation_and_a_registration_the_later_holds() {
    for (here_at, there_at) in [(1, 2), (2, 1)] {
        for says_farewell_here in [true, false] {
            let now = Instant::now();
            let (mut one, mut other) = (table(now), table(now));
            said(&mut other, 0, now);
            let there = written(&mut other, "other").remove(&1).unwrap();
            take(&mut one, 1, there.as_ref(), now);
            let (here_at, there_at) = (now + here_at * SECOND, now + there_at * SECOND);
            if says_farewell_here {
                one.unregister(&key(1), None, here_at);
                said(&mut other, 2, there_at);
            } else {
                said(&mut one, 1, here_at);
                other.unregister(&key(1), None, there_at);
            }
            let there = written(&mut other, "other").remove(&1).unwrap();
            let now = now + 3 * SECOND;
            take(&mut one, 1, there.as_ref(), now);
            let mine = written(&mut one, "me").remove(&1);
            let last = mine.unwrap_or(there);
            take_as("other", &mut other, 1, last.as_ref(), now);
            let is_listed = says_farewell_here == (there_at > here_at);
            let expected: BTreeSet<u16> = is_listed.then_some(1).into_iter().collect();
            let case = format!("here {says_farewell_here}, listed {is_listed}");
            assert_eq!((listed(&one), listed(&other)), (expected.clone(), expected), "{case}");
        }
    }
}

#[test]
fn what_is_said_with_a_slow_clock_is_later_than_what_was_known_then() {
    let now = Instant::now();
    let (mut ahead, mut slow) = (table(now), table(now));
    ahead.set_wall(SystemTime::now() + 100 * SECOND, now);
    said(&mut ahead, 1, now);
    let there = written(&mut ahead, "ahead").remove(&1).unwrap();
    take(&mut slow, 1, there.as_ref(), now);
    said(&mut slow, 2, now + SECOND);
    take(&mut slow, 1, there.as_ref(), now + SECOND);
    assert_eq!(version(&slow), Some(2));
}

#[test]
fn who_replies_is_kept_while_registries_are_missed_that_may_get_its_heartbeats() {
    for (apart, is_kept) in [(Apart::No, false), (Apart::SomeAreGone, true), (Apart::CutOff, true)]
    {
        let start = Instant::now();
        let mut table = table(start);
        assert!(register(&mut table, 1, Some(5), start));
        table.set_apart(apart);
        let mut round = 0;
        let mut probe = |table: &mut Table, outcome| {
            round += 1;
            let now = start + round * 5 * SECOND;
            for ticket in super::super::Due::in_order(table.check(now).probes) {
                table.conclude(ticket, outcome, now);
            }
            table.settle(now, 100);
            table.len()
        };
        let kept = (0..60).all(|_| probe(&mut table, Outcome::Alive) == 1);
        assert_eq!(kept, is_kept, "{apart:?}");
        if is_kept {
            table.set_apart(Apart::No);
            assert_eq!(probe(&mut table, Outcome::Alive), 1, "its window begins anew");
            assert!((0..20).any(|_| probe(&mut table, Outcome::Alive) == 0), "then it ends");
        }
    }
}

#[test]
fn who_may_not_be_probed_is_kept_by_a_registry_that_is_cut_off() {
    for (apart, is_kept) in [(Apart::No, false), (Apart::SomeAreGone, false), (Apart::CutOff, true)]
    {
        let start = Instant::now();
        let mut table = Table::new(&RegistryOptions { probes: false, ..options() }, start);
        assert!(register(&mut table, 1, Some(5), start));
        table.set_apart(apart);
        for round in 1..=20 {
            let now = start + round * 5 * SECOND;
            assert!(table.check(now).probes.is_empty());
            table.settle(now, 100);
        }
        assert_eq!(table.len() == 1, is_kept, "{apart:?}");
    }
}

#[test]
fn what_sends_heartbeats_here_is_not_removed_by_others() {
    let now = Instant::now();
    let mut table = table(now);
    assert!(register(&mut table, 1, Some(5), now));
    written(&mut table, "me");
    assert!(take(&mut table, 1, None, now).is_empty());
    assert!(written(&mut table, "me").contains_key(&1), "it is written again");
}

#[test]
fn an_orphan_gets_a_full_ttl_and_goes_back_to_whoever_got_its_heartbeats() {
    let now = Instant::now();
    let mut table = table(now);
    take(&mut table, 1, Some(&document(1, Some(5), now)), now);
    let later = now + 3 * SECOND;
    assert!(table.adopt(&key(1), later).is_some(), "it is to be probed");
    assert!(table.adopt(&key(1), later).is_none(), "once");
    assert!(written(&mut table, "me").contains_key(&1));
    assert!(table.check(now + 5 * SECOND).probes.is_empty());
    assert!(table.check(now + 10 * SECOND).probes.is_empty());
    assert_eq!(table.check(now + 15 * SECOND).probes.len(), 1);
    take(&mut table, 1, Some(&document(1, Some(5), now)), now + 15 * SECOND);
    assert!(table.check(now + 40 * SECOND).probes.is_empty());
}

#[test]
fn an_operators_override_is_that_of_all() {
    let now = Instant::now();
    let (mut one, mut other) = (table(now), table(now));
    let what = Override {
        state: rpc_wire::instance::OverrideState::Draining,
        reason: None,
        by: None,
        until_ms: None,
    };
    take(&mut other, 1, Some(&document(1, Some(5), now)), now);
    other.set_override(key(1), Standing::new(what, now, SystemTime::now()), now).unwrap();
    let there = written(&mut other, "other").remove(&1).unwrap();
    take(&mut one, 1, there.as_ref(), now);
    assert!(one.override_of(&key(1)).is_some());
    other.clear_override(&key(1), now);
    let there = written(&mut other, "other").remove(&1).unwrap();
    take(&mut one, 1, there.as_ref(), now);
    assert_eq!((one.override_of(&key(1)), written(&mut one, "me").len()), (None, 0));
}

#[test]
fn what_an_ended_registry_left_stays_while_it_replies_since_its_heartbeats_may_go_to_one_cut_off() {
    let start = Instant::now();
    let mut table = table(start);
    take(&mut table, 1, Some(&document(1, Some(5), start)), start);
    table.adopt(&key(1), start).unwrap();
    let mut probe = |round: u32, outcome| {
        let now = start + round * 5 * SECOND;
        for ticket in super::super::Due::in_order(table.check(now).probes) {
            table.conclude(ticket, outcome, now);
        }
        table.settle(now, 100);
        table.len()
    };
    assert!((1..60).all(|round| probe(round, Outcome::Alive) == 1), "for five minutes");
    assert!((60..63).any(|round| probe(round, Outcome::Refused) == 0));
}

#[test]
fn the_brake_counts_the_instances_of_this_registry_only() {
    let start = Instant::now();
    let mut table = Table::new(&RegistryOptions::default(), start);
    table.save_changes(1000);
    (1..=5).for_each(|port| assert!(register(&mut table, port, Some(5), start)));
    for port in 6..=40 {
        take(&mut table, port, Some(&document(port, Some(5), start)), start);
    }
    for round in 1..=6 {
        let now = start + round * 5 * SECOND;
        for ticket in super::super::Due::in_order(table.check(now).probes) {
            table.conclude(ticket, Outcome::NoReply, now);
        }
        table.settle(now, 100);
    }
    assert_eq!((table.len(), table.tally().held), (40, 5), "all of its own fell silent");
}

#[test]
fn a_registry_that_was_paused_does_not_list_again_who_left_meanwhile() {
    let now = Instant::now();
    let mut table = table(now);
    assert!(register(&mut table, 1, Some(5), now));
    written(&mut table, "me");
    let changes = take(&mut table, 1, None, now + 30 * SECOND);
    assert!(matches!(changes[..], [Change { kind: ChangeKind::Expired(None), .. }]));
    assert_eq!(written(&mut table, "me"), BTreeMap::new());
}

#[test]
fn the_last_to_remember_a_farewell_deletes_it() {
    let start = Instant::now();
    let mut other = table(start);
    other.unregister(&key(1), Some(5), start);
    let farewell = written(&mut other, "other").remove(&1).unwrap();
    // It starts when that is over, or its clock is ahead.
    let mut table = Table::new(&options(), start);
    table.set_wall(SystemTime::now() + 100 * SECOND, start);
    table.save_changes(1000);
    let shared = Shared::read(key(1), farewell.as_ref().unwrap()).unwrap();
    let wall = SystemTime::now() + 100 * SECOND;
    table.take_shared(shared, "me", Pending::NOTHING, wall, start);
    assert_eq!(written(&mut table, "me"), BTreeMap::new(), "others may need it");
    assert!(!register(&mut table, 1, Some(5), start));
    // The end of it is found while the farewell of another is taken.
    let mut other = self::table(start);
    other.unregister(&key(2), Some(5), start);
    let farewell = written(&mut other, "other").remove(&2).unwrap();
    take(&mut table, 2, farewell.as_ref(), start + 60 * SECOND);
    assert_eq!(written(&mut table, "me"), [(1, None)].into());
}

#[test]
fn a_registry_that_lost_track_of_its_changes_deletes_what_it_does_not_list_any_more() {
    let now = Instant::now();
    let mut table = Table::new(&options(), now);
    table.save_changes(2);
    (1..=4).for_each(|port| assert!(register(&mut table, port, None, now)));
    table.take_unshared("me", std::iter::empty());
    (1..=3).for_each(|port| {
        let index = table.by_key[&key(port)];
        table.remove(index, ChangeKind::Expired(None), now);
    });
    let there: Vec<_> = (1..=4).map(key).collect();
    let (unshared, _) = table.take_unshared("me", there.iter());
    let gone: BTreeSet<_> =
        unshared.iter().filter(|one| one.document.is_none()).map(|one| one.key.port).collect();
    assert_eq!(gone, [1, 2, 3].into());
}

#[test]
fn what_there_is_no_room_for_or_cannot_be_read_is_not_written_over() {
    let now = Instant::now();
    let mut table = Table::new(&RegistryOptions { max_instances: 1, ..options() }, now);
    table.save_changes(1000);
    assert!(register(&mut table, 1, Some(5), now));
    take(&mut table, 2, Some(&document(2, Some(5), now)), now);
    assert_eq!((listed(&table), table.no_room_for().len()), ([1].into(), 1));
    assert!(table.leave_alone(key(1)) && !table.leave_alone(key(1)), "said once");
    table.unregister(&key(2), Some(4), now);
    assert_eq!(written(&mut table, "me"), BTreeMap::new());
    assert!(table.is_left_out(&key(1)) && !table.has_room());
    let (renewed, _) = table.renew(&body(1, Some(5)), now).unwrap();
    assert_eq!(renewed.change, NEVER, "a heartbeat is not told that it is durable");
    assert_eq!(table.rows(&Scope::default())[0].change, NEVER, "nor is it shown as that");
    // Its document is deleted: what is listed here is written.
    take(&mut table, 1, None, now);
    assert_eq!(written(&mut table, "me").into_keys().collect::<Vec<_>>(), [1]);
    table.unregister(&key(1), Some(5), now);
    assert!(table.has_room());
    take(&mut table, 2, Some(&document(2, Some(5), now)), now);
    assert_eq!((listed(&table), table.no_room_for().len()), ([2].into(), 0));
}

#[test]
fn any_bytes_are_a_document_or_an_error() {
    rpc_fuzz::bytes("document", |bytes| {
        let now = Instant::now();
        if let Ok(shared) = Shared::read(key(1), bytes) {
            let mut table = table(now);
            table.take_shared(shared, "me", Pending::NOTHING, SystemTime::now(), now);
            assert!(table.len() <= 1);
            assert_eq!(written(&mut table, "me"), BTreeMap::new());
        }
    });
}
