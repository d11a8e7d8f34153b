//! One socket to a peer that speaks the extended dialect: any number of calls in flight.
//!
//! In reading order:
//!
//! - `shared`: what callers and the driver both have; `command`: what callers send the driver.
//! - `driver`: the task that owns the socket. `inbound` and `outbound` are its halves, `inbox` cuts
//!   bytes into messages, `pending` holds the calls in flight.
//! - `inline_call`: a lone caller does the driver's work itself.
//! - `slots`: the limit of calls; `cancel_on_drop`: a caller that drops its call early.
//! - `subscription`: the reader's end of a stream.

mod cancel_on_drop;
mod command;
mod driver;
mod inbound;
mod inbox;
mod inline_call;
mod outbound;
mod pending;
mod shared;
mod slots;
mod socket;
mod subscription;
mod sync;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rpc_socket::Socket;
use rpc_wire::call::Args;
use rpc_wire::paths::RPC_HEALTH;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::CallError;
use crate::context::Context;
use crate::deadline::{Failed, after, until};
use crate::request::{CallReply, Outgoing};
use crate::token::Shown;

use cancel_on_drop::CancelOnDrop;
use command::Command;
use driver::Driver;
use inbound::Inbound;
pub(crate) use inbox::{Frame, Heard, Inbox};
use inline_call::{Halves, InlineStart};
use outbound::{Notification, Outbound};
use pending::{QueuedCall, ReplyTo};
use shared::{FIRST_ID, Handle, Shared};
use slots::Slots;
pub(crate) use subscription::Subscription;

/// Calls that may wait at the driver, beside those in flight.
const QUEUE: usize = 64;
/// Bytes that are with the peer in a fraction of a second, wherever it is.
const AT_ONCE: u64 = 64 << 10;
/// Items of a stream that may wait for its reader; then nothing more is read.
const STREAM_QUEUE: usize = 16;

/// The callers' end of a connection. Its driver ends when the peer closes, when every handle is
/// dropped and nothing is in flight, when it was idle for
/// [`ClientOptions::idle_timeout`](crate::ClientOptions::idle_timeout), or with the client.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    handle: Handle,
}

impl Connection {
    /// Starts the driver of `socket`. `inbox` holds what was read from it so far. Without `is_probed`, the
    /// peer may turn out to be an older server. A secret is sent before any call.
    pub(crate) fn start(
        context: &Arc<Context>,
        peer: Arc<str>,
        socket: Socket,
        inbox: Inbox,
        is_probed: bool,
        shown: Shown,
    ) -> Self {
        let (sender, commands) = mpsc::unbounded_channel();
        let (reader, writer) = socket.into_split();
        let writer = Arc::new(writer);
        let idle_end = after(Instant::now(), context.options.idle_timeout);
        let in_flight = context.options.max_in_flight.max(1);
        let outbound = Outbound::new(Arc::clone(&peer), Arc::clone(&writer), idle_end, &shown);
        let shared = Arc::new(Shared {
            peer,
            context: Arc::clone(context),
            next_id: AtomicU64::new(FIRST_ID),
            is_probed,
            shown,
            refusal: OnceLock::new(),
            slots: Slots::new(in_flight.saturating_add(QUEUE)),
            halves: Halves::new(Inbound::new(reader, inbox), outbound),
        });
        context.spawn(Driver::new(Arc::clone(&shared), commands).run(writer));
        Self { handle: Handle { commands: sender, shared } }
    }

    /// Whether it takes new calls.
    pub(crate) fn is_open(&self) -> bool {
        !self.handle.shared.halves.is_retired() && !self.handle.commands.is_closed()
    }

    /// Whether it is known that the peer speaks the extended dialect.
    pub(crate) fn is_probed(&self) -> bool {
        self.handle.shared.is_probed
    }

    /// What it did about the client's token.
    pub(crate) fn shown(&self) -> &Shown {
        &self.handle.shared.shown
    }

