//! Operators' overrides: set, taken back, ended in time.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rpc_wire::instance::{InstanceKey, OverrideEntry};
use tracing::info;

use super::{Acknowledged, Service, now};
use crate::error::Refusal;
use crate::table::{Overridden, Override, Standing};

impl Service {
    /// Sets an override that lasts some time, or until it is taken back; returns once it is durable, or
    /// cannot be.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub(crate) async fn set_override(
        &self,
        key: InstanceKey,
        what: Override,
        time: Option<Duration>,
        peer: IpAddr,
    ) -> Result<Acknowledged<OverrideEntry>, Refusal> {
        let (set, entry, changes) = {
            let mut state = self.lock();
            let now = now();
            let wall = SystemTime::now();
            let standing = Standing::new(what.lasting(time, wall), now, wall);
            let set = state.table.set_override(key, standing, now)?;
            state.history.extend(set.change.clone());
            let entry = state.table.override_entry(set.key.clone(), &set.standing, now);
            (set, entry, state.table.changes())
        };
        self.override_set.notify_one();
        self.announce(set.change.as_slice(), Some(peer));
        let Override { state, reason, by, .. } = &set.standing.what;
        let time = time.map(humantime::format_duration).map(tracing::field::display);
        info!(instance = %set.key, protocol = set.key.protocol, %peer, %state, reason, by, r#for = time, listed = entry.listed, "an operator takes it out of use");
        Ok(self.acknowledge(entry, changes).await)
    }

    /// Takes an override back, in the same way; `None` if there is none.
    pub(crate) async fn clear_override(
        &self,
        key: &InstanceKey,
        peer: IpAddr,
    ) -> Option<Acknowledged<OverrideEntry>> {
        let (cleared, entry, changes) = {
            let mut state = self.lock();
            let now = now();
            let cleared = state.table.clear_override(key, now)?;
            state.history.extend(cleared.change.clone());
            let entry = state.table.override_entry(cleared.key.clone(), &cleared.standing, now);
            (cleared, entry, state.table.changes())
        };
        self.announce(cleared.change.as_slice(), Some(peer));
        info!(instance = %key, protocol = key.protocol, %peer, listed = entry.listed, "an operator takes its override back");
        Some(self.acknowledge(entry, changes).await)
    }

    /// The overrides that stand.
    pub(crate) fn overrides(&self) -> Vec<OverrideEntry> {
        self.lock().table.overrides(now())
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
