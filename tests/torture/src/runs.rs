//! Many runs, each with a seed of its own, on all processors: what comes out depends on the seed only.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::report::Report;

/// What went wrong.
pub type Wrong = String;

/// Does one run, which follows from a seed, and counts what happens in it.
pub type Run<R> = Arc<dyn Fn(u64, &mut R) -> Result<(), Wrong> + Send + Sync>;

/// A run that takes longer hangs: it takes a fraction of a second.
const HANGS: Duration = Duration::from_secs(60);

/// A failure, and how to have it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The seed of all runs.
    pub seed: u64,
    /// The number of the run that failed.
    pub run: u64,
    /// What went wrong.
    pub wrong: Wrong,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, run, wrong } = self;
        write!(f, "seed {seed}, run {run}: {wrong}")
    }
}

/// Does so many runs.
///
/// # Errors
/// The first run that failed, or one that hangs.
pub fn all<R: Report>(run: Run<R>, seed: u64, count: u64) -> Result<R, Failure> {
    let (said, heard) = channel();
    let next = Arc::new(AtomicU64::new(0));
    let end = Arc::new(AtomicU64::new(count));
    for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
        let (run, said) = (Arc::clone(&run), said.clone());
        let (next, end) = (Arc::clone(&next), Arc::clone(&end));
        // Not joined: one that hangs ends with the process.
        thread::spawn(move || work(&run, seed, &next, &end, &said));
    }
    drop(said);
    let mut report = R::default();
    let failures = hear(&heard, &mut report);
    match failures.into_iter().min_by_key(|(run, _)| *run) {
        Some((run, wrong)) => Err(Failure { seed, run, wrong }),
        None => Ok(report),
    }
}

/// What a thread has to say.
enum Said<R> {
    Began { run: u64 },
    Ended { run: u64, report: Box<R>, wrong: Option<Wrong> },
}

fn work<R: Report>(
    run: &Run<R>,
    seed: u64,
    next: &AtomicU64,
    end: &AtomicU64,
    said: &Sender<Said<R>>,
) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= end.load(Ordering::Relaxed) || said.send(Said::Began { run: number }).is_err()
        {
            return;
        }
        let mut report = Box::new(R::default());
        let wrong = one(run, seed, number, &mut report).err().map(|failure| failure.wrong);
        if wrong.is_some() {
            // Earlier runs still end: one of them may fail, too.
            end.fetch_min(number, Ordering::Relaxed);
        }
        if said.send(Said::Ended { run: number, report, wrong }).is_err() {
            return;
        }
    }
}

/// Adds up what all threads say until they end; returns the runs that failed.
fn hear<R: Report>(heard: &Receiver<Said<R>>, all: &mut R) -> Vec<(u64, Wrong)> {
    let mut failures = Vec::new();
    let mut running = BTreeSet::new();
    while let Ok(said) = heard.recv_timeout(HANGS) {
        match said {
            Said::Began { run } => {
                running.insert(run);
            }
            Said::Ended { run, report, wrong } => {
                running.remove(&run);
                all.merge(&report);
                failures.extend(wrong.map(|wrong| (run, wrong)));
            }
        }
    }
    failures.extend(running.into_iter().map(|run| (run, format!("has not ended in {HANGS:?}"))));
    failures
}

/// One of these runs alone.
///
/// # Errors
/// It failed.
pub fn one<R>(run: &Run<R>, seed: u64, number: u64, report: &mut R) -> Result<(), Failure> {
    // Neighbouring seeds and runs have nothing in common.
    let of_run = SmallRng::seed_from_u64(number).random::<u64>();
    let seed_of_run = SmallRng::seed_from_u64(seed ^ of_run).random();
    let done = catch_unwind(AssertUnwindSafe(|| run(seed_of_run, report)));
    let done = done.unwrap_or_else(|panic| Err(format!("a panic: {}", text(&*panic))));
    done.map_err(|wrong| Failure { seed, run: number, wrong })
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::DiskReport;

    fn runs(run: fn(u64, &mut DiskReport) -> Result<(), Wrong>) -> Result<DiskReport, Failure> {
        all(Arc::new(run), 7, 100)
    }

    #[test]
    fn each_run_is_done_once_with_a_seed_of_its_own() {
        let report = runs(|seed, report| {
            report.runs += 1;
            // Their sum says that they differ.
            report.operations += seed % 1000;
            Ok(())
        });
        let report = report.unwrap();
        assert_eq!(report.runs, 100);
        assert!((40_000..60_000).contains(&report.operations), "{report}");
    }

    #[test]
    fn the_first_failure_is_told_and_a_panic_is_one() {
        let is_bad = |seed: u64| seed.is_multiple_of(10);
        let first = (0..).find(|run| {
            let run_alone: Run<DiskReport> = Arc::new(move |seed, _| match is_bad(seed) {
                true => Err(String::new()),
                false => Ok(()),
            });
            one(&run_alone, 7, *run, &mut DiskReport::default()).is_err()
        });
        let failure = runs(|seed, _| {
            assert!(!seed.is_multiple_of(10), "unlucky");
            Ok(())
        });
        let failure = failure.unwrap_err();
        assert_eq!((failure.seed, Some(failure.run)), (7, first));
        assert_eq!(failure.wrong, "a panic: unlucky");
    }
}
