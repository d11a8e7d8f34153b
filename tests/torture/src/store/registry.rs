//! The store of the registry itself.

use std::collections::BTreeMap;

use rpc_registry::StoreError;
use rpc_registry::simulation::{Change, Database, Kind, Record, RecordKey, scan};
use rpc_wire::instance::InstanceKey;

use super::{Opened, Refused, Store};
use crate::disk::Disk;
use crate::records::{Content, Key, Operation, Records};

/// Memory for redb's pages, in bytes. Small, so that pages are read from the disk, too.
const CACHE_BYTES: usize = 256 * 1024;

/// The registry's database in redb.
#[derive(Debug)]
pub(super) struct RegistryStore(Database);

/// Opens the registry's store.
///
/// # Errors
/// It is damaged, or the disk failed.
pub fn open(disk: &Disk) -> Opened {
    let (store, records) = open_registry(disk)?;
    Ok((Box::new(store), records))
}

pub(super) fn open_registry(disk: &Disk) -> Result<(RegistryStore, Records), Refused> {
    let (database, records) = Database::open(disk.open(), CACHE_BYTES)?;
    Ok((RegistryStore(database), plain(records)?))
}

impl Store for RegistryStore {
    fn commit(&mut self, operations: &[Operation]) -> Result<(), Refused> {
        let changes: Vec<Change> = operations.iter().flat_map(changes).collect();
        Ok(self.0.commit(&changes)?)
    }

    fn replace(&mut self, records: &Records) -> Result<(), Refused> {
        let kinds = [
            (Kind::Instance, &records.instances),
            (Kind::Override, &records.overrides),
            (Kind::Departure, &records.departures),
        ];
        let records = kinds.into_iter().flat_map(|(kind, map)| {
            let record = move |(key, content): (&Key, &Content)| Record {
                key: record_key(kind, *key),
                value: value(*content).into(),
            };
            map.iter().map(record)
        });
        Ok(self.0.replace(&records.collect::<Vec<_>>())?)
    }

    fn close(self: Box<Self>) -> Result<(), Refused> {
        Ok(self.0.close()?)
    }
}

/// What a recovery makes of a damaged disk.
///
/// # Errors
/// It makes up a record.
pub fn salvage(disk: &Disk) -> Result<Records, Refused> {
    let (records, _unreadable) =
        scan(disk.bytes().as_slice()).map_err(|error| Refused::Failed(error.to_string()))?;
    plain(records)
}

/// What a registry writes for an operation.
fn changes(operation: &Operation) -> Vec<Change> {
    let put = |kind, key, content| {
        let value = Some(value(content).into());
        Change { key: record_key(kind, key), value }
    };
    let remove = |kind, key| Change { key: record_key(kind, key), value: None };
    match *operation {
        Operation::Register(key, content) => vec![put(Kind::Instance, key, content)],
        Operation::Unregister(key, content) => {
            vec![remove(Kind::Instance, key), put(Kind::Departure, key, content)]
        }
        Operation::Expire(key) => vec![remove(Kind::Instance, key)],
        Operation::Forget(key) => vec![remove(Kind::Departure, key)],
        Operation::Override(key, content) => vec![put(Kind::Override, key, content)],
        Operation::Clear(key) => vec![remove(Kind::Override, key)],
    }
}

fn record_key(kind: Kind, Key(number): Key) -> RecordKey {
    let [high, low] = number.to_be_bytes();
    let host = format!("10.0.{high}.{low}");
    let instance = InstanceKey { protocol: "json".to_owned(), host, port: 8000 + number % 8 };
    RecordKey { kind, instance }
}

/// The key of a record that was written here.
fn plain_key(key: &RecordKey) -> Option<Key> {
    let (high, low) = key.instance.host.strip_prefix("10.0.")?.split_once('.')?;
    let number = Key(u16::from_be_bytes([high.parse().ok()?, low.parse().ok()?]));
    (record_key(key.kind, number) == *key).then_some(number)
}

/// The content's number in decimal, then spaces.
fn value(Content { number, padding }: Content) -> Vec<u8> {
    let mut value = number.to_string().into_bytes();
    value.resize(value.len() + usize::from(padding), b' ');
    value
}

/// The content of a value that was written here.
fn content(value: &[u8]) -> Option<Content> {
    let digits = value.split(|byte| *byte == b' ').next()?;
    let padding = u16::try_from(value.len() - digits.len()).ok()?;
    let content = Content { number: std::str::from_utf8(digits).ok()?.parse().ok()?, padding };
    (self::value(content) == value).then_some(content)
}

/// The records as those of the model.
fn plain(found: Vec<Record>) -> Result<Records, Refused> {
    let mut records = Records::default();
    for record in found {
        let known = plain_key(&record.key).zip(content(&record.value));
        let is_new = known.is_some_and(|(key, content)| {
            map_of(&mut records, record.key.kind).insert(key, content).is_none()
        });
        if !is_new {
            return Err(Refused::Invented(format!("{record:?}")));
        }
    }
    Ok(records)
}

fn map_of(records: &mut Records, kind: Kind) -> &mut BTreeMap<Key, Content> {
    match kind {
        Kind::Instance => &mut records.instances,
        Kind::Override => &mut records.overrides,
        Kind::Departure | Kind::ClassicDeparture => &mut records.departures,
    }
}

/// Adds a record from the database's table, whose checksum is not looked at.
pub(super) fn put_unchecked(records: &mut Records, key: &str, sealed: &[u8]) {
    const HEAD: usize = 18;
    const CHECKSUM: usize = 8;
    let end = sealed.len().saturating_sub(CHECKSUM);
    let Some(value) = sealed.get(HEAD + key.len()..end) else { return };
    let Some(record_key) = RecordKey::parse(key) else { return };
    if let Some((key, content)) = plain_key(&record_key).zip(content(value)) {
        map_of(records, record_key.kind).insert(key, content);
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Io(_) | StoreError::Failed => Self::Failed(error.to_string()),
            _ => Self::Damaged(error.to_string()),
        }
    }
}
