//! Stores with planted defects: a torture that does not find them would not find such defects of ours.

use redb::{ReadableDatabase, ReadableTable, TableDefinition};

use super::registry::{self, RegistryStore};
use super::{Opened, Refused, Store};
use crate::disk::{Disk, Faults};
use crate::records::{Operation, Records};

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    /// Operations are acknowledged, and committed with the next ones.
    AcknowledgedBeforeTheCommit,
    /// The last of many operations is not written.
    AnOperationDropped,
    /// The operations of one commit are written in two.
    TwoCommitsOfOne,
    /// What unregisters is removed, but not remembered.
    ADepartureNotStored,
    /// Nothing is synced.
    NothingSynced,
    /// Damaged records are served as they are.
    ChecksumsNotChecked,
    /// A damaged database is replaced by a new one.
    DamagedTakenForNew,
    /// Of what could not be written, nothing is written later.
    NothingWrittenAfterAFailure,
}

impl Defect {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AcknowledgedBeforeTheCommit,
        Self::AnOperationDropped,
        Self::TwoCommitsOfOne,
        Self::ADepartureNotStored,
        Self::NothingSynced,
        Self::ChecksumsNotChecked,
        Self::DamagedTakenForNew,
        Self::NothingWrittenAfterAFailure,
    ];

    /// Opens the registry's store with this defect.
    ///
    /// # Errors
    /// As of the store.
    pub fn open(self, disk: &Disk) -> Opened {
        if self == Self::NothingSynced {
            disk.set_faults(Faults { ignores_syncs: true, ..disk.faults() });
        }
        let (store, records) = match registry::open_registry(disk) {
            Err(Refused::Damaged(_)) if self == Self::DamagedTakenForNew => {
                disk.format();
                registry::open_registry(disk)?
            }
            Err(Refused::Damaged(why)) if self == Self::ChecksumsNotChecked => {
                let records = read_unchecked(disk).map_err(|_| Refused::Damaged(why))?;
                disk.format();
                (registry::open_registry(disk)?.0, records)
            }
            opened => opened?,
        };
        Ok((Box::new(Planted { store, defect: self, late: Vec::new() }), records))
    }
}

/// The registry's store, with a defect.
struct Planted {
    store: RegistryStore,
    defect: Defect,
    /// Acknowledged and not committed.
    late: Vec<Operation>,
}

impl Store for Planted {
    fn commit(&mut self, operations: &[Operation]) -> Result<(), Refused> {
        match (self.defect, operations) {
            (Defect::AcknowledgedBeforeTheCommit, _) => {
                let due = std::mem::replace(&mut self.late, operations.to_vec());
                if due.is_empty() { Ok(()) } else { self.store.commit(&due) }
            }
            (Defect::AnOperationDropped, [most @ .., _]) if most.len() > 8 => {
                self.store.commit(most)
            }
            (Defect::TwoCommitsOfOne, [first, rest @ ..]) if !rest.is_empty() => {
                self.store.commit(&[*first])?;
                self.store.commit(rest)
            }
            (Defect::ADepartureNotStored, _) => {
                let forgotten = |operation: &Operation| match *operation {
                    Operation::Unregister(key, _) => Operation::Expire(key),
                    other => other,
                };
                let operations: Vec<_> = operations.iter().map(forgotten).collect();
                self.store.commit(&operations)
            }
            _ => self.store.commit(operations),
        }
    }

    fn replace(&mut self, records: &Records) -> Result<(), Refused> {
        if self.defect == Defect::NothingWrittenAfterAFailure {
            return Ok(());
        }
        self.store.replace(records)
    }

    fn close(self: Box<Self>) -> Result<(), Refused> {
        Box::new(self.store).close()
    }
}

/// The readable records, whatever their checksums say.
fn read_unchecked(disk: &Disk) -> Result<Records, redb::Error> {
    const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
    let database = redb::Builder::new().create_with_backend(disk.open())?;
    let table = database.begin_read()?.open_table(RECORDS)?;
    let mut records = Records::default();
    for entry in table.iter()? {
        let (key, bytes) = entry?;
        registry::put_unchecked(&mut records, key.value(), bytes.value());
    }
    Ok(records)
}
