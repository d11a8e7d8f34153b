//! One socket to a peer that speaks the extended dialect: any number of calls in flight.

mod cancel_on_drop;
mod driver;
mod inbound;
mod inbox;
mod outbound;
mod pending;
mod places;
mod shared;
mod subscription;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, ready};

use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::CallError;
use crate::context::Context;
use crate::deadline::{Failed, after, until};
use crate::request::{Answer, Outgoing};

use cancel_on_drop::CancelOnDrop;
use driver::Driver;
use inbound::{Inbound, Own};
pub(crate) use inbox::{Frame, Inbox};
use outbound::Outbound;
use pending::{Finished, Job, ReplyTo};
use places::Places;
use shared::{Handle, Shared, Word};
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
        let (sender, words) = mpsc::unbounded_channel();
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
            retired: AtomicBool::new(false),
            inbound: Mutex::new(Inbound::new(reader, inbox)),
            outbound: Mutex::new(Outbound::new(Arc::clone(&writer), idle_end)),
        });
        context.spawn(Driver::new(Arc::clone(&shared), words).run(writer));
        Self { handle: Handle { words: sender, shared } }
    }

    /// Whether it takes new calls.
    pub(crate) fn is_open(&self) -> bool {
        !self.handle.shared.is_retired() && !self.handle.words.is_closed()
    }

    /// Makes one call. Dropping the future cancels it. The time for the answer is kept by the
    /// socket's task, which has one timer for all calls.
    pub(crate) async fn call(
        &self,
        request: &Arc<Outgoing>,
        deadline: Instant,
    ) -> Result<Answer, Failed> {
        let (reply, mut answer) = oneshot::channel();
        let submitted = until(deadline, self.submit(request, Some(deadline), ReplyTo::Call(reply)));
        let (id, mut reads) = submitted.await?;
        let mut guard = CancelOnDrop::new(&self.handle, id);
        let result = poll_fn(|context| {
            if reads {
                match self.poll_own(context, id, &mut answer) {
                    Poll::Ready(Some(finished)) => return Poll::Ready(Ok(finished)),
                    Poll::Ready(None) => reads = false,
                    Poll::Pending => {}
                }
            }
            pin!(&mut answer).poll(context)
        })
        .await;
        guard.disarm();
        result.unwrap_or_else(|_| Err(self.handle.shared.vanished(request.is_sent()).into()))
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
            match self.handle.shared.write_alone(job).await {
                Ok(look) => {
                    if look {
                        self.look();
                    }
                    return Ok((id, true));
                }
                Err(returned) => job = returned,
            }
        }
        self.handle.words.send(Word::Call(job)).map_err(|_| {
            self.handle.shared.places.give_back();
            self.handle.shared.retired()
        })?;
        Ok((id, false))
    }

    /// Looks for the answer of call `id`, whose caller is the reader; `None` once the task is.
    fn poll_own(
        &self,
        context: &mut task::Context<'_>,
        id: u64,
        answer: &mut oneshot::Receiver<Finished>,
    ) -> Poll<Option<Finished>> {
        // Nobody else locks it now but the task, which reads from then on.
        let Ok(mut inbound) = self.handle.shared.inbound.try_lock() else {
            return Poll::Ready(None);
        };
        let shared = &self.handle.shared;
        let received = &shared.context.received_bytes;
        let own = ready!(inbound.poll_own(context, &shared.outbound, received, id));
        drop(inbound);
        Poll::Ready(match own {
            Own::Answer { finished, reply, look } => {
                // Before the sender is dropped, which would wake us.
                answer.close();
                drop(reply);
                if look {
                    self.look();
                }
                Some(finished)
            }
            Own::Left => {
                self.look();
                None
            }
            Own::Tasks => None,
        })
    }

    /// Asks the task to look at what there is to be done.
    fn look(&self) {
        // Where it has ended, nothing is.
        let _ = self.handle.words.send(Word::Look);
    }
}
