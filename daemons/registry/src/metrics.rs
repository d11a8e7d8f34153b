//! The registry's metrics: what is counted, and its names in `/metrics`.

mod labels;

use std::time::Duration;

use rpc_host::figures;
#[cfg(feature = "tls")]
use rpc_host::tls::TlsFigures;
use rpc_metrics::{Counter, Counters, Format, Gauge, Histogram, Page, Seconds};
use rpc_security::Figures;
use rpc_wire::report::{LeftOut, Sharing};

use crate::table::Tally;
use labels::{Eviction, Probed};

/// How the names of all begin.
const DAEMON: &str = "rpc_registry";

/// Counters since the start, and gauges. A new one is a field here and a line of
/// [`write`](Self::write); docs/metrics.md is compared with what these give.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) heartbeats: Counter,
    pub(crate) registrations: Counter,
    pub(crate) updates: Counter,
    pub(crate) unregistrations: Counter,
    pub(crate) evictions: Counters<Eviction>,
    pub(crate) probes: Counters<Probed>,
    pub(crate) suspicions: Counter,
    pub(crate) revivals: Counter,
    pub(crate) brakes: Counter,
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
    pub(crate) store_commits: Histogram,
    paused: Seconds,
    refused: Refused,
}

/// Requests refused, by status from 400 to 599.
#[derive(Debug)]
struct Refused([Counter; 200]);

impl Default for Refused {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl Refused {
    fn of(&self, status: u16) -> Option<&Counter> {
        self.0.get(usize::from(status.checked_sub(400)?))
    }

    /// The statuses that were sent, and how often.
    fn iter(&self) -> impl Iterator<Item = (String, u64)> {
        let all = self.0.iter().enumerate().map(|(above, count)| (400 + above, count.get()));
        all.filter(|(_, count)| *count > 0).map(|(status, count)| (status.to_string(), count))
    }
}

/// What is measured when it is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Sizes {
    pub(crate) instances: usize,
    pub(crate) table_bytes: usize,
    pub(crate) pinned_bytes: usize,
    pub(crate) tally: Tally,
    pub(crate) overrides: usize,
    pub(crate) store_is_failing: bool,
    /// With which registries; `None`: it shares nothing.
    pub(crate) sharing: Option<Sharing>,
    pub(crate) log_lines_dropped: u64,
    pub(crate) guard: Figures,
    pub(crate) audit_is_failing: bool,
    /// `None`: it speaks no TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsFigures>,
}

impl Metrics {
    /// Counts a request refused with this status (400 or above).
    pub(crate) fn refuse(&self, status: u16) {
        if let Some(counter) = self.refused.of(status) {
            counter.inc();
        }
    }

    /// Counts a pause of the process: the expiry check was this late.
    pub(crate) fn pause(&self, late: Duration) {
        self.paused.add(late);
    }

    /// The text of `/metrics`.
    pub(crate) fn render(&self, format: Format, sizes: &Sizes) -> String {
        let mut page = Page::new(format);
        self.write(&mut page, sizes);
        page.finish()
    }

    /// The table of names, kinds and meanings.
    fn write(&self, page: &mut Page, sizes: &Sizes) {
        page.gauge("rpc_registry_build_info", "1; the labels say which program replies")
            .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1_u64);

        let mut gauge = |name, help, value: u64| page.gauge(name, help).value(value);
        gauge("rpc_registry_instances", "Instances listed", sizes.instances as u64);
        let help = "Instances whose TTL has passed, but that reply to probes";
        gauge("rpc_registry_suspects", help, sizes.tally.suspect as u64);
        let help = "Silent instances that the brake on mass expiry holds";
        gauge("rpc_registry_held", help, sizes.tally.held as u64);
        gauge("rpc_registry_overrides", "Overrides that stand", sizes.overrides as u64);
        let help = "1 while the store fails: what is new is not durable";
        gauge("rpc_registry_store_failing", help, u64::from(sizes.store_is_failing));
        let sharing = sizes.sharing.as_ref();
        let help = "Other registries that share the etcd cluster, as last known; 0 without etcd";
        gauge("rpc_registry_peers", help, sharing.map_or(0, |it| it.peers.len() as u64));
        let help = "Of the instances listed, those whose heartbeats other registries take";
        gauge("rpc_registry_instances_foreign", help, sharing.map_or(0, |it| it.foreign));
        let help = "1 while cut off from etcd: the other registries are as last known, what is new is not durable";
        let is_cut_off = sharing.is_some_and(|it| it.cut_off_ms.is_some());
        gauge("rpc_registry_etcd_cut_off", help, u64::from(is_cut_off));
        let help = "Memory of the instances, approximately";
        gauge("rpc_registry_table_bytes", help, sizes.table_bytes as u64);
        let help = "Lists and snapshots that are kept, or being read";
        gauge("rpc_registry_pinned_bytes", help, sizes.pinned_bytes as u64);
        gauge("rpc_registry_connections", "Connections open", self.connections.get());
        gauge("rpc_registry_streams", "Event streams open", self.streams.get());
        let LeftOut { unreadable, no_room, foreign } =
            sharing.and_then(|it| it.left_out).unwrap_or_default();
        let help = "Keys in etcd that are neither listed nor written over, by reason";
        let mut left_out = page.gauge("rpc_registry_etcd_left_out", help);
        for (reason, count) in
            [("unreadable", unreadable), ("no_room", no_room), ("foreign", foreign)]
        {
            left_out.sample(&[("reason", reason)], count);
        }

