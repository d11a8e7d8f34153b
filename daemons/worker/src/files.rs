//! Whether the files of a program have changed: looked at now and then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::Program;

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(200);
/// Files that are watched at most.
const MAX_FILES: usize = 1000;

/// When each file was written, and its size.
type Snapshot = BTreeMap<PathBuf, (SystemTime, u64)>;

/// The files that a command names, and those beside each with the same ending, such as modules that it
/// imports.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    named: Vec<PathBuf>,
}

impl Files {
    /// `None` if the command names no file.
    pub(crate) fn of(program: &Program) -> Option<Self> {
        let named = program.words().iter().map(PathBuf::from).filter(|path| path.is_file());
        let named: Vec<PathBuf> = named.collect();
        (!named.is_empty()).then_some(Self { named })
    }

    fn look(&self) -> Snapshot {
        let beside = self.named.iter().filter_map(|named| {
            let ending = named.extension()?;
            let folder = named.parent().filter(|folder| !folder.as_os_str().is_empty());
            let entries = std::fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?;
            let paths = entries.flatten().map(|entry| entry.path());
            Some(paths.filter(move |path| path.extension() == Some(ending)))
        });
        let all = self.named.iter().cloned().chain(beside.flatten()).take(MAX_FILES);
        all.filter_map(|path| {
            let metadata = path.metadata().ok()?;
            Some((path, (metadata.modified().ok()?, metadata.len())))
        })
        .collect()
    }

    /// Looks at them until the handle is dropped; says when they have changed.
    pub(crate) fn watch(self) -> (watch::Receiver<()>, AbortOnDropHandle<()>) {
        let (changed, receiver) = watch::channel(());
        let watching = tokio::spawn(async move {
            let mut changes = Changes::default();
            loop {
                let files = self.clone();
                // It reads from a disk.
                let Ok(snapshot) = tokio::task::spawn_blocking(move || files.look()).await else {
                    return;
                };
                if changes.are_seen(snapshot) {
                    changed.send_replace(());
                }
                sleep(INTERVAL).await;
            }
        });
        (receiver, AbortOnDropHandle::new(watching))
    }
}

/// Finds changes that are complete: the same is seen twice.
#[derive(Debug, Default)]
struct Changes {
    /// What was there at the start, or when a change was last told.
    told: Option<Snapshot>,
    last: Snapshot,
}

impl Changes {
    fn are_seen(&mut self, now: Snapshot) -> bool {
        let is_steady = self.last == now;
        self.last = now;
        match &self.told {
            None => self.told = Some(self.last.clone()),
            Some(told) if is_steady && *told != self.last && !self.last.is_empty() => {
                self.told = Some(self.last.clone());
                return true;
            }
            Some(_) => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(files: &[(&str, u64)]) -> Snapshot {
        let entry =
            |&(name, size): &(&str, u64)| (PathBuf::from(name), (SystemTime::UNIX_EPOCH, size));
        files.iter().map(entry).collect()
    }

    #[test]
    fn a_change_is_told_once_it_is_complete() {
        let mut changes = Changes::default();
        let mut sees = |files: &[(&str, u64)]| changes.are_seen(snapshot(files));
        assert!(!sees(&[("a", 1)]) && !sees(&[("a", 1)]));
        assert!(!sees(&[("a", 2)]) && !sees(&[("a", 3)]), "still being written");
        assert!(sees(&[("a", 3)]));
        assert!(!sees(&[("a", 3)]));
        assert!(!sees(&[]) && !sees(&[]), "an editor replaces it");
        assert!(!sees(&[("a", 3), ("b", 1)]));
        assert!(sees(&[("a", 3), ("b", 1)]));
    }

    #[test]
    fn the_files_that_a_command_names_and_those_beside_are_watched() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["methods.py", "helper.py", "notes.txt"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let command = format!("python3 {}/methods.py --fast", folder.path().display());
        let files = Files::of(&Program::parse(&command).unwrap()).unwrap();
        let seen = files.look();
        let names: Vec<_> = seen.keys().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["helper.py", "methods.py"]);
        assert!(Files::of(&Program::parse("no-such-program --fast").unwrap()).is_none());
    }
}
