//! Every transition, with an explicit clock.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::RegistryOptions;
use crate::registration::Registration;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

use Outcome::{Alive, Itself, NoReply, Refused, Unknown};

/// A table and its clock.
struct World {
    table: Table,
    now: Instant,
}

impl World {
    fn new(options: &RegistryOptions) -> Self {
        let now = Instant::now();
        Self { table: Table::new(options, now), now }
    }

    /// With instances of these ports, just registered.
    fn with(ports: std::ops::RangeInclusive<u16>) -> Self {
        let mut world = Self::new(&RegistryOptions::default());
        for port in ports {
            world.beat(port);
        }
        world
    }

    fn beat(&mut self, port: u16) -> Option<&'static str> {
        self.register(&body(port))
    }

    fn register(&mut self, body: &[u8]) -> Option<&'static str> {
        let change = match self.table.renew(body, self.now) {
            Some((_, change)) => change,
            None => {
                let registration = Registration::parse(body, &RegistryOptions::default()).unwrap();
                self.table.register(registration, body, PEER, self.now).unwrap()
            }
        };
        change.as_ref().map(name)
    }

    /// Waits for the next check; returns the ports to probe.
    fn check(&mut self) -> Vec<u16> {
        self.now = self.table.next_check();
        self.check_late()
    }

    fn check_late(&mut self) -> Vec<u16> {
        let checked = self.table.check(self.now);
        Due::in_order(checked.probes)
            .map(|ticket| self.table.probe(ticket).unwrap().key.port)
            .collect()
    }

    /// Waits until the instance is overdue.
    fn overdue(&mut self) {
        assert_eq!(self.check(), [0; 0]);
        assert!(!self.check().is_empty());
    }

    fn ticket(&self, port: u16) -> Ticket {
        self.table.ticket(&key(port)).unwrap()
    }

    /// Concludes a probe that began just now; returns what changes, as `name port`.
    fn conclude(&mut self, port: u16, outcome: Outcome) -> Vec<String> {
        self.conclude_since(self.ticket(port), outcome)
    }

    fn conclude_since(&mut self, ticket: Ticket, outcome: Outcome) -> Vec<String> {
        let change = self.table.conclude(ticket, outcome, self.now);
        let mut changes: Vec<_> = change.iter().map(text).collect();
        changes.extend(self.settle());
        changes
    }

    fn settle(&mut self) -> Vec<String> {
        self.table.settle(self.now, usize::MAX).changes.iter().map(text).collect()
    }

    fn listed(&self) -> usize {
        let (_, elements) = self.table.elements(&super::super::Scope::protocol("json"));
        assert_eq!(elements.len(), self.table.len());
        elements.len()
    }

    fn held(&self) -> usize {
        self.table.brake().map_or(0, |brake| brake.held)
    }
}

fn body(port: u16) -> Vec<u8> {
    format!(r#"{{"protocol":"json","host":"127.0.0.1","port":{port},"parameters":{{"wire":2}}}}"#)
        .into()
}

fn key(port: u16) -> InstanceKey {
    rpc_wire::instance::Instance::new("127.0.0.1", port).key()
}

fn name(change: &Change) -> &'static str {
    match change.kind {
        ChangeKind::Registered => "registered",
        ChangeKind::Updated => "updated",
        ChangeKind::Overridden => "overridden",
        ChangeKind::Unregistered => "unregistered",
        ChangeKind::Expired(None) => "expired",
        ChangeKind::Expired(Some(ExpiryReason::Refused)) => "refused",
        ChangeKind::Expired(Some(ExpiryReason::NoReply)) => "no_reply",
        ChangeKind::Expired(Some(_)) => "window",
        ChangeKind::Suspect if change.row.is_held() => "held",
        ChangeKind::Suspect => "suspect",
        ChangeKind::Revived => "revived",
        ChangeKind::Moved => "moved",
    }
}

fn text(change: &Change) -> String {
    format!("{} {}", name(change), change.row.entry.key.port)
}

