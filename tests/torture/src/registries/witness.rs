//! Asks registries that share what they know, and has what each of them says judged: registrations, farewells, lists and
//! events.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rpc_client::registry::{List, RegistryClient};
use rpc_wire::instance::{Instance, WatchEvent};
use rpc_wire::paths::{DURABLE_HEADER, REGISTER, UNREGISTER};
use serde_json::Value;
use tokio::time::sleep;

use crate::callers::Clock;
use crate::history::fold::Fold;
use crate::history::seen::{Span, Told};
use crate::history::several::{Bounds, By, Several};
use crate::http::{Reply, ask};
use crate::runs::Wrong;
use crate::trial::Trial;

/// The protocol of the instances whose registrations are witnessed.
pub(super) const MEMBER: &str = "member";
/// That of the servers.
pub(super) const SERVER: &str = "json";
/// Protocols whose lists and events are.
const PROTOCOLS: [&str; 2] = [SERVER, MEMBER];
/// Interval between looks at a list.
const LOOK: Duration = Duration::from_millis(50);
/// How long a watcher waits before it watches again.
const AGAIN: Duration = Duration::from_millis(50);
/// The longest time of a registration or farewell.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long events may be on their way.
const LATE: Duration = Duration::from_secs(1);
/// Broken promises that are told.
const TOLD: usize = 5;

/// Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    clock: Arc<Clock>,
    registries: Vec<SocketAddr>,
    notes: Arc<Mutex<Notes>>,
}

#[derive(Debug)]
struct Notes {
    several: Several,
    /// For each registry.
    folds: Vec<BTreeMap<&'static str, Fold>>,
    wrong: Vec<Wrong>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    acknowledged: u64,
    not_durable: u64,
    refused: u64,
    farewells: u64,
    elsewhere: u64,
    lists: u64,
    events: u64,
    resumed: u64,
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
    pub(super) fn new(clock: Arc<Clock>, bounds: Bounds, registries: Vec<SocketAddr>) -> Self {
        let folds = |_| PROTOCOLS.map(|protocol| (protocol, Fold::default())).into();
        let folds = registries.iter().map(folds).collect();
        let several = Several::new(bounds, registries.len());
        let notes = Notes { several, folds, wrong: Vec::new(), counts: Counts::default() };
        Self { clock, registries, notes: Arc::new(Mutex::new(notes)) }
    }

