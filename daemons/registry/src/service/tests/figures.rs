//! Figures of the store on this machine's disk, for docs/registry.md:
//! `cargo test --release -p rpc-registry --lib figures -- --ignored --nocapture`.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::*;
use crate::StoreOptions;
use crate::store::FileStore;

const INSTANCES: u32 = 100_000;
const CALLERS: u32 = 64;
/// Registrations of the measured part.
const SUSTAINED: u32 = 20_000;

/// What a server of ours registers, at one of many addresses.
fn instance(number: u32) -> Vec<u8> {
    let [_, a, b, _] = number.to_be_bytes();
    let port = 1024 + number % 256;
    format!(
        r#"{{"protocol":"json","host":"10.{a}.{b}.1","port":{port},"parameters":{{"contract":"6fd366f4bb221e5e84839607df2cdc62","incarnation":{},"service":"orders","version":"1.2.3","wire":2}}}}"#,
        1_000_000_000_000_000u64 + u64::from(number)
    )
    .into()
}

fn service(folder: &Path) -> (Arc<Service>, usize) {
    let options = RegistryOptions {
        store: StoreOptions::Redb { data_dir: folder.to_owned() },
        max_instances_per_peer: usize::MAX,
        ..RegistryOptions::default()
    };
    let cache_bytes = options.max_store_cache_bytes;
    let (store, records) = FileStore::open(folder, cache_bytes).unwrap();
    let left: Vec<_> = records.iter().map(|record| Restored::read(record).unwrap()).collect();
    let found = left.len();
    let service = Arc::new(Service::new(options, ADDRESS, left));
    service.save_to(Box::new(store)).unwrap();
    (service, found)
}

/// Registers those instances with that many callers at a time; returns how long each waited, sorted.
async fn register_all(service: &Arc<Service>, from: u32, to: u32) -> Vec<Duration> {
    let callers = (0..CALLERS).map(|caller| {
        let service = Arc::clone(service);
        tokio::spawn(async move {
            let mut waited = Vec::new();
            for number in (from + caller..to).step_by(CALLERS as usize) {
                let began = Instant::now();
                let done =
                    service.register(&instance(number), &Sender::anyone(PEER)).await.unwrap();
                assert!(done.durable);
                waited.push(began.elapsed());
            }
            waited
        })
    });
    let mut all = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        all.extend(caller.await.unwrap());
    }
    all.sort();
    all
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// How long the disk takes to make one page durable, sorted.
fn syncs(folder: &Path) -> Vec<Duration> {
    let mut file = File::create(folder.join("sync")).unwrap();
    let mut took: Vec<_> = (0..300)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 4096]).unwrap();
            file.sync_data().unwrap();
            began.elapsed()
        })
        .collect();
    took.sort();
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures, and takes a minute"]
async fn figures_of_the_store() {
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let syncs = syncs(folder.path());
    println!("sync of 4 KiB: p50 {:?}, p99 {:?}", percentile(&syncs, 50), percentile(&syncs, 99));

    let (first, _) = service(folder.path());
    let began = Instant::now();
    let waited = register_all(&first, 0, SUSTAINED).await;
    let rate = f64::from(SUSTAINED) / began.elapsed().as_secs_f64();
    println!(
        "{SUSTAINED} registrations by {CALLERS} callers: {rate:.0}/s, p50 {:?}, p99 {:?}",
        percentile(&waited, 50),
        percentile(&waited, 99)
    );
    register_all(&first, SUSTAINED, INSTANCES).await;
    let bytes = std::fs::metadata(FileStore::path_in(folder.path())).unwrap().len();
    println!("{INSTANCES} instances: {} MiB on the disk", bytes >> 20);
    // As after a crash: the copy was never closed.
    let copy = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    let file = FileStore::path_in(folder.path());
    std::fs::copy(&file, FileStore::path_in(copy.path())).unwrap();
    first.saving().end(Duration::from_secs(10)).await;
    for (what, folder) in [("a crash", copy.path()), ("an end in order", folder.path())] {
        let began = Instant::now();
        let (_second, found) = service(folder);
        println!("{found} instances back after {what}: {:?}", began.elapsed());
        assert_eq!(found, INSTANCES as usize);
    }
    let bytes = std::fs::metadata(file).unwrap().len();
    println!("after an end in order: {} MiB on the disk", bytes >> 20);
}
