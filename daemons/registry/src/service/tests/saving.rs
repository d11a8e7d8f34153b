//! The service and a store that works, fails, hangs and comes back.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc;

use super::*;
use crate::StoreOptions;
use crate::record::{self, Kind, Record, RecordKey};
use crate::store::{Store, StoreError};

/// What is on the disk, and what the disk does.
#[derive(Debug, Default, Clone)]
struct Disk(Arc<Mutex<DiskState>>);

#[derive(Debug, Default)]
struct DiskState {
    records: BTreeMap<RecordKey, Bytes>,
    commits: usize,
    replacements: usize,
    is_full: bool,
    is_closed: bool,
}

/// A store that commits when it is let, or at once.
#[derive(Debug)]
struct FakeStore {
    disk: Disk,
    turns: Option<mpsc::Receiver<()>>,
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, DiskState> {
        self.0.lock().unwrap()
    }

    fn ports(&self, kind: Kind) -> Vec<u16> {
        let state = self.state();
        let of_kind = state.records.keys().filter(|key| key.kind == kind);
        of_kind.map(|key| key.instance.port).collect()
    }

    /// What a restarted process reads.
    fn left(&self) -> Vec<Restored> {
        let records = self.state().records.clone();
        let restored = |(key, value)| Restored::read(&Record { key, value }).unwrap();
        records.into_iter().map(restored).collect()
    }
}

impl FakeStore {
    fn check(&self) -> Result<(), StoreError> {
        if let Some(turns) = &self.turns {
            let _ = turns.recv();
        }
        match self.disk.state().is_full {
            true => Err(io::Error::from(io::ErrorKind::StorageFull).into()),
            false => Ok(()),
        }
    }
}

impl Store for FakeStore {
    fn commit(&mut self, changes: &[record::Change]) -> Result<(), StoreError> {
        self.check()?;
        let mut disk = self.disk.state();
        disk.commits += 1;
        for record::Change { key, value } in changes.iter().cloned() {
            match value {
                Some(value) => drop(disk.records.insert(key, value)),
                None => drop(disk.records.remove(&key)),
            }
        }
        Ok(())
    }

    fn replace(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.check()?;
        let mut disk = self.disk.state();
        disk.replacements += 1;
        let pair = |Record { key, value }: Record| (key, value);
        disk.records = records.iter().cloned().map(pair).collect();
        Ok(())
    }

    fn close(&mut self) {
        self.disk.state().is_closed = true;
    }
}

fn options() -> RegistryOptions {
    let store = StoreOptions::Redb { data_dir: "not used".into() };
    let max_store_retry = Duration::from_millis(1);
    RegistryOptions { store, max_store_retry, ..RegistryOptions::default() }
}

fn start(
    options: RegistryOptions,
    left: Vec<Restored>,
    disk: &Disk,
    turns: Option<mpsc::Receiver<()>>,
) -> Arc<Service> {
    let service = Arc::new(Service::new(options, ADDRESS, left));
    service.save_to(Box::new(FakeStore { disk: disk.clone(), turns })).unwrap();
    service
}

async fn acknowledged(service: &Service, port: u16) -> bool {
    let body = body("json", port, 0);
    within(Duration::from_secs(10), service.register(&body, &Sender::anyone(PEER)))
        .await
        .unwrap()
        .durable
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), wait).await.is_ok(), "not so: {what}");
}

#[tokio::test]
async fn a_registration_is_acknowledged_when_the_store_has_it_and_a_heartbeat_costs_it_nothing() {
    let disk = Disk::default();
    let service = start(options(), Vec::new(), &disk, None);
    for port in 1..=3 {
        assert!(acknowledged(&service, port).await);
        assert_eq!(disk.ports(Kind::Instance).last(), Some(&port));
    }
    let commits = disk.state().commits;
    for port in 1..=3 {
        assert!(acknowledged(&service, port).await, "a heartbeat");
    }
    assert_eq!(disk.state().commits, commits);
    let left = service.unregister(&body("json", 2, 0), &Sender::anyone(PEER)).await.unwrap();
    assert!(left.durable);
    assert_eq!(disk.ports(Kind::Instance), [1, 3]);
    assert_eq!(disk.ports(Kind::ClassicDeparture), [2]);
}

#[tokio::test]
async fn what_changes_during_a_commit_goes_into_the_next_one_and_nobody_is_told_before() {
    let disk = Disk::default();
    let (turn, turns) = mpsc::channel();
    let service = start(options(), Vec::new(), &disk, Some(turns));
    let mut first = Vec::new();
    // The same body twice: the second must not be told what the first still waits for.
    for port in [1, 2, 2, 3, 4] {
        let service = Arc::clone(&service);
        first.push(tokio::spawn(async move { acknowledged(&service, port).await }));
    }
    until("all are listed", || service.len() == 4).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(first.iter().all(|request| !request.is_finished()), "acknowledged too early");
    // The first commit has what there was when it began; the second has all the others.
    turn.send(()).unwrap();
    turn.send(()).unwrap();
    for request in first {
        assert!(request.await.unwrap());
    }
    assert!(disk.state().commits <= 2);
    drop(turn);
}

