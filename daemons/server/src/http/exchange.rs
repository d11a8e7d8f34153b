//! The calls of one HTTP request: dispatched like those of a JSON connection.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use rpc_wire::call::{Call, Message, Rejected};
use rpc_wire::fault::{Code, Fault};
use rpc_wire::framing::{FrameError, FrameLimits, Framer};
use serde::de::IgnoredAny;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::caller::Caller;
use super::headers::Headers;
use crate::buffers::{Account, FREE_BYTES, SMALL_BYTES};
use crate::failure::draining;
use crate::session::{Defaults, Dispatcher, Documents, ENDED};
use crate::state::ServerState;

/// How often the right to a stream is looked at again, as on a JSON connection.
const RECHECK: Duration = Duration::from_secs(1);
/// A body is collected while hyper reads what follows, in memory that is moved when it grows.
const BODY_COPIES: usize = 2;
/// Room for a short reply.
const SHORT_REPLY: usize = 128;
/// Requests of a batch that are handled before others have their turn.
const AT_ONCE: usize = 20;

/// One HTTP request and the calls in it. Dropped with the request, it cancels them.
pub(super) struct Exchange {
    dispatcher: Dispatcher,
    /// When its message came.
    came: Instant,
    /// The same, where the workers are late.
    arrived: Instant,
    /// What it keeps, among all that the server keeps for its peers; `None`: never more than is free.
    account: Option<Account>,
    /// Told that the server drains.
    is_draining: bool,
}

impl Exchange {
    /// # Errors
    /// The request shows a token that is no longer good for what it shows.
    pub(super) fn new(
        state: &Arc<ServerState>,
        caller: &Caller,
        headers: &Headers<'_>,
    ) -> Result<Self, Fault> {
        let mut dispatcher = Dispatcher::new(state.clone(), &caller.peer, headers.came);
        if let Some(secret) = headers.bearer() {
            dispatcher.show(secret)?;
        }
        if !dispatcher.serves_stranger() {
            caller.become_known();
        }
        dispatcher.set_calls_elsewhere(caller.notifications());
        let is_draining = caller.is_draining();
        if is_draining {
            dispatcher.begin_drain();
        }
        let came = headers.came;
        Ok(Self { dispatcher, came, arrived: came, account: None, is_draining })
    }

