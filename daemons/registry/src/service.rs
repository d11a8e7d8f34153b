//! The table, shared: one lock held briefly, a timer, a change feed, probes.

mod ages;
mod announce;
mod answers;
mod audit;
mod catalog;
mod history;
mod membership;
mod overrides;
mod pages;
mod probe;
mod probes;
mod refused;
mod saving;
mod sender;
#[cfg(feature = "etcd")]
mod sharing;
#[cfg(feature = "simulation")]
pub(crate) mod simulation;
mod snapshots;
mod targets;
mod watcher;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rpc_wire::instance::{InstanceKey, first_incarnation};
use tokio::sync::{Notify, SetOnce, watch};
use tracing::{debug, warn};

use ages::Ages;
pub(crate) use answers::{Answers, NoRoom, Pieces};
pub(crate) use audit::Deed;
use catalog::Catalogs;
use history::History;
use membership::Membership;
pub(crate) use membership::Reader;
pub(crate) use pages::{Page, View};
use probe::Prober;
use probes::Probes;
use refused::Refused;
pub(crate) use saving::Acknowledged;
use saving::Saving;
pub(crate) use sender::Sender;
use snapshots::Snapshots;
pub(crate) use watcher::Watcher;

use crate::error::Refusal;
use crate::metrics::Metrics;
use crate::registration::Registration;
use crate::table::{
    Change, ChangeKind, Entry, HeldBack, List, Renewed, Restored, Scope, Table, Tally, Ticket,
    target,
};
use crate::{RegistryOptions, StoreOptions};

/// What every connection and timer of a registry shares.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) options: RegistryOptions,
    pub(crate) metrics: Metrics,
    /// Random, so that revisions before and after a restart are never confused.
    epoch: String,
    state: Mutex<State>,
    /// The lists and snapshots that are kept or being read.
    pub(crate) answers: Arc<Answers>,
    /// The turn of whoever builds a list, a snapshot or a page: one at a time, in the order in which they
    /// asked, so that builds wait for each other and nobody else for them.
    building: tokio::sync::Mutex<()>,
    /// Of lists.
    refused: Refused,
    snapshots: Snapshots,
    catalogs: Catalogs,
    prober: Prober,
    probes: Probes,
    /// Notified after each change of the table.
    changed: watch::Sender<()>,
    /// The generation of the guard: told of when readers may have lost the right to what they read.
    rights: watch::Sender<u64>,
    ages: watch::Sender<Arc<Ages>>,
    /// Notified when an override is set: it may end before the others.
    override_set: Notify,
    saving: Saving,
    /// It has just started, and says so until then.
    warm: Instant,
    /// Set when the store that others share was read.
    read: SetOnce<()>,
    /// Readers wait for that until then.
    read_by: Instant,
    /// Set once, if others share what it knows.
    membership: OnceLock<Membership>,
}

/// The table and the history of its changes, under one lock.
#[derive(Debug)]
struct State {
    table: Table,
    history: History,
}

/// A heartbeat that says only which life of which instance it is of.
#[derive(Debug)]
pub(crate) struct Beat {
    pub(crate) key: InstanceKey,
    pub(crate) incarnation: Option<u64>,
}

impl Service {
    /// The service of a registry that listens on `address`, and starts with what an earlier process left.
    pub(crate) fn new(options: RegistryOptions, address: SocketAddr, left: Vec<Restored>) -> Self {
        let (now, wall) = (now(), SystemTime::now());
        let (warm, read_by) = (now + options.warming, now + options.store_timeout);
        let mut table = Table::new(&options, now);
        table.set_wall(wall, now);
        if !matches!(options.store, StoreOptions::None) {
            table.save_changes(options.max_unsaved);
        }
        table.restore(left, wall, now);
        let history = History::starting_at(table.revision(), &options);
        Self {
            metrics: Metrics::default(),
            epoch: format!("{:016x}", rand::random::<u64>()),
            state: Mutex::new(State { table, history }),
            answers: Answers::new(options.max_pinned_bytes),
            building: tokio::sync::Mutex::default(),
            refused: Refused::default(),
            snapshots: Snapshots::default(),
            catalogs: Catalogs::default(),
            prober: Prober::new(options.max_probes, options.probe_timeout, address),
            probes: Probes::default(),
            changed: watch::Sender::new(()),
            rights: watch::Sender::new(options.guard.generation()),
            ages: watch::Sender::default(),
            override_set: Notify::new(),
            saving: Saving::new(),
            warm,
            read: SetOnce::new(),
            read_by,
            membership: OnceLock::new(),
            options,
        }
    }

