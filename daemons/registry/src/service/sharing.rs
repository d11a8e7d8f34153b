//! Shares what the table has with other registries, through an etcd cluster.
//!
//! Keys below the prefix:
//!
//! ```text
//! format                           what the others mean: 1
//! registries/ID                    a registry, leased: gone some seconds after it
//! instances/PROTOCOL/HOST/PORT     all that is known of an address, see `table::shared`
//! ```
//!
//! A *session* reads everything, then follows it, writes what changes here, keeps the registry's lease, and takes
//! over instances whose registry has ended: four loops at once. When one fails, so does the session, and the next
//! one reads everything anew. Every write names the revision that it knows: who is late learns what is there
//! instead, and the table decides who is right.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::hash::Hasher as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use rpc_wire::instance::{InstanceKey, RegistryName};
use rpc_wire::mutants::mutant;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tracing::{Instrument as _, Span, info, warn};

use super::{Membership, Service, now};
use crate::store::etcd::{
    Compared, Etcd, EtcdError, KeyValue, Put, Txn, TxnOutcome, Watch, WatchEvent,
};
use crate::table::{Pending, Shared, Unshared};

/// The format that this version reads and writes.
const FORMAT: &[u8] = b"1";
/// Writes at a time.
const WRITES_AT_ONCE: usize = 64;
/// How long a registry has to be gone before its instances are taken over: after a failure of etcd it comes back
/// at once.
const ADOPT_AFTER: Duration = Duration::from_secs(1);
/// After this time whoever sees that an instance has no owner takes it, not only the one whose turn it is.
const ADOPT_ANY_AFTER: Duration = Duration::from_secs(10);
/// Interval of looking for such instances.
const ORPHAN_CHECK: Duration = Duration::from_millis(250);
/// Documents taken, and instances taken over, under one lock.
const AT_ONCE: usize = 64;
/// Interval of looking whether there is room again.
const ROOM_CHECK: Duration = Duration::from_secs(10);
/// Pauses between sessions that fail.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// This registry's part in a cluster.
#[derive(Debug)]
struct Sharing {
    etcd: Etcd,
    /// Random: another one with every start.
    id: String,
    /// As it is shown to people.
    address: String,
    /// The lease of its key.
    lease: Mutex<Option<i64>>,
    /// Said once.
    has_strange_keys: AtomicBool,
}

/// What a registry says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Peer {
    address: String,
}

/// What one session knows of the cluster's keys.
#[derive(Debug, Default)]
struct Known {
    /// The last revision of each address: of what is there, and of what was deleted here a moment ago.
    revisions: HashMap<InstanceKey, Version>,
    /// Their writes are under way: what is heard of them waits for the outcome.
    in_flight: HashSet<InstanceKey>,
    waiting: Vec<Heard>,
    /// The registries that live, by id.
    live: BTreeMap<String, String>,
    /// When those that ended were missed first.
    ended: HashMap<String, Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Version {
    revision: i64,
    exists: bool,
}

/// What became of an address, in which revision.
#[derive(Debug)]
struct Heard {
    key: InstanceKey,
    document: Option<Bytes>,
    revision: i64,
}

/// What a key below the prefix is.
#[derive(Debug, PartialEq, Eq)]
enum Name {
    Format,
    Registry(String),
    Instance(InstanceKey),
    Strange,
}

impl Sharing {
    fn new(etcd: Etcd, address: String) -> Self {
        let id = format!("{:016x}", rand::random::<u64>());
        let has_strange_keys = AtomicBool::new(false);
        Self { etcd, id, address, lease: Mutex::default(), has_strange_keys }
    }

    fn prefix(&self) -> &str {
        &self.etcd.options().prefix
    }

    fn key(&self, rest: &str) -> Bytes {
        format!("{}{rest}", self.prefix()).into()
    }

    fn key_of(&self, InstanceKey { protocol, host, port }: &InstanceKey) -> Bytes {
        self.key(&format!("instances/{protocol}/{host}/{port}"))
    }

    fn name(&self, key: &[u8]) -> Name {
        let text = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix(self.prefix()));
        let Some(text) = text else { return Name::Strange };
        if text == "format" {
            return Name::Format;
        }
        match text.split_once('/') {
            Some(("registries", id)) if !id.is_empty() => Name::Registry(id.to_owned()),
            Some(("instances", rest)) => instance(rest).map_or(Name::Strange, Name::Instance),
            _ => Name::Strange,
        }
    }

