//! Many runs, each with a seed of its own, on all processors: what comes out depends on the seed only.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::drive::{self, Wrong};
use crate::report::Report;
use crate::store::Open;

/// Operations of a run: few, so that files stay small and a failure is near its cause.
const OPERATIONS: u64 = 1000;

/// A run that takes longer hangs: it takes a fraction of a second.
const HANGS: Duration = Duration::from_secs(60);

/// A failure, and how to have it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed of all runs.
    pub seed: u64,
    /// The number of the run that failed.
    pub run: u64,
    /// What the store did wrong.
    pub wrong: Wrong,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, run, wrong } = self;
        write!(f, "seed {seed}, run {run}: {wrong}")
    }
}

/// What a thread has to say.
enum Said {
    Began { run: u64 },
    Ended { run: u64, report: Box<Report>, wrong: Option<Wrong> },
}

/// Runs until that many operations are done.
///
/// # Errors
/// The first run that failed, or one that hangs.
pub fn all(open: Open, seed: u64, operations: u64) -> Result<Report, Failure> {
    let (said, heard) = channel();
    let next = Arc::new(AtomicU64::new(0));
    let end = Arc::new(AtomicU64::new(operations.div_ceil(OPERATIONS)));
    for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
        let (open, said) = (Arc::clone(&open), said.clone());
        let (next, end) = (Arc::clone(&next), Arc::clone(&end));
        // Not joined: one that hangs ends with the process.
        thread::spawn(move || work(&open, seed, &next, &end, &said));
    }
    drop(said);
    let mut all = Report::default();
    let mut first: Option<Failure> = None;
    let mut running = BTreeMap::new();
    loop {
        match heard.recv_timeout(HANGS) {
            Ok(Said::Began { run }) => {
                running.insert(run, ());
            }
            Ok(Said::Ended { run, report, wrong }) => {
                running.remove(&run);
                all.merge(&report);
                let failure = wrong.map(|wrong| Failure { seed, run, wrong });
                first = first.into_iter().chain(failure).min_by_key(|failure| failure.run);
            }
            Err(_) => break,
        }
    }
    if let Some((run, ())) = running.pop_first() {
        let wrong = format!("has not ended after {HANGS:?}");
        first = first.into_iter().chain([Failure { seed, run, wrong }]).min_by_key(|one| one.run);
    }
    first.map_or(Ok(all), Err)
}

fn work(open: &Open, seed: u64, next: &AtomicU64, end: &AtomicU64, said: &Sender<Said>) {
    loop {
        let run = next.fetch_add(1, Ordering::Relaxed);
        if run >= end.load(Ordering::Relaxed) || said.send(Said::Began { run }).is_err() {
            return;
        }
        let mut report = Box::new(Report::default());
        let wrong = one(open, seed, run, &mut report).err().map(|failure| failure.wrong);
        if wrong.is_some() {
            // Earlier runs still end: one of them may fail, too.
            end.fetch_min(run, Ordering::Relaxed);
        }
        if said.send(Said::Ended { run, report, wrong }).is_err() {
            return;
        }
    }
}

/// One of these runs alone.
///
/// # Errors
/// It failed.
pub fn one(open: &Open, seed: u64, run: u64, report: &mut Report) -> Result<(), Failure> {
    // Neighbouring seeds and runs have nothing in common.
    let of_run = SmallRng::seed_from_u64(run).random::<u64>();
    let seed_of_run = SmallRng::seed_from_u64(seed ^ of_run).random();
    let done = catch_unwind(AssertUnwindSafe(|| drive::run(open, seed_of_run, OPERATIONS, report)));
    let done = done.unwrap_or_else(|panic| Err(format!("a panic: {}", text(&*panic))));
    done.map_err(|wrong| Failure { seed, run, wrong })
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text")
}
