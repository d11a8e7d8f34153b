//! What the disk keeps and loses, alone and under redb.

use std::collections::BTreeMap;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::*;

const TABLE: TableDefinition<u64, u64> = TableDefinition::new("numbers");

/// The first bytes of two sectors, after both were written, in that order, without a sync.
fn left_of_two_writes(seed: u64) -> (u8, u8) {
    let disk = Disk::new(seed);
    let file = disk.open();
    file.write(0, &[1; 2 * SECTOR]).unwrap();
    file.sync_data().unwrap();
    file.write(0, &[2; SECTOR]).unwrap();
    file.write(SECTOR as u64, &[2; SECTOR]).unwrap();
    disk.power_on();
    let mut left = [0; 2 * SECTOR];
    disk.open().read(0, &mut left).unwrap();
    assert!(left[..SECTOR].iter().all(|byte| *byte == left[0]), "a sector is torn");
    (left[0], left[SECTOR])
}

#[test]
fn writes_since_the_sync_are_kept_lost_torn_and_reordered() {
    let mut seen = BTreeMap::new();
    for seed in 0..100 {
        *seen.entry(left_of_two_writes(seed)).or_insert(0) += 1;
        assert_eq!(left_of_two_writes(seed), left_of_two_writes(seed));
    }
    let seen: Vec<_> = seen.into_keys().collect();
    assert_eq!(seen, [(1, 1), (1, 2), (2, 1), (2, 2)]);
}

#[test]
fn a_synced_write_survives_and_old_files_are_closed() {
    let disk = Disk::new(1);
    let file = disk.open();
    file.write(10, b"kept").unwrap();
    file.sync_data().unwrap();
    disk.power_on();
    assert!(file.read(10, &mut [0; 4]).is_err() && file.write(0, b"late").is_err());
    let mut left = [0; 4];
    disk.open().read(10, &mut left).unwrap();
    assert_eq!(&left, b"kept");
}

#[test]
fn power_is_lost_before_the_change_that_was_drawn() {
    let disk = Disk::new(1);
    let file = disk.open();
    disk.lose_power_after(2);
    file.write(0, b"a").unwrap();
    file.sync_data().unwrap();
    file.write(0, b"b").unwrap_err();
    assert!(!disk.is_on() && file.len().is_err());
    disk.power_on();
    let mut left = [0; 1];
    disk.open().read(0, &mut left).unwrap();
    assert_eq!(&left, b"a");
}

#[test]
fn what_a_failed_sync_took_for_clean_is_lost_after_a_later_sync() {
    let lost = (0..100).filter(|seed| {
        let disk = Disk::new(*seed);
        let file = disk.open();
        disk.set_faults(Faults { syncs: true, ..Faults::default() });
        file.write(0, &[1; SECTOR]).unwrap();
        file.sync_data().unwrap_err();
        disk.set_faults(Faults::default());
        file.sync_data().unwrap();
        let mut seen = [0; 1];
        file.read(0, &mut seen).unwrap();
        assert_eq!(seen, [1], "the page cache has it");
        disk.power_on();
        disk.open().read(0, &mut seen).is_err() || seen == [0]
    });
    assert!((10..60).contains(&lost.count()));
}

#[test]
fn without_space_files_do_not_grow_and_can_be_overwritten() {
    let disk = Disk::new(1);
    let file = disk.open();
    file.write(0, &[1; 100]).unwrap();
    disk.set_faults(Faults { no_space: true, ..Faults::default() });
    file.write(0, &[2; 100]).unwrap();
    let error = file.write(50, &[3; 100]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.len(), 100);
}

#[test]
fn a_length_is_not_longer_than_the_disk() {
    let file = Disk::new(1).open();
    assert!(file.set_len(u64::MAX).is_err() && file.set_len(1 << 40).is_err());
    assert!(file.write(u64::MAX, b"x").is_err() && file.read(u64::MAX, &mut [0; 2]).is_err());
}

#[test]
fn bits_flip_where_content_was_read() {
    let disk = Disk::new(1);
    let file = disk.open();
    file.write(0, &[1; 4 * SECTOR]).unwrap();
    file.write(SECTOR as u64, &[0; SECTOR]).unwrap();
    file.sync_data().unwrap();
    file.read(0, &mut [0; 3 * SECTOR]).unwrap();
    let damaged = disk.copy(2);
    damaged.flip_bits(1000);
    let mut left = [0; 4 * SECTOR];
    damaged.open().read(0, &mut left).unwrap();
    let is_damaged: Vec<bool> = left.chunks(SECTOR).map(|sector| sector != [1; SECTOR]).collect();
    assert_eq!(is_damaged, [true, true, true, false]);
    assert_eq!(left[SECTOR..2 * SECTOR], [0; SECTOR], "it has no content");
    file.read(0, &mut left).unwrap();
    assert_eq!(left[0], 1, "the copy is another disk");
}

fn content(database: &Database) -> BTreeMap<u64, u64> {
    let read = database.begin_read().unwrap();
    let Ok(table) = read.open_table(TABLE) else { return BTreeMap::new() };
    let rows = table.iter().unwrap().map(|row| row.unwrap());
    rows.map(|(key, value)| (key.value(), value.value())).collect()
}

fn commit(database: &Database, changes: &[(u64, u64)]) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut table = write.open_table(TABLE)?;
        for (key, value) in changes {
            table.insert(key, value)?;
        }
    }
    Ok(write.commit()?)
}

/// What redb says to a file that it was creating when the power was lost.
fn is_half_created(error: &redb::DatabaseError) -> bool {
    matches!(error, redb::DatabaseError::Storage(redb::StorageError::Io(error))
        if error.kind() == io::ErrorKind::InvalidData)
}

/// redb alone, on this disk: what was committed is kept, a commit as a whole or not at all.
#[test]
fn commits_of_redb_survive() {
    let mut random = SmallRng::seed_from_u64(7);
    for seed in 0..20 {
        let mut disk = Disk::new(seed);
        let mut committed = BTreeMap::new();
        // The outcome of the commit in which the power was lost is not known.
        let mut uncertain = committed.clone();
        for _ in 0..30 {
            disk.lose_power_after(random.random_range(0..60));
            match Database::builder().create_with_backend(disk.open()) {
                Ok(database) => {
                    let found = content(&database);
                    assert!(found == committed || found == uncertain, "seed {seed}");
                    committed = found;
                    uncertain = commit_until_power_is_lost(&database, &mut committed, &mut random);
                }
                Err(error) if is_half_created(&error) => {
                    assert!(committed.is_empty(), "seed {seed}: {error}");
                    disk = Disk::new(seed);
                }
                Err(error) => assert!(!disk.is_on(), "seed {seed}: {error}"),
            }
            disk.power_on();
        }
    }
}

/// Returns what is there if the commit that failed was done after all.
fn commit_until_power_is_lost(
    database: &Database,
    committed: &mut BTreeMap<u64, u64>,
    random: &mut SmallRng,
) -> BTreeMap<u64, u64> {
    loop {
        let changes: Vec<(u64, u64)> = (0..random.random_range(1..10))
            .map(|_| (random.random_range(0..500), random.random()))
            .collect();
        let mut with = committed.clone();
        with.extend(changes.iter().copied());
        if commit(database, &changes).is_err() {
            return with;
        }
        *committed = with;
    }
}
