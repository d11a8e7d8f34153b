//! What becomes of a change of the table: it is counted, logged, and told to watchers.

use std::net::IpAddr;

use tracing::{debug, info, warn};

use super::Service;
use crate::table::{Change, ChangeKind, Owner};

impl Service {
    /// Counts and logs changes, and notifies watchers.
    pub(super) fn announce(&self, changes: &[Change], peer: Option<IpAddr>) {
        if changes.is_empty() {
            return;
        }
        // Notified first: a watcher must not wait for the log.
        self.changed.send_replace(());
        self.saving.wake();
        let peer = peer.map(tracing::field::display);
        for Change { kind, row, at, .. } in changes {
            let instance = &row.entry.key;
            let protocol = &instance.protocol;
            match kind {
                // Its registry has logged it.
                ChangeKind::Registered if matches!(row.owner, Owner::Elsewhere(_)) => {
                    self.metrics.registrations.inc();
                    debug!(%instance, protocol, "registered at another registry");
                }
                ChangeKind::Registered => {
                    self.metrics.registrations.inc();
                    info!(%instance, protocol, peer, "registered");
                }
                ChangeKind::Updated => {
                    self.metrics.updates.inc();
                    info!(%instance, protocol, peer, "parameters changed");
                }
                // Logged with the override.
                ChangeKind::Overridden => {}
                ChangeKind::Unregistered => {
                    self.metrics.unregistrations.inc();
                    info!(%instance, protocol, peer, "unregistered");
                }
                ChangeKind::Expired(reason) => {
                    self.metrics.evictions.inc((*reason).into());
                    let since_heartbeat = at.saturating_duration_since(row.last_heartbeat);
                    let since_heartbeat = format_args!("{since_heartbeat:.1?}");
                    let why = match (reason, &row.owner) {
                        (Some(reason), _) => reason.to_string(),
                        (None, Owner::Elsewhere(_)) => {
                            "the registry that had it removed it".to_owned()
                        }
                        (None, Owner::Here | Owner::Adopted) => {
                            "no heartbeat within the TTL".to_owned()
                        }
                    };
                    warn!(%instance, protocol, since_heartbeat, "removed: {why}");
                }
                ChangeKind::Suspect => {
                    self.metrics.suspicions.inc();
                    let elapsed = at.saturating_duration_since(row.last_heartbeat);
                    let elapsed = format_args!("{elapsed:.1?}");
                    if row.is_held() {
                        warn!(%instance, protocol, elapsed, "suspect: no heartbeat within the TTL and no reply to a probe; held by the brake on mass expiry");
                    } else {
                        warn!(%instance, protocol, elapsed, "suspect: no heartbeat within the TTL, but it replies to a probe; it stays listed");
                    }
                }
                ChangeKind::Revived => {
                    self.metrics.revivals.inc();
                    info!(%instance, protocol, peer, "up again: a heartbeat came");
                }
                ChangeKind::Moved => {
                    let to = match &row.owner {
                        Owner::Elsewhere(id) => id,
                        Owner::Here | Owner::Adopted => "this one",
                    };
                    debug!(%instance, protocol, to, "another registry takes its heartbeats");
                }
            }
        }
    }
}