    fn now(&self) -> Duration {
        Duration::from_micros(self.clock.now())
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many registries there are.
    pub(super) fn registries(&self) -> usize {
        self.registries.len()
    }

    /// Notes what happens to the registries.
    pub(super) fn note(&self, what: impl FnOnce(&mut Several, Duration)) {
        let now = self.now();
        what(&mut self.notes().several, now);
    }

    /// An instance turns to another registry than before.
    pub(super) fn goes_elsewhere(&self) {
        self.notes().counts.elsewhere += 1;
    }

    /// An instance registers, or sends a heartbeat; whether that is acknowledged as durable, if it is acknowledged.
    pub(super) async fn register(&self, registry: usize, instance: &Instance) -> Option<bool> {
        self.send(registry, instance, false).await
    }

    /// A heartbeat of an instance that has ended arrives late.
    pub(super) async fn late_heartbeat(&self, registry: usize, instance: &Instance) {
        self.send(registry, instance, true).await;
    }

    async fn send(&self, registry: usize, instance: &Instance, is_late: bool) -> Option<bool> {
        let (key, life) = (instance.key(), instance.incarnation().unwrap_or(0));
        self.notes().several.registers(&key, life);
        let from = self.now();
        let reply = self.post(REGISTER, registry, instance).await;
        let span = Span { from, to: self.now() };
        let (told, durable) = match &reply {
            Ok(reply) => (told(reply), is_durable(reply)),
            Err(_) => (Told::Nothing, false),
        };
        let mut notes = self.notes();
        let is_listed = told == Told::Listed;
        notes.counts.acknowledged += u64::from(is_listed);
        notes.counts.not_durable += u64::from(is_listed && !durable);
        notes.counts.refused += u64::from(matches!(told, Told::Outlived(_)));
        let by = By { registry, durable };
        let judged = notes.several.registered(&key, life, told, by, span);
        notes.judge(judged, span.to);
        if is_late {
            notes.several.ends(&key, span.to);
        }
        // Who is told that a later life is known need not ask elsewhere.
        (told != Told::Nothing).then_some(durable)
    }

    /// An instance unregisters; whether that is acknowledged.
    pub(super) async fn unregister(&self, registry: usize, instance: &Instance) -> bool {
        let (key, life) = (instance.key(), instance.incarnation().unwrap_or(0));
        self.notes().several.unregisters(&key, life);
        let from = self.now();
        let reply = self.post(UNREGISTER, registry, instance).await;
        let Some(reply) = reply.ok().filter(|reply| reply.status == 200) else { return false };
        let span = Span { from, to: self.now() };
        let mut notes = self.notes();
        notes.counts.farewells += 1;
        let by = By { registry, durable: is_durable(&reply) };
        notes.several.unregistered(&key, life, by, span);
        true
    }

    /// An instance ends in a moment: it will refuse connections.
    pub(super) fn ends(&self, instance: &Instance) {
        let now = self.now();
        self.notes().several.ends(&instance.key(), now);
    }

    async fn post(&self, path: &str, registry: usize, instance: &Instance) -> io::Result<Reply> {
        post(self.registries[registry], path, instance).await
    }

    /// Reads the lists of a registry, again and again.
    pub(super) async fn read(self, registry: usize, client: RegistryClient) {
        loop {
            for protocol in PROTOCOLS {
                let from = self.now();
                let read = client.find_all_if_changed(protocol, None, None).await;
                let span = Span { from, to: self.now() };
                let Ok(List::Changed { instances, etag, .. }) = read else { continue };
                let mut notes = self.notes();
                notes.counts.lists += 1;
                if let (Some(fold), Some(etag)) = (notes.folds[registry].get_mut(protocol), etag) {
                    fold.list(&etag, &instances);
                }
                if protocol == MEMBER {
                    let judged = notes.several.listed(registry, &instances, span);
                    notes.judge(judged, span.to);
                }
            }
            sleep(LOOK).await;
        }
    }

    /// Follows the events of a registry, over lost connections.
    pub(super) async fn watch(self, registry: usize, client: RegistryClient) {
        let [one, other] = PROTOCOLS.map(|protocol| self.watch_one(registry, protocol, &client));
        tokio::join!(one, other);
    }

    async fn watch_one(&self, registry: usize, protocol: &'static str, client: &RegistryClient) {
        let mut last_id = None::<String>;
        loop {
            let resumed = last_id.is_some();
            if let Ok(mut watch) = client.watch(protocol, false, last_id.clone()).await {
                let mut is_first = true;
                while let Some(Ok((id, event))) = watch.next().await {
                    let now = self.now();
                    let mut notes = self.notes();
                    notes.counts.events += 1;
                    notes.counts.resumed += u64::from(is_first && resumed);
                    is_first = false;
                    if let WatchEvent::Unregistered(key) | WatchEvent::Expired(key, _) = &event
                        && protocol == MEMBER
                    {
                        let judged = notes.several.removed(registry, key, now, LATE);
                        notes.judge(judged, now);
                    }
                    let fold = notes.folds[registry].entry(protocol).or_default();
                    let judged = fold.event(id.as_deref().unwrap_or_default(), event);
                    let judged = judged.map_err(|wrong| format!("registry {registry}: {wrong}"));
                    notes.judge(judged, now);
                    last_id = id.or(last_id.take());
                }
            }
            sleep(AGAIN).await;
        }
    }

    /// The ports of the instances of a protocol by a registry's events.
    pub(super) fn folded(&self, registry: usize, protocol: &str) -> Vec<u16> {
        let notes = self.notes();
        let fold = notes.folds[registry].get(protocol);
        sorted(fold.into_iter().flat_map(Fold::keys).map(|key| key.port))
    }

    /// What was witnessed, and what of that cannot be; `is_long`: long enough for all of it.
    pub(super) fn judge(&self, trial: &mut Trial, is_long: bool) {
        let notes = self.notes();
        let Counts {
            acknowledged,
            not_durable,
            refused,
            farewells,
            elsewhere,
            lists,
            events,
            resumed,
        } = notes.counts;
        let compared = notes.folds.iter().map(|of| of.values().map(|fold| fold.compared).sum());
        for (count, what) in [
            (acknowledged, "registrations and heartbeats acknowledged"),
            (farewells, "farewells acknowledged"),
            (lists, "lists read"),
            (events, "events seen"),
            (compared.min().unwrap_or(0), "lists of each registry compared with its events"),
        ] {
            trial.sometimes(count, what);
        }
        for (count, what) in [
            (not_durable, "acknowledged as not durable"),
            (refused, "of an earlier life, refused"),
            (elsewhere, "heartbeats that went on at another registry"),
            (resumed, "watches that went on"),
        ] {
            match is_long {
                true => trial.sometimes(count, what),
                false => trial.count(count, what),
            }
        }
        trial.broken.extend(notes.wrong.iter().map(|wrong| format!("history: {wrong}")));
    }
}

/// Sends an instance to a registry.
pub(super) async fn post(
    registry: SocketAddr,
    path: &str,
    instance: &Instance,
) -> io::Result<Reply> {
    let what = format!("POST {path}?proto={}", instance.protocol);
    ask(registry, &what, &serde_json::to_vec(instance)?, TIMEOUT).await
}

/// In order.
pub(super) fn sorted(ports: impl IntoIterator<Item = u16>) -> Vec<u16> {
    let mut ports: Vec<_> = ports.into_iter().collect();
    ports.sort_unstable();
    ports
}

/// Whether a reply that acknowledges something says that it is durable.
pub(super) fn is_durable(reply: &Reply) -> bool {
    reply.header(DURABLE_HEADER).is_none()
}

fn told(reply: &Reply) -> Told {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    match reply.status {
        200 if body["status"] == true => Told::Listed,
        409 => body["incarnation"].as_u64().map_or(Told::Nothing, Told::Outlived),
        _ => Told::Nothing,
    }
}
