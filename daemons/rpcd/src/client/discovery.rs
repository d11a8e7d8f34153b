//! The methods of the target, for a call that wants to know a schema: in a part of its time, and never
//! a reason to fail.

use std::time::{Duration, Instant};

use rpc_client::{Args, CallError, Client, Dialect, Request, Response, Target};
use rpc_wire::paths::{ALL_YOUR_METHODS, RPC_DISCOVER};
use rpc_wire::signature::{self, NotAMethodList, Signature};

use super::reserved;

/// What was discovered, and the time that is left of a call.
#[derive(Debug)]
pub(super) struct Discovery<'a> {
    client: &'a Client,
    started: Instant,
    timeout: Duration,
    /// Empty: nothing was discovered.
    methods: Option<Vec<Signature>>,
    /// How long it took, by step.
    spent: Spent,
}

/// What the time of a discovery was spent on. The connection is one that the call needs, too.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    /// Before it was sent, without `connect`.
    pub(super) queue: Duration,
    /// Opening a connection and learning the dialect.
    pub(super) connect: Duration,
    /// The discovery itself.
    pub(super) discovery: Duration,
}

impl<'a> Discovery<'a> {
    /// Nothing is asked yet; the call has `timeout` from now on.
    pub(super) fn new(client: &'a Client, timeout: Duration) -> Self {
        Self { client, started: Instant::now(), timeout, methods: None, spent: Spent::default() }
    }

    /// The method of that name, if the target says it has it, or every server has it.
    pub(super) async fn method(&mut self, name: &str) -> Option<&Signature> {
        if let Some(reserved) = reserved::find(name) {
            return Some(reserved);
        }
        self.methods().await.iter().find(|method| method.name == name)
    }

    /// The methods, asked for at most once.
    pub(super) async fn methods(&mut self) -> &[Signature] {
        if self.methods.is_none() {
            let started = Instant::now();
            // A server that does not reply to this one must leave time for the call.
            let listed = tokio::time::timeout(self.left() / 2, self.list()).await;
            let listed = listed.ok().and_then(|listed| {
                listed.inspect_err(|error| tracing::debug!(%error, "no discovery")).ok()
            });
            self.methods = Some(listed.unwrap_or_default());
            let before = self.spent.queue + self.spent.connect;
            self.spent.discovery = started.elapsed().saturating_sub(before);
        }
        self.methods.as_deref().unwrap_or_default()
    }

    /// As [`Client::methods`], which does not say what its time was spent on.
    async fn list(&mut self) -> Result<Vec<Signature>, CallError> {
        if let Target::Registry { .. } = self.client.target() {
            // One instance says nothing of what others offer.
            return self.client.methods().await;
        }
        let started = Instant::now();
        match self.ask(RPC_DISCOVER).await {
            Ok(reply) if reply.dialect == Dialect::Extended => {
                self.spent.queue = reply.timing.queue;
                self.spent.connect = reply.timing.connect;
                return read(&reply, signature::from_openrpc);
            }
            Ok(_) => {}
            Err(error) if reserved::is_missing(&error) => {}
            Err(error) => return Err(error),
        }
        let refused = started.elapsed();
        let reply = self.ask(ALL_YOUR_METHODS).await?;
        // An error has no timing: what it took beyond such a reply was spent on connecting.
        let replying = reply.timing.server + reply.timing.transfer;
        self.spent.connect = reply.timing.connect + refused.saturating_sub(replying);
        read(&reply, signature::from_classic)
    }

    async fn ask(&self, method: &str) -> Result<Response, CallError> {
        let request = Request {
            method: method.to_owned(),
            args: Args::none(),
            timeout: None,
            idempotent: true,
            service: None,
            on: None,
            wire: None,
        };
        self.client.request(request).await
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

    /// What its time was spent on.
    pub(super) fn spent(&self) -> Spent {
        self.spent
    }

    /// All the time there was.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }
}

fn read(
    reply: &Response,
    read: impl FnOnce(&str) -> Result<Vec<Signature>, NotAMethodList>,
) -> Result<Vec<Signature>, CallError> {
    let bad = |error: NotAMethodList| CallError::BadReply {
        peer: reply.peer.clone(),
        reason: error.to_string(),
    };
    read(reply.value.get()).map_err(bad)
}
