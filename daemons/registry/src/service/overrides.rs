//! Operators' overrides: set, taken back, ended in time.

use std::time::{Duration, SystemTime};

use rpc_wire::instance::{InstanceKey, OverrideEntry};
use tracing::info;

use super::{Acknowledged, Deed, Sender, Service, now};
use crate::error::Refusal;
use crate::table::{Overridden, Override, Sight, Standing};

impl Service {
    /// Sets an override that lasts some time, or until it is taken back; returns once it is durable, or
    /// cannot be.
    ///
    /// # Errors
    /// There are as many as there may be, or the sender may not.
    pub(crate) async fn set_override(
        &self,
        key: InstanceKey,
        what: Override,
        time: Option<Duration>,
        sender: &Sender,
    ) -> Result<Acknowledged<OverrideEntry>, Refusal> {
        self.check_audit().await?;
        let (set, entry, changes) = {
            let mut state = self.lock();
            let service = state.table.entry(&key).and_then(|entry| entry.service.as_deref());
            sender.check_operator(&key, service)?;
            let now = now();
            let wall = SystemTime::now();
            let standing = Standing::new(what.lasting(time, wall), now, wall);
            let set = state.table.set_override(key, standing, now)?;
            state.history.extend(set.change.clone());
            let entry = state.table.override_entry(set.key.clone(), &set.standing, now);
            (set, entry, state.table.changes())
        };
        self.override_set.notify_one();
        let peer = sender.address;
        self.announce(set.change.as_slice(), Some(peer));
        let Override { state, reason, by, .. } = &set.standing.what;
        let time = time.map(humantime::format_duration).map(tracing::field::display);
        info!(instance = %set.key, protocol = set.key.protocol, %peer, %state, reason, by, r#for = time, listed = entry.listed, "an operator takes it out of use");
        self.audit(Deed::Overridden, sender, Some(&set.key), Some(state.to_string())).await;
        Ok(self.acknowledge_at(&set.key, entry, changes).await)
    }

    /// Takes an override back, in the same way; `None` if there is none. That is as good as not durable while others may
    /// know of one that this registry has not heard of.
    ///
    /// # Errors
    /// The sender may not.
    pub(crate) async fn clear_override(
        &self,
        key: &InstanceKey,
        sender: &Sender,
    ) -> Result<Acknowledged<Option<OverrideEntry>>, Refusal> {
        self.check_audit().await?;
        let (cleared, entry, changes) = {
            let mut state = self.lock();
            let service = state.table.entry(key).and_then(|entry| entry.service.as_deref());
            sender.check_operator(key, service)?;
            let now = now();
            let Some(cleared) = state.table.clear_override(key, now) else {
                return Ok(Acknowledged { of: None, durable: !self.is_cut_off() });
            };
            state.history.extend(cleared.change.clone());
            let entry = state.table.override_entry(cleared.key.clone(), &cleared.standing, now);
            (cleared, entry, state.table.changes())
        };
        let peer = sender.address;
        self.announce(cleared.change.as_slice(), Some(peer));
        info!(instance = %key, protocol = key.protocol, %peer, listed = entry.listed, "an operator takes its override back");
        self.audit(Deed::OverrideCleared, sender, Some(key), None).await;
        Ok(self.acknowledge_at(key, Some(entry), changes).await)
    }

    /// Whether others share the store, and may know what this registry has not heard.
    fn is_cut_off(&self) -> bool {
        self.membership().is_some_and(|it| it.cut_off(now()).is_some())
    }

    /// The overrides that stand, of instances that a reader may see.
    pub(crate) fn overrides(&self, sight: Option<&Sight>) -> Vec<OverrideEntry> {
        let table = &self.lock().table;
        let mut overrides = table.overrides(now());
        if let Some(sight) = sight {
            overrides.retain(|entry| {
                let listed = table.entry(&entry.key);
                let service = listed.and_then(|entry| entry.service.as_deref());
                sight.covers(&entry.key.host, service)
            });
        }
        overrides
    }

    /// Takes back overrides when their times are over. Never returns.
    pub(super) async fn end_overrides(&self) {
        loop {
            let next = self.lock().table.next_override_end();
            let end = async {
                match next {
                    Some(end) => tokio::time::sleep_until(end.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = end => {}
                () = self.override_set.notified() => continue,
            }
            let ended = {
                let mut state = self.lock();
                let ended = state.table.end_overrides(now());
                state.history.extend(ended.iter().filter_map(|ended| ended.change.clone()));
                ended
            };
            for Overridden { key, standing, change } in ended {
                self.announce(change.as_slice(), None);
                info!(instance = %key, protocol = key.protocol, state = %standing.what.state, "its override has ended");
            }
        }
    }
}
