//! Asks the registry, and has what it says judged: registrations, farewells, lists and events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rpc_client::registry::{List, RegistryClient, RegistryClientError};
use rpc_wire::instance::{Instance, WatchEvent};
use tokio::time::sleep;

use super::reached::{Reached, Reaches};
use crate::callers::Clock;
use crate::history::fold::Fold;
use crate::history::seen::{Seen, SeenTimes, Span, Told};
use crate::runs::Wrong;
use crate::trial::Trial;

/// The protocol of the instances whose registrations are witnessed.
pub(super) const MEMBER: &str = "member";
/// That of the servers.
const SERVER: &str = "json";
/// Protocols whose lists and events are.
const PROTOCOLS: [&str; 2] = [SERVER, MEMBER];
/// Interval between looks at a list.
const LOOK: Duration = Duration::from_millis(50);
/// How long a watcher waits before it watches again.
const AGAIN: Duration = Duration::from_millis(50);
/// Broken promises that are told.
const TOLD: usize = 5;

/// Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    clock: Arc<Clock>,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug)]
struct Notes {
    seen: Seen,
    folds: BTreeMap<&'static str, Fold>,
    wrong: Vec<Wrong>,
    acknowledged: u64,
    refused: u64,
    farewells: u64,
    lists: u64,
    events: u64,
}

impl Notes {
    fn judge(&mut self, judged: Result<(), Wrong>, now: Duration) {
        if let Err(wrong) = judged
            && self.wrong.len() < TOLD
        {
            self.wrong.push(format!("{:.3} s: {wrong}", now.as_secs_f64()));
        }
    }
}

impl Witness {
    pub(super) fn new(clock: Arc<Clock>, times: SeenTimes) -> Self {
        let folds = PROTOCOLS.map(|protocol| (protocol, Fold::default()));
        let notes = Notes {
            seen: Seen::new(times),
            folds: folds.into(),
            wrong: Vec::new(),
            acknowledged: 0,
            refused: 0,
            farewells: 0,
            lists: 0,
            events: 0,
        };
        Self { clock, notes: Arc::new(Mutex::new(notes)) }
    }

    fn now(&self) -> Duration {
        Duration::from_micros(self.clock.now())
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The registry has started again.
    pub(super) fn registry_started(&self) {
        let now = self.now();
        self.notes().seen.started(now);
    }

    /// An instance registers, or sends a heartbeat.
    pub(super) async fn register(&self, registry: &RegistryClient, instance: &Instance) {
        let (key, life) = (instance.key(), instance.incarnation().unwrap_or(0));
        self.notes().seen.registers(&key, life);
        let from = self.now();
        let told = match registry.register(instance).await {
            Ok(_) => Told::Listed,
            Err(RegistryClientError::Superseded { incarnation, .. }) => Told::Outlived(incarnation),
            Err(_) => Told::Nothing,
        };
        let span = Span { from, to: self.now() };
        let mut notes = self.notes();
        notes.acknowledged += u64::from(told == Told::Listed);
        notes.refused += u64::from(matches!(told, Told::Outlived(_)));
        let judged = notes.seen.registered(&key, life, told, span);
        notes.judge(judged, span.to);
    }

    /// An instance unregisters.
    pub(super) async fn unregister(&self, registry: &RegistryClient, instance: &Instance) {
        let (key, life) = (instance.key(), instance.incarnation().unwrap_or(0));
        self.notes().seen.unregisters(&key, life);
        let from = self.now();
        if registry.unregister(instance).await.is_ok() {
            let span = Span { from, to: self.now() };
            let mut notes = self.notes();
            notes.farewells += 1;
            notes.seen.unregistered(&key, life, span);
        }
    }

    /// An instance ends in a moment: it will refuse connections.
    pub(super) fn ends(&self, instance: &Instance) {
        let now = self.now();
        self.notes().seen.ends(&instance.key(), now);
    }

    /// Reads the lists, again and again.
    pub(super) async fn read(self, registry: RegistryClient) {
        loop {
            for protocol in PROTOCOLS {
                let from = self.now();
                let read = registry.find_all_if_changed(protocol, None, None).await;
                let span = Span { from, to: self.now() };
                let Ok(List::Changed { instances, etag, .. }) = read else { continue };
                let mut notes = self.notes();
                notes.lists += 1;
                if let (Some(fold), Some(etag)) = (notes.folds.get_mut(protocol), etag) {
                    fold.list(&etag, &instances);
                }
                if protocol == MEMBER {
                    let judged = notes.seen.listed(&instances, span);
                    notes.judge(judged, span.to);
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Follows the events of all protocols, over lost connections.
    pub(super) async fn watch(self, registry: RegistryClient, reached: Reached) {
        let [one, other] =
            PROTOCOLS.map(|protocol| self.watch_one(protocol, registry.clone(), &reached));
        tokio::join!(one, other);
    }

    async fn watch_one(&self, protocol: &'static str, registry: RegistryClient, reached: &Reached) {
        let mut last_id = None::<String>;
        loop {
            let resumed = last_id.is_some();
            if let Ok(mut watch) = registry.watch(protocol, false, last_id.clone()).await {
                let mut is_first = true;
                while let Some(Ok((id, event))) = watch.next().await {
                    let is_snapshot = matches!(event, WatchEvent::Snapshot(_));
                    reached.note(Reaches::ResumedWatch, is_first && resumed && !is_snapshot);
                    is_first = false;
                    let mut notes = self.notes();
                    notes.events += 1;
                    let fold = notes.folds.entry(protocol).or_default();
                    let judged = fold.event(id.as_deref().unwrap_or_default(), event);
                    notes.judge(judged, self.now());
                    last_id = id.or(last_id.take());
                }
            }
            sleep(AGAIN).await;
        }
    }

    /// The ports of the servers by the registry's events.
    pub(super) fn servers(&self) -> Vec<u16> {
        let notes = self.notes();
        let servers = notes.folds.get(SERVER);
        let mut ports: Vec<_> =
            servers.into_iter().flat_map(Fold::keys).map(|key| key.port).collect();
        ports.sort_unstable();
        ports
    }

    /// What was witnessed, and what of that cannot be.
    pub(super) fn judge(&self, trial: &mut Trial) {
        let notes = self.notes();
        let compared: u64 = notes.folds.values().map(|fold| fold.compared).sum();
        for (count, what) in [
            (notes.acknowledged, "registrations and heartbeats acknowledged"),
            (notes.refused, "of an earlier life, refused"),
            (notes.farewells, "farewells acknowledged"),
            (notes.lists, "lists read"),
            (notes.events, "events seen"),
            (compared, "lists compared with the events up to them"),
        ] {
            trial.sometimes(count, what);
        }
        trial.broken.extend(notes.wrong.iter().map(|wrong| format!("history: {wrong}")));
    }
}
