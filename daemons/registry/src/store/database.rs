//! The records in a redb database: opened, read, changed in one transaction at a time.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use redb::{
    Builder, CommitError, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend,
    StorageError, TableDefinition, TableError, TransactionError, WriteTransaction,
};

use super::StoreError;
use super::sealed::Sealed;
use crate::record::{Change, Record, RecordKey};

/// Sealed records by the text of their keys, in its order.
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
/// Facts about the database itself.
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
/// The key in [`ABOUT`] of the format of everything else.
const FORMAT: &str = "format";
/// The format that this version writes and reads.
const KNOWN_FORMAT: u64 = 1;

/// An open database. It blocks: its caller gives it a thread.
#[derive(Debug)]
pub struct Database {
    redb: redb::Database,
    /// The number of the last record written, or higher. It begins with the time of opening: records that
    /// were removed, or written by a commit that was not finished, may have had higher ones than those
    /// that are there, and a recovery may still find them.
    number: u64,
}

impl Database {
    /// Opens the database on a backend, new if that is empty, and reads all its records, in the order of
    /// the texts of their keys. Everything in it is verified. Takes up to `cache_bytes` of memory while
    /// it is open.
    ///
    /// # Errors
    /// It is in use, of an unknown format, damaged, or cannot be read.
    pub fn open(
        backend: impl StorageBackend,
        cache_bytes: usize,
    ) -> Result<(Self, Vec<Record>), StoreError> {
        no_panic(|| {
            let redb = Builder::new()
                .set_cache_size(cache_bytes)
                .set_check_integrity_on_open(true)
                .create_with_backend(backend)?;
            let mut database = Self { redb, number: nanoseconds_since_1970() };
            database.check_format()?;
            let records = database.read()?;
            Ok((database, records))
        })
    }

    /// Applies changes, in order, in one transaction: durable when this returns.
    ///
    /// # Errors
    /// None of them may be durable, or all; the database must be opened anew.
    pub fn commit<'a>(
        &mut self,
        changes: impl IntoIterator<Item = &'a Change>,
    ) -> Result<(), StoreError> {
        no_panic(|| self.write(changes))
    }

    /// Makes the records these and no others, in one transaction, writing only what differs.
    ///
    /// # Errors
    /// As of [`commit`](Self::commit).
    pub fn replace(&mut self, records: &[Record]) -> Result<(), StoreError> {
        no_panic(|| {
            let mut surplus: BTreeMap<RecordKey, Bytes> =
                self.read()?.into_iter().map(|Record { key, value }| (key, value)).collect();
            let mut changes = Vec::new();
            for Record { key, value } in records {
                if surplus.remove(key).as_ref() != Some(value) {
                    changes.push(Change { key: key.clone(), value: Some(value.clone()) });
                }
            }
            changes.extend(surplus.into_keys().map(|key| Change { key, value: None }));
            self.write(&changes)
        })
    }

    /// All records, in the order of the texts of their keys.
    ///
    /// # Errors
    /// One of them is damaged, or they cannot be read.
    #[cfg(any(test, feature = "simulation"))]
    pub fn load(&mut self) -> Result<Vec<Record>, StoreError> {
        no_panic(|| self.read())
    }

    /// Closes it, so that the next [`open`](Self::open) has nothing to repair.
    ///
    /// # Errors
    /// It was not closed in order; what was committed is durable all the same.
    pub fn close(self) -> Result<(), StoreError> {
        no_panic(|| Ok(self.redb.close()?))
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let reading = self.redb.begin_read()?;
        let is_new = reading.list_tables()?.next().is_none();
        if is_new {
            let writing = self.begin()?;
            writing.open_table(ABOUT)?.insert(FORMAT, KNOWN_FORMAT)?;
            writing.open_table(RECORDS)?;
            return Ok(writing.commit()?);
        }
        let format = reading.open_table(ABOUT)?.get(FORMAT)?.map(|found| found.value());
        match format {
            Some(KNOWN_FORMAT) => Ok(()),
            Some(found) => Err(StoreError::UnknownFormat { found, known: KNOWN_FORMAT }),
            None => Err(StoreError::Damaged("it does not say its format".to_owned())),
        }
    }

    fn read(&mut self) -> Result<Vec<Record>, StoreError> {
        let table = self.redb.begin_read()?.open_table(RECORDS)?;
        let mut records = Vec::new();
        for entry in table.iter()? {
            let (key, bytes) = entry?;
            let (key, bytes) = (key.value(), bytes.value());
            let damaged = || StoreError::Damaged(format!("the record {key:?} is not readable"));
            let (sealed, length) = Sealed::read(bytes).ok_or_else(damaged)?;
            let parsed = RecordKey::parse(key).ok_or_else(damaged)?;
            if length != bytes.len() || sealed.key != key {
                return Err(damaged());
            }
            self.number = self.number.max(sealed.number);
            records.push(Record { key: parsed, value: Bytes::copy_from_slice(sealed.value) });
        }
        Ok(records)
    }

    fn write<'a>(
        &mut self,
        changes: impl IntoIterator<Item = &'a Change>,
    ) -> Result<(), StoreError> {
        let writing = self.begin()?;
        {
            let mut table = writing.open_table(RECORDS)?;
            for Change { key, value } in changes {
                let key = key.to_string();
                match value {
                    Some(value) => {
                        self.number = self.number.saturating_add(1);
                        let sealed = Sealed { key: &key, value, number: self.number };
                        table.insert(key.as_str(), sealed.to_bytes().as_slice())?;
                    }
                    None => drop(table.remove(key.as_str())?),
                }
            }
        }
        Ok(writing.commit()?)
    }

    /// In two phases: of a transaction in one phase whose pages are damaged later, redb cannot tell that
    /// it was ever committed, and would go back to the one before without a word.
    fn begin(&self) -> Result<WriteTransaction, StoreError> {
        let mut writing = self.redb.begin_write()?;
        writing.set_two_phase_commit(true);
        Ok(writing)
    }
}

/// Fits until 2554.
fn nanoseconds_since_1970() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}

/// redb checks what it reads, but does not promise to find every damage before it trips over it.
fn no_panic<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    // What a panic leaves half done is a database that is not used any more.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(StoreError::Damaged(text.unwrap_or("redb gave up on it").to_owned()))
    })
}

impl From<StorageError> for StoreError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Io(error) => match error.kind() {
                // redb's word for "not a database".
                ErrorKind::InvalidData => Self::Damaged(error.to_string()),
                ErrorKind::UnexpectedEof => Self::Damaged("it is cut short".to_owned()),
                _ => Self::Io(error),
            },
            StorageError::PreviousIo | StorageError::DatabaseClosed => Self::Failed,
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen => Self::Locked,
            DatabaseError::Storage(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<TableError> for StoreError {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Storage(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<TransactionError> for StoreError {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Storage(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<CommitError> for StoreError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Storage(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