#[test]
fn an_overdue_instance_is_removed_if_it_refuses_or_is_silent_and_kept_if_it_replies() {
    for (outcome, expected) in [
        (Refused, "refused 1"),
        (NoReply, "no_reply 1"),
        (Itself, "expired 1"),
        (Alive, "suspect 1"),
    ] {
        let mut world = World::with(1..=1);
        world.overdue();
        assert_eq!(world.listed(), 1, "it is listed until the outcome");
        assert_eq!(world.conclude(1, outcome), [expected]);
        assert_eq!(world.listed(), usize::from(outcome == Alive));
    }
}

#[test]
fn a_silent_instance_is_gone_within_ttl_and_check_and_probe() {
    let mut world = World::with(1..=1);
    let start = world.now;
    world.now += MILLISECOND;
    world.beat(1);
    assert_eq!([world.check(), world.check()], [[0; 0], [0; 0]]);
    assert_eq!(world.check(), [1]);
    assert_eq!(world.now, start + 15 * SECOND);
    assert_eq!(world.conclude(1, NoReply), ["no_reply 1"], "at once when its probe has failed");
}

#[test]
fn a_suspect_is_probed_at_the_pace_of_heartbeats_and_up_again_with_one() {
    let mut world = World::with(1..=1);
    world.overdue();
    world.conclude(1, Alive);
    let revision = world.table.revision();
    assert_eq!(world.check(), [1]);
    assert_eq!(world.conclude(1, Alive), [""; 0], "nothing that watchers do not know");
    assert_eq!(world.check(), [1]);
    assert_eq!(world.table.revision(), revision);
    let row = world.table.row(&key(1)).unwrap();
    let record = row.record(10 * SECOND, world.now);
    assert_eq!(record.state, rpc_wire::instance::InstanceState::Suspect);
    assert_eq!(world.beat(1), Some("revived"));
    assert_eq!(world.beat(1), None);
    assert_eq!(world.table.tally(), Tally::default());
    world.overdue();
}

#[test]
fn a_suspect_makes_no_list_change() {
    let mut world = World::with(1..=1);
    let scope = super::super::Scope::protocol("json");
    let before = world.table.elements(&scope);
    world.overdue();
    world.conclude(1, Alive);
    world.beat(1);
    assert_eq!(world.table.elements(&scope), before);
}

#[test]
fn a_suspect_is_removed_when_its_window_is_over() {
    let mut world = World::with(1..=1);
    world.overdue();
    world.conclude(1, Alive);
    for _ in 0..11 {
        assert_eq!(world.check(), [1]);
        assert_eq!(world.conclude(1, Alive), [""; 0]);
    }
    assert_eq!(world.check(), [0; 0]);
    assert_eq!(world.settle(), ["window 1"]);
}

#[test]
fn a_window_of_zero_keeps_a_suspect_for_ever() {
    let options = RegistryOptions { suspect_window: Duration::ZERO, ..Default::default() };
    let mut world = World::new(&options);
    world.beat(1);
    world.overdue();
    world.conclude(1, Alive);
    for _ in 0..1000 {
        assert_eq!(world.check(), [1]);
        assert_eq!(world.conclude(1, Alive), [""; 0]);
    }
}

#[test]
fn a_suspect_that_refuses_or_falls_silent_is_removed() {
    for (outcome, expected) in [(Refused, "refused 1"), (NoReply, "no_reply 1")] {
        let mut world = World::with(1..=1);
        world.overdue();
        world.conclude(1, Alive);
        world.check();
        assert_eq!(world.conclude(1, outcome), [expected]);
    }
}

#[test]
fn an_outcome_counts_for_the_registration_and_the_time_it_was_asked_for_only() {
    let mut world = World::with(1..=1);
    world.overdue();
    let asked = world.ticket(1);
    world.beat(1);
    for outcome in [Refused, NoReply, Alive] {
        assert_eq!(world.conclude_since(asked, outcome), [""; 0], "it has sent a heartbeat since");
    }
    assert!(world.table.probe(asked).is_none(), "it need not be probed any more");
    world.overdue();
    let asked = world.ticket(1);
    world.table.unregister(&key(1), None, world.now);
    world.beat(1);
    assert_eq!(world.conclude_since(asked, Refused), [""; 0], "it has registered anew");
    assert_eq!(world.listed(), 1);
}