    /// Handles a heartbeat if the body is known, else a registration; returns the reply once the
    /// registration is durable, or cannot be.
    ///
    /// # Errors
    /// The body is invalid, a limit is reached, or the sender may not.
    pub(crate) async fn register(
        &self,
        body: &[u8],
        sender: &Sender,
    ) -> Result<Acknowledged<Renewed>, Refusal> {
        if let Some(renewed) = self.renew(body, sender)? {
            let change = renewed.change;
            return Ok(self.acknowledge(renewed, change).await);
        }
        let peer = sender.address;
        let mut registration = Registration::parse(body, &self.options)?;
        sender.check_new(&registration.key, registration.service.as_deref())?;
        self.check_audit().await?;
        if !self.may_be_listed(&registration, peer).await {
            let reply = registration.reply_unlisted()?;
            let renewed = Renewed { reply, overridden: None, change: 0 };
            return Ok(Acknowledged { of: renewed, durable: true });
        }
        let (key, reply) = (registration.key.clone(), registration.reply.clone());
        #[cfg(feature = "etcd")]
        let incarnation = registration.incarnation;
        let (change, overridden, changes) = {
            let mut state = self.lock();
            let now = now();
            registration.identity = match state.table.entry(&key) {
                Some(entry) => {
                    sender.check_known(entry)?;
                    entry.identity.clone()
                }
                None => None,
            }
            .or_else(|| sender.name().map(Arc::from));
            state.table.refuse_implausible(&registration, self.latest_incarnation(), now)?;
            let change = state.table.register(registration, body, peer, now)?;
            state.history.extend(change.clone());
            (change, state.table.override_of(&key), state.table.change_of(&key))
        };
        match change {
            Some(change) => {
                let deed = match change.kind {
                    ChangeKind::Registered => Some(Deed::Registered),
                    ChangeKind::Updated => Some(Deed::Replaced),
                    _ => None,
                };
                let service = change.row.entry.service.clone();
                self.announce(&[change], Some(peer));
                if let Some(deed) = deed {
                    self.audit(deed, sender, Some(&key), service).await;
                }
            }
            None => self.count_heartbeat(),
        }
        let renewed = Renewed { reply, overridden, change: changes };
        let acknowledged = self.acknowledge_at(&key, renewed, changes).await;
        #[cfg(feature = "etcd")]
        if self.options.store.is_shared() {
            // Another registry may have known a later life of it.
            self.lock().table.refuse_earlier(&key, incarnation, now())?;
        }
        Ok(acknowledged)
    }

    /// Handles a heartbeat of each; `None` for those that are not listed, or with another incarnation, or
    /// that the sender may not speak for: to be registered one by one, which says why not.
    pub(crate) fn beat(&self, beats: &[Beat], sender: &Sender) -> Vec<Option<Renewed>> {
        /// Heartbeats under one lock, so that others have their turn.
        const AT_ONCE: usize = 256;
        let mut all = Vec::with_capacity(beats.len());
        for beats in beats.chunks(AT_ONCE) {
            let changes: Vec<Change> = {
                let mut state = self.lock();
                let now = now();
                let renew = |beat: &Beat| {
                    let is_theirs = |entry: &Arc<Entry>| {
                        sender.check_known(entry).is_ok() && !sender.takes(entry)
                    };
                    state.table.entry(&beat.key).filter(|entry| is_theirs(entry))?;
                    state.table.renew_life(&beat.key, beat.incarnation, now)
                };
                let (renewed, changes): (Vec<_>, Vec<_>) =
                    beats.iter().map(renew).map(Option::unzip).unzip();
                all.extend(renewed);
                let changes: Vec<_> = changes.into_iter().flatten().flatten().collect();
                state.history.extend(changes.iter().cloned());
                changes
            };
            self.announce(&changes, None);
        }
        self.metrics.heartbeats.inc_by(all.iter().flatten().count() as u64);
        all
    }

