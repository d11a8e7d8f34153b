//! A store in a folder: whose it is, what it refuses, and what it does after a failure.

use std::os::unix::fs::PermissionsExt;

use rpc_wire::instance::Instance;

use super::*;
use crate::record::{Kind, RecordKey};

const CACHE: usize = 1 << 20;

fn record(port: u16, value: &str) -> Record {
    let key = RecordKey { kind: Kind::Instance, instance: Instance::new("127.0.0.1", port).key() };
    Record { key, value: value.to_owned().into() }
}

fn open(folder: &Path) -> Result<(FileStore, Vec<Record>), StoreError> {
    FileStore::open(folder, CACHE)
}

#[test]
fn a_new_store_is_empty_and_private_and_an_old_one_has_what_was_put_there() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("state/rpcd/registry-1");
    let (mut store, found) = open(&folder).unwrap();
    assert_eq!(found, []);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for name in [DATABASE, LOCK] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
    store.replace(&[record(1, "1")]).unwrap();
    store.close();
    drop(store);
    let (_, found) = open(&folder).unwrap();
    assert_eq!(found, [record(1, "1")]);
}

#[test]
fn a_folder_in_use_is_refused_until_it_is_free() {
    let home = tempfile::tempdir().unwrap();
    let (store, _) = open(home.path()).unwrap();
    assert!(matches!(open(home.path()), Err(StoreError::Locked)));
    drop(store);
    open(home.path()).unwrap();
}

#[test]
fn a_database_is_never_started_anew_in_the_place_of_another() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(DATABASE);
    for content in [&b""[..], b"something else"] {
        fs::write(&path, content).unwrap();
        assert!(matches!(open(home.path()), Err(StoreError::Damaged(_))));
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    // What a crash left before the database had its name is not one.
    fs::remove_file(&path).unwrap();
    fs::write(home.path().join(UNFINISHED), "half").unwrap();
    assert_eq!(open(home.path()).unwrap().1, []);
}

#[test]
fn a_link_to_a_database_that_is_not_there_is_refused_and_left() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(DATABASE);
    let target = home.path().join("mount/registry.redb");
    std::os::unix::fs::symlink(&target, &path).unwrap();
    let refused = open(home.path()).unwrap_err();
    assert!(matches!(&refused, StoreError::DanglingLink(to) if *to == target), "{refused}");
    assert_eq!(fs::read_link(&path).unwrap(), target);
}

#[test]
fn after_a_failure_the_database_is_opened_anew() {
    let home = tempfile::tempdir().unwrap();
    let (mut store, _) = open(home.path()).unwrap();
    store.replace(&[record(1, "1")]).unwrap();
    store.database = None;
    let path = home.path().join(DATABASE);
    let aside = home.path().join("aside");
    fs::rename(&path, &aside).unwrap();
    assert!(matches!(store.replace(&[record(2, "2")]), Err(StoreError::Io(_))));
    fs::rename(&aside, &path).unwrap();
    store.replace(&[record(2, "2")]).unwrap();
    drop(store);
    assert_eq!(open(home.path()).unwrap().1, [record(2, "2")]);
}