#[test]
fn the_death_of_one_life_does_not_remove_the_next_one() {
    let mut world = World::new(&RegistryOptions::default());
    let life = |incarnation: u64| {
        format!(
            r#"{{"protocol":"json","host":"127.0.0.1","port":1,"parameters":{{"incarnation":{incarnation}}}}}"#
        )
    };
    world.register(life(1).as_bytes());
    let asked = world.ticket(1);
    assert_eq!(world.register(life(2).as_bytes()), Some("updated"));
    assert_eq!(world.conclude_since(asked, Refused), [""; 0]);
    assert_eq!(world.listed(), 1);
}

#[test]
fn a_connection_is_lost_only_for_who_registered_from_its_address() {
    let world = World::with(1..=1);
    let claimed = |peer: &str| world.table.claim(&key(1), peer.parse().unwrap()).is_some();
    assert!(claimed("127.0.0.1") && claimed("::1") && claimed("::ffff:127.0.0.1"));
    assert!(!claimed("192.0.2.1"));
}

#[test]
fn a_lost_connection_probes_once_in_a_second_and_not_after_a_heartbeat_on_another() {
    let mut world = World::with(1..=2);
    let first = world.ticket(1);
    world.beat(1);
    assert_eq!(world.table.lose(first, world.now), None, "a heartbeat came since");
    assert_eq!(world.table.lose(world.ticket(1), world.now), Some(Duration::ZERO));
    world.beat(1);
    world.now += 999 * MILLISECOND;
    // It is asked for again then: the end of the latest connection must not go unnoticed.
    assert_eq!(world.table.lose(world.ticket(1), world.now), Some(MILLISECOND));
    assert_eq!(world.table.lose(world.ticket(2), world.now), Some(Duration::ZERO), "another one");
    world.now += MILLISECOND;
    assert_eq!(world.table.lose(world.ticket(1), world.now), Some(Duration::ZERO));
}

#[test]
fn an_instance_that_is_up_is_removed_by_a_refusal_only() {
    for outcome in [Alive, NoReply, Unknown, Itself] {
        let mut world = World::with(1..=1);
        assert_eq!(world.conclude(1, outcome), [""; 0]);
        world.overdue();
    }
    let mut world = World::with(1..=1);
    assert_eq!(world.conclude(1, Refused), ["refused 1"]);
}

#[test]
fn a_fault_of_ours_decides_nothing_and_it_is_probed_again() {
    let mut world = World::with(1..=1);
    world.overdue();
    assert_eq!(world.conclude(1, Unknown), [""; 0]);
    assert_eq!(world.check(), [1]);
}

#[test]
fn an_overdue_instance_that_gets_no_turn_counts_as_silent() {
    let mut world = World::with(1..=1);
    world.overdue();
    // Twice 5.5 s: at the third check after.
    assert_eq!(world.check(), [1]);
    assert_eq!(world.check(), [1]);
    assert_eq!(world.settle(), [""; 0]);
    assert_eq!(world.check(), [0; 0]);
    assert_eq!(world.settle(), ["no_reply 1"]);
}

#[test]
fn an_instance_that_may_not_be_probed_expires_with_its_ttl() {
    let options = RegistryOptions { probes: false, ..Default::default() };
    let mut world = World::new(&options);
    world.beat(1);
    world.check();
    assert_eq!(world.check(), [0; 0]);
    assert_eq!(world.settle(), ["expired 1"]);
}

#[test]
fn the_one_that_is_overdue_longest_is_probed_first_and_suspects_last() {
    let mut world = World::with(1..=1);
    world.overdue();
    world.conclude(1, Alive);
    for port in [4, 3, 2] {
        world.now += MILLISECOND;
        world.beat(port);
    }
    world.check();
    world.check();
    assert_eq!(world.check(), [4, 3, 2, 1]);
}

