//! Rows, their states and order, and the selection.

use super::*;
use rpc_wire::instance::InstanceState;

fn record(port: u16, age_ms: u64) -> InstanceRecord {
    InstanceRecord {
        instance: Instance::new("127.0.0.1", port),
        age_ms: Some(age_ms),
        ttl_ms: 10_000,
        registered_ms_ago: 60_000,
        heartbeats: Some(3),
        state: InstanceState::Up,
        incarnation: None,
        held_ms: None,
        overridden: None,
        durable: true,
        owner: None,
    }
}

fn order(table: &Instances, now: Instant) -> Vec<u16> {
    table.visible(now, true).iter().map(|row| row.key.port).collect()
}

#[test]
fn an_instance_is_up_then_late_then_gone_and_its_row_lingers() {
    let (mut table, start) = (Instances::default(), Instant::now());
    let after = |ms| start + Duration::from_millis(ms);
    table.snapshot(vec![record(1, 0)], start, start);
    let key = record(1, 0).instance.key();
    let word = |table: &Instances, now| table.get(&key).map(|row| row.state_text(now, true));
    assert_eq!(word(&table, after(7_900)), Some("up"));
    assert!(matches!(table.tick(after(8_000), true, None)[..], [Change::Late(..)]));
    assert_eq!(word(&table, after(8_000)), Some("late"));
    assert!(table.tick(after(9_000), true, None).is_empty(), "late is reported once");
    assert!(matches!(
        table.mark_gone(&key, Gone::Expired(None), after(12_000)),
        Some(Change::Removed(..))
    ));
    assert_eq!(table.mark_gone(&key, Gone::Expired(None), after(12_000)), None);
    table.tick(after(17_900), true, None);
    assert_eq!(word(&table, after(17_900)), Some("gone"));
    table.tick(after(18_000), true, None);
    assert_eq!(word(&table, after(18_000)), None);
}

#[test]
fn a_full_table_keeps_what_it_has_and_counts_the_others() {
    let (mut table, now) = (Instances { max_rows: 2, ..Instances::default() }, Instant::now());
    table.snapshot((1..=5).map(|port| record(port, 0)).collect(), now, now);
    assert_eq!((order(&table, now), table.beyond), (vec![1, 2], 3));
    table.record(record(1, 0), now, now);
    table.list((1..=3).map(|port| record(port, 0).instance).collect(), now);
    assert_eq!((order(&table, now), table.beyond), (vec![1, 2], 1));
}

#[test]
fn rows_are_bounded_in_memory_and_a_row_that_went_makes_room() {
    // 4 KB of text, 32 bytes a list, and four copies.
    let large = |port| {
        let mut record = record(port, 0);
        record
            .instance
            .parameters
            .insert("a".to_owned(), vec![serde_json::json!([]); 1_000].into());
        record
    };
    let (mut table, now) =
        (Instances { max_bytes: 300_000, ..Instances::default() }, Instant::now());
    for port in 1..=5 {
        table.record(large(port), now, now);
        table.record(large(port), now, now);
    }
    assert_eq!(order(&table, now), [1, 2]);
    table.mark_gone(&large(1).instance.key(), Gone::Expired(None), now);
    table.tick(now + LINGER, true, None);
    table.record(large(3), now, now);
    assert_eq!(order(&table, now), [2, 3]);
    table.list(vec![large(2).instance, large(3).instance], now);
    assert_eq!(order(&table, now), [2, 3], "known ones are not counted twice");
}

#[test]
fn without_a_registry_the_last_known_states_are_kept() {
    let (mut table, now) = (Instances::default(), Instant::now());
    table.snapshot(vec![record(1, 0), record(2, 8_000)], now, now);
    table.tick(now, true, None);
    let later = now + Duration::from_secs(60);
    assert!(table.tick(later, false, None).is_empty());
    let words: Vec<_> =
        table.visible(later, false).iter().map(|row| row.state_text(later, false)).collect();
    assert_eq!(words, ["was up", "was late"]);
}

