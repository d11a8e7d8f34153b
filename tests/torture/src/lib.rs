//! What must hold when things fail, shown by driving parts of the system against models. Everything follows
//! from a seed, which is printed: `rpc-torture disk --seed N` does it again.
//!
//! In reading order:
//!
//! - [`plan`]: the command line.
//! - [`runs`]: many runs, each with a seed of its own, on all processors.
//! - [`report`]: what happened how often: what never happened was not tested.
//!
//! The registry's store:
//!
//! - [`disk`]: a simulated disk under redb: lost power, failures, rot.
//! - [`records`]: the model of what a registry must not forget, and random operations on it.
//! - [`store`]: the store, behind what is needed of it here; stores with planted defects.
//! - [`lives`]: the lives of a registry on one disk, its store compared with the model.
//!
//! The registry's list and events:
//!
//! - [`history`]: one history of simulated servers, operators and watchers, compared with what must hold.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect")
)]

pub mod disk;
pub mod history;
pub mod lives;
pub mod plan;
pub mod records;
pub mod report;
pub mod runs;
pub mod store;
