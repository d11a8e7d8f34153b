//! A database in a folder: locked, created whole, opened anew after a failure.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;

use super::{Database, Store, StoreError};
use crate::record::{Change, Record};

/// The database's name in its folder.
const DATABASE: &str = "registry.redb";
/// A database that is being made.
const UNFINISHED: &str = "registry.redb.new";
/// Locked as long as a process uses the folder: the database itself is closed after a failure.
const LOCK: &str = "lock";

/// A folder that no other process uses.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// The store in a folder.
#[derive(Debug)]
pub(crate) struct FileStore {
    folder: Folder,
    cache_bytes: usize,
    /// `None` after a failure.
    database: Option<Database>,
}

impl Folder {
    /// Makes it if there is none, and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self, StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = private().create(true).truncate(false).open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// The database's file.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Puts a new database with these records in the place of the one that is there, if any: after a
    /// crash there is the one or the other.
    pub(super) fn create(&self, records: &[Record], cache_bytes: usize) -> Result<(), StoreError> {
        let unfinished = self.path.join(UNFINISHED);
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let file = private().create_new(true).open(&unfinished)?;
        let (mut database, _) = Database::open(backend(file)?, cache_bytes)?;
        database.replace(records)?;
        database.close()?;
        fs::rename(&unfinished, self.database())?;
        self.sync()
    }

    /// Makes the names of its files durable.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        Ok(File::open(&self.path)?.sync_all()?)
    }

    /// Opens the database, which must be there.
    pub(super) fn open(&self, cache_bytes: usize) -> Result<(Database, Vec<Record>), StoreError> {
        let file = private().open(self.database())?;
        if file.metadata()?.len() == 0 {
            // It was not when it got its name; redb would start anew in it.
            return Err(StoreError::Damaged("it is empty".to_owned()));
        }
        Database::open(backend(file)?, cache_bytes)
    }
}

impl FileStore {
    /// Opens the store in a folder, and reads what is there; both are made if they are not there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) fn open(
        folder: &Path,
        cache_bytes: usize,
    ) -> Result<(Self, Vec<Record>), StoreError> {
        let folder = Folder::lock(folder)?;
        if !has_database(&folder.path)? {
            folder.create(&[], cache_bytes)?;
        }
        let (database, records) = folder.open(cache_bytes)?;
        Ok((Self { folder, cache_bytes, database: Some(database) }, records))
    }

    /// The database's file in a folder.
    pub(crate) fn path_in(folder: &Path) -> PathBuf {
        folder.join(DATABASE)
    }

    /// Runs `work` on the database, which is opened first if it was closed by a failure.
    fn with(
        &mut self,
        work: impl FnOnce(&mut Database) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut database = match self.database.take() {
            Some(database) => database,
            None => self.folder.open(self.cache_bytes)?.0,
        };
        work(&mut database)?;
        self.database = Some(database);
        Ok(())
    }
}

impl Store for FileStore {
    fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        self.with(|database| database.commit(changes))
    }

    fn replace(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.with(|database| database.replace(records))
    }

    fn close(&mut self) {
        if let Some(Err(error)) = self.database.take().map(Database::close) {
            tracing::warn!(%error, "the store was not closed in order; the next start checks it");
        }
    }
}

/// Whether there is a database in a folder, which need not be there either.
///
/// # Errors
/// There is a link to one that is not there: a file system may not be mounted yet.
pub(super) fn has_database(folder: &Path) -> Result<bool, StoreError> {
    let path = folder.join(DATABASE);
    if path.try_exists()? {
        return Ok(true);
    }
    match fs::read_link(&path) {
        Ok(target) => Err(StoreError::DanglingLink(target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// For files that only their owner may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn backend(file: File) -> Result<FileBackend, StoreError> {
    Ok(FileBackend::new(file)?)
}

#[cfg(test)]
mod tests;
