//! Which calls were executed: each life of a server appends their ids to a file of its own.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Bytes of an entry: the id, little-endian.
const ENTRY: usize = size_of::<u64>();

/// What a server writes to.
#[derive(Debug)]
pub struct Ledger(File);

impl Ledger {
    /// Appends to the file at `path`.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn append_to(path: &Path) -> io::Result<Self> {
        OpenOptions::new().create(true).append(true).open(path).map(Self)
    }

    /// Notes that this call is executed. The bytes are the system's when this returns, so that a kill loses
    /// none, and a whole entry is written at once.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn note(&self, id: u64) -> io::Result<()> {
        (&self.0).write_all(&id.to_le_bytes())
    }
}

/// The ledgers of all lives, in one directory.
#[derive(Debug)]
pub struct Ledgers(PathBuf);

impl Ledgers {
    /// Those in `directory`.
    pub fn in_directory(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// Where this life of this server writes.
    pub fn path(&self, server: usize, life: u32) -> PathBuf {
        self.0.join(format!("{server}-{life}"))
    }

    /// How many calls this life has executed so far.
    pub fn executed(&self, server: usize, life: u32) -> u64 {
        let bytes = std::fs::metadata(self.path(server, life)).map_or(0, |file| file.len());
        bytes / ENTRY as u64
    }

    /// How often each call was executed, by all lives.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn executions(&self) -> io::Result<HashMap<u64, u32>> {
        let mut executions = HashMap::new();
        let mut bytes = Vec::new();
        for file in std::fs::read_dir(&self.0)? {
            bytes.clear();
            File::open(file?.path())?.read_to_end(&mut bytes)?;
            for entry in bytes.as_chunks::<ENTRY>().0 {
                *executions.entry(u64::from_le_bytes(*entry)).or_default() += 1;
            }
        }
        Ok(executions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executions_of_all_lives_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let ledgers = Ledgers::in_directory(directory.path().to_owned());
        for (server, life, ids) in [(0, 1, [7, 8]), (0, 2, [8, 9]), (1, 1, [8, u64::MAX])] {
            let ledger = Ledger::append_to(&ledgers.path(server, life)).unwrap();
            for id in ids {
                ledger.note(id).unwrap();
            }
            assert_eq!(ledgers.executed(server, life), 2);
        }
        let expected = HashMap::from([(7, 1), (8, 3), (9, 1), (u64::MAX, 1)]);
        assert_eq!(ledgers.executions().unwrap(), expected);
        assert_eq!(ledgers.executed(1, 2), 0);
    }
}