    /// Writes that this registry lives, until its lease ends.
    async fn sign_in(&self) -> Result<i64, EtcdError> {
        let known = *self.lease();
        let lease = match known {
            Some(lease) => match self.etcd.keep_alive(lease).await {
                Err(EtcdError::LeaseEnded) => self.etcd.grant().await?,
                kept => kept?,
            },
            None => self.etcd.grant().await?,
        };
        *self.lease() = Some(lease.id);
        let key = self.key(&format!("registries/{}", self.id));
        let peer = Peer { address: self.address.clone() };
        // Plain data serialises.
        let value = Bytes::from(serde_json::to_vec(&peer).unwrap_or_default());
        self.put(key, value, Some(lease.id)).await?;
        Ok(lease.id)
    }

    /// Puts a key, whatever is there.
    async fn put(&self, key: Bytes, value: Bytes, lease: Option<i64>) -> Result<(), EtcdError> {
        let mut revision = 0;
        loop {
            let compared = Compared { key: key.clone(), revision };
            let put = Put { key: key.clone(), value: Some(value.clone()), lease };
            match self.etcd.txn(&Txn { compared, put }).await? {
                TxnOutcome::Done(_) => return Ok(()),
                TxnOutcome::Conflict(there, _) => revision = there.map_or(0, |it| it.revision),
            }
        }
    }

    /// Makes sure that the keys mean what this version takes them for.
    async fn check_format(&self) -> Result<(), EtcdError> {
        let key = self.key("format");
        let compared = Compared { key: key.clone(), revision: 0 };
        let put = Put { key, value: Some(Bytes::from_static(FORMAT)), lease: None };
        match self.etcd.txn(&Txn { compared, put }).await? {
            TxnOutcome::Conflict(Some(there), _) if there.value != FORMAT => {
                let found = String::from_utf8_lossy(&there.value);
                let found: String = found.chars().filter(|c| !c.is_control()).take(40).collect();
                Err(EtcdError::Refused(format!(
                    "the keys below {:?} are of format {found:?}, and this version knows 1 only; use the version that wrote them, or another prefix",
                    self.prefix()
                )))
            }
            _ => Ok(()),
        }
    }

    fn lease(&self) -> MutexGuard<'_, Option<i64>> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An address as people know it: one that stands for all of a machine is the machine's name.
fn shown(address: SocketAddr) -> String {
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let machine = rpc_host::person::machine();
    format!("{machine}:{}", address.port())
}

/// `PROTOCOL/HOST/PORT`.
fn instance(text: &str) -> Option<InstanceKey> {
    let (protocol, rest) = text.split_once('/')?;
    let (host, port) = rest.rsplit_once('/')?;
    let is_one = !protocol.is_empty() && !host.is_empty() && !host.contains('/');
    let (protocol, host) = (protocol.to_owned(), host.to_owned());
    is_one.then_some(InstanceKey { protocol, host, port: port.parse().ok()? })
}

/// Which of these registries takes over an instance: the same for each of them, and another one for another
/// instance (rendezvous hashing).
fn heir<'a>(key: &InstanceKey, live: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    live.max_by_key(|id| {
        let mut hash = Fnv::default();
        hash.write(id.as_bytes());
        hash.write(format!("/{}/{}/{}", key.protocol, key.host, key.port).as_bytes());
        (hash.finish(), *id)
    })
}

/// FNV-1a: the same in every process and version.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl std::hash::Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        // Its last bytes alone change the high bits too little.
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    }
}

/// A session: valid until its first error.
struct Session<'a> {
    service: &'a Service,
    sharing: &'a Sharing,
    known: Mutex<Known>,
    lease: i64,
    began: Instant,
}

impl Service {
    /// Shares the table with the other registries of a cluster from now on, as the one at `address`.
    pub(crate) fn share_in(self: &Arc<Self>, etcd: Etcd, address: SocketAddr) {
        self.saving.by_task();
        let sharing = Sharing::new(etcd, shown(address));
        let me = RegistryName { id: sharing.id.clone(), address: Some(sharing.address.clone()) };
        // Set once: a service is started once.
        let _ = self.membership.set(Membership::new(me));
        let sharing = Arc::clone(self).share(sharing);
        tokio::spawn(sharing.instrument(Span::current()));
    }

