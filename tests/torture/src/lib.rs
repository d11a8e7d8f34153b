//! What must hold when things fail, shown by driving the parts against models: seeded, replayable.
//!
//! In reading order:
//!
//! - [`plan`]: the command line.
//! - [`disk`]: a simulated disk under redb: lost power, failures, rot.
//! - [`records`]: the model of what a registry must not forget, and random operations on it.
//! - [`store`]: the registry's store, behind what the driver needs of it; stores with planted defects.
//! - [`drive`]: one run: a store on a disk, compared with the model after every end of its life.
//! - [`runs`]: many runs, on all processors.
//! - [`report`]: what happened how often.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect")
)]

pub mod disk;
pub mod drive;
pub mod plan;
pub mod records;
pub mod report;
pub mod runs;
pub mod store;