    /// Whether the caller is known by the token it has shown.
    pub(super) fn is_known(&mut self) -> bool {
        self.dispatcher.is_known()
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// It is too long or too slow, or the server ends.
    pub(super) async fn read(
        &mut self,
        state: &ServerState,
        body: &mut Incoming,
    ) -> Result<Bytes, Fault> {
        let is_stranger = self.dispatcher.serves_stranger();
        let limits = &state.limits;
        let (most, within) = match is_stranger {
            true => (limits.max_unidentified_bytes, limits.unidentified_timeout),
            false => (limits.max_request_bytes, limits.request_timeout),
        };
        let most = most.min(limits.max_request_bytes);
        let read = {
            let mut reading = pin!(self.read_all(body, most));
            // Most have come with their heads, and need no timer.
            if let Poll::Ready(read) =
                poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await
            {
                return read;
            }
            let late = || Fault::new(Code::NotJson, "the body did not come in time");
            tokio::select! {
                read = timeout(within, reading) => read.map_err(|_| late())?,
                () = state.aborted.cancelled() => Err(draining()),
            }
        };
        self.came = Instant::now();
        read
    }

    async fn read_all(&mut self, body: &mut Incoming, most: usize) -> Result<Bytes, Fault> {
        let length = |length: u64| usize::try_from(length).unwrap_or(usize::MAX);
        if length(body.size_hint().lower()) > most {
            return Err(Fault::unreadable(FrameError::TooLarge(most)));
        }
        // Of a body in chunks nothing is known.
        let announced = body.size_hint().exact().map_or(usize::MAX, length);
        // Most come in one piece, which is not copied.
        let (mut first, mut whole) = (Bytes::new(), Vec::new());
        while !body.is_end_stream()
            && let Some(frame) = body.frame().await
        {
            let frame = frame.map_err(|error| {
                Fault::new(Code::NotJson, format!("the body cannot be read: {error}"))
            })?;
            // Trailers are no part of it.
            let Ok(chunk) = frame.into_data() else { continue };
            if first.len() + whole.len() + chunk.len() > most {
                return Err(Fault::unreadable(FrameError::TooLarge(most)));
            }
            if first.is_empty() && whole.is_empty() {
                first = chunk;
            } else {
                let length = first.len() + whole.len() + chunk.len();
                if whole.capacity() < length {
                    // No more than is announced.
                    let more = whole.capacity().max(SMALL_BYTES) * 2;
                    whole.reserve_exact(more.min(announced).max(length) - whole.len());
                }
                whole.extend_from_slice(&std::mem::take(&mut first));
                whole.extend_from_slice(&chunk);
            }
            let account = self.count(first.len() + BODY_COPIES * whole.capacity());
            if account.is_some_and(Account::is_over) {
                self.dispatcher.state().buffers.make_room(Instant::now());
                let text =
                    "busy: too much is kept for all peers (max_buffered_bytes); try again later";
                return Err(Fault::new(Code::Overloaded, text));
            }
        }
        Ok(if whole.is_empty() { first } else { whole.into() })
    }

    /// Counts what is kept for the request.
    fn count(&mut self, bytes: usize) -> Option<&Account> {
        if self.account.is_none() && bytes > FREE_BYTES {
            let buffers = &self.dispatcher.state().buffers;
            self.account = Some(buffers.account(CancellationToken::new()));
        }
        if let Some(account) = &mut self.account {
            account.set(bytes, None);
        }
        self.account.as_ref()
    }

    /// The one value that `body` is, as `next` finds it; `None` if there is nothing.
    ///
    /// # Errors
    /// It is nested too deep, or more than one value.
    pub(super) fn sole<'a, T>(
        &self,
        body: &'a [u8],
        next: impl FnOnce(&mut Framer, &'a [u8]) -> Result<Option<T>, FrameError>,
    ) -> Result<Option<T>, Fault> {
        let limits = &self.dispatcher.state().limits;
        let limits =
            FrameLimits { max_bytes: limits.max_request_bytes, max_depth: limits.max_nesting };
        let unreadable = |error| match serde_json::from_slice::<IgnoredAny>(body) {
            Ok(_) if error == FrameError::NotJson => {
                Fault::new(Code::Malformed, "the body must be an array or an object")
            }
            _ => Fault::unreadable(error),
        };
        let mut framer = Framer::new(limits);
        let value = next(&mut framer, body).map_err(unreadable)?;
        let rest = body.get(framer.unfinished_from()..).unwrap_or_default();
        match value {
            Some(_) if rest.trim_ascii().is_empty() => Ok(value),
            Some(_) => Err(Fault::new(Code::NotJson, "the body is more than one JSON value")),
            None if rest.is_empty() => Ok(None),
            None => Err(Fault::new(Code::NotJson, "request is not JSON: the body ends inside it")),
        }
    }

    /// What the requests of a batch have that say nothing else.
    pub(super) fn set_defaults(&mut self, defaults: Defaults) {
        self.dispatcher.set_defaults(defaults);
    }

    /// The reply to a call that does not start.
    pub(super) fn refuse(&mut self, call: &Call<'_>, fault: &Fault) {
        self.dispatcher.refuse(call, fault, self.came);
    }

    /// Handles a message; of a batch, the requests are still to be handled. `state` is that of the server, as for the
    /// dispatcher.
    ///
    /// # Errors
    /// It is not JSON.
    pub(super) fn begin(
        &mut self,
        state: &ServerState,
        message: Result<Message<'_>, Rejected<'_>>,
    ) -> Result<(), Fault> {
        let now = self.came;
        // It may have waited as long as the workers are late.
        self.arrived = now.checked_sub(state.lag.at(now)).unwrap_or(now);
        self.dispatcher.begin_turn(now, self.arrived);
        self.dispatcher.reserve_output(SHORT_REPLY);
        self.dispatcher.handle(state, message, &[])?;
        if !self.dispatcher.has_batch() {
            self.dispatcher.end_turn();
        }
        Ok(())
    }

    /// Handles the requests of a batch that has begun, or has some left.
    pub(super) async fn handle_batch(&mut self, state: &ServerState) {
        let mut handled = 0;
        if !self.dispatcher.has_batch() {
            return;
        }
        while self.dispatcher.has_batch() {
            if self.dispatcher.batch_waits() {
                self.dispatcher.end_turn();
                self.step().await;
                self.dispatcher.begin_turn(Instant::now(), self.arrived);
                continue;
            }
            self.dispatcher.handle_next_of_batch(state);
            handled += 1;
            if handled % AT_ONCE == 0 {
                self.dispatcher.end_turn();
                tokio::task::yield_now().await;
            }
        }
        self.dispatcher.end_turn();
    }

    /// Waits until all calls are done but notifications, which have begun; their replies.
    pub(super) async fn finish(&mut self) -> (Vec<u8>, Documents) {
        while self.dispatcher.owes_reply() {
            self.step().await;
        }
        while self.dispatcher.has_running() && self.step().now_or_never().is_some() {}
        self.dispatcher.take_output()
    }

    /// Whether there may be notifications that are not done.
    pub(super) fn may_have_notifications(&self) -> bool {
        self.dispatcher.may_have_notifications()
    }

    /// Calls in flight.
    pub(super) fn running(&self) -> usize {
        self.dispatcher.running()
    }

    /// Nobody waits for its replies any more: waits until its notifications are done.
    pub(super) async fn finish_notifications(mut self) {
        let state = self.dispatcher.state().clone();
        self.dispatcher.leave_notifications();
        self.dispatcher.begin_turn(Instant::now(), self.arrived);
        self.handle_batch(&state).await;
        while self.dispatcher.has_running() {
            self.step().await;
            self.dispatcher.take_output();
        }
    }

    /// The replies that have been written since the last time; waits for some, unless all calls are done.
    pub(super) async fn next(&mut self) -> Option<(Vec<u8>, Documents)> {
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
        self.count(self.dispatcher.kept_bytes());
        let state = self.dispatcher.state().clone();
        let draining = pin!(state.draining.cancelled());
        let aborted = pin!(state.aborted.cancelled());
        let is_guarded = self.dispatcher.has_guarded_streams();
        tokio::select! {
            biased;
            () = draining, if !self.is_draining => {
                self.is_draining = true;
                self.dispatcher.begin_drain();
            }
            () = aborted => self.dispatcher.abandon_all(ENDED),
            () = sleep(RECHECK), if is_guarded => self.dispatcher.recheck_streams(),
            _ = self.dispatcher.finish_next() => {}
        }
        self.count(self.dispatcher.kept_bytes());
    }
}
