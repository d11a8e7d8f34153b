//! Options of single calls of a typed client.

use std::time::Duration;

/// Options of the calls of a typed client: `orders.with(CallOptions::default().timeout(…)).place(…)`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallOptions {
    pub(super) timeout: Option<Duration>,
    pub(super) idempotent: bool,
    pub(super) on: Option<String>,
}

impl CallOptions {
    /// The timeout of a call, or of a whole stream. Default:
    /// [`ClientOptions::timeout`](crate::ClientOptions::timeout) for a call, none for a stream and
    /// for calls in process.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The call may be executed twice, although its method does not say so: it is retried even if
    /// it may have been executed.
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Call only this address (`host:port`), listed or not. Nothing in process.
    #[must_use]
    pub fn on(mut self, address: impl Into<String>) -> Self {
        self.on = Some(address.into());
        self
    }
}
