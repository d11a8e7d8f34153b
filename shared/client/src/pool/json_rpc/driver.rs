//! The task that owns one connection to a JSON-RPC server: writes calls as they come, and routes replies by their ids.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use rpc_socket::{OwnedWriteHalf, Socket};
use rpc_wire::call::JsonRpcReply;
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::address::Address;
use super::{mismatch, outcome, unread};
use crate::CallError;
use crate::connection::{Frame, Inbox};
use crate::request::{CallReply, Outgoing};
use crate::unwritten::Unwritten;

/// With this many unwritten bytes no further call is appended.
const MAX_UNWRITTEN: usize = 256 << 10;
/// An empty buffer is shrunk to this.
const KEPT: usize = 64 << 10;

/// A call that is to be written; without an id, a notification.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) id: Option<u64>,
    pub(super) bytes: Vec<u8>,
    pub(super) request: Arc<Outgoing>,
    pub(super) reply_to: oneshot::Sender<Result<CallReply, CallError>>,
}

/// Runs until the connection ends, and gives every call its reply or the reason.
pub(super) async fn run(address: Arc<Address>, mut calls: mpsc::Receiver<Queued>) {
    let unsent = match address.open().await {
        Ok(socket) => {
            let mut driver = Driver::new(address);
            let end = driver.exchange(socket, &mut calls).await;
            driver.fail_all(&end)
        }
        Err(error) => error,
    };
    calls.close();
    while let Some(call) = calls.recv().await {
        drop(call.reply_to.send(Err(unsent.clone())));
    }
}

struct Driver {
    address: Arc<Address>,
    inbox: Inbox,
    pending: HashMap<u64, Pending>,
    /// The id of the latest call: no call had a greater one.
    last_id: u64,
    /// Notifications in the outbox.
    unwritten: Unwritten,
    outbox: Vec<u8>,
    /// Something was written since the last flush: inside TLS, a part may be kept back.
    is_unflushed: bool,
    /// Bytes ever written, and ever appended.
    written: u64,
    appended: u64,
}

/// A call whose bytes are in the outbox or written.
struct Pending {
    request: Arc<Outgoing>,
    reply_to: oneshot::Sender<Result<CallReply, CallError>>,
    sent_at: Instant,
    /// The position of its first byte among all that are written.
    starts_at: u64,
}

/// Why a connection ends.
enum End {
    /// It is closed, or the system reports an error.
    Lost(String),
    /// The server sent what is no reply, or an error of no known call.
    Failed(CallError),
}

impl Driver {
    fn new(address: Arc<Address>) -> Self {
        let inbox = address.inbox();
        let (pending, unwritten) = (HashMap::new(), Unwritten::default());
        Self {
            address,
            inbox,
            pending,
            last_id: 0,
            unwritten,
            outbox: Vec::new(),
            is_unflushed: false,
            written: 0,
            appended: 0,
        }
    }

    async fn exchange(&mut self, socket: Socket, calls: &mut mpsc::Receiver<Queued>) -> End {
        let (mut reader, mut writer) = socket.into_split();
        let idle = self.address.context.options.idle_timeout;
        loop {
            if let Err(error) = self.deliver() {
                return End::Failed(error);
            }
            tokio::select! {
                biased;
                read = self.inbox.fill(&mut reader) => match read {
                    Ok(0) => return End::Lost("the server closed it".to_owned()),
                    Ok(count) => self.address.context.received_bytes.add(count),
                    Err(error) => return lost(&error),
                },
                count = write(&mut writer, &self.outbox), if self.has_unwritten() => match count {
                    Ok(count) => self.wrote(count),
                    Err(error) => return lost(&error),
                },
                call = calls.recv(), if self.outbox.len() < MAX_UNWRITTEN => match call {
                    Some(call) => self.append(call),
                    None => return End::Lost("nobody uses it any more".to_owned()),
                },
                () = sleep(idle) => {
                    self.forget_abandoned();
                    if self.pending.is_empty() {
                        return End::Lost("it was closed because it was idle".to_owned());
                    }
                }
            }
        }
    }

    fn append(&mut self, call: Queued) {
        let Queued { id, bytes, request, reply_to } = call;
        if reply_to.is_closed() {
            return;
        }
        // Amortised: as many calls are abandoned as were made since.
        if self.pending.len() >= 2 * self.address.context.options.max_in_flight.max(1) {
            self.forget_abandoned();
        }
        request.mark_sent();
        if let Some(wire) = &request.wire {
            wire.sent(&bytes);
        }
        let (sent_at, starts_at) = (Instant::now(), self.appended);
        self.appended += bytes.len() as u64;
        match id {
            Some(id) => {
                self.last_id = self.last_id.max(id);
                self.pending.insert(id, Pending { request, reply_to, sent_at, starts_at });
            }
            None => self.unwritten.push(starts_at..self.appended, reply_to),
        }
        self.outbox.extend_from_slice(&bytes);
    }