    /// Makes one call. Dropping the future cancels it. The deadline of the reply is the driver's to
    /// watch, which has one timer for all calls.
    pub(crate) async fn call(
        &self,
        request: &Arc<Outgoing>,
        deadline: Instant,
    ) -> Result<CallReply, Failed> {
        let (reply_to, reply) = oneshot::channel();
        let submitted =
            until(deadline, self.submit(request, Some(deadline), ReplyTo::Call(reply_to)));
        let (id, inline) = submitted.await?;
        let mut guard = CancelOnDrop::new(&self.handle, id);
        let shared = &self.handle.shared;
        let received_bytes = &shared.context.received_bytes;
        let commands = &self.handle.commands;
        let result = shared.halves.receive(id, inline, reply, received_bytes, commands).await;
        guard.disarm();
        result.unwrap_or_else(|_| Err(shared.driver_gone(request.is_sent()).into()))
    }

    /// Sends a notification, and waits until it is written. Dropping the future gives it up, unless its bytes are on
    /// their way to the socket.
    pub(crate) async fn notify(
        &self,
        request: &Arc<Outgoing>,
        deadline: Instant,
    ) -> Result<CallReply, Failed> {
        let shared = &self.handle.shared;
        until(deadline, async {
            let slot = shared.slots.take(|| !self.is_open()).await;
            slot.ok_or_else(|| shared.retired())?;
            let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
            let mut guard = CancelOnDrop::new(&self.handle, id);
            let (written, end) = oneshot::channel();
            let request = Arc::clone(request);
            let is_sent = Arc::clone(&request);
            let notification = Notification { id, request, deadline, written };
            let sent = self.handle.commands.send(Command::Notify(notification));
            sent.map_err(|_| shared.retired())?;
            let end = end.await;
            guard.disarm();
            end.unwrap_or_else(|_| Err(shared.driver_gone(is_sent.is_sent())))
        })
        .await
    }

    /// Whether the peer replies to a ping on this very connection. So does one whose answer proves nothing: more is on
    /// the way to it than arrives at once, or it may be an older server, which takes one call at a time.
    pub(crate) async fn replies_within(&self, within: Duration) -> bool {
        let Shared { is_probed, next_id, halves, .. } = &*self.handle.shared;
        if !is_probed && next_id.load(Ordering::Relaxed) <= FIRST_ID + 1 {
            return true;
        }
        let ping = Arc::new(Outgoing::new(RPC_HEALTH.to_owned(), Args::none(), None));
        let replied = self.call(&ping, after(Instant::now(), within)).await;
        let outbound = halves.outbound();
        !matches!(replied, Err(Failed::Expired))
            || outbound.has_unwritten()
            || outbound.on_the_way() > AT_ONCE
    }

    /// Takes no new calls. Those in flight may still get their replies.
    pub(crate) fn retire(&self) {
        let halves = &self.handle.shared.halves;
        halves.retire(&halves.outbound());
        // An error means that the driver has ended.
        let _ = self.handle.commands.send(Command::Retire);
    }

    /// Begins a stream. On a connection of its own: a slow reader stops all reading.
    pub(crate) async fn stream(
        &self,
        request: &Arc<Outgoing>,
        deadline: Option<Instant>,
    ) -> Result<Subscription, CallError> {
        let (sender, events) = mpsc::channel(STREAM_QUEUE);
        let (id, _) = self.submit(request, deadline, ReplyTo::Stream(sender)).await?;
        let guard = CancelOnDrop::new(self.handle.clone(), id);
        Ok(Subscription { events, guard })
    }

    /// Sends a call; returns its id, and whether it is inline. From then on the caller holds its
    /// slot.
    async fn submit(
        &self,
        request: &Arc<Outgoing>,
        deadline: Option<Instant>,
        reply: ReplyTo,
    ) -> Result<(u64, bool), CallError> {
        let others = self.handle.shared.slots.take(|| !self.is_open()).await;
        let others = others.ok_or_else(|| self.handle.shared.retired())?;
        let id = self.handle.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let mut call = QueuedCall { id, request: Arc::clone(request), deadline, reply };
        // A stream's reader may be slow; only the driver reads for it.
        if others == 0 && matches!(call.reply, ReplyTo::Call(_)) {
            match self.handle.shared.halves.begin(call, &self.handle.commands).await {
                InlineStart::Inline => return Ok((id, true)),
                InlineStart::Refused(returned) => call = returned,
            }
        }
        self.handle.commands.send(Command::Send(call)).map_err(|_| {
            self.handle.shared.slots.release();
            self.handle.shared.retired()
        })?;
        Ok((id, false))
    }
}
