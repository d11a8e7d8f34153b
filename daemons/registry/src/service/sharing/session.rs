//! A session: reads everything, then follows it.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use rpc_wire::instance::InstanceKey;
use tokio::time::sleep;
use tracing::{info, warn};

use super::keys::Name;
use super::known::{Heard, Known, Version};
use super::{AT_ONCE, Peer, Sharing};
use crate::service::{Service, now};
use crate::store::etcd::{Etcd, EtcdError, KeyValue, Watch, WatchEvent};
use crate::table::{Pending, Shared};

/// Interval of looking whether there is room again.
const ROOM_CHECK: Duration = Duration::from_secs(10);

/// Another program's keys are counted up to here.
const MAX_FOREIGN: usize = 1000;

/// A session: valid until its first error.
pub(super) struct Session<'a> {
    pub(super) service: &'a Service,
    pub(super) sharing: &'a Sharing,
    pub(super) known: Mutex<Known>,
    pub(super) began: Instant,
}

impl<'a> Session<'a> {
    /// Reads everything; the watch tells what comes after that.
    pub(super) async fn open(
        service: &'a Service,
        sharing: &'a Sharing,
    ) -> Result<(Self, Follow), EtcdError> {
        let prefix = sharing.keys.prefix().as_bytes();
        let wanted = |key: &[u8]| sharing.keys.name(key) != Name::Strange;
        let (entries, revision) = sharing.etcd.read_all(prefix, wanted).await?;
        let session = Self { service, sharing, known: Mutex::default(), began: now() };
        session.take_all(entries).await?;
        // Only now: a cluster that takes no writes can be read.
        sharing.check_format().await?;
        sharing.sign_in().await?;
        let follow = Follow::open(&sharing.etcd, prefix, revision).await?;
        service.membership().inspect(|it| it.is_connected());
        let (id, instances) = (&sharing.id, service.len());
        info!(
            id,
            revision, instances, "sharing instances with the other registries of the etcd cluster"
        );
        Ok((session, follow))
    }
}

/// A watch, of which member, and the last revision that it told of.
pub(super) struct Follow {
    watch: Watch,
    member: usize,
    after: i64,
    /// When it did so last.
    broke_off: Option<Instant>,
}

impl Follow {
    async fn open(etcd: &Etcd, prefix: &[u8], after: i64) -> Result<Self, EtcdError> {
        let watch = etcd.watch(prefix, after + 1).await?;
        Ok(Self { watch, member: etcd.member(), after, broke_off: None })
    }

    /// What it tells next; nothing if it was opened anew, from where it was: since it told nothing for so long (a proxy
    /// may have lost the other half of its connection, which nobody notices who only reads), since another member is
    /// in use by now, or since it broke off, which it may once in that time: its member has ended, perhaps, and the
    /// others are well.
    async fn next(&mut self, etcd: &Etcd, prefix: &[u8]) -> Result<Vec<WatchEvent>, EtcdError> {
        let silence = etcd.options().watch_timeout;
        let told = tokio::select! {
            told = self.watch.next() => told,
            () = sleep(silence) => Ok(Vec::new()),
            () = etcd.is_left(self.member) => Ok(Vec::new()),
        };
        match told {
            Ok(events) if events.is_empty() => {}
            Err(error) if error.is_of_one_member() && !self.broke_off_within(silence) => {
                info!(
                    "the watch of etcd has broken off; it goes on at a member that can be reached"
                );
                self.broke_off = Some(now());
            }
            told => return told,
        }
        *self = Self { broke_off: self.broke_off, ..Self::open(etcd, prefix, self.after).await? };
        Ok(Vec::new())
    }

    fn broke_off_within(&self, time: Duration) -> bool {
        self.broke_off.is_some_and(|at| now().saturating_duration_since(at) < time)
    }
}