    fn has_unwritten(&self) -> bool {
        !self.outbox.is_empty() || self.is_unflushed
    }

    fn wrote(&mut self, count: usize) {
        self.written += count as u64;
        self.is_unflushed = count > 0;
        self.outbox.drain(..count);
        if !self.is_unflushed {
            self.unwritten.wrote(self.written);
        }
        if self.outbox.is_empty() {
            self.outbox.shrink_to(KEPT);
        }
    }

    /// Forgets the calls whose callers are gone: a server may never reply to them.
    fn forget_abandoned(&mut self) {
        self.pending.retain(|_, call| !call.reply_to.is_closed());
    }

    /// Gives the replies that have arrived to their callers. What cannot be read, or answers what was never asked, is of
    /// the only call in flight, or of nobody knows which. A reply to a call that is over is late.
    fn deliver(&mut self) -> Result<(), CallError> {
        let Self { address, inbox, pending, last_id, .. } = self;
        let peer = &address.peer;
        while let Some((frame, bytes)) =
            inbox.next_frame().map_err(|error| CallError::bad_frame(peer, error))?
        {
            match JsonRpcReply::parse(bytes) {
                Ok(JsonRpcReply::Done { id: Some(id), outcome: replied }) if id <= *last_id => {
                    match pending.remove(&id) {
                        Some(call) => {
                            let result = outcome(peer, &call.request.method, replied);
                            call.finish(&frame, bytes, result);
                        }
                        None => address.context.unmatched_replies.add_one(),
                    }
                }
                Ok(JsonRpcReply::Done { id: None, outcome: replied }) => {
                    let call = only(pending).map(|(_, call)| call);
                    let method = call.as_ref().map_or("", |call| &call.request.method);
                    let result = outcome(peer, method, replied);
                    match (call, result) {
                        (Some(call), result) => call.finish(&frame, bytes, result),
                        (None, Err(error)) => return Err(error),
                        (None, Ok(_)) => address.context.unmatched_replies.add_one(),
                    }
                }
                Ok(ref reply) => {
                    let call = match reply {
                        JsonRpcReply::Empty { id } if *id <= *last_id => {
                            pending.remove(id).map(|call| (*id, call))
                        }
                        JsonRpcReply::Request => None,
                        _ => only(pending),
                    };
                    match call {
                        Some((id, call)) => {
                            let error = CallError::bad_reply(peer, mismatch(reply, id));
                            call.finish(&frame, bytes, Err(error));
                        }
                        None => address.context.unmatched_replies.add_one(),
                    }
                }
                Err(error) => match only(pending) {
                    Some((_, call)) => call.finish(&frame, bytes, Err(unread(peer, &error))),
                    None => return Err(unread(peer, &error)),
                },
            }
        }
        inbox.release();
        Ok(())
    }

    /// Fails every call, and returns the error of those that were not sent.
    fn fail_all(self, end: &End) -> CallError {
        let reason = match end {
            End::Lost(reason) => reason.clone(),
            End::Failed(error) => error.to_string(),
        };
        let Self { address, pending, mut unwritten, written, .. } = self;
        tracing::debug!(peer = %address.peer, in_flight = pending.len(), reason, "connection ended");
        let error = |is_written| match end {
            End::Failed(error) if is_written => error.clone(),
            _ => address.lost(&reason, is_written),
        };
        for call in pending.into_values() {
            drop(call.reply_to.send(Err(error(call.starts_at < written))));
        }
        unwritten.fail_all(written, error);
        address.lost(&reason, false)
    }
}

impl Pending {
    fn finish(
        self,
        frame: &Frame,
        bytes: &[u8],
        result: Result<Box<serde_json::value::RawValue>, CallError>,
    ) {
        if let Some(wire) = &self.request.wire {
            wire.received(bytes);
        }
        let reply = result.map(|value| CallReply {
            value,
            sent_at: self.sent_at,
            first_byte: frame.began.max(self.sent_at),
            done: frame.done,
            reply_bytes: frame.len(),
        });
        // A caller that is gone needs no reply.
        drop(self.reply_to.send(reply));
    }
}

/// Writes a part, or has what was written sent where there is nothing more.
async fn write(writer: &mut OwnedWriteHalf, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return writer.flush().await.map(|()| 0);
    }
    writer.write(bytes).await
}

/// The call in flight, if there is exactly one.
fn only(pending: &mut HashMap<u64, Pending>) -> Option<(u64, Pending)> {
    let id = *pending.keys().next().filter(|_| pending.len() == 1)?;
    Some((id, pending.remove(&id)?))
}

fn lost(error: &io::Error) -> End {
    End::Lost(error.to_string())
}
