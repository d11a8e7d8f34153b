//! What was needed at least once: otherwise it was not tested.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rpc_client::{Client, InstanceState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Interval between looks at what clients know.
const LOOK: Duration = Duration::from_millis(50);
/// Looks at clients for each at the registry's metrics, and the longest time of one.
const METRICS: u32 = 6;
const METRICS_TIMEOUT: Duration = Duration::from_secs(1);

/// 1 while the registry cannot write its store.
pub(super) const STORE_FAILING: &str = "rpc_registry_store_failing";

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

    /// Looks at clients and the registry, again and again.
    pub(super) async fn look(self, clients: Vec<Client>, metrics: SocketAddr) {
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
                self.note(Reaches::DegradedStore, value(&page, STORE_FAILING) > 0.0);
            }
            sleep(LOOK).await;
        }
    }
}

/// The sum of a metric of the registry over its labels, once it can be reached.
pub(super) async fn metric(registry: SocketAddr, name: &str) -> Option<f64> {
    let page = timeout(METRICS_TIMEOUT, page(registry)).await.ok()?.ok()?;
    Some(value(&page, name))
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