    /// Shares the table until the end; then writes what is left, and signs out.
    async fn share(self: Arc<Self>, sharing: Sharing) {
        let ending = self.saving.ending();
        let mut pause = FIRST_PAUSE;
        let mut said = None;
        loop {
            let began = now();
            let Err(mut error) = self.session(&sharing).await else { break };
            // Certificates are replaced before they end.
            if let EtcdError::Tls(_) = error
                && let Err(why) = sharing.etcd.reload()
            {
                error = EtcdError::Tls(why);
            }
            self.metrics.store_failures.inc();
            self.membership.get().inspect(|membership| membership.is_cut_off());
            let is_new = self.saving.fail(&error);
            let kind = std::mem::discriminant(&error);
            if said.replace(kind) != Some(kind) && !is_new {
                warn!(%error, "the store still fails, for another reason now");
            }
            if now().saturating_duration_since(began) > self.options.max_store_retry {
                pause = FIRST_PAUSE;
            }
            if ending.run_until_cancelled(sleep(pause)).await.is_none() {
                break;
            }
            pause = (pause * 2).min(self.options.max_store_retry);
        }
        self.sign_out(&sharing).await;
        self.saving.ended();
    }

    /// Shares until the end, or until the first error.
    async fn session(&self, sharing: &Sharing) -> Result<(), EtcdError> {
        let ending = self.saving.ending();
        let Some(opened) = ending.run_until_cancelled(self.open_session(sharing)).await else {
            return Ok(());
        };
        let (session, watch) = opened?;
        let member = sharing.etcd.member();
        let never = tokio::select! {
            outcome = session.follow(watch) => outcome?,
            outcome = session.write() => outcome?,
            outcome = session.keep_lease(member) => outcome?,
            outcome = session.make_up() => outcome?,
            never = session.adopt_orphans() => never,
            () = ending.cancelled() => return session.write_rest().await,
        };
        match never {}
    }

    async fn open_session<'a>(
        &'a self,
        sharing: &'a Sharing,
    ) -> Result<(Session<'a>, Watch), EtcdError> {
        sharing.check_format().await?;
        let lease = sharing.sign_in().await?;
        let (entries, revision) = sharing.etcd.read_all(sharing.prefix().as_bytes()).await?;
        let known = Mutex::default();
        let session = Session { service: self, sharing, known, lease, began: now() };
        session.take_all(entries).await;
        let watch = sharing.etcd.watch(sharing.prefix().as_bytes(), revision + 1).await?;
        let (id, instances) = (&sharing.id, self.len());
        info!(
            id,
            revision, instances, "sharing instances with the other registries of the etcd cluster"
        );
        Ok((session, watch))
    }

    async fn sign_out(&self, sharing: &Sharing) {
        let lease = sharing.lease().take();
        if let Some(lease) = lease
            && let Err(error) = sharing.etcd.revoke(lease).await
        {
            info!(%error, "not signed out; the other registries will notice");
        }
    }

    fn take(&self, shared: Vec<(Shared, Pending)>, me: &str) {
        let mut shared = shared.into_iter().peekable();
        while shared.peek().is_some() {
            let (changes, is_first) = {
                let mut state = self.lock();
                let (now, wall) = (now(), SystemTime::now());
                let had_room = state.table.no_room_for().len() == 0;
                let take = |(one, pending)| state.table.take_shared(one, me, pending, wall, now);
                let changes: Vec<_> = shared.by_ref().take(AT_ONCE).flat_map(take).collect();
                state.history.extend(changes.iter().cloned());
                (changes, had_room && state.table.no_room_for().len() > 0)
            };
            if is_first {
                let (max_instances, max_table_bytes) =
                    (self.options.max_instances, self.options.max_table_bytes);
                warn!(
                    max_instances,
                    max_table_bytes,
                    "there is no room for all instances of the other registries: some are not listed here; raise both in [registry-server]"
                );
            }
            self.announce(&changes, None);
        }
        self.override_set.notify_one();
    }
}