#[test]
fn the_brake_holds_many_silent_ones_for_its_window_and_then_removes_them() {
    let mut world = World::with(1..=6);
    world.overdue();
    for port in 1..=4 {
        assert_eq!(world.conclude(port, NoReply), [""; 0], "it waits for the others");
    }
    let held = world.conclude(5, NoReply);
    assert_eq!(held, ["held 1", "held 2", "held 3", "held 4", "held 5"]);
    assert_eq!(world.conclude(6, NoReply), ["held 6"]);
    let row = world.table.row(&key(1)).unwrap();
    let record = row.record(10 * SECOND, world.now + SECOND);
    assert_eq!(record.held_ms, Some(59_000));
    for _ in 0..11 {
        assert_eq!(world.check(), [1, 2, 3, 4, 5, 6], "they may recover");
        (1..=6).for_each(|port| assert_eq!(world.conclude(port, NoReply), [""; 0]));
    }
    assert_eq!((world.listed(), world.held()), (6, 6));
    world.now = world.table.next_check();
    assert_eq!(world.table.check(world.now).ended, Some(BrakeEnd::Over { held: 6 }));
    assert_eq!(world.settle().len(), 6);
    assert_eq!((world.listed(), world.held()), (0, 0));
}

#[test]
fn the_brake_holds_those_of_one_cause_that_three_checks_find() {
    let mut world = World::new(&RegistryOptions::default());
    let mut changes = Vec::new();
    for (wait, ports) in [(0, 1..=2), (4, 3..=4), (2, 5..=5)] {
        while world.now + wait * SECOND >= world.table.next_check() {
            world.table.check(world.table.next_check());
        }
        world.now += wait * SECOND;
        ports.for_each(|port| assert_eq!(world.beat(port), Some("registered")));
    }
    for _ in 0..3 {
        for port in world.check() {
            changes.extend(world.conclude(port, NoReply));
        }
    }
    assert_eq!(changes, ["no_reply 1", "no_reply 2", "no_reply 3", "no_reply 4", "held 5"]);
}

#[test]
fn few_silent_ones_are_removed_although_others_are_late_but_alive() {
    let mut world = World::with(1..=20);
    world.overdue();
    for port in 1..=4 {
        assert_eq!(world.conclude(port, NoReply), [""; 0]);
    }
    // Suspects might fall silent next.
    (5..=15).for_each(|port| drop(world.conclude(port, Alive)));
    for port in 5..=19 {
        world.beat(port);
    }
    let removed = world.conclude(20, Alive);
    assert_eq!(removed, ["suspect 20", "no_reply 1", "no_reply 2", "no_reply 3", "no_reply 4"]);
}

#[test]
fn silent_ones_wait_for_the_outcomes_of_others_for_a_limited_time_only() {
    let mut world = World::with(1..=20);
    world.overdue();
    (2..=20).for_each(|port| drop(world.conclude(port, Alive)));
    assert_eq!(world.conclude(1, NoReply), [""; 0], "the others are suspects");
    let mut checks = 0;
    while world.listed() == 20 {
        world.check();
        (2..=20).for_each(|port| drop(world.conclude(port, Alive)));
        checks += 1;
    }
    assert_eq!((world.listed(), checks), (19, 3));
}

#[test]
fn refused_ones_go_at_once_even_under_the_brake() {
    let mut world = World::with(1..=6);
    world.overdue();
    (1..=6).for_each(|port| drop(world.conclude(port, NoReply)));
    world.check();
    assert_eq!(world.conclude(3, Refused), ["refused 3"]);
    assert_eq!(world.held(), 5);
}

#[test]
fn held_ones_that_beat_are_up_and_those_that_reply_are_suspects_and_then_it_ends() {
    let mut world = World::with(1..=6);
    world.overdue();
    (1..=6).for_each(|port| drop(world.conclude(port, NoReply)));
    (1..=5).for_each(|port| assert_eq!(world.beat(port), Some("revived")));
    assert_eq!(world.held(), 1);
    world.now = world.table.next_check();
    assert_eq!(world.table.check(world.now).ended, None);
    assert_eq!(world.conclude(6, Alive), ["suspect 6"]);
    world.now = world.table.next_check();
    assert_eq!(world.table.check(world.now).ended, Some(BrakeEnd::Recovered));
    assert_eq!(world.table.brake(), None);
    assert_eq!(world.listed(), 6);
}

