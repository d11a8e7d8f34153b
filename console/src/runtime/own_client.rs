//! The console's own client, as any program has one: a call to any of several instances goes through it.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rpc_client::{Client, ClientOptions, KnownInstance, ListSource, ListStatus};
use rpc_console_core::message::{Msg, RegistryUpdate};
use rpc_console_core::model::instances::Aged;
use rpc_console_core::model::own_client::{Health, OldList, OwnClient};
use rpc_wire::instance::InstanceKey;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::feed::HasList;

/// Interval of looks at what it goes by.
const INTERVAL: Duration = Duration::from_secs(1);

/// A client of the instances that the registry lists. `None`: its URL is invalid, which is said elsewhere.
pub(super) fn open(url: &str, options: &ClientOptions) -> Option<Client> {
    Client::through_registry(url, options.clone()).ok()
}

/// Reports what the client goes by, whenever that changes, and once the list that it has without the registry.
/// Never returns.
pub(super) async fn report(
    client: Client,
    has_list: HasList,
    live: mpsc::Sender<Msg>,
    changes: mpsc::Sender<Msg>,
) {
    let mut told = OwnClient::default();
    let mut is_list_told = false;
    loop {
        let _ = timeout(INTERVAL, client.list_refreshed()).await;
        let own = look(&client, Instant::now());
        if let Some(list) = own.list.clone().filter(|_| !is_list_told) {
            let instances = client.instances().into_iter().map(|known| known.instance).collect();
            has_list.store(true, Relaxed);
            let _ = changes.send(Msg::Registry(RegistryUpdate::OldList(instances, list))).await;
            is_list_told = true;
        }
        if own != told {
            told.clone_from(&own);
            let _ = live.send(Msg::OwnClient(own)).await;
        }
    }
}

fn look(client: &Client, now: Instant) -> OwnClient {
    let list = client.list_status().and_then(|status| old_list(&status, now));
    let health = client.instances_not_up().into_iter().map(|known| health(known, now));
    OwnClient { list, health: health.collect() }
}

/// The list, if it is not what the registry lists now.
fn old_list(status: &ListStatus, now: Instant) -> Option<OldList> {
    let age = status.age.filter(|_| !status.is_live())?;
    let ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    Some(OldList { on_disk: status.source == ListSource::Disk, age: Aged::new(ms, now) })
}

/// How an instance stands that is not simply up.
fn health(known: KnownInstance, now: Instant) -> (InstanceKey, Health) {
    let health = known.health;
    let until = health.left.and_then(|left| now.checked_add(left));
    let (state, gets_calls) = (health.state.to_string(), health.state.gets_calls());
    (known.instance.key(), Health { state, gets_calls, reason: health.reason, until })
}