impl Session<'_> {
    /// Takes everything that there is; what is not there any more is gone.
    async fn take_all(&self, entries: Vec<KeyValue>) {
        let mut there = Vec::new();
        for KeyValue { key, value, revision } in entries {
            match self.sharing.name(&key) {
                Name::Instance(key) => {
                    self.known().revisions.insert(key.clone(), Version { revision, exists: true });
                    there.extend(self.read(key, &value));
                }
                Name::Registry(id) => self.is_live(id, &value),
                Name::Format => {}
                Name::Strange => self.is_strange(&key),
            }
        }
        there.sort_by_key(Shared::order);
        let gone: Vec<Shared> = {
            let known = self.known();
            let mine = self.service.lock().table.known_keys();
            let is_gone = |key: &InstanceKey| !known.revisions.contains_key(key);
            mine.into_iter().filter(is_gone).map(Shared::nothing).collect()
        };
        let mut all = there.into_iter().chain(gone).map(|one| (one, Pending::NOTHING)).peekable();
        while all.peek().is_some() {
            let some: Vec<_> = all.by_ref().take(AT_ONCE).collect();
            self.service.take(some, &self.sharing.id);
            tokio::task::yield_now().await;
        }
        self.tell_members();
        self.service.is_read.store(true, Ordering::Relaxed);
    }

    /// Follows what the other registries write.
    async fn follow(&self, mut watch: Watch) -> Result<Infallible, EtcdError> {
        loop {
            let mut heard = Vec::new();
            for event in watch.next().await? {
                let (key, document, revision) = match event {
                    WatchEvent::Put(KeyValue { key, value, revision }) => {
                        (key, Some(value), revision)
                    }
                    WatchEvent::Deleted(key, revision) => (key, None, revision),
                    WatchEvent::Created | WatchEvent::Progress(_) => continue,
                };
                match (self.sharing.name(&key), document) {
                    (Name::Instance(key), document) => {
                        heard.push(Heard { key, document, revision });
                    }
                    (Name::Registry(id), Some(value)) => {
                        self.is_live(id, &value);
                        self.tell_members();
                    }
                    (Name::Registry(id), None) if id == self.sharing.id => {
                        return Err(EtcdError::LeaseEnded);
                    }
                    (Name::Registry(id), None) => {
                        self.has_ended(&id);
                        self.tell_members();
                    }
                    (Name::Format, _) => self.sharing.check_format().await?,
                    (Name::Strange, _) => self.is_strange(&key),
                }
            }
            self.hear(heard);
        }
    }

    /// Takes what is new of what was heard; of addresses whose writes are under way later.
    fn hear(&self, heard: Vec<Heard>) {
        if heard.is_empty() {
            return;
        }
        let mut new = Vec::new();
        {
            let mut known = self.known();
            for one in heard {
                if known.in_flight.contains(&one.key) {
                    known.waiting.push(one);
                } else if known.note_heard(&one) {
                    new.push(one);
                }
            }
        }
        self.take_heard(new);
        self.service.saving.wake();
    }

    fn take_heard(&self, heard: Vec<Heard>) {
        let read = |Heard { key, document, .. }| match document {
            Some(document) => self.read(key, &document),
            None => Some(Shared::nothing(key)),
        };
        let shared = heard.into_iter().filter_map(read).map(|one| (one, Pending::NOTHING));
        self.service.take(shared.collect(), &self.sharing.id);
    }

    /// Writes what changes here.
    async fn write(&self) -> Result<Infallible, EtcdError> {
        loop {
            self.write_rest().await?;
            self.service.saving.woken().await;
        }
    }

    /// Writes until there is nothing left to write.
    async fn write_rest(&self) -> Result<(), EtcdError> {
        loop {
            let (unshared, changes) = {
                let known = self.known();
                let mut state = self.service.lock();
                state.table.take_unshared(&self.sharing.id, known.revisions.keys())
            };
            let started = now();
            let is_saved = self.write_all(&unshared).await?;
            if is_saved {
                self.service.saving.advance(changes);
            }
            if unshared.is_empty() {
                return Ok(());
            }
            self.service.metrics.store_commits.observe(now().saturating_duration_since(started));
        }
    }

    /// Writes documents; whether all of them are as they should be. What was not written is put back.
    async fn write_all(&self, unshared: &[Unshared]) -> Result<bool, EtcdError> {
        self.known().in_flight = unshared.iter().map(|one| one.key.clone()).collect();
        let mut unwritten = Unwritten { service: self.service, unshared };
        let write = |one| async move { (one, self.write_one(one).await) };
        let writes: Vec<_> = unshared.iter().map(write).collect();
        let mut outcomes = stream::iter(writes).buffer_unordered(WRITES_AT_ONCE);
        let mut conflicts = Vec::new();
        let mut failed = None;
        while let Some((one, outcome)) = outcomes.next().await {
            match outcome {
                Ok(None) => {}
                Ok(Some(there)) => conflicts.push((there, one.pending)),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        drop(outcomes);
        if let Some(error) = failed {
            return Err(error);
        }
        unwritten.unshared = &[];
        let is_saved = conflicts.is_empty();
        self.service.take(conflicts, &self.sharing.id);
        let waiting = {
            let mut known = self.known();
            known.in_flight.clear();
            std::mem::take(&mut known.waiting)
        };
        self.hear(waiting);
        Ok(is_saved)
    }

    /// Writes one document; what is there instead, if it has changed meanwhile.
    async fn write_one(&self, one: &Unshared) -> Result<Option<Shared>, EtcdError> {
        let Unshared { key, document, .. } = one;
        let revision = self.known().revision_of(key);
        if document.is_none() && revision == 0 {
            return Ok(None);
        }
        let at = self.sharing.key_of(key);
        let put = Put { key: at.clone(), value: document.clone(), lease: None };
        let txn = Txn { compared: Compared { key: at, revision }, put };
        match self.sharing.etcd.txn(&txn).await? {
            TxnOutcome::Done(revision) => {
                self.known().note(key, revision, document.is_some());
                Ok(None)
            }
            TxnOutcome::Conflict(there, revision) => {
                let at = there.as_ref().map_or(revision, |there| there.revision);
                self.known().note(key, at, there.is_some());
                // An attempt that got no reply was done all the same.
                if there.as_ref().map(|there| &there.value) == document.as_ref() {
                    return Ok(None);
                }
                Ok(match there {
                    Some(there) => self.read(key.clone(), &there.value),
                    None => Some(Shared::nothing(key.clone())),
                })
            }
        }
    }

    /// Keeps the lease; a watch of a member that does not answer any more would be silent for ever.
    async fn keep_lease(&self, member: usize) -> Result<Infallible, EtcdError> {
        let etcd = &self.sharing.etcd;
        loop {
            sleep(etcd.options().lease_ttl / 4).await;
            etcd.keep_alive(self.lease).await?;
            if etcd.member() != member {
                return Err(EtcdError::Unavailable("its member does not answer".to_owned()));
            }
        }
    }

    /// Takes what there was no room for, once there is some.
    async fn make_up(&self) -> Result<Infallible, EtcdError> {
        loop {
            sleep(ROOM_CHECK).await;
            let keys: Vec<_> = {
                let state = self.service.lock();
                let is_room = state.table.has_room();
                let keys = state.table.no_room_for().take(AT_ONCE).cloned();
                if is_room { keys.collect() } else { continue }
            };
            for key in keys {
                let (there, revision) =
                    self.sharing.etcd.read_one(&self.sharing.key_of(&key)).await?;
                let (document, revision) = match there {
                    Some(there) => (Some(there.value), there.revision),
                    None => (None, revision),
                };
                // It may be known already, in that revision.
                let is_older = |known: &Version| known.revision > revision;
                if !self.known().revisions.get(&key).is_some_and(is_older) {
                    self.take_heard(vec![Heard { key, document, revision }]);
                }
            }
        }
    }

    /// Takes over instances whose registry has ended.
    async fn adopt_orphans(&self) -> Infallible {
        loop {
            sleep(ORPHAN_CHECK).await;
            let orphans = self.orphans();
            if orphans.is_empty() {
                continue;
            }
            let mut count = 0;
            for some in orphans.chunks(AT_ONCE) {
                let (tickets, changes): (Vec<_>, Vec<_>) = {
                    let mut state = self.service.lock();
                    let now = now();
                    let adopt = |key: &InstanceKey| state.table.adopt(key, now);
                    let (tickets, changes): (_, Vec<_>) = some.iter().filter_map(adopt).unzip();
                    state.history.extend(changes.iter().cloned());
                    (tickets, changes)
                };
                count += changes.len();
                self.service.saving.wake();
                self.service.announce(&changes, None);
                self.service.probe_now(&tickets.into_iter().flatten().collect::<Vec<_>>());
                tokio::task::yield_now().await;
            }
            info!(instances = count, "taken over from a registry that has ended");
        }
    }

    /// The instances that this registry takes over now.
    fn orphans(&self) -> Vec<InstanceKey> {
        let mut known = self.known();
        let now = now();
        let since = |at: &Instant| now.saturating_duration_since(*at);
        // As long gone as what ended before this session.
        known.ended.retain(|_, at| since(at) < ADOPT_ANY_AFTER);
        let state = self.service.lock();
        let gone_for = |time: Duration| -> HashSet<Arc<str>> {
            let is_gone = |owner: &&Arc<str>| {
                let ended = known.ended.get(&***owner).unwrap_or(&self.began);
                let lives = known.live.contains_key(&***owner);
                !lives && since(ended) >= time || mutant("adopts-the-living")
            };
            state.table.owners().filter(is_gone).cloned().collect()
        };
        let is_heir = |key: &InstanceKey| heir(key, known.live.keys()) == Some(&self.sharing.id);
        let mut orphans = state.table.orphans(&gone_for(ADOPT_AFTER), is_heir);
        orphans.extend(state.table.orphans(&gone_for(ADOPT_ANY_AFTER), |key| !is_heir(key)));
        orphans
    }

    fn read(&self, key: InstanceKey, document: &[u8]) -> Option<Shared> {
        match Shared::read(key.clone(), document) {
            Ok(shared) => Some(shared),
            Err(why) => {
                if self.service.lock().table.leave_alone(key.clone()) {
                    warn!(instance = %key, why, "what etcd has of it cannot be read, and is left alone: nothing of it is shared; delete its key if no program needs it");
                }
                None
            }
        }
    }

    fn is_live(&self, id: String, value: &[u8]) {
        let peer: Option<Peer> = serde_json::from_slice(value).ok();
        let address = peer.map(|peer| peer.address).unwrap_or_default();
        let mut known = self.known();
        known.ended.remove(&id);
        let is_new = known.live.insert(id.clone(), address.clone()).is_none();
        if is_new && id != self.sharing.id {
            info!(id, address, "another registry shares the cluster");
        }
    }

    fn has_ended(&self, id: &str) {
        let mut known = self.known();
        if let Some(address) = known.live.remove(id) {
            warn!(id, address, "another registry has ended; its instances are taken over");
            known.ended.insert(id.to_owned(), now());
        }
    }

    /// Has readers told which registries there are.
    fn tell_members(&self) {
        if let Some(membership) = self.service.membership() {
            membership.heard(&self.known().live);
        }
    }

    fn is_strange(&self, key: &[u8]) {
        if !self.sharing.has_strange_keys.swap(true, Ordering::Relaxed) {
            let key = String::from_utf8_lossy(key).escape_debug().to_string();
            warn!(
                key,
                "another program has keys below the prefix; they are left alone, but give it another prefix"
            );
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// The revision that a write has to know; 0 if there is nothing.
    fn revision_of(&self, key: &InstanceKey) -> i64 {
        self.revisions.get(key).filter(|known| known.exists).map_or(0, |known| known.revision)
    }

    /// Notes what was heard; whether it is new.
    fn note_heard(&mut self, Heard { key, document, revision }: &Heard) -> bool {
        let is_new = self.revisions.get(key).is_none_or(|known| known.revision < *revision);
        if document.is_some() {
            if is_new {
                self.note(key, *revision, true);
            }
        } else if is_new || !self.revisions.get(key).is_some_and(|known| known.exists) {
            // Nothing of before is heard after that.
            self.revisions.remove(key);
        }
        is_new
    }

    fn note(&mut self, key: &InstanceKey, revision: i64, exists: bool) {
        self.revisions.insert(key.clone(), Version { revision, exists });
    }
}

/// Puts back what was not written, also when the session ends meanwhile.
struct Unwritten<'a> {
    service: &'a Service,
    unshared: &'a [Unshared],
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        self.service.lock().table.put_back(self.unshared);
    }
}
