//! One socket to a peer that speaks the extended dialect: any number of calls in flight.

mod cancel_on_drop;
mod command;
mod driver;
mod inbound;
mod inbox;
mod inline_call;
mod outbound;
mod pending;
mod places;
mod shared;
mod socket;
mod subscription;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::CallError;
use crate::context::Context;
use crate::deadline::{Failed, after, until};
use crate::request::{Answer, Outgoing};

use cancel_on_drop::CancelOnDrop;
use command::Command;
use driver::Driver;
use inbound::Inbound;
pub(crate) use inbox::{Frame, Inbox};
use inline_call::{Begun, Halves};
use outbound::Outbound;
use pending::{Job, ReplyTo};
use places::Places;
use shared::{Handle, Shared};
pub(crate) use subscription::Subscription;

/// Calls that may wait in the task that owns the socket, beside those in flight.
const QUEUE: usize = 64;
/// Items of a stream that may wait for its reader; then nothing more is read.
const STREAM_QUEUE: usize = 16;

/// The callers' end of a connection. A task of its own serves the socket; it ends when the peer
/// closes, when every handle is gone and nothing is in flight, when nothing happened for
/// [`ClientOptions::idle`](crate::ClientOptions::idle), or with the client.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    handle: Handle,
}

impl Connection {
    /// Starts the task that owns `socket`. `inbox` holds what was read from it so far.
    pub(crate) fn start(
        context: &Arc<Context>,
        peer: Arc<str>,
        socket: TcpStream,
        inbox: Inbox,
    ) -> Self {
        let (sender, commands) = mpsc::unbounded_channel();
        let (reader, writer) = socket.into_split();
        let writer = Arc::new(writer);
        let idle_end = after(Instant::now(), context.options.idle_timeout);
        let in_flight = context.options.max_in_flight.max(1);
        let shared = Arc::new(Shared {
            peer,
            context: Arc::clone(context),
            // 0 was the probe's.
            next_id: AtomicU64::new(1),
            places: Places::new(in_flight.saturating_add(QUEUE)),
            halves: Halves::new(
                Inbound::new(reader, inbox),
                Outbound::new(Arc::clone(&writer), idle_end),
            ),
        });
        context.spawn(Driver::new(Arc::clone(&shared), commands).run(writer));
        Self { handle: Handle { commands: sender, shared } }
    }

    /// Whether it takes new calls.
    pub(crate) fn is_open(&self) -> bool {
        !self.handle.shared.halves.is_retired() && !self.handle.commands.is_closed()
    }

    /// Makes one call. Dropping the future cancels it. The time for the answer is kept by the
    /// socket's task, which has one timer for all calls.
    pub(crate) async fn call(
        &self,
        request: &Arc<Outgoing>,
        deadline: Instant,
    ) -> Result<Answer, Failed> {
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
        result.unwrap_or_else(|_| Err(shared.vanished(request.is_sent()).into()))
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

    /// Sends a call, whose place the caller holds from then on; answers its id, and whether the caller
    /// is to read the answer by itself.
    async fn submit(
        &self,
        request: &Arc<Outgoing>,
        deadline: Option<Instant>,
        reply: ReplyTo,
    ) -> Result<(u64, bool), CallError> {
        let others = self.handle.shared.places.take(|| !self.is_open()).await;
        let others = others.ok_or_else(|| self.handle.shared.retired())?;
        let id = self.handle.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let mut job = Job { id, request: Arc::clone(request), deadline, reply };
        // A stream's reader does not read the socket.
        if others == 0 && matches!(job.reply, ReplyTo::Call(_)) {
            match self.handle.shared.halves.begin(job, &self.handle.commands).await {
                Begun::Inline => return Ok((id, true)),
                Begun::Refused(returned) => job = returned,
            }
        }
        self.handle.commands.send(Command::Send(job)).map_err(|_| {
            self.handle.shared.places.give_back();
            self.handle.shared.retired()
        })?;
        Ok((id, false))
    }
}