impl Session<'_> {
    /// Takes everything that there is; what is not there any more is gone.
    ///
    /// # Errors
    /// The keys are of another format.
    async fn take_all(&self, entries: Vec<KeyValue>) -> Result<(), EtcdError> {
        if let Some(format) =
            entries.iter().find(|it| self.sharing.keys.name(&it.key) == Name::Format)
        {
            self.sharing.is_known_format(&format.value)?;
        }
        let mut there = Vec::new();
        for entry in entries {
            let KeyValue { key, value, revision, .. } = &entry;
            match self.sharing.keys.name(key) {
                Name::Instance(key) => {
                    self.known()
                        .revisions
                        .insert(key.clone(), Version { revision: *revision, exists: true });
                    there.extend(self.read(key, value));
                }
                Name::Registry(id) => self.note_registry(id, &entry),
                Name::Format => {}
                Name::Strange => self.note_foreign(entry.key, true),
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
        self.sharing.absent().found(&self.known().live, now());
        self.tell_members();
        // Set already by an earlier session, perhaps.
        let _ = self.service.read.set(());
        Ok(())
    }

    /// Follows what the other registries write.
    pub(super) async fn follow(&self, mut follow: Follow) -> Result<Infallible, EtcdError> {
        let prefix = self.sharing.keys.prefix().as_bytes();
        loop {
            let mut heard = Vec::new();
            for event in follow.next(&self.sharing.etcd, prefix).await? {
                let (key, there, revision) = match event {
                    WatchEvent::Put(there) => {
                        let revision = there.revision;
                        (there.key.clone(), Some(there), revision)
                    }
                    WatchEvent::Deleted(key, revision) => (key, None, revision),
                    WatchEvent::Created | WatchEvent::Progress(_) => continue,
                };
                // Each change of a registry's is a revision of its own.
                follow.after = follow.after.max(revision);
                match (self.sharing.keys.name(&key), there) {
                    (Name::Instance(key), there) => {
                        let document = there.map(|there| there.value);
                        heard.push(Heard { key, document, revision });
                    }
                    (Name::Registry(id), there)
                        if id == self.sharing.id
                            && !there.as_ref().is_some_and(|it| it.is_leased) =>
                    {
                        return Err(EtcdError::LeaseEnded);
                    }
                    (Name::Registry(id), Some(there)) => {
                        self.note_registry(id, &there);
                        self.tell_members();
                    }
                    (Name::Registry(id), None) => {
                        self.note_foreign(key, false);
                        self.has_ended(&id);
                        self.tell_members();
                    }
                    (Name::Format, _) => self.sharing.check_format().await?,
                    (Name::Strange, there) => self.note_foreign(key, there.is_some()),
                }
            }
            self.hear(heard);
        }
    }

    /// Takes what is new of what was heard; of addresses whose writes are under way later.
    pub(super) fn hear(&self, heard: Vec<Heard>) {
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

    /// Keeps the lease.
    pub(super) async fn keep_lease(&self) -> Result<Infallible, EtcdError> {
        let etcd = &self.sharing.etcd;
        loop {
            sleep(etcd.options().lease_ttl / 4).await;
            let lease = *self.sharing.lease();
            etcd.keep_alive(lease.ok_or(EtcdError::LeaseEnded)?).await?;
        }
    }

    /// Takes what there was no room for, once there is some.
    pub(super) async fn make_up(&self) -> Result<Infallible, EtcdError> {
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
                    self.sharing.etcd.read_one(&self.sharing.keys.instance(&key)).await?;
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

    pub(super) fn read(&self, key: InstanceKey, document: &[u8]) -> Option<Shared> {
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

    /// A registry's key is leased, and says where it listens. Any other one would be there for ever, and was written by
    /// something else.
    fn note_registry(&self, id: String, there: &KeyValue) {
        let peer = serde_json::from_slice(&there.value).ok().filter(|_: &Peer| there.is_leased);
        self.note_foreign(there.key.clone(), peer.is_none());
        match peer {
            Some(peer) => self.is_live(id, peer),
            None => self.has_ended(&id),
        }
    }

    fn is_live(&self, id: String, Peer { address, leaves }: Peer) {
        // Not this one, nor what it was before it was started again.
        if address != self.sharing.address {
            match leaves {
                true => self.sharing.absent().says_farewell(&id),
                false => self.sharing.absent().lives(&id, &address),
            }
        }
        let mut known = self.known();
        known.ended.remove(&id);
        let is_new = known.live.insert(id.clone(), address.clone()).is_none();
        // One that was killed at this address a moment ago was this one.
        if is_new && address != self.sharing.address {
            info!(id, address, "another registry shares the cluster");
        }
    }

    fn has_ended(&self, id: &str) {
        self.sharing.absent().is_missed(id, now());
        let mut known = self.known();
        if let Some(address) = known.live.remove(id) {
            warn!(
                id,
                address,
                "another registry has ended, or is cut off from etcd; its instances are taken over"
            );
            known.ended.insert(id.to_owned(), now());
        }
    }

    /// Has readers told which registries there are.
    fn tell_members(&self) {
        if let Some(membership) = self.service.membership() {
            membership.knows(&self.known().live);
        }
    }

    /// Counts a key that no registry wrote.
    fn note_foreign(&self, key: Bytes, exists: bool) {
        let count = {
            let mut known = self.known();
            match exists {
                true if known.foreign.len() < MAX_FOREIGN => _ = known.foreign.insert(key.clone()),
                true => {}
                false => _ = known.foreign.remove(&key),
            }
            known.foreign.len()
        };
        if let Some(membership) = self.service.membership() {
            membership.has_foreign_keys(count);
        }
        if exists && !self.sharing.has_strange_keys.swap(true, Ordering::Relaxed) {
            let key = String::from_utf8_lossy(&key).escape_debug().to_string();
            warn!(
                key,
                "another program has keys below the prefix; they are left alone, but give it another prefix"
            );
        }
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service {
    pub(super) fn take(&self, shared: Vec<(Shared, Pending)>, me: &str) {
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
