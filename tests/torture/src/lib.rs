//! What must hold when things fail, shown by driving parts of the system against models, and its programs
//! against faults. Everything that is random follows from a seed, which is printed: `rpc-torture disk --seed N`
//! does it again.
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
//!
//! Processes with faults, while they are called:
//!
//! - [`process`]: a program as a child process, killed with its parent, its output kept.
//! - [`proxy`]: a way to a daemon that can be slow, broken or closed at run time.
//! - [`liar`]: a way to a registry on which answers can be false.
//! - [`http`]: one HTTP request. [`etcd`]: an etcd cluster.
//! - [`ledger`]: which calls were executed; [`ledger_server`]: the server that notes it.
//! - [`cluster`]: a registry and such servers, started, ended and started again.
//! - [`callers`]: calls in an open or closed loop; [`outcome`]: what a caller was told.
//! - [`judge`]: compares what callers were told with what was executed.
//! - [`trial`]: what a trial comes to. Trials: [`restarts`], [`replace`], [`sick`], [`storm`],
//!   [`registry`], and all at random: [`soak`]; of several registries that share an etcd cluster: [`registries`], and what that
//!   costs: [`sharing`].
//! - [`mutants`]: programs with planted defects, which trials must find.

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, reason = "tests say what they expect")
)]

pub mod callers;
pub mod cluster;
pub mod disk;
pub mod etcd;
pub mod history;
pub mod http;
pub mod judge;
pub mod ledger;
pub mod ledger_server;
pub mod liar;
pub mod lives;
pub mod mutants;
pub mod outcome;
pub mod plan;
pub mod process;
pub mod proxy;
pub mod records;
pub mod registries;
pub mod registry;
pub mod replace;
pub mod report;
pub mod restarts;
pub mod runs;
pub mod sharing;
pub mod sick;
pub mod soak;
pub mod store;
pub mod storm;
pub mod trial;