/// An hour of a server whose heartbeats come up to half a second late, by a registry that hands them
/// out once a second, on a screen that applies them once a second.
#[test]
fn a_healthy_instance_is_never_late() {
    let (mut table, start) = (Instances::default(), Instant::now());
    let at = |ms| start + Duration::from_millis(ms);
    let key = record(1, 0).instance.key();
    table.snapshot(vec![record(1, 0)], start, start);
    let (mut beat, mut heartbeats) = (0, 3);
    let mut waiting = Vec::new();
    for second in 1..3_600_u64 {
        let (handed_out, applied) = (second * 1_000 - 1, second * 1_000);
        // The screen reads before the registry writes: the worst order.
        for (arrived, beats) in waiting.drain(..) {
            table.beats(beats, at(arrived));
        }
        assert_eq!(table.tick(at(applied), true, None), [], "at {second} s");
        let next = beat + 5_000 + (beat * 7) % 500;
        if next <= handed_out {
            (beat, heartbeats) = (next, heartbeats + 1);
            let beats = vec![Beat { key: key.clone(), age_ms: handed_out - next, heartbeats }];
            waiting.push((handed_out, beats));
        }
    }
    assert!(heartbeats > 600, "{heartbeats}");
    assert!(!table.tick(at(3_610_000), true, None).is_empty(), "one that stopped is late");
}

#[test]
fn the_age_of_a_heartbeat_counts_from_its_arrival() {
    let (mut table, start) = (Instances::default(), Instant::now());
    let applied = start + Duration::from_millis(900);
    table.snapshot(vec![record(1, 400)], start, applied);
    let age = table.get(&record(1, 0).instance.key()).and_then(|row| row.age(applied));
    assert_eq!(age, Some(Duration::from_millis(1_300)));
}

#[test]
fn a_heartbeat_after_a_late_one_is_a_recovery() {
    let (mut table, now) = (Instances::default(), Instant::now());
    table.snapshot(vec![record(1, 8_000)], now, now);
    table.tick(now, true, None);
    let key = record(1, 0).instance.key();
    table.beats(vec![Beat { key: key.clone(), age_ms: 10, heartbeats: 4 }], now);
    assert_eq!(table.tick(now, true, None), [Change::Recovered(key.clone())]);
    assert_eq!(table.get(&key).unwrap().intervals.len(), 1);
}

#[test]
fn the_selection_follows_its_instance_through_sort_filter_and_refresh() {
    let (mut table, now) = (Instances::default(), Instant::now());
    table.snapshot(vec![record(1, 3_000), record(2, 2_000), record(3, 1_000)], now, now);
    table.keep_selection(now, true);
    table.step(Step::Last, 10, now, true);
    assert_eq!(table.selected.as_ref().unwrap().port, 3);
    table.sort = Column::Beat;
    assert_eq!(order(&table, now), [3, 2, 1]);
    assert_eq!(table.selected.as_ref().unwrap().port, 3);
    table.filter = Input::new(":1".to_owned());
    table.keep_selection(now, true);
    assert_eq!(order(&table, now), [1]);
    assert_eq!(table.selected.as_ref().unwrap().port, 1);
}

#[test]
fn when_the_selected_row_goes_its_neighbour_is_selected() {
    let (mut table, now) = (Instances::default(), Instant::now());
    table.snapshot(vec![record(1, 0), record(2, 0), record(3, 0)], now, now);
    table.selected = Some(record(2, 0).instance.key());
    table.mark_gone(&record(2, 0).instance.key(), Gone::Unregistered, now);
    table.tick(now + LINGER, true, None);
    assert_eq!(table.selected.as_ref().unwrap().port, 3);
}

#[test]
fn addresses_are_ordered_as_numbers() {
    let (mut table, now) = (Instances::default(), Instant::now());
    let at = |host: &str| {
        let mut record = record(80, 0);
        record.instance.host = host.to_owned();
        record
    };
    table.snapshot(vec![at("10.0.0.10"), at("10.0.0.9"), record(8089, 0), record(80, 0)], now, now);
    let shown: Vec<_> = table.visible(now, true).iter().map(|row| row.key.to_string()).collect();
    assert_eq!(shown, ["10.0.0.9:80", "10.0.0.10:80", "127.0.0.1:80", "127.0.0.1:8089"]);
}

#[test]
fn without_ages_no_instance_is_late() {
    let (mut table, now) = (Instances::default(), Instant::now());
    let changes = table.list(vec![Instance::new("h", 1)], now);
    assert!(matches!(changes[..], [Change::Added(_)]));
    let later = now + Duration::from_secs(100);
    assert!(table.tick(later, true, None).is_empty());
    assert!(matches!(table.list(Vec::new(), later)[..], [Change::Removed(..)]));
}
