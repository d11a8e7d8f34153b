//! A share of what `rpc-torture` does in CI, always with the same seeds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect")]

use std::sync::Arc;

use rpc_torture::report::{DiskReport, HistoryReport};
use rpc_torture::runs::{self, Run};
use rpc_torture::{history, lives, store};

fn disk() -> Run<DiskReport> {
    lives::runs(Arc::new(store::registry))
}

fn histories() -> Run<HistoryReport> {
    history::runs(None)
}

#[test]
fn the_store_keeps_what_it_acknowledged_on_a_disk_that_fails() {
    let report = runs::all(disk(), 1, 5).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.operations >= 5 * lives::OPERATIONS && report.power_losses > 50, "{report}");
}

#[test]
fn the_list_and_its_events_are_right_at_every_step() {
    let report = runs::all(histories(), 1, 5).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(report.operations, 5 * history::OPERATIONS);
    assert!(report.restarts > 10 && report.expired > 10, "{report}");
}

#[test]
fn a_seed_says_all_that_happens() {
    let [one, same, other] = [7, 7, 8].map(|seed| runs::all(disk(), seed, 2).unwrap());
    assert_eq!(one, same);
    assert_ne!(one, other);
    let [one, same, other] = [7, 7, 8].map(|seed| runs::all(histories(), seed, 2).unwrap());
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn planted_defects_are_found() {
    for defect in store::planted::Defect::ALL {
        let run = lives::runs(Arc::new(move |disk| defect.open(disk)));
        assert!(runs::all(run, 1, 20).is_err(), "{defect:?} was not found");
    }
    for defect in history::registry::Defect::ALL {
        let done = runs::all(history::runs(Some(defect)), 1, 20);
        assert!(done.is_err(), "{defect:?} was not found");
    }
}
