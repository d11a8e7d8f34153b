//! Writes what changes here: every write names the revision that it knows.

use std::convert::Infallible;

use futures_util::stream::{self, StreamExt as _};

use super::session::Session;
use crate::service::{Service, now};
use crate::store::etcd::{Compared, EtcdError, Put, Txn, TxnOutcome};
use crate::table::{Shared, Unshared};

/// Writes at a time.
const WRITES_AT_ONCE: usize = 64;

impl Session<'_> {
    /// Writes what changes here.
    pub(super) async fn write(&self) -> Result<Infallible, EtcdError> {
        loop {
            self.write_rest().await?;
            self.service.saving.woken().await;
        }
    }

    /// Writes until there is nothing left to write.
    pub(super) async fn write_rest(&self) -> Result<(), EtcdError> {
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
        let at = self.sharing.keys.instance(key);
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
