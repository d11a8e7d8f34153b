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
//!
//! - `keys`: their names.
//! - `session`: reads and follows; `writing`: writes; `adoption`: takes over.
//! - `absent`: registries that are gone without a word.
//! - `known`: what a session knows of the keys, in which revisions.

mod absent;
mod adoption;
mod keys;
mod known;
mod session;
mod writing;

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rpc_wire::instance::RegistryName;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tracing::{Instrument as _, Span, info, warn};

use super::{Membership, Service, now};
use crate::store::etcd::{Compared, Etcd, EtcdError, Put, Txn, TxnOutcome};
use crate::table::Apart;
use absent::Absent;
use keys::Keys;
use session::Session;

/// The format that this version reads and writes.
const FORMAT: &[u8] = b"1";
/// Pauses between sessions that fail.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Documents taken, and instances taken over, under one lock.
const AT_ONCE: usize = 64;

/// This registry's part in a cluster.
#[derive(Debug)]
struct Sharing {
    etcd: Etcd,
    keys: Keys,
    /// Random: another one with every start.
    id: String,
    /// As it is shown to people.
    address: String,
    /// The lease of its key.
    lease: Mutex<Option<i64>>,
    absent: Mutex<Absent>,
    /// Said once.
    has_strange_keys: AtomicBool,
}

/// What a registry says of itself.
#[derive(Debug, Serialize, Deserialize)]
struct Peer {
    address: String,
    /// It ends, and takes no more heartbeats.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    leaves: bool,
}

impl Sharing {
    fn new(etcd: Etcd, address: String) -> Self {
        let id = format!("{:016x}", rand::random::<u64>());
        let keys = Keys::new(etcd.options().prefix.clone());
        let has_strange_keys = AtomicBool::new(false);
        let (lease, absent) = (Mutex::default(), Mutex::default());
        Self { etcd, keys, id, address, lease, absent, has_strange_keys }
    }

    /// Writes that this registry lives, until its lease ends.
    async fn sign_in(&self) -> Result<(), EtcdError> {
        let known = *self.lease();
        let lease = match known {
            Some(lease) => match self.etcd.keep_alive(lease).await {
                Err(EtcdError::LeaseEnded) => self.etcd.grant().await?,
                kept => kept?,
            },
            None => self.etcd.grant().await?,
        };
        *self.lease() = Some(lease.id);
        self.say(false, lease.id).await
    }

    /// Writes who this registry is, and whether it leaves.
    async fn say(&self, leaves: bool, lease: i64) -> Result<(), EtcdError> {
        let peer = Peer { address: self.address.clone(), leaves };
        // Plain data serialises.
        let value = Bytes::from(serde_json::to_vec(&peer).unwrap_or_default());
        self.put(self.keys.registry(&self.id), value, Some(lease)).await
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
        let key = self.keys.format();
        let compared = Compared { key: key.clone(), revision: 0 };
        let put = Put { key, value: Some(Bytes::from_static(FORMAT)), lease: None };
        match self.etcd.txn(&Txn { compared, put }).await? {
            TxnOutcome::Conflict(Some(there), _) => self.is_known_format(&there.value),
            _ => Ok(()),
        }
    }

    fn absent(&self) -> MutexGuard<'_, Absent> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_known_format(&self, format: &[u8]) -> Result<(), EtcdError> {
        if format == FORMAT {
            return Ok(());
        }
        let found = String::from_utf8_lossy(format);
        let found: String = found.chars().filter(|c| !c.is_control()).take(40).collect();
        Err(EtcdError::Format { prefix: self.keys.prefix().to_owned(), found })
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
            let kind = std::mem::discriminant(&error);
            let is_other = said.replace(kind) != Some(kind);
            if matches!(error, EtcdError::Compacted(_)) {
                // Nothing is wrong with etcd.
                info!(%error);
            } else {
                self.metrics.store_failures.inc();
                self.membership.get().inspect(|it| it.is_cut_off(error.state()));
                if sharing.absent().has_others() {
                    self.lock().table.set_apart(Apart::CutOff);
                }
                let is_new = self.saving.fail(&error);
                if is_other && !is_new {
                    warn!(%error, "the store still fails, for another reason now");
                }
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
        let Some(opened) = ending.run_until_cancelled(Session::open(self, sharing)).await else {
            return Ok(());
        };
        let (session, follow) = opened?;
        let never = tokio::select! {
            outcome = session.follow(follow) => outcome?,
            outcome = session.write() => outcome?,
            outcome = session.keep_lease() => outcome?,
            outcome = session.make_up() => outcome?,
            never = session.adopt_orphans() => never,
            () = ending.cancelled() => return session.write_rest().await,
        };
        match never {}
    }

    async fn sign_out(&self, sharing: &Sharing) {
        let lease = sharing.lease().take();
        let Some(lease) = lease else { return };
        let signed_out = async {
            sharing.say(true, lease).await?;
            sharing.etcd.revoke(lease).await
        };
        if let Err(error) = signed_out.await {
            info!(%error, "not signed out; the other registries will notice");
        }
    }
}
