//! The names, kinds and meanings of the metrics, as `/metrics` has them.

use std::sync::Arc;
use std::time::Duration;

use rpc_host::figures;
#[cfg(feature = "tls")]
use rpc_host::tls::TlsFigures;
use rpc_metrics::{Format, Page};
use rpc_security::Figures;

use super::{Metrics, OTHER};

/// How the names of all begin.
const DAEMON: &str = "rpc_server";

/// What is known elsewhere, and measured when it is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Facts<'a> {
    pub(crate) service: &'a str,
    pub(crate) version: &'a str,
    pub(crate) contract: Arc<str>,
    pub(crate) uptime: Duration,
    pub(crate) calls_in_flight: usize,
    pub(crate) buffered_bytes: usize,
    pub(crate) lag: Duration,
    pub(crate) log_lines_dropped: u64,
    pub(crate) guard: Figures,
    /// `None`: it speaks no TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsFigures>,
}

impl Metrics {
    /// The text of `/metrics`. Names and labels follow OpenTelemetry's conventions for RPC where these have
    /// any; docs/metrics.md is compared with it.
    pub(crate) fn render(&self, facts: Facts<'_>, format: Format) -> String {
        let mut page = Page::new(format);
        write_server(&mut page, self, &facts);
        write_methods(&mut page, self);
        page.finish()
    }
}

fn write_server(page: &mut Page, metrics: &Metrics, facts: &Facts<'_>) {
    let labels = [
        // Not `service`: a label of that name is for those who configure Prometheus.
        ("name", facts.service),
        ("version", facts.version),
        ("contract", &facts.contract),
        ("rpc_server", env!("CARGO_PKG_VERSION")),
    ];
    page.gauge("rpc_server_build_info", "1; the labels say which program replies")
        .sample(&labels, 1_u64);
    page.gauge("rpc_server_uptime_seconds", "Time since the start").value(facts.uptime);

    let mut gauge = |name, help, value: u64| page.gauge(name, help).value(value);
    gauge("rpc_server_connections", "Connections open", metrics.connections.get());
    gauge("rpc_server_calls_in_flight", "Calls in flight", facts.calls_in_flight as u64);
    let help = "Kept for connections beyond a free share of each";
    gauge("rpc_server_buffered_bytes", help, facts.buffered_bytes as u64);
    let help = "How late the workers run what is ready";
    page.gauge("rpc_server_lag_seconds", help).value(facts.lag);

    let mut counter = |name, help, value: u64| page.counter(name, help).value(value);
    let accepted = metrics.connections_accepted.get();
    counter("rpc_server_connections_accepted_total", "Connections accepted", accepted);
    let refused = metrics.connections_refused.get();
    counter("rpc_server_connections_refused_total", "Connections refused at a limit", refused);
    let refused = metrics.calls_refused.get();
    counter("rpc_server_calls_refused_total", "Calls over a limit, or too late", refused);
    let malformed = metrics.malformed.get();
    counter("rpc_server_malformed_total", "Messages that could not be read", malformed);
    counter("rpc_server_log_lines_dropped_total", "Log lines lost", facts.log_lines_dropped);
    #[cfg(feature = "tls")]
    if let Some(tls) = facts.tls {
        figures::write_tls(page, DAEMON, tls);
    }
    figures::write_guard(page, DAEMON, &facts.guard);
}

fn write_methods(page: &mut Page, metrics: &Metrics) {
    let help = "Time from the arrival of a call to its reply, by method and type of error (empty: a result)";
    let mut durations = page.histogram("rpc_server_call_duration_seconds", help);
    // A method of that name would be taken for the unknown ones.
    let methods = || metrics.all().filter(|method| method.name != OTHER);
    for method in methods() {
        // Without calls, too, so that the first one is seen as an increase.
        let labels = [("rpc_method", method.name.as_str()), ("error_type", "")];
        durations.sample(&labels, &method.results().buckets());
    }
    for method in methods().chain([&metrics.unknown]) {
        for (error, latencies) in method.errors() {
            let labels = [("rpc_method", method.name.as_str()), ("error_type", error)];
            durations.sample(&labels, &latencies.buckets());
        }
    }
    let help = "Replies over 1,024 bytes to older clients, which cannot read them";
    let mut unreadable = page.counter("rpc_server_unreadable_for_old_clients_total", help);
    for method in methods() {
        let labels = [("rpc_method", method.name.as_str())];
        unreadable.sample(&labels, method.unreadable_for_old_clients.get());
    }
}
