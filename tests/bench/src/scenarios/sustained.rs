//! The largest intended number of instances, each with a heartbeat every 5 s, for as long as
//! wanted.

use anyhow::{Context, ensure};
use rpc_wire::paths;

use super::registry::{Filled, get};
use crate::clients::bare;
use crate::exchange::http_head;
use crate::measure::Figures;
use crate::round::{Bench, Scenario};

const INSTANCES: usize = 100_000;
/// Heartbeats per second: one per instance every 5 s.
const RATE: u32 = 20_000;
/// Fewer than instances: a registry accepts 10,000 connections, and older servers close theirs.
const CONNECTIONS: usize = 1_000;

/// The scenario.
pub fn scenario() -> Scenario {
    Scenario {
        key: "R".to_owned(),
        title: format!(
            "heartbeats at a fixed rate of {RATE}/s: {INSTANCES} instances, each every 5 s, on \
             {CONNECTIONS} connections"
        ),
        measure: Box::new(|round| round.baseline("rpcd", sustain)),
    }
}

fn sustain(bench: &Bench) -> anyhow::Result<Figures> {
    let registry = Filled::start(bench, INSTANCES)?;
    let window = bench.window(&registry.server);
    let address = registry.server.address();
    let beats = &registry.heartbeats;
    let figures = bench.load(|| bare::at_rate(address, beats, CONNECTIONS, RATE, window))?;
    registry.list()?;
    // An instance that expired would register again with its next heartbeat, and be listed.
    let metrics = registry.request(&get(paths::METRICS, ""), 200)?;
    let metrics = metrics.get(http_head(&metrics).context("a head")?..).unwrap_or_default();
    let metrics = String::from_utf8_lossy(metrics);
    let evictions =
        metrics.lines().filter(|line| line.starts_with("rpc_registry_evictions_total{"));
    let lost = "instances expired although all of them sent heartbeats";
    ensure!(evictions.clone().count() > 0, "no evictions are counted");
    ensure!(evictions.into_iter().all(|line| line.ends_with(" 0")), "{lost}");
    Ok(figures)
}
