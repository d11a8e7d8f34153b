//! Takes over the instances of registries that have ended.

use std::collections::HashSet;
use std::convert::Infallible;
use std::hash::Hasher as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rpc_wire::instance::InstanceKey;
use rpc_wire::mutants::mutant;
use tokio::time::sleep;
use tracing::info;

use super::AT_ONCE;
use super::session::Session;
use crate::service::now;
use crate::table::Apart;

/// How long a registry has to be gone before its instances are taken over: after a failure of etcd it comes back
/// at once.
const ADOPT_AFTER: Duration = Duration::from_secs(1);
/// After this time whoever sees that an instance has no owner takes it, not only the one whose turn it is.
const ADOPT_ANY_AFTER: Duration = Duration::from_secs(10);
/// Interval of looking for such instances.
const ORPHAN_CHECK: Duration = Duration::from_millis(250);

impl Session<'_> {
    /// Takes over instances whose registry has ended.
    pub(super) async fn adopt_orphans(&self) -> Infallible {
        let mut apart = None;
        loop {
            let are_some_gone = self.sharing.absent().are_some_gone(now());
            if apart.replace(are_some_gone) != Some(are_some_gone) {
                let apart = if are_some_gone { Apart::SomeAreGone } else { Apart::No };
                self.service.lock().table.set_apart(apart);
            }
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
