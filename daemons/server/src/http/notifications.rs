//! Notifications go on when their request has its reply, or its connection is closed: nobody waits for their end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::runtime::Handle;
use tracing::Instrument;

use super::caller::Caller;
use super::exchange::Exchange;
use crate::state::ServerState;

/// An exchange whose notifications go on when it is dropped.
pub(super) struct Lasting<'a> {
    /// Taken when it is dropped.
    pub(super) exchange: Option<Exchange>,
    pub(super) state: &'a ServerState,
    pub(super) caller: &'a Caller,
}

impl Drop for Lasting<'_> {
    fn drop(&mut self) {
        let Some(exchange) = self.exchange.take().filter(Exchange::may_have_notifications) else {
            return;
        };
        // Without a runtime, the server has ended.
        let Ok(runtime) = Handle::try_current() else { return };
        let counted = Counted::new(self.caller.going_on(), exchange.running());
        let finished = async move {
            exchange.finish_notifications().await;
            drop(counted);
        };
        self.state.notifications.spawn_on(finished.in_current_span(), &runtime);
    }
}

/// Calls of a connection that go on, until it is dropped.
struct Counted(Arc<AtomicUsize>, usize);

impl Counted {
    fn new(of: Arc<AtomicUsize>, calls: usize) -> Self {
        of.fetch_add(calls, Relaxed);
        Self(of, calls)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Relaxed);
    }
}