        let mut counter =
            |name, help, counter: &Counter| page.counter(name, help).value(counter.get());
        let help = "Registrations that found their instance unchanged";
        counter("rpc_registry_heartbeats_total", help, &self.heartbeats);
        counter("rpc_registry_registrations_total", "New instances", &self.registrations);
        let help = "Instances whose parameters changed";
        counter("rpc_registry_updates_total", help, &self.updates);
        counter(
            "rpc_registry_unregistrations_total",
            "Instances unregistered",
            &self.unregistrations,
        );
        let help = "Instances kept although their TTL had passed";
        counter("rpc_registry_suspicions_total", help, &self.suspicions);
        let help = "Of these, up again with a heartbeat";
        counter("rpc_registry_revivals_total", help, &self.revivals);
        let help = "Times that the brake on mass expiry began to hold";
        counter("rpc_registry_brakes_total", help, &self.brakes);
        let help = "Registrations not listed: an older server sent them after it was stopped";
        counter("rpc_registry_held_back_total", help, &self.held_back);
        counter("rpc_registry_lists_total", "Requests of the older route for a list", &self.lists);
        counter("rpc_registry_lists_built_total", "Lists written anew", &self.lists_built);
        let help = "Requests of the older route answered with 304";
        counter("rpc_registry_lists_unchanged_total", help, &self.lists_unchanged);
        counter("rpc_registry_snapshots_total", "Snapshots sent to watchers", &self.snapshots);
        let help = "Connections accepted";
        counter("rpc_registry_connections_accepted_total", help, &self.connections_accepted);
        let help = "Connections refused at a limit";
        counter("rpc_registry_connections_refused_total", help, &self.connections_refused);
        let help = "Connections closed because they read too slowly";
        counter("rpc_registry_readers_cut_total", help, &self.readers_cut);

        let help = "Commits of the store that failed";
        counter("rpc_registry_store_failures_total", help, &self.store_failures);

        let help = "Instances removed that did not unregister, by reason";
        page.counters("rpc_registry_evictions_total", help, &self.evictions);
        let help = "Probes of instances, by outcome";
        page.counters("rpc_registry_probes_total", help, &self.probes);
        let mut refused = page.counter("rpc_registry_refused_total", "Requests refused, by status");
        for (status, count) in self.refused.iter() {
            refused.sample(&[("status", &status)], count);
        }
        let help =
            "1 while the audit log cannot be written: registrations and operations are refused";
        page.gauge("rpc_registry_audit_failing", help).value(u64::from(sizes.audit_is_failing));
        figures::write_guard(page, DAEMON, &sizes.guard);
        let help = "Time of a commit of the store, of all that is to be saved then";
        page.histogram("rpc_registry_store_commit_duration_seconds", help)
            .sample(&[], &self.store_commits.buckets());
        page.counter("rpc_registry_log_lines_dropped_total", "Log lines lost")
            .value(sizes.log_lines_dropped);
        let help = "How late the checks of deadlines were, in sum: the process was paused";
        page.counter("rpc_registry_paused_seconds_total", help).value(self.paused.get());
        #[cfg(feature = "tls")]
        if let Some(tls) = sizes.tls {
            figures::write_tls(page, DAEMON, tls);
        }
    }
}

#[cfg(test)]
mod tests {
    use rpc_wire::instance::{ExpiryReason, RegistryName};
    use rpc_wire::report::SharingState;

    use super::*;
    use crate::table::Outcome;

    #[test]
    fn what_is_counted_is_in_the_text() {
        let metrics = Metrics::default();
        metrics.heartbeats.inc();
        metrics.refuse(404);
        metrics.refuse(600);
        metrics.probes.inc(Outcome::Alive.into());
        metrics.evictions.inc(Some(ExpiryReason::Refused).into());
        metrics.pause(Duration::from_millis(1500));
        let name = |id: &str| RegistryName { id: id.to_owned(), address: None };
        let tally = Tally { suspect: 6, held: 7, ..Tally::default() };
        let sizes = Sizes {
            instances: 3,
            table_bytes: 4,
            pinned_bytes: 5,
            tally,
            overrides: 8,
            store_is_failing: true,
            sharing: Some(Sharing {
                registry: name("a"),
                peers: vec![name("b"), name("c")],
                owned: 1,
                foreign: 2,
                state: SharingState::NoQuorum,
                left_out: Some(LeftOut { unreadable: 10, no_room: 11, foreign: 12 }),
                cut_off_ms: Some(1),
            }),
            log_lines_dropped: 9,
            guard: Figures::default(),
            audit_is_failing: true,
            #[cfg(feature = "tls")]
            tls: None,
        };
        let text = metrics.render(Format::Text, &sizes);
        for line in [
            "rpc_registry_heartbeats_total 1",
            "rpc_registry_refused_total{status=\"404\"} 1",
            "rpc_registry_paused_seconds_total 1.5",
            "rpc_registry_instances 3",
            "rpc_registry_table_bytes 4",
            "rpc_registry_pinned_bytes 5",
            "rpc_registry_suspects 6",
            "rpc_registry_held 7",
            "rpc_registry_log_lines_dropped_total 9",
            "rpc_registry_overrides 8",
            "rpc_registry_store_failing 1",
            "rpc_registry_audit_failing 1",
            "rpc_registry_tokens_outdated 0",
            "rpc_registry_denied_total{outcome=\"warned\",reason=\"role\"} 0",
            "rpc_registry_peers 2",
            "rpc_registry_instances_foreign 2",
            "rpc_registry_etcd_cut_off 1",
            "rpc_registry_etcd_left_out{reason=\"unreadable\"} 10",
            "rpc_registry_etcd_left_out{reason=\"no_room\"} 11",
            "rpc_registry_etcd_left_out{reason=\"foreign\"} 12",
            "rpc_registry_probes_total{outcome=\"alive\"} 1",
            "rpc_registry_evictions_total{reason=\"refused\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("600"), "{text}");
    }
}
