//! A share of `rpc-torture disk` and `rpc-torture planted`, always with the same seeds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect")]

use std::sync::Arc;

use rpc_torture::runs;
use rpc_torture::store::planted::Defect;
use rpc_torture::store::{self, Open};

fn registry() -> Open {
    Arc::new(store::registry)
}

#[test]
fn the_store_keeps_what_it_acknowledged_on_a_disk_that_fails() {
    let report = runs::all(registry(), 1, 5000).unwrap_or_else(|failure| panic!("{failure}"));
    assert!(report.operations >= 5000 && report.power_losses > 50, "{report}");
}

#[test]
fn a_seed_says_all_that_happens() {
    let [one, same, other] = [7, 7, 8].map(|seed| runs::all(registry(), seed, 2000).unwrap());
    assert_eq!(one, same);
    assert_ne!(one, other);
}

#[test]
fn planted_defects_are_found() {
    for defect in Defect::ALL {
        let done = runs::all(Arc::new(move |disk| defect.open(disk)), 1, 20_000);
        assert!(done.is_err(), "{defect:?} was not found");
    }
}
