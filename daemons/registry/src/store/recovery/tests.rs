//! Recovery of databases that are damaged in many places.

use rpc_wire::instance::InstanceKey;

use super::*;
use crate::record::Kind;

const CACHE: usize = 1 << 20;

fn records(ports: impl IntoIterator<Item = u16>) -> Vec<Record> {
    let key = |port| {
        let (protocol, host) = ("json".to_owned(), "127.0.0.1".to_owned());
        RecordKey { kind: Kind::Instance, instance: InstanceKey { protocol, host, port } }
    };
    let value = |port: u16| format!("{port} {}", "x".repeat(usize::from(port % 500)));
    ports.into_iter().map(|port| Record { key: key(port), value: value(port).into() }).collect()
}

/// A folder with a database of 2,000 records, and the path of that.
fn folder() -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let folder = Folder::lock(home.path()).unwrap();
    folder.create(&records(1000..3000), CACHE).unwrap();
    let path = folder.database();
    (home, path)
}

#[test]
fn what_is_not_damaged_is_left_alone() {
    let (home, path) = folder();
    let before = fs::read(&path).unwrap().len();
    let recovered = recover(home.path(), CACHE, |_| true).unwrap();
    assert_eq!(recovered, Recovered { kept: 2000, unreadable: 0, damaged: None });
    assert_eq!(fs::read(&path).unwrap().len(), before);
}

#[test]
fn where_there_is_no_database_nothing_is_made() {
    let home = tempfile::tempdir().unwrap();
    for folder in [home.path().to_owned(), home.path().join("mistyped")] {
        assert!(matches!(recover(&folder, CACHE, |_| true), Err(StoreError::Absent)));
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_database_cut_anywhere_is_damaged_and_recovered() {
    let (home, path) = folder();
    let whole = fs::read(&path).unwrap();
    for length in (0..400).step_by(9).chain([4096, 5000, whole.len() / 2, whole.len() - 1]) {
        fs::write(&path, &whole[..length]).unwrap();
        let folder = Folder::lock(home.path()).unwrap();
        assert!(matches!(folder.open(CACHE), Err(StoreError::Damaged(_))), "{length} bytes");
        drop(folder);
        let recovered = recover(home.path(), CACHE, |_| true).unwrap();
        assert!(recovered.damaged.is_some(), "{length} bytes");
        fs::remove_file(recovered.damaged.unwrap()).unwrap();
        let (_, found) = Folder::lock(home.path()).unwrap().open(CACHE).unwrap();
        assert_eq!(found.len(), recovered.kept, "{length} bytes");
    }
}

#[test]
fn the_readable_records_of_a_damaged_database_are_kept_beside_it() {
    let (home, path) = folder();
    let mut damaged = fs::read(&path).unwrap();
    for at in (0..damaged.len()).step_by(20_011) {
        damaged[at] ^= 0xff;
    }
    fs::write(&path, &damaged).unwrap();
    let Recovered { kept, unreadable, damaged: aside } =
        recover(home.path(), CACHE, |_| true).unwrap();
    assert!((1900..2000).contains(&kept) && unreadable > 0, "{kept} kept, {unreadable} not");
    let aside = aside.unwrap();
    assert!(aside.to_str().unwrap().contains("registry.redb.damaged-2"), "{}", aside.display());
    assert!(fs::read(&aside).unwrap() == damaged, "the damaged one is kept as it was");
    let (_, found) = Folder::lock(home.path()).unwrap().open(CACHE).unwrap();
    let known = records(1000..3000);
    assert!(found.len() == kept && found.iter().all(|record| known.contains(record)));
}

#[test]
fn a_record_that_nobody_understands_is_not_kept() {
    let (home, _) = folder();
    let is_readable = |record: &Record| record.key.instance.port != 1234;
    let recovered = recover(home.path(), CACHE, is_readable).unwrap();
    assert_eq!((recovered.kept, recovered.unreadable), (1999, 1));
}

#[test]
fn records_are_found_across_chunks_and_the_newest_of_a_key_counts() {
    let key = records([1]).remove(0).key;
    let text = key.to_string();
    let sealed = |number: u64, value: &[u8]| Sealed { key: &text, value, number }.to_bytes();
    for before in [CHUNK - 3, CHUNK - 20, CHUNK - 1, CHUNK, 2 * CHUNK - 30, 0] {
        let file = [vec![0; before], sealed(2, b"new"), sealed(1, b"old"), MARK.to_vec()].concat();
        let (found, unreadable) = scan(&file[..]).unwrap();
        assert_eq!(found, [Record { key: key.clone(), value: "new".into() }], "{before}");
        assert_eq!(unreadable, 1);
    }
}

#[test]
fn any_file_is_scanned_to_its_end() {
    rpc_fuzz::bytes("sealed_record", |bytes| {
        scan(bytes).unwrap();
        let marks = [bytes, &MARK, &[0xff; 14], &MARK, bytes].concat();
        scan(&marks[..]).unwrap();
    });
}
