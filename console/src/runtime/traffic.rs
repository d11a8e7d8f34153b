//! Asks instances for their statistics, at most once a second.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use rpc_client::{CallError, Client, Code, Dialect, Request};
use rpc_wire::instance::InstanceKey;
use rpc_wire::paths::RPC_STATS;
use rpc_wire::report::ServerStats;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};

use rpc_console_core::message::{Msg, Sample};

/// Shortest time between two rounds.
const ROUND: Duration = Duration::from_secs(1);
/// Timeout of a request.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Requests in flight at most.
const CONCURRENCY: usize = 32;

/// The instances to ask.
pub(super) type Clients = Vec<(InstanceKey, Client)>;

/// Asks all of them, round after round, until the task is aborted. The results of a round are one
/// message, so that they change the screen once. A change of `clients` waits for the next round:
/// scrolling must not make the rounds more frequent.
pub(super) async fn sample(mut clients: watch::Receiver<Clients>, inbox: mpsc::Sender<Msg>) {
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        let now = clients.borrow_and_update().clone();
        if now.is_empty() {
            if clients.changed().await.is_err() {
                return;
            }
            continue;
        }
        let asked = now.into_iter().map(|(key, client)| async move {
            let sample = statistics(&client).await;
            (key, sample)
        });
        let samples = stream::iter(asked).buffer_unordered(CONCURRENCY).collect().await;
        if inbox.send(Msg::Traffic(samples)).await.is_err() {
            return;
        }
    }
}

async fn statistics(client: &Client) -> Sample {
    let Ok(mut request) = Request::new(RPC_STATS, ()) else { return Sample::Unsupported };
    request.timeout = Some(TIMEOUT);
    match client.request(request).await {
        Ok(response) if response.dialect == Dialect::Extended => {
            let stats = serde_json::from_str::<ServerStats>(response.value.get());
            stats
                .map_or(Sample::Unsupported, |stats| Sample::Stats(Instant::now(), Box::new(stats)))
        }
        Ok(_) | Err(CallError::Unsupported { .. }) => Sample::Unsupported,
        Err(CallError::Remote { fault, .. }) if fault.code == Code::MethodNotFound => {
            Sample::Unsupported
        }
        Err(_) => Sample::Failed,
    }
}
