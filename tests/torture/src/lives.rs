//! The lives of a registry on one simulated disk: its store is compared with the model at each opening.
//!
//! A run is a sequence of lives. Each opens the store, commits operations, and ends in
//! order, by a loss of power at rest, in a commit or in the opening itself, or with a disk that failed
//! and came back. What is found at the next opening must be what was acknowledged, with or without the
//! last change that was neither acknowledged nor refused, and that as a whole. At its end some runs
//! flip bits: then the store is refused, or it has just that.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::disk::{Disk, Faults};
use crate::records::{Operation, Operations, Record, Records};
use crate::report::DiskReport;
use crate::runs::{Run, Wrong};
use crate::store::{self, Open, Refused, Store};

/// How often the file that a run leaves is damaged.
const ROTTEN_COPIES: u32 = 4;

/// Operations of a run, or a few more: few, so that files stay small and a failure is near its cause.
pub const OPERATIONS: u64 = 1000;

/// Runs with a store.
pub fn runs(open: Open) -> Run<DiskReport> {
    Arc::new(move |seed, report| run(&open, seed, report))
}

fn run(open: &Open, seed: u64, report: &mut DiskReport) -> Result<(), Wrong> {
    let mut random = SmallRng::seed_from_u64(seed);
    let keys = [4, 30, 300][random.random_range(0..3)];
    let mut run = Lives {
        open,
        disk: Disk::new(random.random()),
        is_created: false,
        operations: Operations::new(keys, 2000),
        random,
        expected: Expected::default(),
        written: BTreeMap::new(),
        changes_of_a_commit: 8,
        report,
    };
    let done = run.all();
    let counts = run.disk.counts();
    run.report.runs += 1;
    run.report.power_losses += counts.power_losses;
    run.report.lost_sectors += counts.lost_sectors;
    run.report.failed_operations += counts.failures;
    done.map_err(|wrong| format!("after {} operations: {wrong}", run.report.operations))
}

struct Lives<'a> {
    open: &'a Open,
    disk: Disk,
    /// Whether the store was ever opened.
    is_created: bool,
    random: SmallRng,
    operations: Operations,
    expected: Expected,
    /// All records that were ever given to the store, by the numbers of their contents.
    written: BTreeMap<u64, Record>,
    /// How often the last commit changed the disk.
    changes_of_a_commit: u64,
    report: &'a mut DiskReport,
}

/// What may be found at the next opening.
#[derive(Debug, Default)]
struct Expected {
    /// What was acknowledged.
    acknowledged: Records,
    /// What it would be with attempts whose outcome is not known.
    possible: Vec<Records>,
}

impl Expected {
    fn is(&mut self, records: Records) {
        self.acknowledged = records;
        self.possible.clear();
    }

    /// Compares, and goes on with what was found. Returns whether that is just what was acknowledged.
    fn compare(&mut self, found: Records) -> Result<bool, Wrong> {
        let is_acknowledged = found == self.acknowledged;
        if !is_acknowledged && !self.possible.contains(&found) {
            let difference = self.acknowledged.difference(&found);
            let possible = self.possible.len();
            return Err(format!(
                "what was acknowledged is not what was found ({difference}), nor is any of the \
                 {possible} others possible"
            ));
        }
        self.is(found);
        Ok(is_acknowledged)
    }
}

