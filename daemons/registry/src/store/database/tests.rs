//! A database on disks that work, fail, fill up and lie.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use redb::backends::InMemoryBackend;
use rpc_wire::instance::InstanceKey;

use super::*;
use crate::record::Kind;

const CACHE: usize = 1 << 20;

/// A disk whose content outlives the database on it, and that fails when it is told to.
#[derive(Debug, Default, Clone)]
struct Disk(Arc<DiskState>);

#[derive(Debug, Default)]
struct DiskState {
    content: Mutex<Vec<u8>>,
    is_full: AtomicBool,
}

impl Disk {
    fn open(&self) -> Result<(Database, Vec<Record>), StoreError> {
        Database::open(self.clone(), CACHE)
    }

    fn check(&self) -> io::Result<()> {
        match self.0.is_full.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.content.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.0.content.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let range = start..start + out.len();
        out.copy_from_slice(content.get(range).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.0.content.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        let start = usize::try_from(offset).unwrap();
        self.0.content.lock().unwrap()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}

fn key(kind: Kind, port: u16) -> RecordKey {
    let (protocol, host) = ("json".to_owned(), "127.0.0.1".to_owned());
    RecordKey { kind, instance: InstanceKey { protocol, host, port } }
}

fn record(port: u16, value: &str) -> Record {
    Record { key: key(Kind::Instance, port), value: Bytes::copy_from_slice(value.as_bytes()) }
}

fn put(Record { key, value }: Record) -> Change {
    Change { key, value: Some(value) }
}

fn remove(port: u16) -> Change {
    Change { key: key(Kind::Instance, port), value: None }
}

#[test]
fn what_is_committed_is_read_back_and_later_changes_count() {
    let disk = Disk::default();
    let (mut database, records) = disk.open().unwrap();
    assert_eq!(records, []);
    let one = key(Kind::Override, 1);
    let drained = Change { key: one.clone(), value: Some("\"drained\"".into()) };
    database.commit(&[put(record(1, "1")), put(record(2, "2")), drained]).unwrap();
    database.commit(&[put(record(1, "new")), remove(2), put(record(3, "3")), remove(4)]).unwrap();
    let expected =
        [record(1, "new"), record(3, "3"), Record { key: one, value: "\"drained\"".into() }];
    assert_eq!(database.load().unwrap(), expected);
    // Dropped or closed, it is the same.
    drop(database);
    let (database, records) = disk.open().unwrap();
    assert_eq!(records, expected);
    let number = database.number;
    database.close().unwrap();
    let (database, records) = disk.open().unwrap();
    assert_eq!(records, expected);
    assert!(database.number > number, "also above those of records that are not there any more");
}

#[test]
fn a_replacement_writes_what_differs_only() {
    let disk = Disk::default();
    let (mut database, _) = disk.open().unwrap();
    database.commit(&[put(record(1, "1")), put(record(2, "2")), put(record(3, "3"))]).unwrap();
    let wanted = [record(2, "2"), record(3, "other"), record(4, "4")];
    let number = database.number;
    database.replace(&wanted).unwrap();
    assert_eq!((database.load().unwrap(), database.number), (wanted.into(), number + 2));
}

#[test]
fn a_full_disk_fails_the_commit_and_loses_nothing_older() {
    let disk = Disk::default();
    let (mut database, _) = disk.open().unwrap();
    database.commit(&[put(record(1, "1"))]).unwrap();
    disk.0.is_full.store(true, Ordering::Relaxed);
    let error = database.commit(&[put(record(2, "2"))]).unwrap_err();
    assert!(matches!(&error, StoreError::Io(_) | StoreError::Failed), "{error:?}");
    drop(database);
    disk.0.is_full.store(false, Ordering::Relaxed);
    let (mut database, records) = disk.open().unwrap();
    assert_eq!(records.first(), Some(&record(1, "1")));
    database.commit(&[put(record(2, "2"))]).unwrap();
    assert_eq!(database.load().unwrap(), [record(1, "1"), record(2, "2")]);
}

#[test]
fn what_is_not_a_registrys_database_is_refused_and_left_alone() {
    let disk = Disk::default();
    disk.0.content.lock().unwrap().extend(b"a text that somebody else put there".repeat(100));
    let before = disk.0.content.lock().unwrap().clone();
    assert!(matches!(disk.open(), Err(StoreError::Damaged(_))));
    assert!(*disk.0.content.lock().unwrap() == before);

    let disk = Disk::default();
    let redb = Builder::new().create_with_backend(disk.clone()).unwrap();
    let writing = redb.begin_write().unwrap();
    let other: TableDefinition<'_, &str, &str> = TableDefinition::new("other");
    writing.open_table(other).unwrap().insert("a", "b").unwrap();
    writing.commit().unwrap();
    drop(redb);
    assert!(matches!(disk.open(), Err(StoreError::Damaged(_))));
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    let disk = Disk::default();
    let (database, _) = disk.open().unwrap();
    let writing = database.begin().unwrap();
    writing.open_table(ABOUT).unwrap().insert(FORMAT, 2).unwrap();
    writing.commit().unwrap();
    drop(database);
    assert!(matches!(disk.open(), Err(StoreError::UnknownFormat { found: 2, known: 1 })));
}

#[test]
fn a_record_whose_checksum_is_wrong_is_refused() {
    let disk = Disk::default();
    let (database, _) = disk.open().unwrap();
    let writing = database.begin().unwrap();
    let text = key(Kind::Instance, 1).to_string();
    let mut bytes = Sealed { key: &text, value: b"{}", number: 1 }.to_bytes();
    *bytes.last_mut().unwrap() ^= 1;
    writing.open_table(RECORDS).unwrap().insert(text.as_str(), bytes.as_slice()).unwrap();
    writing.commit().unwrap();
    drop(database);
    let error = disk.open().unwrap_err();
    assert!(error.to_string().contains("instance/json/127.0.0.1/1"), "{error}");
}

/// Bit 0 of the byte that says which of redb's two commits is the last one. Of a file left by a crash,
/// it alone tells a commit that was not finished from one that was: no copy of it exists.
const LAST_COMMIT: usize = 9 * 8;

/// Of a file that was closed, or left by a crash.
#[test]
fn a_flipped_bit_is_refused_or_does_not_matter() {
    let expected: Vec<_> = (11..=50).map(|port| record(port, &"x".repeat(200))).collect();
    for closed in [true, false] {
        let disk = Disk::default();
        let (mut database, _) = disk.open().unwrap();
        for record in &expected {
            database.commit(&[put(record.clone())]).unwrap();
        }
        let crashed = disk.0.content.lock().unwrap().clone();
        database.close().unwrap();
        let good = if closed { disk.0.content.lock().unwrap().clone() } else { crashed };
        let mut refused = 0;
        // The header has 320 bytes, the first 64 of them once per file.
        let header = (0..64 * 8).chain((64 * 8..320 * 8).step_by(13));
        let pages = (320 * 8..good.len() * 8).step_by(8191);
        for bit in header.chain(pages).filter(|bit| closed || *bit != LAST_COMMIT) {
            let disk = Disk::default();
            let mut content = good.clone();
            content[bit / 8] ^= 1 << (bit % 8);
            *disk.0.content.lock().unwrap() = content;
            match disk.open() {
                Ok((_, records)) => {
                    let found = records.len();
                    assert!(records == expected, "bit {bit}, closed: {closed}, {found} records");
                }
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 50, "{refused} refused");
    }
}

#[test]
fn a_backend_in_memory_is_enough() {
    let (mut database, _) = Database::open(InMemoryBackend::new(), CACHE).unwrap();
    database.commit(&[put(record(1, "1"))]).unwrap();
    assert_eq!(database.load().unwrap(), [record(1, "1")]);
}
