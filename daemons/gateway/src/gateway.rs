//! The gateway itself: tools, limits and calls, whichever way messages come.

use std::sync::Arc;

use rpc_client::Client;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;

use crate::audit::{Noting, Who};
use crate::caller::{self, Report};
use crate::listing::{self, Listing};
use crate::outcome::Outcome;
use crate::protocol::Call;
use crate::{GatewayOptions, tools::Tools};

/// Every live method as a tool. Cheap to clone; clones are one gateway, which ends with the last.
#[derive(Debug, Clone)]
pub struct Gateway {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client: Client,
    options: Arc<GatewayOptions>,
    listing: watch::Receiver<Option<Listing>>,
    calls: Arc<Semaphore>,
    subscriptions: Arc<Semaphore>,
    _keeping: AbortOnDropHandle<()>,
}

/// Changes of the list of tools.
#[derive(Debug)]
pub(crate) struct Changes {
    listing: watch::Receiver<Option<Listing>>,
    seen: Option<Arc<Tools>>,
}

impl Gateway {
    /// A gateway to what `client` calls. It starts to ask what there is.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(client: Client, options: GatewayOptions) -> Self {
        let options = Arc::new(options);
        let (sender, listing) = watch::channel(None);
        let keeping = listing::keep(client.clone(), Arc::clone(&options), sender);
        let inner = Inner {
            calls: Arc::new(Semaphore::new(options.max_calls.min(Semaphore::MAX_PERMITS))),
            subscriptions: Arc::new(Semaphore::new(
                options.max_subscriptions.min(Semaphore::MAX_PERMITS),
            )),
            client,
            options,
            listing,
            _keeping: AbortOnDropHandle::new(tokio::spawn(keeping)),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn options(&self) -> &GatewayOptions {
        &self.inner.options
    }

    /// What is offered now; waits for the first.
    pub(crate) async fn listing(&self) -> Listing {
        let mut listing = self.inner.listing.clone();
        // An error only when the gateway has ended.
        let first = listing.wait_for(Option::is_some).await;
        first.ok().and_then(|listing| listing.clone()).unwrap_or_default()
    }

    /// Changes from now on.
    pub(crate) fn changes(&self) -> Changes {
        let listing = self.inner.listing.clone();
        let seen = listing.borrow().as_ref().map(|it| Arc::clone(&it.tools));
        Changes { listing, seen }
    }

    /// Room for a subscription, as long as it is held.
    pub(crate) fn subscribe(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.inner.subscriptions).try_acquire_owned().ok()
    }

    /// Makes a call; how it ended, whatever becomes of it. Dropped, it is cancelled.
    pub(crate) async fn call(&self, call: &Call, who: &Who, report: Report<'_>) -> Outcome {
        let Inner { client, options, calls, .. } = &*self.inner;
        let noting = Noting::begin(call, who);
        let outcome = match (who.check().await, calls.try_acquire()) {
            (Err(why), _) => Outcome::Unaudited { why },
            (Ok(()), Ok(_place)) => caller::call(client, call, options, report).await,
            (Ok(()), Err(_)) => Outcome::Busy { limit: options.max_calls },
        };
        noting.end(outcome.word()).await;
        outcome
    }
}

impl Changes {
    /// Waits until the tools are others.
    pub(crate) async fn next(&mut self) {
        loop {
            if self.listing.changed().await.is_err() {
                // The gateway has ended: nothing changes any more.
                return std::future::pending().await;
            }
            let now = self.listing.borrow_and_update().as_ref().map(|it| Arc::clone(&it.tools));
            let before = std::mem::replace(&mut self.seen, now.clone());
            match (before, now) {
                (Some(before), Some(now)) if Arc::ptr_eq(&before, &now) => {}
                // The first list is no change of one.
                (None, _) | (_, None) => {}
                _ => return,
            }
        }
    }
}