impl Lives<'_> {
    /// Lives until enough operations are done, which are counted from zero.
    fn all(&mut self) -> Result<(), Wrong> {
        while self.report.operations < OPERATIONS {
            if let Some(store) = self.open()? {
                self.live(store)?;
            }
        }
        if self.random.random_bool(0.5) {
            self.rot()?;
        }
        Ok(())
    }

    /// Opens the store; `None` if the power is lost meanwhile.
    fn open(&mut self) -> Result<Option<Box<dyn Store>>, Wrong> {
        if self.random.random_bool(0.2) {
            self.disk.lose_power_after(self.random.random_range(0..16));
        }
        match (self.open)(&self.disk) {
            Ok((store, found)) => {
                self.report.opened += 1;
                self.is_created = true;
                let is_possible = !self.expected.possible.is_empty();
                if self.expected.compare(found)? {
                    self.report.undone += u64::from(is_possible);
                } else {
                    self.report.done += 1;
                }
                self.disk.keep_power();
                Ok(Some(store))
            }
            Err(Refused::Failed(_)) if !self.disk.is_on() => {
                self.report.lost_while_opening += 1;
                self.report.lost_while_creating += u64::from(!self.is_created);
                self.disk.power_on();
                Ok(None)
            }
            // A file is created under another name, and renamed when it is whole.
            Err(Refused::Damaged(_)) if !self.is_created => {
                self.disk.format();
                Ok(None)
            }
            Err(refused) => Err(format!("cannot be opened: {refused}")),
        }
    }

    /// Commits until the end of a life.
    fn live(&mut self, mut store: Box<dyn Store>) -> Result<(), Wrong> {
        loop {
            match self.random.random_range(0..100) {
                0 => return self.close(store),
                1 => {
                    self.report.lost_at_rest += 1;
                    self.disk.power_on();
                    return Ok(());
                }
                2 => return self.fail(store),
                3..13 => {
                    let changes = self.random.random_range(0..=self.changes_of_a_commit);
                    self.disk.lose_power_after(changes);
                }
                _ => {}
            }
            let batch = self.batch();
            let changes = self.disk.counts().changes;
            match store.commit(&batch) {
                Ok(()) => {
                    self.report.commits += 1;
                    self.expected.is(self.expected.acknowledged.after(&batch));
                    self.changes_of_a_commit = self.disk.counts().changes - changes;
                    self.disk.keep_power();
                }
                Err(Refused::Failed(_)) if !self.disk.is_on() => {
                    self.report.lost_in_commit += 1;
                    self.expected.possible.push(self.expected.acknowledged.after(&batch));
                    drop(store);
                    self.disk.power_on();
                    return Ok(());
                }
                Err(refused) => return Err(format!("a commit: {refused}")),
            }
        }
    }

    fn batch(&mut self) -> Vec<Operation> {
        let batch = self.operations.batch(&mut self.random);
        let records = batch.iter().filter_map(Operation::record);
        self.written.extend(records.map(|record| (record.content.number, record)));
        self.report.operations += u64::try_from(batch.len()).unwrap_or_default();
        batch
    }

    /// Ends a life in order; the power may be lost meanwhile.
    fn close(&mut self, store: Box<dyn Store>) -> Result<(), Wrong> {
        if self.random.random_bool(0.3) {
            self.disk.lose_power_after(self.random.random_range(0..8));
        }
        let closed = store.close();
        self.report.closed += 1;
        if self.disk.is_on() {
            self.disk.keep_power();
            return closed.map_err(|refused| format!("cannot be closed: {refused}"));
        }
        self.disk.power_on();
        Ok(())
    }

    /// The disk fails, and the registry goes on from memory until it is back. Then it writes all it
    /// knows.
    fn fail(&mut self, store: Box<dyn Store>) -> Result<(), Wrong> {
        let faults = match self.random.random_range(0..4) {
            0 => Faults { syncs: true, ..Faults::default() },
            1 => Faults { writes: true, ..Faults::default() },
            2 => Faults { no_space: true, ..Faults::default() },
            _ => Faults { syncs: true, reads: true, ..Faults::default() },
        };
        self.report.failures += 1;
        let mut store = Some(store);
        let mut memory = self.expected.acknowledged.clone();
        for attempt in 0..self.random.random_range(2..8) {
            // Some changes are made before a fault begins, so that it may begin with any of them.
            let last = attempt > 0 && self.random.random_bool(0.3);
            self.disk.set_faults(if last { Faults::default() } else { faults });
            let batch = self.batch();
            memory = memory.after(&batch);
            let done = match store.take() {
                Some(mut open) => open.commit(&batch).map(|()| open),
                None => self.restore(&memory),
            };
            match done {
                Ok(open) => {
                    self.report.commits += 1;
                    self.expected.is(memory.clone());
                    store = Some(open);
                }
                Err(Refused::Failed(_)) => self.expected.possible.push(memory.clone()),
                Err(refused) => return Err(format!("with {faults:?}: {refused}")),
            }
        }
        self.disk.set_faults(Faults::default());
        // What a failed sync pretends to have written shows only when the power is lost.
        drop(store);
        if self.random.random_bool(0.7) {
            self.disk.power_on();
        }
        Ok(())
    }

    /// Opens the store again after a failure, and writes what the registry knows.
    fn restore(&mut self, memory: &Records) -> Result<Box<dyn Store>, Refused> {
        let (mut store, found) = (self.open)(&self.disk)?;
        self.expected.compare(found).map_err(Refused::Invented)?;
        store.replace(memory)?;
        self.report.restored += 1;
        Ok(store)
    }

    /// Flips bits of what a life left, and opens that.
    fn rot(&mut self) -> Result<(), Wrong> {
        self.disk.power_on();
        // Reads everything that counts, and is then closed in order.
        while self.open()?.is_none() {}
        for _ in 0..ROTTEN_COPIES {
            let disk = self.disk.copy(self.random.random());
            let bits =
                if self.random.random_bool(0.5) { 1 } else { self.random.random_range(2..40) };
            disk.flip_bits(bits);
            self.report.rotten += 1;
            match (self.open)(&disk) {
                Ok((_, found)) if found == self.expected.acknowledged => {
                    self.report.rot_recovered += 1;
                }
                Ok((_, found)) => {
                    let difference = self.expected.acknowledged.difference(&found);
                    return Err(format!("served after {bits} flipped bits: {difference}"));
                }
                Err(Refused::Damaged(_)) => {
                    self.report.rot_refused += 1;
                    self.salvage(&disk, bits)?;
                }
                Err(refused) => return Err(format!("after {bits} flipped bits: {refused}")),
            }
        }
        Ok(())
    }

    /// A recovery of a damaged disk finds only what was written, and misses at most a record for each
    /// flipped bit. It may find what was written later in a commit that was not finished.
    fn salvage(&mut self, disk: &Disk, bits: usize) -> Result<(), Wrong> {
        let salvaged = store::salvage(disk).map_err(|refused| format!("a recovery: {refused}"))?;
        let is_known = |record: &Record| self.written.get(&record.content.number) == Some(record);
        if let Some(record) = salvaged.all().find(|record| !is_known(record)) {
            return Err(format!("a recovery found what was never written: {record:?}"));
        }
        let found: BTreeMap<_, u64> =
            salvaged.all().map(|it| ((it.kind, it.key), it.content.number)).collect();
        let mut missing = Vec::new();
        for Record { kind, key, content } in self.expected.acknowledged.all() {
            let found = found.get(&(kind, key)).copied();
            if found < Some(content.number) {
                missing.push(format!("{kind:?} {}: #{}, not {found:?}", key.0, content.number));
            }
        }
        if missing.len() > bits {
            return Err(format!("a recovery after {bits} flipped bits misses {missing:?}"));
        }
        self.report.salvaged += 1;
        Ok(())
    }
}
