//! The console's own client, as any program has one: a call to any of several instances goes through it.

use std::time::{Duration, Instant};

use rpc_client::{Client, ClientOptions, InstanceState, KnownInstance};
use rpc_console_core::message::Msg;
use rpc_console_core::model::own_client::{Health, OwnClient};
use rpc_wire::instance::InstanceKey;
use tokio::sync::mpsc;

/// Interval of looks at what it goes by.
const INTERVAL: Duration = Duration::from_millis(500);

/// A client of the instances that the registry lists. `None`: its URL is invalid, which is said elsewhere.
pub(super) fn open(url: &str, options: &ClientOptions) -> Option<Client> {
    Client::through_registry(url, options.clone()).ok()
}

/// Reports what the client goes by, whenever that changes. Never returns.
pub(super) async fn report(client: Client, live: mpsc::Sender<Msg>) {
    let mut told = OwnClient::default();
    loop {
        tokio::time::sleep(INTERVAL).await;
        let own = look(&client, Instant::now());
        if own != told {
            told.clone_from(&own);
            let _ = live.send(Msg::OwnClient(own)).await;
        }
    }
}

fn look(client: &Client, now: Instant) -> OwnClient {
    let health = client.instances().into_iter().filter_map(|known| health(known, now));
    OwnClient { list: None, health: health.collect() }
}

/// How an instance stands, unless it is simply up.
fn health(known: KnownInstance, now: Instant) -> Option<(InstanceKey, Health)> {
    let health = known.health;
    (health.state != InstanceState::Up).then(|| {
        let until = health.left.and_then(|left| now.checked_add(left));
        let (state, gets_calls) = (health.state.to_string(), health.state.gets_calls());
        (known.instance.key(), Health { state, gets_calls, reason: health.reason, until })
    })
}
