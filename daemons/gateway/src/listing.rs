//! Keeps the tools those of the instances that live, by what the client library knows of them.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::poll;
use rpc_client::{CallError, Catalog, Client, Target, UnknownInstance};
use rpc_wire::instance::InstanceKey;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::GatewayOptions;
use crate::tools::{NoTool, Tools};

/// Longest time in which the first list is waited for.
const FIRST: Duration = Duration::from_secs(3);
/// When one server, or instances that have not told their methods, are asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What is offered now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    /// The same as before while they do not change.
    pub(crate) tools: Arc<Tools>,
    /// Why they may not be those of now.
    pub(crate) note: Option<String>,
}

/// Keeps the listing until it is dropped. The first comes as soon as the instances have told their methods.
pub(crate) async fn keep(
    client: Client,
    options: Arc<GatewayOptions>,
    listing: watch::Sender<Option<Listing>>,
) {
    if let Some(methods) = &options.described {
        let tools = Tools::described(methods, &options);
        return publish(&listing, Listing { tools: Arc::new(tools), note: None });
    }
    let is_direct = !matches!(client.target(), Target::Registry { .. });
    let mut within = FIRST;
    let mut unknown = BTreeMap::new();
    let mut is_first = !is_direct;
    loop {
        let mut refreshed = pin!(client.list_refreshed());
        // It waits from now on: a change while the methods are learned is not lost.
        let _ = poll!(refreshed.as_mut());
        let catalog = match std::mem::take(&mut is_first) {
            true => first(&client, options.learn_timeout).await,
            false => client.catalog_within(within).await,
        };
        within = options.learn_timeout;
        let is_whole = catalog.as_ref().is_ok_and(|catalog| catalog.unknown.is_empty());
        if let Ok(catalog) = &catalog {
            unknown = tell_unknown(catalog, &unknown);
        }
        update(&client, &options, &listing, catalog);
        tokio::select! {
            () = refreshed => {}
            () = sleep(ASK_AGAIN), if is_direct || !is_whole => {}
        }
    }
}

/// The first catalog: the list of instances has longer to come than their methods.
async fn first(client: &Client, learn_timeout: Duration) -> Result<Catalog, CallError> {
    let learned = async {
        loop {
            let mut refreshed = pin!(client.list_refreshed());
            let is_new = poll!(refreshed.as_mut()).is_ready();
            if !client.instances().is_empty() {
                return sleep(learn_timeout).await;
            }
            if !is_new {
                refreshed.await;
            }
        }
    };
    tokio::select! {
        catalog = client.catalog_within(FIRST) => catalog,
        () = learned => client.catalog_within(Duration::ZERO).await,
    }
}

/// Logs each instance whose methods are not known, and why, unless that was so before.
fn tell_unknown(
    catalog: &Catalog,
    before: &BTreeMap<InstanceKey, String>,
) -> BTreeMap<InstanceKey, String> {
    let of = |it: &UnknownInstance| (it.instance.clone(), it.reason.to_string());
    let unknown: BTreeMap<_, _> = catalog.unknown.iter().map(of).collect();
    for (instance, reason) in unknown.iter().filter(|(key, why)| before.get(*key) != Some(why)) {
        tracing::warn!(%instance, reason, "no tools of an instance whose methods are not known");
    }
    unknown
}

fn update(
    client: &Client,
    options: &GatewayOptions,
    listing: &watch::Sender<Option<Listing>>,
    catalog: Result<Catalog, CallError>,
) {
    let before = listing.borrow().clone().unwrap_or_default();
    let status = client.list_status().filter(|status| status.problem.is_some());
    let mut note = status.map(|status| status.to_string());
    let tools = match catalog {
        Ok(catalog) => Tools::of(&catalog, options, &before.tools),
        // The registry says so.
        Err(CallError::NoInstance { .. }) => Tools::default(),
        Err(error) => {
            note.get_or_insert_with(|| error.to_string());
            return publish(listing, Listing { note, ..before });
        }
    };
    let tools = if tools == *before.tools { before.tools } else { Arc::new(tools) };
    publish(listing, Listing { tools, note });
}

fn publish(listing: &watch::Sender<Option<Listing>>, now: Listing) {
    let is_new = |before: &Listing| !Arc::ptr_eq(&before.tools, &now.tools);
    if listing.borrow().as_ref().is_none_or(is_new) {
        let Tools { not_allowed, ref left_out, .. } = *now.tools;
        let (tools, count) = (now.tools.len(), left_out.count);
        tracing::info!(tools, not_allowed, left_out = count, "tools");
        let first = left_out.first();
        for NoTool { method, why, .. } in first {
            tracing::warn!(method, why, "no tool of a method");
        }
        if count > first.len() {
            tracing::warn!(
                left_out = count,
                "further methods are no tools; deny some, or name a service"
            );
        }
    }
    match &now.note {
        Some(note) if listing.borrow().as_ref().is_none_or(|it| it.note.is_none()) => {
            tracing::warn!("the tools may not be those of now: {note}");
        }
        _ => {}
    }
    listing.send_replace(Some(now));
}