    /// The listed instance whose last registration or heartbeat had this body.
    pub(crate) fn key_of(&self, body: &[u8]) -> Option<InstanceKey> {
        self.lock().table.key_of(body)
    }

    /// The tickets of those of these instances whose connection `peer` may say is lost, see
    /// [`Table::claim`]. Their heartbeats have just been accepted.
    pub(crate) fn claims(
        &self,
        keys: impl IntoIterator<Item = InstanceKey>,
        peer: IpAddr,
    ) -> Vec<(InstanceKey, Ticket)> {
        let state = self.lock();
        let claim = |key| state.table.claim(&key, peer).map(|ticket| (key, ticket));
        keys.into_iter().filter_map(claim).collect()
    }

    /// Removes the instance of the body, listed or not, unless a later life of it is listed; returns the
    /// reply once that is durable, or cannot be.
    ///
    /// # Errors
    /// The body is invalid.
    pub(crate) async fn unregister(
        &self,
        body: &[u8],
        sender: &Sender,
    ) -> Result<Acknowledged<Bytes>, Refusal> {
        let registration = Registration::parse(body, &self.options)?;
        self.check_audit().await?;
        let (change, changes) = {
            let mut state = self.lock();
            let now = now();
            state.table.refuse_implausible(&registration, self.latest_incarnation(), now)?;
            let Registration { key, service, incarnation, .. } = &registration;
            match state.table.entry(key) {
                Some(entry) => sender.check_farewell(entry)?,
                None => sender.check_farewell_of_nobody(key, service.as_deref())?,
            }
            let change = state.table.unregister(key, *incarnation, now);
            state.history.extend(change.clone());
            (change, state.table.changes())
        };
        if let Some(change) = change {
            self.announce(&[change], Some(sender.address));
        }
        self.audit(Deed::Unregistered, sender, Some(&registration.key), None).await;
        let key = registration.key.clone();
        Ok(self.acknowledge_at(&key, registration.reply_unlisted()?, changes).await)
    }

    /// The prepared list of a scope with a protocol, never older than the last acknowledged change.
    ///
    /// # Errors
    /// It would have to be built, and too much is unread.
    pub(crate) async fn list(&self, scope: &Scope) -> Result<List, NoRoom> {
        if let Some(list) = self.lock().table.prepared(scope) {
            return Ok(list);
        }
        let _turn = self.building.lock().await;
        let (revision, elements) = {
            let state = self.lock();
            // Whoever had the turn before may have built it.
            if let Some(list) = state.table.prepared(scope) {
                return Ok(list);
            }
            self.refused.check(scope, &self.answers, now())?;
            let (revision, elements) = state.table.elements(scope);
            let bytes = elements.iter().map(Bytes::len).sum();
            self.refused.check_measured(scope, bytes, &self.answers, now())?;
            (revision, elements)
        };
        self.metrics.lists_built.inc();
        let List { revision, body } = List::build(revision, &elements);
        let list = List { revision, body: self.answers.keep(body) };
        self.lock().table.keep(scope, &list);
        Ok(list)
    }

    /// Waits until a list or snapshot of that many bytes may be made: what is only kept for readers to come is
    /// forgotten, then the slowest readers are disconnected.
    ///
    /// # Errors
    /// Too much stays unread.
    pub(crate) async fn make_room(&self, bytes: usize) -> Result<(), Refusal> {
        if self.answers.check_room(bytes).is_ok() {
            return Ok(());
        }
        self.snapshots.forget();
        self.catalogs.forget();
        self.ages.borrow().forget();
        self.lock().table.forget_prepared();
        self.answers.make_room(bytes).await
    }

    /// A revision as text: `<epoch>.<revision>`.
    pub(crate) fn name_of(&self, revision: u64) -> String {
        format!("{}.{revision}", self.epoch)
    }

    /// How long it will say that it has just started: who is not listed may have yet to register again. Also
    /// with a store: that may have failed, and does not have what was taken then.
    pub(crate) fn warming(&self) -> Option<Duration> {
        let left = self.warm.checked_duration_since(now()).filter(|left| !left.is_zero());
        left.or(self.is_unread().then_some(NEXT_LOOK))
    }

