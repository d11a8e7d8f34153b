//! What a torture did, counted: one that never came to some situation has not tested it.

use std::fmt;

use crate::disk::Counts;

/// How often each situation arose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Runs, each with a disk of its own.
    pub runs: u64,
    /// Operations given to a store.
    pub operations: u64,
    /// Commits that succeeded.
    pub commits: u64,
    /// Openings that succeeded, each compared with the model.
    pub opened: u64,
    /// Lives that ended in order.
    pub closed: u64,
    /// Power losses between commits.
    pub lost_at_rest: u64,
    /// Power losses in a commit.
    pub lost_in_commit: u64,
    /// Power losses in an opening, repairs included.
    pub lost_while_opening: u64,
    /// Of these: of a new disk.
    pub lost_while_creating: u64,
    /// All power losses.
    pub power_losses: u64,
    /// Sectors that lost a write.
    pub lost_sectors: u64,
    /// Attempts of unknown outcome that were found done.
    pub done: u64,
    /// Attempts of unknown outcome that were found undone.
    pub undone: u64,
    /// Times that the disk failed.
    pub failures: u64,
    /// Operations of the disk that failed then.
    pub failed_operations: u64,
    /// Times that everything was written when it was back.
    pub restored: u64,
    /// Files with flipped bits.
    pub rotten: u64,
    /// Of these: refused.
    pub rot_refused: u64,
    /// Of these: opened, with exactly what was written.
    pub rot_recovered: u64,
}

impl Report {
    /// Adds what a disk did.
    pub fn add(&mut self, counts: &Counts) {
        self.runs += 1;
        self.power_losses += counts.power_losses;
        self.lost_sectors += counts.lost_sectors;
        self.failed_operations += counts.failures;
    }

    /// Adds another report.
    pub fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        for ((_, count), (_, others)) in self.counts_mut().into_iter().zip(other.counts_mut()) {
            *count += *others;
        }
    }

    /// The situations that never arose.
    pub fn missing(&self) -> Vec<&'static str> {
        let mut report = self.clone();
        let counts = report.counts_mut().into_iter();
        counts.filter(|(_, count)| **count == 0).map(|(name, _)| name).collect()
    }

    fn counts_mut(&mut self) -> [(&'static str, &mut u64); 19] {
        [
            ("runs", &mut self.runs),
            ("operations", &mut self.operations),
            ("commits", &mut self.commits),
            ("openings compared with the model", &mut self.opened),
            ("lives ended in order", &mut self.closed),
            ("power losses", &mut self.power_losses),
            ("  between commits", &mut self.lost_at_rest),
            ("  in a commit", &mut self.lost_in_commit),
            ("  in an opening", &mut self.lost_while_opening),
            ("    of a new disk", &mut self.lost_while_creating),
            ("sectors that lost a write", &mut self.lost_sectors),
            ("attempts of unknown outcome found done", &mut self.done),
            ("attempts of unknown outcome found undone", &mut self.undone),
            ("failures of the disk", &mut self.failures),
            ("operations of the disk that failed", &mut self.failed_operations),
            ("times all was written when it was back", &mut self.restored),
            ("files with flipped bits", &mut self.rotten),
            ("  refused", &mut self.rot_refused),
            ("  opened, with just what was written", &mut self.rot_recovered),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in self.clone().counts_mut() {
            writeln!(f, "{count:>12}  {name}")?;
        }
        Ok(())
    }
}
