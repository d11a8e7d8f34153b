//! Number of instances per state.

use std::time::Instant;

use super::{Instances, State};

/// Number of instances per state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named after the states")]
pub struct Counts {
    pub up: usize,
    pub late: usize,
    pub suspect: usize,
    pub draining: usize,
    pub maintenance: usize,
    pub unknown: usize,
    pub gone: usize,
}

impl Instances {
    /// Number of instances per state.
    pub fn counts(&self, now: Instant, live: bool) -> Counts {
        let mut counts = Counts::default();
        for row in self.rows.values() {
            *match row.state(now, live) {
                State::Up => &mut counts.up,
                State::Late => &mut counts.late,
                State::Suspect => &mut counts.suspect,
                State::Draining => &mut counts.draining,
                State::Maintenance => &mut counts.maintenance,
                State::Unknown => &mut counts.unknown,
                State::Gone => &mut counts.gone,
            } += 1;
        }
        counts
    }
}

impl Counts {
    /// Those that are registered but not up, each state by its word; `late` always first.
    pub fn not_up(&self) -> [(usize, &'static str); 4] {
        [
            (self.late, "late"),
            (self.suspect, "suspect"),
            (self.draining, "draining"),
            (self.maintenance, "maint."),
        ]
    }
}
