//! The methods of the target, for a call that wants to know a schema: in a part of its time, and never
//! a reason to fail.

use std::time::{Duration, Instant};

use rpc_client::Client;
use rpc_wire::signature::Signature;

/// What was discovered, and the time that is left of a call.
#[derive(Debug)]
pub(super) struct Discovery<'a> {
    client: &'a Client,
    started: Instant,
    timeout: Duration,
    /// Empty: nothing was discovered.
    methods: Option<Vec<Signature>>,
    /// How long it took.
    took: Duration,
}

impl<'a> Discovery<'a> {
    /// Nothing is asked yet; the call has `timeout` from now on.
    pub(super) fn new(client: &'a Client, timeout: Duration) -> Self {
        Self { client, started: Instant::now(), timeout, methods: None, took: Duration::ZERO }
    }

    /// The method of that name, if the target says it has it.
    pub(super) async fn method(&mut self, name: &str) -> Option<&Signature> {
        self.methods().await.iter().find(|method| method.name == name)
    }

    /// The methods, asked for at most once.
    pub(super) async fn methods(&mut self) -> &[Signature] {
        if self.methods.is_none() {
            let started = Instant::now();
            // A server that does not reply to this one must leave time for the call.
            let listed = tokio::time::timeout(self.left() / 2, self.client.methods()).await;
            let listed = listed.ok().and_then(|listed| {
                listed.inspect_err(|error| tracing::debug!(%error, "no discovery")).ok()
            });
            self.methods = Some(listed.unwrap_or_default());
            self.took += started.elapsed();
        }
        self.methods.as_deref().unwrap_or_default()
    }

    /// Whether it was asked for.
    pub(super) fn was_made(&self) -> bool {
        self.methods.is_some()
    }

    /// What is left of the call's time; never nothing, so that the call fails by itself.
    pub(super) fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.started.elapsed()).max(Duration::from_millis(1))
    }

    /// The time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The time that discovery took.
    pub(super) fn took(&self) -> Duration {
        self.took
    }

    /// All the time there was.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }
}
