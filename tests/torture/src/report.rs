//! What a torture did, counted: one that never came to some situation has not tested it.

use std::fmt;

/// The counts of one kind of torture.
pub trait Report: Default + fmt::Display + Send + 'static {
    /// Adds the counts of another one.
    fn merge(&mut self, other: &Self);

    /// The situations that never arose.
    fn missing(&self) -> Vec<&'static str>;
}

/// A report whose fields are counts, each with a text, in the order of its output.
macro_rules! report {
    ($(#[$about:meta])* $name:ident { $($field:ident: $text:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $name {
            $(#[doc = $text] pub $field: u64,)*
        }

        impl Report for $name {
            fn merge(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }

            fn missing(&self) -> Vec<&'static str> {
                let counts = [$(($text, self.$field)),*];
                counts.into_iter().filter(|(_, count)| *count == 0).map(|(text, _)| text).collect()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "{:>12}  {}", self.$field, $text)?;)*
                Ok(())
            }
        }
    };
}

report! {
    /// What happened to stores on simulated disks.
    DiskReport {
        runs: "runs, each on a disk of its own",
        operations: "operations",
        commits: "commits",
        opened: "openings compared with the model",
        closed: "lives that ended in order",
        power_losses: "losses of power",
        lost_at_rest: "  between commits",
        lost_in_commit: "  in a commit",
        lost_while_opening: "  in an opening",
        lost_while_creating: "    of a new disk",
        lost_sectors: "sectors that lost a write",
        done: "attempts of unknown outcome that were found done",
        undone: "attempts of unknown outcome that were found undone",
        failures: "failures of the disk",
        failed_operations: "operations of the disk that failed",
        restored: "times that all was written when it was back",
        rotten: "files with flipped bits",
        rot_refused: "  refused",
        salvaged: "    and salvaged: all that was not hit, and nothing else",
        rot_recovered: "  opened, with exactly what was written",
    }
}

report! {
    /// What happened to simulated registries.
    HistoryReport {
        runs: "histories",
        operations: "operations",
        registrations: "registrations and heartbeats that were listed",
        held_back: "held back: unregistered, and accepts no connection",
        outlived: "told that a later life is listed, or their own has ended",
        strays_refused: "registrations of earlier lives, refused",
        checks: "checks of deadlines",
        probes: "probes",
        expired: "instances removed by a check",
        noticed_at_once: "instances removed when their connection ended",
        all_lost: "times that all heartbeats stopped at once",
        brakes: "times that the brake held instances",
        releases: "times that an operator released it",
        drained: "overrides set",
        pauses: "pauses of the registry",
        clocks_set: "times that the wall clock was set",
        commits: "commits",
        restarts: "restarts of the registry",
        events: "events taken by watchers",
        snapshots: "snapshots taken by watchers",
        fallen_behind: "  of those that had fallen behind",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_what_never_happened_is_named() {
        let mut report = DiskReport { runs: 1, operations: 2, ..DiskReport::default() };
        report.merge(&DiskReport { runs: 1, commits: 3, ..DiskReport::default() });
        assert_eq!((report.runs, report.operations, report.commits), (2, 2, 3));
        let missing = report.missing();
        assert!(
            missing.contains(&"losses of power") && !missing.contains(&"commits"),
            "{missing:?}"
        );
        assert!(report.to_string().starts_with("           2  runs"), "{report}");
    }
}
