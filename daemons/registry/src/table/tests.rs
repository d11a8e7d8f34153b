//! The table with an explicit clock, and against a naive model.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use rpc_wire::instance::{Instance, OverrideState};

use super::*;
use crate::error::Refusal;
use crate::registration::Registration;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const NONE_EXPIRED: [u16; 0] = [];
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn table(start: Instant) -> Table {
    Table::new(&RegistryOptions::default(), start)
}

fn body(port: u16, parameters: &str) -> Vec<u8> {
    format!(r#"{{"protocol":"json","host":"h","port":{port},"parameters":{parameters}}}"#).into()
}

fn register(table: &mut Table, body: &[u8], now: Instant) -> Option<ChangeKind> {
    register_from(table, body, LOOPBACK, now).unwrap()
}

fn register_from(
    table: &mut Table,
    body: &[u8],
    peer: IpAddr,
    now: Instant,
) -> Result<Option<ChangeKind>, Refusal> {
    let registration = Registration::parse(body, &RegistryOptions::default()).unwrap();
    Ok(table.register(registration, body, peer, now)?.map(|change| change.kind))
}

/// Those that a check removes: none of these tests' may be probed, for their host is a name.
fn expired(table: &mut Table, now: Instant) -> Vec<u16> {
    table.check(now);
    let settled = table.settle(now, usize::MAX);
    settled.changes.iter().map(|change| change.row.entry.key.port).collect()
}

fn key(port: u16) -> InstanceKey {
    Instance::new("h", port).key()
}

fn json() -> Scope {
    Scope::protocol("json")
}

fn list(table: &Table, protocol: &str) -> String {
    String::from_utf8(list_of(table, protocol).body.to_vec()).unwrap()
}

fn list_of(table: &Table, protocol: &str) -> List {
    let (revision, elements) = table.elements(&Scope::protocol(protocol));
    List::build(revision, &elements)
}

#[test]
fn an_instance_expires_at_the_first_check_that_finds_its_ttl_over() {
    let start = Instant::now();
    let mut table = table(start);
    register(&mut table, &body(1, "{}"), start);
    register(&mut table, &body(2, "{}"), start + MILLISECOND);
    assert_eq!(expired(&mut table, start + 5 * SECOND), NONE_EXPIRED);
    assert_eq!(expired(&mut table, start + 10 * SECOND), [1]);
    assert_eq!(expired(&mut table, start + 15 * SECOND), [2]);
    assert_eq!((table.len(), table.slots.iter().flatten().count()), (0, 0));
    assert!(table.by_body.is_empty() && table.by_peer.is_empty());
}

fn ports(table: &Table, protocol: Option<&str>, service: &str) -> Vec<u16> {
    let scope = Scope {
        protocol: protocol.map(Into::into),
        service: Some(service.to_owned()),
        ..Scope::default()
    };
    table.rows(&scope).iter().map(|row| row.entry.key.port).collect()
}

#[test]
fn a_service_has_its_own_list_which_changes_with_its_instances_only() {
    let start = Instant::now();
    let mut table = table(start);
    let scope = |service: &str| Scope { service: Some(service.to_owned()), ..json() };
    register(&mut table, &body(1, r#"{"service":"a"}"#), start);
    register(&mut table, &body(2, r#"{"service":"b"}"#), start);
    register(&mut table, &body(3, r#"{"service":"not a name"}"#), start);
    assert_eq!(ports(&table, Some("json"), "a"), [1]);
    assert_eq!(ports(&table, None, "b"), [2]);
    assert_eq!(ports(&table, Some("other"), "a"), [0; 0]);
    assert_eq!(table.rows(&json()).len(), 3);
    let before = table.elements(&scope("a")).0;
    table.keep(&scope("a"), &List::build(before, &[]));
    register(&mut table, &body(2, r#"{"service":"b","x":1}"#), start);
    assert!(table.prepared(&scope("a")).is_some(), "another service changed");
    // It moves to the other service: both lists change.
    register(&mut table, &body(2, r#"{"service":"a"}"#), start);
    assert_eq!((ports(&table, None, "a"), ports(&table, None, "b")), (vec![1, 2], vec![]));
    assert_eq!(table.prepared(&scope("a")), None);
    assert_eq!(table.prepared(&scope("b")).unwrap().body, "[]");
    table.unregister(&key(1), None, start);
    table.unregister(&key(2), None, start);
    table.unregister(&key(3), None, start);
    assert_eq!(table.lists.revision(&Scope::default()), 0, "nothing of the names is kept");
}

#[test]
fn to_a_reader_of_one_service_an_instance_that_moves_has_left() {
    let start = Instant::now();
    let mut table = table(start);
    let mut change = |parameters: &str| {
        let body = body(1, parameters);
        let registration = Registration::parse(&body, &RegistryOptions::default()).unwrap();
        table.register(registration, &body, LOOPBACK, start).unwrap().unwrap()
    };
    let to = |change: &Change, service: Option<&str>| {
        Scope { service: service.map(Into::into), ..Scope::default() }.kind_of(change)
    };
    use ChangeKind::{Registered, Unregistered, Updated};
    let first = change(r#"{"service":"a"}"#);
    assert_eq!([to(&first, Some("a")), to(&first, Some("b"))], [Some(Registered), None]);
    let same = change(r#"{"service":"a","x":1}"#);
    assert_eq!([to(&same, Some("a")), to(&same, Some("b"))], [Some(Updated), None]);
    let moved = change(r#"{"service":"b"}"#);
    assert_eq!(
        [to(&moved, Some("a")), to(&moved, Some("b"))],
        [Some(Unregistered), Some(Registered)]
    );
    assert_eq!(to(&moved, None), Some(Updated));
}

#[test]
fn heartbeats_keep_an_instance_and_change_no_revision() {
    let start = Instant::now();
    let mut table = table(start);
    let body = body(1, "{}");
    register(&mut table, &body, start);
    for last_heartbeat in 1..=20 {
        let now = start + last_heartbeat * 5 * SECOND;
        assert!(table.renew(&body, now).is_some());
        assert_eq!(expired(&mut table, now), NONE_EXPIRED);
    }
    let row = table.row(&key(1)).unwrap();
    assert_eq!((row.heartbeats, table.revision()), (21, 1));
    let record = row.record(10 * SECOND, start + 103 * SECOND);
    assert_eq!(
        (record.age_ms, record.registered_ms_ago, record.ttl_ms),
        (Some(3000), 103_000, 10_000)
    );
}

#[test]
fn an_instance_whose_heartbeats_come_late_twice_in_a_row_is_told_once() {
    let start = Instant::now();
    let mut table = table(start);
    let body = body(1, "{}");
    register(&mut table, &body, start);
    let mut now = start;
    let mut told_after = |interval_ms: u32| {
        now += interval_ms * MILLISECOND;
        let mut told = 0;
        while table.next_check() <= now {
            told += table.check(table.next_check()).slow.len();
        }
        assert!(table.renew(&body, now).is_some());
        told + table.check(now).slow.len()
    };
    // Of a TTL of 10 s, with the jitter of an interval of 5 s, and one that was lost.
    assert_eq!([5500, 5500, 9000, 5500].map(&mut told_after), [0, 0, 0, 0]);
    assert_eq!([7000, 7000, 7000].map(&mut told_after), [0, 1, 0]);
    assert_eq!([1000, 7000, 7000, 7000].map(&mut told_after), [0, 0, 0, 0]);
}

#[test]
fn what_passed_while_this_process_was_paused_is_no_pace_of_an_instance() {
    let start = Instant::now();
    let body = body(1, "{}");
    for is_read_before_the_check in [true, false] {
        let mut table = table(start);
        register(&mut table, &body, start);
        for _ in 0..4 {
            let now = table.next_check() + 9 * SECOND;
            if is_read_before_the_check {
                assert!(table.renew(&body, now).is_some());
            }
            assert!(table.check(now).slow.is_empty());
            if !is_read_before_the_check {
                assert!(table.renew(&body, now).is_some());
            }
        }
    }
}

#[test]
fn a_check_that_comes_late_extends_every_deadline_by_as_much() {
    let start = Instant::now();
    let mut table = table(start);
    register(&mut table, &body(1, "{}"), start);
    register(&mut table, &body(2, "{}"), start + 4 * SECOND);
    // Due after 5 s, stopped until 105 s.
    let resumed = start + 105 * SECOND;
    assert_eq!(table.check(resumed).late, 100 * SECOND);
    assert_eq!(table.len(), 2);
    assert_eq!(table.next_check(), resumed + 5 * SECOND);
    assert_eq!(expired(&mut table, resumed + 5 * SECOND), [1]);
    assert_eq!(expired(&mut table, resumed + 10 * SECOND), [2]);
}

#[test]
fn a_late_check_extends_no_deadline_beyond_a_full_ttl() {
    let start = Instant::now();
    let mut table = table(start);
    let resumed = start + 1000 * SECOND;
    register(&mut table, &body(1, "{}"), resumed);
    table.check(resumed);
    assert_eq!(expired(&mut table, resumed + 5 * SECOND), NONE_EXPIRED);
    assert_eq!(expired(&mut table, resumed + 10 * SECOND), [1]);
}

#[test]
fn registering_again_with_other_bytes_is_a_heartbeat() {
    let start = Instant::now();
    let mut table = table(start);
    let (first, second) = (body(1, "{}"), body(1, "null"));
    assert_eq!(register(&mut table, &first, start), Some(ChangeKind::Registered));
    assert_eq!(register(&mut table, &second, start + SECOND), None);
    assert!(table.renew(&second, start + 2 * SECOND).is_some());
    assert!(table.renew(&first, start + 2 * SECOND).is_none(), "one body is kept per instance");
    assert_eq!(table.row(&key(1)).unwrap().heartbeats, 3);
}

#[test]
fn changed_parameters_replace_the_old_ones_in_place() {
    let start = Instant::now();
    let mut table = table(start);
    let (old, new) = (body(1, "{}"), body(1, r#"{"weight":2}"#));
    register(&mut table, &old, start);
    register(&mut table, &body(2, "{}"), start);
    assert_eq!(register(&mut table, &new, start + SECOND), Some(ChangeKind::Updated));
    assert!(table.renew(&old, start + SECOND).is_none());
    assert!(table.renew(&new, start + SECOND).is_some());
    let row = table.row(&key(1)).unwrap();
    let record = row.record(SECOND, start);
    assert_eq!(
        (row.entry.registered.at, record.instance.parameters.get()),
        (start, r#"{"weight":2}"#)
    );
    let ports: Vec<_> =
        table.rows(&Scope::default()).iter().map(|row| row.entry.key.port).collect();
    assert_eq!(ports, [1, 2]);
}

#[test]
fn a_hundred_thousand_instances_leave_room_in_150_mb() {
    const INSTANCES: u16 = 14_000;
    let start = Instant::now();
    let mut table = table(start);
    let allocated = allocation_counter::measure(|| {
        for port in 1..=INSTANCES {
            register(&mut table, &body(port, r#"{"mode":"development"}"#), start);
        }
        table.keep(&json(), &list_of(&table, "json"));
    });
    let per_instance = allocated.bytes_current / i64::from(INSTANCES);
    assert!(per_instance < 1_000, "{per_instance} bytes for each");
}

#[test]
fn unregistering_removes_once_and_the_same_bytes_register_again() {
    let start = Instant::now();
    let mut table = table(start);
    let body = body(1, "{}");
    register(&mut table, &body, start);
    assert_eq!(table.unregister(&key(1), None, start).unwrap().kind, ChangeKind::Unregistered);
    assert!(table.unregister(&key(1), None, start).is_none());
    assert!(table.renew(&body, start).is_none());
    assert_eq!(list(&table, "json"), "[]");
    assert_eq!(register(&mut table, &body, start + SECOND), Some(ChangeKind::Registered));
    assert_eq!(table.row(&key(1)).unwrap().heartbeats, 1);
}

#[test]
fn an_unregistered_instance_is_remembered_until_it_is_listed_again() {
    let start = Instant::now();
    let mut table = table(start);
    table.unregister(&key(1), None, start);
    assert!(table.unregistered_recently(&key(1), start + 59 * SECOND));
    assert!(!table.unregistered_recently(&key(1), start + 60 * SECOND));
    register(&mut table, &body(1, "{}"), start);
    assert!(!table.unregistered_recently(&key(1), start));
    table.check(start + 5 * SECOND);
    assert_eq!(expired(&mut table, start + 10 * SECOND), [1]);
    assert!(!table.unregistered_recently(&key(1), start + 10 * SECOND), "expiring is no leave");
}

#[test]
fn a_prepared_list_serves_until_its_protocol_changes() {
    let start = Instant::now();
    let mut table = table(start);
    assert_eq!(table.prepared(&json()).unwrap().body, "[]");
    register(&mut table, &body(1, "{}"), start);
    assert_eq!(table.prepared(&json()), None);
    let (revision, elements) = table.elements(&json());
    let built = List::build(revision, &elements);
    table.keep(&json(), &built);
    table.renew(&body(1, "{}"), start);
    assert_eq!(table.prepared(&json()), Some(built.clone()));
    let other = br#"{"protocol":"other","host":"h","port":9}"#;
    register(&mut table, other, start);
    assert_eq!(table.prepared(&json()), Some(built.clone()));
    register(&mut table, &body(2, "{}"), start);
    assert_eq!(table.prepared(&json()), None);
    table.keep(&json(), &built);
    assert_eq!(table.prepared(&json()), None, "a list built before the change is not kept");
}

#[test]
fn a_forgotten_protocol_leaves_nothing_behind() {
    let start = Instant::now();
    let mut table = table(start);
    for port in 1..100 {
        let body = format!(r#"{{"protocol":"p{port}","host":"h","port":{port}}}"#);
        register(&mut table, body.as_bytes(), start);
        let key = InstanceKey { protocol: format!("p{port}"), ..key(port) };
        table.unregister(&key, None, start);
    }
    assert_eq!((table.lists.slots(&Scope::default()).count(), table.slots.len()), (0, 1));
}

#[test]
fn the_number_of_instances_is_limited_in_all_and_per_peer() {
    let start = Instant::now();
    let options =
        RegistryOptions { max_instances: 4, max_instances_per_peer: 2, ..Default::default() };
    let mut table = Table::new(&options, start);
    let remote = IpAddr::from([192, 0, 2, 1]);
    for port in [1, 2] {
        register_from(&mut table, &body(port, "{}"), remote, start).unwrap();
    }
    let refused = register_from(&mut table, &body(3, "{}"), remote, start);
    assert_eq!(refused, Err(Refusal::PeerFull(2)));
    assert_eq!(register_from(&mut table, &body(1, "null"), remote, start), Ok(None));
    table.unregister(&key(1), None, start);
    register_from(&mut table, &body(3, "{}"), remote, start).unwrap();
    for port in [4, 5] {
        register(&mut table, &body(port, "{}"), start);
    }
    let refused = register_from(&mut table, &body(6, "{}"), LOOPBACK, start);
    assert_eq!((refused, table.len()), (Err(Refusal::Full(4)), 4));
}

#[test]
fn an_ipv6_network_is_one_peer() {
    let start = Instant::now();
    let options = RegistryOptions { max_instances_per_peer: 1, ..Default::default() };
    let mut table = Table::new(&options, start);
    let mut from = |port, peer: &str| {
        register_from(&mut table, &body(port, "{}"), peer.parse().unwrap(), start)
    };
    assert!(from(1, "2001:db8::1").is_ok());
    assert_eq!(from(2, "2001:db8::ffff:1"), Err(Refusal::PeerFull(1)));
    assert!(from(3, "2001:db8:0:1::1").is_ok());
}

#[test]
fn a_body_of_any_length_renews_without_being_parsed() {
    let start = Instant::now();
    let mut table = table(start);
    let mut body = body(1, "{}");
    body.extend(std::iter::repeat_n(b' ', 60_000));
    register(&mut table, &body, start);
    assert!(table.renew(&body, start).is_some());
    body.push(b' ');
    assert!(table.renew(&body, start).is_none());
}

#[test]
fn an_instance_with_large_parameters_takes_little_more_than_they_are() {
    const INSTANCES: u16 = 1000;
    let start = Instant::now();
    let mut table = table(start);
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(4000));
    let allocated = allocation_counter::measure(|| {
        for port in 1..=INSTANCES {
            register(&mut table, &body(port, &large), start);
        }
    });
    let each = allocated.bytes_current / i64::from(INSTANCES);
    assert!(each < 4800, "{each} bytes an instance");
    // The history, the allocator's own and indices that have just grown are counted, too, and the holes beside large
    // texts in a process that reads and writes others between them.
    let counted = i64::try_from(table.bytes()).unwrap() / i64::from(INSTANCES);
    assert!((each + 1000..6200).contains(&counted), "{counted} bytes counted, {each} taken");
}

#[test]
fn a_full_table_refuses_what_is_new_or_grows_but_no_heartbeat() {
    let start = Instant::now();
    let mut options = RegistryOptions::default();
    let mut table = Table::new(&options, start);
    register(&mut table, &body(1, "{}"), start);
    options.max_table_bytes = 2 * table.bytes() + 100;
    let mut table = Table::new(&options, start);
    let (one, two) = (body(1, "{}"), body(2, "{}"));
    register(&mut table, &one, start);
    register(&mut table, &two, start);
    let full = Err(Refusal::TableFull(options.max_table_bytes));
    assert_eq!(register_from(&mut table, &body(3, "{}"), LOOPBACK, start), full);
    let larger = body(1, &format!(r#"{{"a":"{}"}}"#, "x".repeat(200)));
    assert_eq!(register_from(&mut table, &larger, LOOPBACK, start + SECOND), full);
    let row = table.row(&key(1)).unwrap();
    assert_eq!((row.heartbeats, row.last_heartbeat), (2, start + SECOND), "it lives on");
    assert!(table.renew(&one, start + SECOND).is_some());
    table.unregister(&key(2), None, start);
    assert_eq!(register_from(&mut table, &larger, LOOPBACK, start), Ok(Some(ChangeKind::Updated)));
    table.unregister(&key(1), None, start);
    assert_eq!(table.bytes(), 0);
}

fn endless() -> Standing {
    let (reason, by, until_ms) = (None, None, None);
    let what = Override { state: OverrideState::Draining, reason, by, until_ms };
    Standing { what, ends: None }
}

/// The same rules without index, cache or slots.
#[derive(Debug, Default)]
struct Model {
    /// Weight and deadline by port, in order of registration (the first number).
    instances: BTreeMap<u16, (u64, u64, Instant)>,
    overridden: BTreeSet<u16>,
    serial: u64,
    revision: u64,
}

impl Model {
    fn register(&mut self, port: u16, weight: u64, now: Instant) -> Option<ChangeKind> {
        let deadline = now + 10 * SECOND;
        let kind = match self.instances.get_mut(&port) {
            Some(known) => {
                let changed = known.1 != weight;
                *known = (known.0, weight, deadline);
                changed.then_some(ChangeKind::Updated)
            }
            None => {
                self.serial += 1;
                self.instances.insert(port, (self.serial, weight, deadline));
                Some(ChangeKind::Registered)
            }
        };
        self.revision += u64::from(kind.is_some());
        kind
    }

    fn expire(&mut self, late: Duration, now: Instant) {
        let before = self.instances.len();
        for known in self.instances.values_mut() {
            known.2 = (known.2 + late).min(now + 10 * SECOND);
        }
        self.instances.retain(|_, known| known.2 > now);
        self.revision += (before - self.instances.len()) as u64;
    }

    fn list(&self) -> String {
        let mut rows: Vec<_> = self.instances.iter().collect();
        rows.sort_by_key(|(_, known)| known.0);
        let rows: Vec<_> = rows
            .iter()
            .filter(|(port, _)| !self.overridden.contains(port))
            .map(|(port, known)| {
                format!(
                    r#"{{"protocol":"json","host":"h","port":{port},"status":true,"parameters":{{"weight":{}}}}}"#,
                    known.1
                )
            })
            .collect();
        format!("[{}]", rows.join(","))
    }
}

#[derive(Debug, Clone)]
enum Step {
    Register { port: u16, weight: u64, spaces: usize },
    Unregister { port: u16 },
    Override { port: u16 },
    TakeBack { port: u16 },
    Expire { late: u64 },
    Pass { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1u16..6, 0u64..2, 0usize..2)
            .prop_map(|(port, weight, spaces)| Step::Register { port, weight, spaces }),
        1 => (1u16..6).prop_map(|port| Step::Unregister { port }),
        1 => (1u16..6).prop_map(|port| Step::Override { port }),
        1 => (1u16..6).prop_map(|port| Step::TakeBack { port }),
        3 => prop_oneof![Just(0), 0u64..20_000].prop_map(|late| Step::Expire { late }),
        2 => (0u64..4000).prop_map(|millis| Step::Pass { millis }),
    ]
}

proptest! {
    #[test]
    fn any_sequence_of_operations_agrees_with_a_naive_model(
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut now = Instant::now();
        let (mut table, mut model) = (table(now), Model::default());
        for step in steps {
            match step {
                Step::Register { port, weight, spaces } => {
                    let body = body(port, &format!("{}{{\"weight\":{weight}}}", " ".repeat(spaces)));
                    let expected = model.register(port, weight, now);
                    if table.renew(&body, now).is_some() {
                        prop_assert_eq!(None, expected);
                    } else {
                        prop_assert_eq!(register(&mut table, &body, now), expected);
                    }
                }
                Step::Unregister { port } => {
                    let was_there = model.instances.remove(&port).is_some();
                    model.revision += u64::from(was_there);
                    prop_assert_eq!(table.unregister(&key(port), None, now).is_some(), was_there);
                }
                Step::Override { port } => {
                    let listed = model.instances.contains_key(&port);
                    model.overridden.insert(port);
                    model.revision += u64::from(listed);
                    let set = table.set_override(key(port), endless(), now).unwrap();
                    prop_assert_eq!(set.change.is_some(), listed);
                }
                Step::TakeBack { port } => {
                    let stood = model.overridden.remove(&port);
                    let listed = stood && model.instances.contains_key(&port);
                    model.revision += u64::from(listed);
                    let cleared = table.clear_override(&key(port), now);
                    prop_assert_eq!(cleared.is_some(), stood);
                    prop_assert_eq!(cleared.is_some_and(|it| it.change.is_some()), listed);
                }
                Step::Expire { late } => {
                    let late = Duration::from_millis(late);
                    now = now.max(table.next_check()) + late;
                    let late = now - table.next_check();
                    prop_assert_eq!(table.check(now).late, late);
                    table.settle(now, usize::MAX);
                    model.expire(late, now);
                }
                Step::Pass { millis } => now += Duration::from_millis(millis),
            }
            prop_assert_eq!(list(&table, "json"), model.list());
            prop_assert_eq!(table.len(), model.instances.len());
            prop_assert_eq!(table.revision(), model.revision);
            prop_assert_eq!(table.by_body.len(), table.len());
        }
    }
}

mod lives;
