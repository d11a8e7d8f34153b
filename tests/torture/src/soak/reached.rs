//! What was needed at least once: otherwise it was not tested.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rpc_client::registry::RegistryClient;
use rpc_client::{Client, InstanceState};
use rpc_wire::instance::WatchEvent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Interval between looks at what clients know.
const LOOK: Duration = Duration::from_millis(50);
/// Looks at clients for each at the registry's metrics, and the longest time of one.
const METRICS: u32 = 6;
const METRICS_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a watcher waits before it watches again, and at last for the events that are on their way.
const AGAIN: Duration = Duration::from_millis(50);
const LAST: Duration = Duration::from_secs(3);

/// What must be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reaches {
    Brake,
    Probe,
    Fence,
    Retry,
    Ejection,
    SlowStart,
    DegradedStore,
    ListCache,
    ResumedWatch,
}

impl Reaches {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Brake, "looks: the registry's brake holds"),
        (Self::Probe, "looks: the registry has probed an instance"),
        (Self::Fence, "beats of an earlier life refused"),
        (Self::Retry, "calls retried"),
        (Self::Ejection, "looks: a client has ejected an instance"),
        (Self::SlowStart, "looks: an instance is in its slow start"),
        (Self::DegradedStore, "looks: the registry cannot write its store"),
        (Self::ListCache, "clients that called by a list on disk"),
        (Self::ResumedWatch, "watches resumed"),
    ];
}

/// How often each was reached. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Reached(Arc<Mutex<BTreeMap<Reaches, u64>>>);

/// Dropping it does not end it.
pub(super) struct Watching {
    stop: CancellationToken,
    folding: JoinHandle<Vec<u16>>,
}

impl Watching {
    /// Ends; returns the ports of the instances that are listed, by the registry's events.
    pub(super) async fn end(self) -> Vec<u16> {
        self.stop.cancel();
        self.folding.await.unwrap_or_default()
    }
}

impl Reached {
    pub(super) fn note(&self, what: Reaches, reached: bool) {
        if reached {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_default() += 1;
        }
    }

    /// All there is to reach, and how often it was.
    pub(super) fn all(&self) -> Vec<(&'static str, u64)> {
        let reached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let times = |what| reached.get(&what).copied().unwrap_or(0);
        Reaches::ALL.map(|(what, text)| (text, times(what))).to_vec()
    }

    /// Looks at clients and the registry until it is ended.
    pub(super) fn watch(
        &self,
        registry: RegistryClient,
        metrics: SocketAddr,
        clients: Vec<Client>,
    ) -> Watching {
        let stop = CancellationToken::new();
        let looking = self.clone().look(clients, metrics);
        let stopped = stop.clone();
        tokio::spawn(async move { stopped.run_until_cancelled(looking).await });
        let folding = tokio::spawn(self.clone().fold(registry, stop.clone()));
        Watching { stop, folding }
    }

    async fn look(self, clients: Vec<Client>, metrics: SocketAddr) {
        for turn in 0u32.. {
            for client in &clients {
                for known in client.instances() {
                    let state = known.health.state;
                    self.note(Reaches::Ejection, state == InstanceState::Ejected);
                    self.note(Reaches::SlowStart, state == InstanceState::SlowStart);
                }
            }
            if turn.is_multiple_of(METRICS)
                && let Ok(Ok(page)) = timeout(METRICS_TIMEOUT, page(metrics)).await
            {
                self.note(Reaches::Brake, value(&page, "rpc_registry_held") > 0.0);
                self.note(Reaches::Probe, value(&page, "rpc_registry_probes_total") > 0.0);
                self.note(Reaches::DegradedStore, value(&page, "rpc_registry_store_failing") > 0.0);
            }
            sleep(LOOK).await;
        }
    }

    /// Follows the registry's events over lost connections, and keeps the list that follows from them.
    async fn fold(self, registry: RegistryClient, stop: CancellationToken) -> Vec<u16> {
        let (mut listed, mut last_id) = (BTreeSet::new(), None::<String>);
        let mut until = None;
        loop {
            let watching = async {
                let resumed = last_id.is_some();
                let Ok(mut watch) = registry.watch("json", false, last_id.clone()).await else {
                    return;
                };
                let mut is_first = true;
                while let Some(Ok((id, event))) = watch.next().await {
                    let is_snapshot = matches!(event, WatchEvent::Snapshot(_));
                    self.note(Reaches::ResumedWatch, is_first && resumed && !is_snapshot);
                    is_first = false;
                    last_id = id.or(last_id.take());
                    apply(&mut listed, event);
                }
            };
            tokio::select! {
                () = watching => sleep(AGAIN).await,
                () = stop.cancelled(), if until.is_none() => until = Some(Instant::now() + LAST),
                () = async { tokio::time::sleep_until(until.unwrap_or_else(Instant::now)).await },
                    if until.is_some() => return listed.into_iter().collect(),
            }
        }
    }
}

fn apply(listed: &mut BTreeSet<u16>, event: WatchEvent) {
    match event {
        WatchEvent::Snapshot(all) => *listed = all.iter().map(|it| it.instance.port).collect(),
        WatchEvent::Registered(one) | WatchEvent::Updated(one) | WatchEvent::Suspect(one) => {
            listed.insert(one.instance.port);
        }
        WatchEvent::Unregistered(key) | WatchEvent::Expired(key, _) => {
            listed.remove(&key.port);
        }
        WatchEvent::Beats(_) => {}
    }
}

/// The registry's metrics, as text.
async fn page(registry: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(registry).await?;
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {registry}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut page = Vec::new();
    stream.read_to_end(&mut page).await?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The sum of a metric over its labels.
fn value(page: &str, name: &str) -> f64 {
    let lines = page.lines().filter_map(|line| line.strip_prefix(name));
    let values = lines.filter(|rest| rest.starts_with([' ', '{']));
    values.filter_map(|rest| rest.split_whitespace().next_back()?.parse::<f64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels() {
        let page = "# TYPE a_total counter\na_total{of=\"x\"} 2\na_total{of=\"y\"} 3\na_total_more 7\nb 1.5\n";
        assert_eq!((value(page, "a_total"), value(page, "b"), value(page, "c")), (5.0, 1.5, 0.0));
    }
}