#[test]
fn released_by_an_operator_the_held_are_removed() {
    let mut world = World::with(1..=6);
    assert_eq!(world.table.release_brake(world.now), None);
    world.overdue();
    (1..=5).for_each(|port| drop(world.conclude(port, NoReply)));
    assert_eq!(world.table.release_brake(world.now), Some(5));
    assert_eq!(world.settle().len(), 5);
    assert_eq!(world.conclude(6, NoReply), ["no_reply 6"], "the same cause, and the same word");
    assert_eq!(world.table.tally(), Tally::default());
}

#[test]
fn removals_go_in_batches_and_a_heartbeat_in_between_saves_its_instance() {
    let options = RegistryOptions { probes: false, ..Default::default() };
    let mut world = World::new(&options);
    for port in 1..=10 {
        world.beat(port);
    }
    world.check();
    world.check();
    let first = world.table.settle(world.now, 4);
    assert_eq!((first.changes.len(), first.more, world.listed()), (4, true, 6));
    assert_eq!(world.beat(5), None, "watchers did not know that it was overdue");
    assert_eq!(world.settle().len(), 5);
    assert_eq!(world.listed(), 1);
}

#[test]
fn a_pause_while_probing_extends_the_ttl_the_windows_and_the_brake() {
    // Up before a pause of 40 s, and overdue: its time for an outcome is extended.
    let mut world = World::with(1..=1);
    world.check();
    world.now = world.table.next_check() + 40 * SECOND;
    assert_eq!(world.check_late(), [1], "its TTL ended when the pause began");
    world.now = world.table.next_check() + 40 * SECOND;
    assert_eq!(world.check_late(), [1]);
    assert_eq!(world.settle(), [""; 0]);

    // A suspect, with 10 s of its window left.
    world.conclude(1, Alive);
    (0..10).for_each(|_| drop(world.check()));
    world.now = world.table.next_check() + 40 * SECOND;
    world.check_late();
    assert_eq!(world.settle(), [""; 0]);
    world.check();
    assert_eq!(world.settle(), ["window 1"]);

    // The brake, the same.
    let mut world = World::with(1..=6);
    world.overdue();
    (1..=6).for_each(|port| drop(world.conclude(port, NoReply)));
    (0..10).for_each(|_| drop(world.check()));
    world.now = world.table.next_check() + 40 * SECOND;
    world.check_late();
    assert_eq!((world.settle().len(), world.held()), (0, 6));
    world.check();
    assert_eq!((world.settle().len(), world.held()), (6, 0));
}

#[test]
fn changed_parameters_make_a_suspect_up_and_no_second_change() {
    let mut world = World::with(1..=1);
    world.overdue();
    world.conclude(1, Alive);
    let body = br#"{"protocol":"json","host":"127.0.0.1","port":1,"parameters":{"weight":2}}"#;
    let registration = Registration::parse(body, &RegistryOptions::default()).unwrap();
    let change = world.table.register(registration, body, PEER, world.now).unwrap().unwrap();
    assert_eq!(text(&change), "updated 1");
    let record = change.row.record(10 * SECOND, world.now);
    assert_eq!(record.state, rpc_wire::instance::InstanceState::Up);
    assert_eq!(world.table.tally(), Tally::default());
}

#[derive(Debug, Clone)]
enum Step {
    Beat(u16),
    Unregister(u16),
    /// The next check, late by so many milliseconds.
    Check(u64),
    /// The outcome of the probe of an instance that began so many steps ago.
    Conclude {
        port: u16,
        outcome: Outcome,
        since: usize,
    },
    Settle(usize),
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    let port = || 1u16..12;
    let outcome = prop_oneof![
        4 => Just(NoReply), 2 => Just(Alive), 1 => Just(Refused), 1 => Just(Unknown), 1 => Just(Itself)
    ];
    prop_oneof![
        4 => port().prop_map(Step::Beat),
        1 => port().prop_map(Step::Unregister),
        4 => prop_oneof![3 => Just(0), 1 => 0u64..100_000].prop_map(Step::Check),
        8 => (port(), outcome, 0usize..4)
            .prop_map(|(port, outcome, since)| Step::Conclude { port, outcome, since }),
        6 => (1usize..4).prop_map(Step::Settle),
        1 => Just(Step::Release),
    ]
}