#[tokio::test]
async fn a_restarted_registry_lists_at_once_what_was_acknowledged_with_a_full_ttl() {
    let disk = Disk::default();
    let service = start(options(), Vec::new(), &disk, None);
    for port in [3, 1, 2] {
        acknowledged(&service, port).await;
    }
    let what = crate::table::Override {
        state: rpc_wire::instance::OverrideState::Draining,
        reason: None,
        by: None,
        until_ms: None,
    };
    let key = rpc_wire::instance::Instance::new("127.0.0.1", 1).key();
    assert!(service.set_override(key, what, None, &Sender::anyone(PEER)).await.unwrap().durable);
    let order = async |service: &Service| {
        let list = service.list(&Scope::protocol("json")).await.unwrap();
        String::from_utf8(list.body.to_vec()).unwrap()
    };
    let before = order(&service).await;
    assert!(before.contains("\"port\":3"), "{before}");

    // Nothing tells it to end: what was acknowledged is there.
    let again = start(options(), disk.left(), &disk, None);
    assert_eq!(order(&again).await, before);
    assert_ne!(again.name_of(1), service.name_of(1), "another epoch");
    let mut watcher = watch(&again, None, None);
    assert_eq!(next_text(&mut watcher).await, "snapshot 3,1,2");
    assert!(acknowledged(&again, 4).await);
    assert_eq!(next_text(&mut watcher).await, "registered 4");
    let state = again.lock();
    let due = state.table.next_check();
    drop(state);
    assert!(due.saturating_duration_since(now()) <= again.options.check_interval);
}

#[tokio::test]
async fn while_the_store_fails_registrations_are_taken_and_marked_and_saved_when_it_is_back() {
    let disk = Disk::default();
    let service = start(options(), Vec::new(), &disk, None);
    assert!(acknowledged(&service, 1).await);
    disk.state().is_full = true;
    assert!(!acknowledged(&service, 2).await);
    assert!(!acknowledged(&service, 2).await, "a heartbeat of what is not durable");
    assert!(acknowledged(&service, 1).await, "a heartbeat of what is durable");
    let gone = service.unregister(&body("json", 1, 0), &Sender::anyone(PEER)).await.unwrap();
    assert!(!gone.durable);
    assert!(service.saving().failing().unwrap().contains("storage"));
    let page = service.page(&Scope::protocol("json"), &mut Page::default()).await.unwrap();
    assert!(String::from_utf8(page).unwrap().contains(r#""durable":false"#));
    assert_eq!(disk.ports(Kind::Instance), [1]);

    disk.state().is_full = false;
    until("it works again", || service.saving().failing().is_none()).await;
    assert_eq!(disk.ports(Kind::Instance), [2]);
    assert!(disk.state().replacements > 0);
    let page = service.page(&Scope::protocol("json"), &mut Page::default()).await.unwrap();
    assert!(!String::from_utf8(page).unwrap().contains("durable"));
    assert!(acknowledged(&service, 3).await);
}

#[tokio::test]
async fn a_store_that_does_not_answer_counts_as_failing_until_it_does() {
    let disk = Disk::default();
    let (turn, turns) = mpsc::channel();
    let store_timeout = Duration::from_millis(20);
    let options = RegistryOptions { store_timeout, ..options() };
    let service = start(options, Vec::new(), &disk, Some(turns));
    assert!(!acknowledged(&service, 1).await);
    assert!(service.saving().failing().unwrap().contains("does not answer"));
    drop(turn);
    until("it answers again", || service.saving().failing().is_none()).await;
    assert_eq!(disk.ports(Kind::Instance), [1]);
}

#[tokio::test]
async fn more_changes_than_there_is_room_for_are_saved_as_everything() {
    let disk = Disk::default();
    let (turn, turns) = mpsc::channel();
    let service =
        start(RegistryOptions { max_unsaved: 2, ..options() }, Vec::new(), &disk, Some(turns));
    let requests: Vec<_> = (1..=9)
        .map(|port| {
            let service = Arc::clone(&service);
            tokio::spawn(async move { acknowledged(&service, port).await })
        })
        .collect();
    until("all are listed", || service.len() == 9).await;
    drop(turn);
    for request in requests {
        assert!(request.await.unwrap());
    }
    assert_eq!(disk.ports(Kind::Instance).len(), 9);
    assert!(disk.state().replacements > 0);
}

#[tokio::test]
async fn at_the_end_the_rest_is_saved_and_the_store_closed() {
    let disk = Disk::default();
    let service = start(options(), Vec::new(), &disk, None);
    acknowledged(&service, 1).await;
    // Nobody waits for this one.
    service.lock().table.hold_back(rpc_wire::instance::Instance::new("h", 7).key(), now());
    service.saving().end(Duration::from_secs(10)).await;
    assert!(disk.state().is_closed);
    assert_eq!(disk.ports(Kind::ClassicDeparture), [7]);
}

#[tokio::test]
async fn at_the_end_a_store_that_failed_is_tried_once_more() {
    for is_full in [false, true] {
        let disk = Disk::default();
        let long = Duration::from_secs(3600);
        let options = RegistryOptions { max_store_retry: long, ..options() };
        let service = start(options, Vec::new(), &disk, None);
        disk.state().is_full = true;
        assert!(!acknowledged(&service, 1).await);
        // The pause is longer by now than what a registry that ends waits for its store.
        until("it has failed twice", || service.metrics.store_failures.get() >= 2).await;
        disk.state().is_full = is_full;
        service.saving().end(Duration::from_secs(10)).await;
        let expected: &[u16] = if is_full { &[] } else { &[1] };
        assert_eq!(disk.ports(Kind::Instance), expected);
        assert!(disk.state().is_closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_has_just_started_says_so_for_a_while() {
    let warming = Duration::from_secs(5);
    let options = || RegistryOptions { warming, ..RegistryOptions::default() };
    let service = Service::new(options(), ADDRESS, Vec::new());
    assert_eq!(service.warming(), Some(warming));
    tokio::time::advance(Duration::from_secs(4)).await;
    assert_eq!(service.warming(), Some(Duration::from_secs(1)));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(service.warming(), None);
    assert_eq!(Service::new(RegistryOptions::default(), ADDRESS, Vec::new()).warming(), None);
}
