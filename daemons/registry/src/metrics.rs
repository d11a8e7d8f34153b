//! The registry's metrics.

use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use rpc_wire::instance::ExpiryReason;

use crate::table::{Outcome, Tally};

/// Counters since the start, and gauges.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) heartbeats: Counter,
    pub(crate) registrations: Counter,
    pub(crate) updates: Counter,
    pub(crate) unregistrations: Counter,
    pub(crate) expirations: Counter,
    pub(crate) held_back: Counter,
    pub(crate) lists: Counter,
    pub(crate) lists_built: Counter,
    pub(crate) lists_unchanged: Counter,
    pub(crate) snapshots: Counter,
    pub(crate) readers_cut: Counter,
    pub(crate) connections: Gauge,
    pub(crate) connections_accepted: Counter,
    pub(crate) connections_refused: Counter,
    pub(crate) streams: Gauge,
    pub(crate) store_failures: Counter,
    store_commits: Counter,
    store_seconds: Counter<f64, std::sync::atomic::AtomicU64>,
    instances: Gauge,
    table_bytes: Gauge,
    pinned_bytes: Gauge,
    paused: Counter<f64, std::sync::atomic::AtomicU64>,
    pub(crate) suspicions: Counter,
    pub(crate) revivals: Counter,
    pub(crate) brakes: Counter,
    suspects: Gauge,
    held: Gauge,
    probes: Family<[(&'static str, &'static str); 1], Counter>,
    evictions: Family<[(&'static str, &'static str); 1], Counter>,
    refused: Family<[(&'static str, String); 1], Counter>,
}

impl Metrics {
    /// Counts a request refused with this status (400 or above).
    pub(crate) fn refuse(&self, status: u16) {
        self.refused.get_or_create(&[("status", status.to_string())]).inc();
    }

    /// Counts a probe.
    pub(crate) fn probe(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Alive => "alive",
            Outcome::Refused => "refused",
            Outcome::NoReply => "no_reply",
            Outcome::Itself | Outcome::Unknown => "none",
        };
        self.probes.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Counts an instance that expired.
    pub(crate) fn expire(&self, reason: Option<ExpiryReason>) {
        self.expirations.inc();
        let reason = match reason {
            Some(ExpiryReason::Refused) => "refused",
            Some(ExpiryReason::NoReply) => "no_reply",
            Some(ExpiryReason::SuspectWindow) => "suspect_window",
            Some(ExpiryReason::Other) | None => "ttl",
        };
        self.evictions.get_or_create(&[("reason", reason)]).inc();
    }

    /// Counts a pause of the process: the expiry check was this late.
    pub(crate) fn pause(&self, late: Duration) {
        self.paused.inc_by(late.as_secs_f64());
    }

    /// Counts a commit of the store, and the time it took.
    pub(crate) fn committed(&self, after: Duration) {
        self.store_commits.inc();
        self.store_seconds.inc_by(after.as_secs_f64());
    }

    /// All metrics in the OpenMetrics text format.
    pub(crate) fn render(
        &self,
        instances: usize,
        table_bytes: usize,
        pinned_bytes: usize,
        tally: Tally,
    ) -> String {
        self.suspects.set(i64::try_from(tally.suspect).unwrap_or(i64::MAX));
        self.held.set(i64::try_from(tally.held).unwrap_or(i64::MAX));
        self.instances.set(i64::try_from(instances).unwrap_or(i64::MAX));
        self.table_bytes.set(i64::try_from(table_bytes).unwrap_or(i64::MAX));
        self.pinned_bytes.set(i64::try_from(pinned_bytes).unwrap_or(i64::MAX));
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry());
        text
    }

    /// Metrics are shared handles, so a registry can be built for each request.
    fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("rpc_registry");
        let counters = [
            ("heartbeats", "Registrations that found their instance unchanged", &self.heartbeats),
            ("registrations", "New instances", &self.registrations),
            ("updates", "Instances whose parameters changed", &self.updates),
            ("unregistrations", "Instances unregistered", &self.unregistrations),
            ("expirations", "Instances that expired", &self.expirations),
            ("suspicions", "Instances kept although their TTL had passed", &self.suspicions),
            ("revivals", "Of these, up again with a heartbeat", &self.revivals),
            ("brakes", "Times that the brake on mass expiry began to hold", &self.brakes),
            ("held_back", "Registrations of unregistered instances refused", &self.held_back),
            ("lists", "List requests on the older route", &self.lists),
            ("lists_built", "Lists rebuilt", &self.lists_built),
            ("lists_unchanged", "Lists replied to with 304", &self.lists_unchanged),
            ("snapshots", "Snapshots sent to watchers", &self.snapshots),
            ("connections_accepted", "Connections accepted", &self.connections_accepted),
            ("connections_refused", "Connections closed at the limit", &self.connections_refused),
            ("store_commits", "Commits of the store", &self.store_commits),
            ("store_failures", "Commits that failed", &self.store_failures),
            ("readers_cut", "Connections closed because they read too slowly", &self.readers_cut),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register("probes", "Probes of instances, by outcome", self.probes.clone());
        registry.register("evictions", "Instances that expired, by reason", self.evictions.clone());
        registry.register("refused", "Requests refused, by status", self.refused.clone());
        registry.register_with_unit(
            "paused",
            "Total delay of expiry checks",
            Unit::Seconds,
            self.paused.clone(),
        );
        registry.register_with_unit(
            "store",
            "Total time of the store's commits",
            Unit::Seconds,
            self.store_seconds.clone(),
        );
        let gauges = [
            ("instances", "Instances listed", &self.instances),
            ("table_bytes", "Memory of the instances", &self.table_bytes),
            ("pinned_bytes", "Lists and snapshots kept or being read", &self.pinned_bytes),
            (
                "suspects",
                "Instances whose TTL has passed, but that reply to probes",
                &self.suspects,
            ),
            ("held", "Silent instances that the brake on mass expiry holds", &self.held),
            ("connections", "Connections open", &self.connections),
            ("streams", "Event streams open", &self.streams),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        registry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_in_the_text() {
        let metrics = Metrics::default();
        metrics.heartbeats.inc();
        metrics.refuse(404);
        metrics.probe(Outcome::Alive);
        metrics.expire(Some(ExpiryReason::Refused));
        metrics.pause(Duration::from_millis(1500));
        let text = metrics.render(3, 4, 5, Tally { suspect: 6, held: 7, ..Tally::default() });
        for line in [
            "rpc_registry_heartbeats_total 1",
            "rpc_registry_refused_total{status=\"404\"} 1",
            "rpc_registry_paused_seconds_total 1.5",
            "rpc_registry_instances 3",
            "rpc_registry_table_bytes 4",
            "rpc_registry_pinned_bytes 5",
            "rpc_registry_suspects 6",
            "rpc_registry_held 7",
            "rpc_registry_probes_total{outcome=\"alive\"} 1",
            "rpc_registry_expirations_total 1",
            "rpc_registry_evictions_total{reason=\"refused\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