proptest! {
    /// What watchers make of the events is what the table has; it counts right; it removes nobody whose
    /// heartbeat came within the TTL unless they refuse; and it keeps nobody for ever.
    #[test]
    fn any_sequence_of_heartbeats_checks_and_outcomes_is_told_counted_and_bounded(
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut world = World::new(&RegistryOptions::default());
        let mut told = BTreeMap::new();
        let mut beaten = BTreeMap::new();
        let mut tickets = vec![BTreeMap::new()];
        for step in steps {
            world.now += MILLISECOND;
            let current = (1..12).filter_map(|port| Some((port, world.table.ticket(&key(port))?)));
            tickets.push(current.collect::<BTreeMap<u16, Ticket>>());
            let mut changes = Vec::new();
            match step {
                Step::Beat(port) => {
                    let body = body(port);
                    beaten.insert(port, world.now);
                    match world.table.renew(&body, world.now) {
                        Some((_, change)) => changes.extend(change),
                        None => {
                            let parsed = Registration::parse(&body, &RegistryOptions::default());
                            let change =
                                world.table.register(parsed.unwrap(), &body, PEER, world.now);
                            changes.extend(change.unwrap());
                        }
                    }
                }
                Step::Unregister(port) => {
                    changes.extend(world.table.unregister(&key(port), None, world.now));
                }
                Step::Check(late) => {
                    world.now = world.now.max(world.table.next_check())
                        + Duration::from_millis(late);
                    world.table.check(world.now);
                }
                Step::Conclude { port, outcome, since } => {
                    let at = tickets.len().saturating_sub(1 + since);
                    if let Some(ticket) = tickets[at].get(&port) {
                        changes.extend(world.table.conclude(*ticket, outcome, world.now));
                    }
                }
                Step::Settle(most) => {
                    let settled = world.table.settle(world.now, most);
                    prop_assert!(settled.changes.len() <= most);
                    changes.extend(settled.changes);
                }
                Step::Release => drop(world.table.release_brake(world.now)),
            }
            for change in changes {
                let port = change.row.entry.key.port;
                match change.kind {
                    ChangeKind::Registered => prop_assert_eq!(told.insert(port, false), None),
                    ChangeKind::Suspect => prop_assert!(told.insert(port, true).is_some()),
                    ChangeKind::Revived => prop_assert_eq!(told.insert(port, false), Some(true)),
                    ChangeKind::Unregistered => prop_assert!(told.remove(&port).is_some()),
                    ChangeKind::Expired(reason) => {
                        prop_assert!(told.remove(&port).is_some());
                        let silence = world.now - beaten[&port];
                        let refused = reason == Some(ExpiryReason::Refused);
                        prop_assert!(refused || silence >= 10 * SECOND, "{port} {silence:?}");
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            let slots = world.table.slots.iter().flatten();
            let found: BTreeMap<_, _> =
                slots.clone().map(|slot| (slot.entry.key.port, slot.suspect)).collect();
            prop_assert_eq!(&found, &told);
            let mut tally = Tally::default();
            for slot in slots {
                if let Some(count) = tally.of(slot.liveness) {
                    *count += 1;
                }
                if let Liveness::Held(until) = slot.liveness {
                    prop_assert!(until <= world.now + 60 * SECOND);
                }
            }
            prop_assert_eq!(tally, world.table.tally());
        }
        // Silent from now on.
        for _ in 0..30 {
            for port in world.check() {
                world.conclude(port, NoReply);
            }
            world.settle();
        }
        prop_assert_eq!(world.listed(), 0);
        prop_assert_eq!(world.table.brake().is_some(), false);
        prop_assert!(world.table.judge.silent.is_empty() && world.table.judge.condemned.is_empty());
    }
}
