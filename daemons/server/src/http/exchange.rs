//! The calls of one HTTP request: dispatched like those of a JSON connection.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Incoming;
use rpc_wire::call::{Message, Rejected};
use rpc_wire::fault::{Code, Fault};
use rpc_wire::framing::{FrameError, FrameLimits, Framer};
use serde::de::IgnoredAny;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::bearer;
use super::caller::Caller;
use crate::buffers::Account;
use crate::session::Dispatcher;
use crate::state::ServerState;

/// How often the right to a stream is looked at again, as on a JSON connection.
const RECHECK: Duration = Duration::from_secs(1);
/// Requests of a batch that are handled before others have their turn.
const AT_ONCE: usize = 20;

/// One HTTP request and the calls in it. Dropped with the request, it cancels them.
pub(super) struct Exchange {
    state: Arc<ServerState>,
    dispatcher: Dispatcher,
    /// What it keeps, among all that the server keeps for its peers.
    account: Account,
    /// Told that the server drains.
    is_draining: bool,
}

impl Exchange {
    /// # Errors
    /// The request shows a token that is no longer good for what it shows.
    pub(super) fn new(
        state: Arc<ServerState>,
        caller: &Caller,
        headers: &HeaderMap,
    ) -> Result<Self, Fault> {
        let mut dispatcher = Dispatcher::new(state.clone(), &caller.peer);
        if let Some(secret) = bearer(headers) {
            dispatcher.show(secret)?;
        }
        if !dispatcher.serves_stranger() {
            caller.become_known();
        }
        let account = state.buffers.account(CancellationToken::new());
        Ok(Self { state, dispatcher, account, is_draining: false })
    }

    pub(super) fn state(&self) -> &Arc<ServerState> {
        &self.state
    }

    /// Whether the caller is known by the token it has shown.
    pub(super) fn is_known(&mut self) -> bool {
        self.dispatcher.is_known()
    }

    /// Reads the whole body, one JSON value with nothing after it; `None` if there is nothing.
    ///
    /// # Errors
    /// It is too long, too slow, nested too deep, or more than one value.
    pub(super) async fn read(&mut self, body: Incoming) -> Result<Option<Bytes>, Fault> {
        let limits = &self.state.limits;
        let (most, within) = match self.dispatcher.serves_stranger() {
            true => (limits.max_unidentified_bytes, limits.unidentified_timeout),
            false => (limits.max_request_bytes, limits.request_timeout),
        };
        let most = most.min(limits.max_request_bytes);
        let late = || Fault::new(Code::NotJson, "the body did not come in time");
        let body = timeout(within, self.read_within(body, most)).await.map_err(|_| late())??;
        let limits = FrameLimits { max_bytes: most, max_depth: self.state.limits.max_nesting };
        let unreadable = |error| match serde_json::from_slice::<IgnoredAny>(&body) {
            Ok(_) if error == FrameError::NotJson => {
                Fault::new(Code::Malformed, "the body must be an array or an object")
            }
            _ => Fault::unreadable(error),
        };
        match Framer::new(limits).next(&body).map_err(unreadable)? {
            Some(range) if body[range.end..].trim_ascii().is_empty() => Ok(Some(body)),
            Some(_) => Err(Fault::new(Code::NotJson, "the body is more than one JSON value")),
            None if body.trim_ascii().is_empty() => Ok(None),
            None => Err(Fault::new(Code::NotJson, "request is not JSON: the body ends inside it")),
        }
    }

    async fn read_within(&mut self, mut body: Incoming, most: usize) -> Result<Bytes, Fault> {
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Fault::new(Code::NotJson, format!("the body cannot be read: {error}"))
            })?;
            // Trailers are no part of it.
            let Ok(chunk) = frame.into_data() else { continue };
            if whole.len() + chunk.len() > most {
                return Err(Fault::unreadable(FrameError::TooLarge(most)));
            }
            whole.extend_from_slice(&chunk);
            self.account.set(whole.capacity(), None);
            if self.account.is_over() {
                let text =
                    "busy: too much is kept for all peers (max_buffered_bytes); try again later";
                return Err(Fault::new(Code::Overloaded, text));
            }
        }
        Ok(whole.into())
    }

    /// Handles a message, with all requests of a batch.
    ///
    /// # Errors
    /// It is not JSON.
    pub(super) async fn handle(
        &mut self,
        message: Result<Message<'_>, Rejected<'_>>,
    ) -> Result<(), Fault> {
        let now = Instant::now();
        // It may have waited as long as the workers are late.
        let arrived = now.checked_sub(self.state.lag.at(now)).unwrap_or(now);
        self.dispatcher.begin_turn(now, arrived);
        self.dispatcher.handle(&self.state, message, &[])?;
        let mut handled = 0;
        while self.dispatcher.has_batch() {
            self.dispatcher.handle_next_of_batch(&self.state);
            handled += 1;
            if handled % AT_ONCE == 0 {
                self.dispatcher.end_turn();
                tokio::task::yield_now().await;
            }
        }
        self.dispatcher.end_turn();
        Ok(())
    }

    /// Waits until all calls are done; their replies.
    pub(super) async fn finish(&mut self) -> Vec<u8> {
        while self.dispatcher.has_running() {
            self.step().await;
        }
        self.dispatcher.take_output()
    }

    /// The replies that have been written since the last time; waits for some, unless all calls are done.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        while self.dispatcher.output().is_empty() {
            if !self.dispatcher.has_running() {
                return None;
            }
            self.step().await;
        }
        Some(self.dispatcher.take_output())
    }

    /// Lets a call in flight go on.
    async fn step(&mut self) {
        let draining = pin!(self.state.draining.cancelled());
        let is_guarded = self.dispatcher.has_guarded_streams();
        tokio::select! {
            biased;
            () = draining, if !self.is_draining => {
                self.is_draining = true;
                self.dispatcher.begin_drain();
            }
            () = sleep(RECHECK), if is_guarded => self.dispatcher.recheck_streams(),
            _ = self.dispatcher.finish_next() => {}
        }
        self.account.set(self.dispatcher.kept_bytes(), None);
    }
}
