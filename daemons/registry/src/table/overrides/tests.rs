//! Overrides on an explicit clock.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use rpc_wire::instance::{Instance, InstanceState};

use super::*;
use crate::RegistryOptions;
use crate::registration::Registration;
use crate::table::{List, Override, Scope};

const SECOND: Duration = Duration::from_secs(1);
const TTL: Duration = Duration::from_secs(10);

fn table(start: Instant) -> Table {
    Table::new(&RegistryOptions { max_overrides: 3, ..RegistryOptions::default() }, start)
}

fn key(port: u16) -> InstanceKey {
    Instance::new("h", port).key()
}

fn body(port: u16, weight: u64) -> String {
    format!(r#"{{"protocol":"json","host":"h","port":{port},"parameters":{{"weight":{weight}}}}}"#)
}

fn register(table: &mut Table, body: &str, now: Instant) -> Option<Change> {
    let registration = Registration::parse(body.as_bytes(), &RegistryOptions::default()).unwrap();
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    table.register(registration, body.as_bytes(), peer, now).unwrap()
}

fn draining(ends: Option<Instant>) -> Standing {
    let (reason, by) = (Some("deploy".to_owned()), Some("me".to_owned()));
    let what = Override { state: OverrideState::Draining, reason, by, until_ms: None };
    Standing { what, ends }
}

/// The ports of the older list.
fn listed(table: &Table) -> String {
    let (revision, elements) = table.elements(&Scope::protocol("json"));
    let list = List::build(revision, &elements);
    let instances: Vec<Instance> = serde_json::from_slice(&list.body).unwrap();
    instances.iter().map(|instance| instance.port.to_string()).collect::<Vec<_>>().join(",")
}

fn state(table: &Table, port: u16, now: Instant) -> InstanceState {
    table.row(&key(port)).unwrap().record(TTL, now).state
}

#[test]
fn an_overridden_instance_is_out_of_the_older_list_and_stays_visible() {
    let start = Instant::now();
    let mut table = table(start);
    register(&mut table, &body(1, 0), start);
    register(&mut table, &body(2, 0), start);
    let scope = Scope::protocol("json");
    let (before, elements) = table.elements(&scope);
    table.keep(&scope, &List::build(before, &elements));

    let ends = Some(start + 60 * SECOND);
    let set = table.set_override(key(1), draining(ends), start).unwrap();
    let change = set.change.unwrap();
    assert_eq!((change.kind, change.revision), (ChangeKind::Overridden, before + 1));
    assert_eq!(table.prepared(&scope), None, "the list changed");
    assert_eq!(table.elements(&scope).0, change.revision);
    assert_eq!(listed(&table), "2");
    let row = table.row(&key(1)).unwrap();
    let record = row.record(TTL, start + 10 * SECOND);
    let overridden = record.overridden.unwrap();
    assert_eq!(
        (record.state, overridden.state),
        (InstanceState::Draining, OverrideState::Draining)
    );
    assert_eq!(
        (overridden.reason.as_deref(), overridden.by.as_deref()),
        (Some("deploy"), Some("me"))
    );
    assert_eq!(overridden.for_ms, Some(50_000));
    assert_eq!(table.rows(&scope).len(), 2);

    let cleared = table.clear_override(&key(1), start).unwrap();
    assert_eq!(cleared.change.unwrap().kind, ChangeKind::Overridden);
    assert_eq!((listed(&table).as_str(), state(&table, 1, start)), ("1,2", InstanceState::Up));
    assert!(table.clear_override(&key(1), start).is_none());
}

#[test]
fn a_server_of_ours_is_listed_again_once_it_is_told_that_its_override_is_taken_back() {
    let start = Instant::now();
    let mut table = table(start);
    let body = r#"{"protocol":"json","host":"h","port":1,"parameters":{"wire":9}}"#;
    register(&mut table, body, start);
    for by_body in [true, false] {
        table.set_override(key(1), draining(None), start).unwrap();
        let revision = table.revision();
        let cleared = table.clear_override(&key(1), start).unwrap();
        assert!(cleared.change.is_none(), "it refuses calls still");
        assert_eq!((listed(&table).as_str(), table.revision()), ("", revision));
        assert_eq!(state(&table, 1, start), InstanceState::Draining);
        let change = if by_body {
            let (renewed, change) = table.renew(body.as_bytes(), start).unwrap();
            assert_eq!(renewed.overridden, None, "this heartbeat tells it");
            change
        } else {
            register(&mut table, body, start)
        };
        assert_eq!(change.unwrap().kind, ChangeKind::Overridden);
        assert_eq!((listed(&table).as_str(), table.revision()), ("1", revision + 1));
        assert_eq!(state(&table, 1, start), InstanceState::Up);
        assert!(table.renew(body.as_bytes(), start).unwrap().1.is_none());
    }
    // Drained again before it is told.
    table.set_override(key(1), draining(None), start).unwrap();
    table.clear_override(&key(1), start).unwrap();
    table.set_override(key(1), draining(None), start).unwrap();
    let (renewed, change) = table.renew(body.as_bytes(), start).unwrap();
    assert_eq!((renewed.overridden, change.is_none()), (Some(OverrideState::Draining), true));
    assert_eq!(listed(&table), "");
}

#[test]
fn an_override_outlives_heartbeats_new_parameters_and_the_instance() {
    let start = Instant::now();
    let mut table = table(start);
    table.set_override(key(1), draining(None), start).unwrap();
    assert_eq!(table.revision(), 0, "nobody is listed: nothing changed");
    assert!(!table.overrides(start)[0].listed);
    let change = register(&mut table, &body(1, 0), start).unwrap();
    assert!(change.row.overridden.is_some(), "its event says so");
    let (renewed, _) = table.renew(body(1, 0).as_bytes(), start).unwrap();
    assert_eq!(renewed.overridden, Some(OverrideState::Draining));
    let change = register(&mut table, &body(1, 7), start).unwrap();
    assert_eq!(change.row.record(TTL, start).state, InstanceState::Draining);
    table.unregister(&key(1), None, start);
    register(&mut table, &body(1, 7), start);
    assert_eq!((listed(&table).as_str(), table.overrides(start)[0].listed), ("", true));
    assert_eq!(table.override_of(&key(1)), Some(OverrideState::Draining));
}

#[test]
fn overrides_end_in_order_at_their_times_and_others_stay() {
    let start = Instant::now();
    let mut table = table(start);
    register(&mut table, &body(1, 0), start);
    for (port, seconds) in [(1, Some(20)), (2, Some(10)), (3, None)] {
        let ends = seconds.map(|seconds| start + seconds * SECOND);
        table.set_override(key(port), draining(ends), start).unwrap();
    }
    let mut ended = |after: u32| {
        let ended = table.end_overrides(start + after * SECOND);
        let ports = ended.iter().map(|ended| (ended.key.port, ended.change.is_some())).collect();
        (ports, table.next_override_end().map(|end| end - start))
    };
    let none: Vec<(u16, bool)> = Vec::new();
    assert_eq!(ended(9), (none, Some(10 * SECOND)));
    assert_eq!(ended(30), (vec![(2, false), (1, true)], None));
    assert_eq!(listed(&table), "1");
    assert_eq!(table.overrides(start).len(), 1);
}

#[test]
fn the_number_of_overrides_is_limited() {
    let start = Instant::now();
    let mut table = table(start);
    for port in 1..=3 {
        table.set_override(key(port), draining(None), start).unwrap();
    }
    let refused = table.set_override(key(4), draining(None), start);
    assert_eq!(refused.unwrap_err(), Refusal::OverridesFull(3));
    table.set_override(key(3), draining(None), start).unwrap();
    table.clear_override(&key(1), start).unwrap();
    table.set_override(key(4), draining(None), start).unwrap();
}

#[test]
fn what_is_left_of_an_override_is_known_after_a_restart_and_a_step_of_the_clock_changes_it_no_more()
{
    let start = Instant::now();
    let wall = SystemTime::UNIX_EPOCH + 1000 * SECOND;
    let kept = draining(None).what.lasting(Some(600 * SECOND), wall);
    assert_eq!(kept.until_ms, Some(1_600_000));
    let left = |wall| Standing::new(kept.clone(), start, wall).ends.map(|ends| ends - start);
    assert_eq!(left(wall + 100 * SECOND), Some(500 * SECOND));
    assert_eq!(left(wall + 700 * SECOND), Some(Duration::ZERO), "it ended meanwhile");
    let endless = draining(None).what.lasting(None, wall);
    assert_eq!(Standing::new(endless, start, wall).ends, None);
    let absurd = Override { until_ms: Some(u64::MAX), ..kept };
    let standing = Standing::new(absurd, start, wall);
    let mut table = table(start);
    table.set_override(key(1), standing, start).unwrap();
    assert!(table.end_overrides(start + SECOND).is_empty());
}