    /// Whether a store that others share was not read yet: who is registered with them is not known.
    pub(crate) fn is_unread(&self) -> bool {
        self.options.store.is_shared() && !self.read.initialized()
    }

    /// Waits until a store that others share was read, in the first [`RegistryOptions::store_timeout`]: whoever
    /// cannot know that the list is not whole yet would believe that everybody has left.
    pub(crate) async fn be_read(&self) {
        if self.is_unread() {
            let _late = tokio::time::timeout_at(self.read_by.into(), self.read.wait()).await;
        }
    }

    /// Notified after each change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Reads the tokens again if they have changed, and tells those who read something that goes on. Blocks.
    pub(crate) fn reload_tokens(&self) {
        self.options.guard.reload();
        let generation = self.options.guard.generation();
        self.rights.send_if_modified(|last| std::mem::replace(last, generation) != generation);
    }

    /// Told of when readers may have lost the right to what they read.
    pub(crate) fn rights(&self) -> watch::Receiver<u64> {
        self.rights.subscribe()
    }

    /// Instances listed.
    pub(crate) fn len(&self) -> usize {
        self.lock().table.len()
    }

    /// Memory of all instances, in bytes.
    pub(crate) fn table_bytes(&self) -> usize {
        self.lock().table.bytes()
    }

    /// Overrides that stand.
    pub(crate) fn overrides_len(&self) -> usize {
        self.lock().table.overrides_len()
    }

    /// The instances that are not simply up.
    pub(crate) fn tally(&self) -> Tally {
        self.lock().table.tally()
    }

    /// Expires instances, ends overrides and publishes heartbeat ages. Never returns.
    pub(crate) async fn run_timers(&self) {
        let expire =
            async { tokio::join!(self.check_deadlines(), self.run_probes(), self.decide()) };
        tokio::join!(expire, self.end_overrides(), self.publish_ages());
    }

    fn renew(&self, body: &[u8], sender: &Sender) -> Result<Option<Renewed>, Refusal> {
        let (renewed, change) = {
            let mut state = self.lock();
            // The clock is read under the lock, so that the table's time never goes back.
            let now = now();
            if sender.is_guarded() {
                match state.table.entry_of(body) {
                    Some(entry) if !sender.takes(entry) => sender.check_known(entry)?,
                    _ => return Ok(None),
                }
            }
            let Some((renewed, change)) = state.table.renew(body, now) else { return Ok(None) };
            state.history.extend(change.clone());
            (renewed, change)
        };
        self.count_heartbeat();
        if let Some(change) = change {
            self.announce(&[change], None);
        }
        Ok(Some(renewed))
    }

    /// That of the latest start that may be said, see [`RegistryOptions::max_clock_ahead`].
    fn latest_incarnation(&self) -> u64 {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        first_incarnation(since_1970.saturating_add(self.options.max_clock_ahead))
    }

    fn count_heartbeat(&self) {
        self.metrics.heartbeats.inc();
    }

    /// An older server that was stopped unregisters but keeps sending heartbeats, so a recently
    /// unregistered instance must accept a connection before it is listed again. An instance that
    /// must not be probed (see [`target`]) is listed: waiting for the window would only
    /// delay a returning server, and a stopped one would still be listed after it.
    async fn may_be_listed(&self, registration: &Registration, peer: IpAddr) -> bool {
        if registration.incarnation.is_some() {
            return true;
        }
        let key = registration.key.clone();
        if !self.lock().table.unregistered_recently(&key, now()) {
            return true;
        }
        let networks = &self.options.probe_networks;
        let Some(target) = target(&key, peer, networks) else { return true };
        if self.prober.is_up(target).await {
            return true;
        }
        self.hold_back(key, peer);
        false
    }

    fn hold_back(&self, key: InstanceKey, peer: IpAddr) {
        self.metrics.held_back.inc();
        let instance = key.to_string();
        let HeldBack { first, .. } = self.lock().table.hold_back(key, now());
        let what = "unregistered, still sends heartbeats but accepts no connection; not listed";
        if first {
            warn!(%instance, %peer, "{what}");
        } else {
            debug!(%instance, %peer, "{what}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code in here panics halfway through a change, so a poisoned state is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What readers wait for the store to be read, before they ask again.
const NEXT_LOOK: Duration = Duration::from_secs(1);

/// A monotonic clock, which tests can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
