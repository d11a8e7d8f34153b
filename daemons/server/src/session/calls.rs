//! The calls in flight on one connection: results, deadlines, cancellation.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::future::{AbortHandle, Abortable, BoxFuture};
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{FutureExt, StreamExt};
use rpc_wire::call::ReplyTo;
use rpc_wire::fault::{Code, Fault};
use rpc_wire::json::Json;
use serde_json::value::RawValue;
use tokio::time::timeout_at;
use tokio_util::sync::DropGuard;

use crate::call::Waiting;
use crate::failure::{draining, panicked};
use crate::method::{ItemStream, Unary};
use crate::permit::Permit;

/// Calls in flight, polled by the connection's own task.
#[derive(Default)]
pub(crate) struct Calls {
    /// `None` until there is one: few connections and HTTP requests ever have any.
    running: Option<FuturesUnordered<BoxFuture<'static, Progress>>>,
    handles: Vec<Handle>,
    next_serial: u64,
    /// Of all calls in flight.
    argument_bytes: usize,
    /// Of results that wait to be taken, as far as methods say so; `None` until one might.
    kept: Option<Arc<AtomicUsize>>,
    /// Streams that were stopped for a reason of their own, and that.
    stopped: Vec<(u64, Fault)>,
    /// The batch to which the calls belong that start now.
    batch: Option<u64>,
}

/// A call in flight: its id, method, start, and the kind of reply it gets.
pub(crate) struct CallContext {
    serial: u64,
    reply_to: Kept,
    /// The method's position.
    pub(crate) method: usize,
    pub(crate) started: Instant,
    /// Bytes of its arguments.
    pub(crate) argument_bytes: usize,
    pub(crate) oneway: bool,
    /// The batch that it belongs to.
    pub(crate) batch: Option<u64>,
    /// It can say that it waits.
    pub(crate) waiting: Option<Waiting>,
    /// The caller reads a stream; a unary result is sent as its only item.
    pub(crate) is_stream: bool,
}

/// A [`ReplyTo`] that outlives the bytes of its call.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    Classic,
    Extended(Arc<RawValue>),
    JsonRpc(Arc<RawValue>),
}

impl Kept {
    pub(crate) fn of(reply_to: ReplyTo<'_>) -> Self {
        // An id is valid JSON already.
        let id = reply_to.id().and_then(|id| RawValue::from_string(id.text().to_owned()).ok());
        match (reply_to, id.map(Arc::from)) {
            (ReplyTo::Extended(_), Some(id)) => Self::Extended(id),
            (ReplyTo::JsonRpc(_), Some(id)) => Self::JsonRpc(id),
            (ReplyTo::Classic, _) | (_, None) => Self::Classic,
        }
    }

    pub(crate) fn get(&self) -> ReplyTo<'_> {
        match self {
            Self::Classic => ReplyTo::Classic,
            Self::Extended(id) => ReplyTo::Extended(Json::from(&**id)),
            Self::JsonRpc(id) => ReplyTo::JsonRpc(Json::from(&**id)),
        }
    }
}

/// A step of a call in flight.
pub(crate) enum Progress {
    /// The result or the error.
    Done(CallContext, Result<Vec<u8>, Fault>),
    /// One item; the stream continues when [`Calls::resume`] is given the rest.
    Item(CallContext, Vec<u8>, u64, Rest),
    /// The stream has ended.
    End(CallContext),
}

/// The rest of a stream.
pub(crate) struct Rest {
    items: stream::Abortable<ItemStream>,
    deadline: Option<Instant>,
    /// An item was passed on.
    has_given: bool,
    _held: Held,
}

struct Handle {
    serial: u64,
    batch: Option<u64>,
    reply_to: Kept,
    method: usize,
    abort: AbortHandle,
    oneway: bool,
    is_stream: bool,
    waiting: Option<Waiting>,
}

/// A call that nobody waits for any more.
pub(crate) struct Abandoned {
    pub(crate) reply_to: Kept,
    pub(crate) batch: Option<u64>,
    /// It waited for its turn, and is certainly not executed.
    pub(crate) has_waited: bool,
}

/// What is dropped when a call is done.
#[expect(dead_code, reason = "they are kept until they are dropped")]
pub(crate) struct Held {
    pub(crate) permit: Option<Permit>,
    /// Tells a body that asked for its `Call` that nobody waits any longer.
    pub(crate) cancelled: Option<DropGuard>,
}

impl Calls {
    pub(crate) fn len(&self) -> usize {
        self.handles.len()
    }

    /// Bytes of arguments of all calls in flight.
    pub(crate) fn argument_bytes(&self) -> usize {
        self.argument_bytes
    }

    /// Where methods count what waits to be taken.
    pub(crate) fn kept(&mut self) -> Arc<AtomicUsize> {
        self.kept.get_or_insert_default().clone()
    }

    /// Bytes of results that wait to be taken.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.load(Relaxed))
    }

    /// Whether a call is in flight whose reply is waited for.
    #[cfg(feature = "http")]
    pub(crate) fn owes_any(&self) -> bool {
        self.handles.iter().any(|handle| !handle.oneway)
    }

    /// Whether a notification is in flight.
    #[cfg(feature = "http")]
    pub(crate) fn has_notifications(&self) -> bool {
        self.handles.iter().any(|handle| handle.oneway)
    }

    /// Cancels all calls but notifications.
    #[cfg(feature = "http")]
    pub(crate) fn cancel_owed(&self) {
        self.stop(|handle| !handle.oneway);
    }

    /// The calls that start from now on belong to this batch, or to none.
    pub(crate) fn set_batch(&mut self, batch: Option<u64>) {
        self.batch = batch;
    }

    /// The batch whose calls are started.
    pub(crate) fn batch(&self) -> Option<u64> {
        self.batch
    }

    /// Whether a call of this batch is in flight.
    pub(crate) fn has_any_of(&self, batch: u64) -> bool {
        self.handles.iter().any(|handle| handle.batch == Some(batch))
    }

    /// Whether a call of this batch is in flight whose reply is waited for: nobody waits for that of a notification.
    pub(crate) fn owes_any_of(&self, batch: u64) -> bool {
        self.handles.iter().any(|handle| handle.batch == Some(batch) && !handle.oneway)
    }

    /// Runs a call until its result, its deadline or its cancellation.
    pub(crate) fn start(
        &mut self,
        mut context: CallContext,
        result: Unary,
        deadline: Instant,
        held: Held,
    ) {
        let (abort, registration) = AbortHandle::new_pair();
        self.register(&mut context, abort, false);
        let timed = timeout_at(deadline.into(), AssertUnwindSafe(result).catch_unwind());
        let call = Abortable::new(timed, registration);
        self.running.get_or_insert_default().push(Box::pin(async move {
            let outcome = match call.await {
                Err(_aborted) => Err(cancelled()),
                Ok(Err(_elapsed)) => Err(deadline_exceeded(deadline - context.started)),
                Ok(Ok(Err(panic))) => Err(panicked(&*panic)),
                Ok(Ok(Ok(outcome))) => outcome,
            };
            drop(held);
            Progress::Done(context, outcome)
        }));
    }

    /// Runs a stream item by item; the next item is polled only after the previous one was passed
    /// on.
    pub(crate) fn start_stream(
        &mut self,
        mut context: CallContext,
        items: ItemStream,
        deadline: Option<Instant>,
        held: Held,
    ) {
        let (abort, registration) = AbortHandle::new_pair();
        self.register(&mut context, abort, true);
        let items = stream::Abortable::new(items, registration);
        self.resume(context, Rest { items, deadline, has_given: false, _held: held });
    }

    /// Continues a stream after an item.
    pub(crate) fn resume(&mut self, context: CallContext, mut rest: Rest) {
        self.running.get_or_insert_default().push(Box::pin(async move {
            let next = AssertUnwindSafe(rest.items.next()).catch_unwind();
            let next = match rest.deadline {
                Some(deadline) => timeout_at(deadline.into(), next).await,
                None => Ok(next.await),
            };
            let fault = match next {
                Ok(Ok(Some(Ok((item, dropped))))) => {
                    rest.has_given = true;
                    return Progress::Item(context, item, dropped, rest);
                }
                Ok(Ok(Some(Err(fault)))) if rest.has_given => of_begun(fault),
                Ok(Ok(Some(Err(fault)))) => fault,
                Ok(Ok(None)) if rest.items.is_aborted() => cancelled(),
                Ok(Ok(None)) => return Progress::End(context),
                Ok(Err(panic)) => panicked(&*panic),
                Err(_elapsed) => deadline_exceeded(context.started.elapsed()),
            };
            Progress::Done(context, Err(fault))
        }));
    }

    /// The next progress of any call; `None` if none is in flight.
    pub(crate) async fn next(&mut self) -> Option<Progress> {
        let mut progress = self.running.as_mut()?.next().await?;
        if let Progress::Done(context, _) | Progress::End(context) = &progress {
            self.handles.retain(|handle| handle.serial != context.serial);
            self.argument_bytes -= context.argument_bytes;
            let stopped = self.stopped.iter().position(|(of, _)| *of == context.serial);
            let reason = stopped.map(|at| self.stopped.swap_remove(at).1);
            if let (Progress::Done(_, Err(fault)), Some(reason)) = (&mut progress, reason) {
                *fault = reason;
            }
        }
        Some(progress)
    }

    pub(crate) fn has_streams(&self) -> bool {
        self.handles.iter().any(|handle| handle.is_stream)
    }

    /// Stops the streams of methods, given by their positions, that `reason` has a reason for.
    pub(crate) fn stop_streams(&mut self, mut reason: impl FnMut(usize) -> Option<Fault>) {
        self.stop_for(|handle| if handle.is_stream { reason(handle.method) } else { None });
    }

    /// Cancels every call with this id; each then gets a reply that it was cancelled.
    pub(crate) fn cancel(&self, id: Json<'_>) {
        self.stop(|handle| handle.reply_to.get().id() == Some(id));
    }

    /// Cancels the extended calls, of which nobody waits for a reply any more. Nobody ever did for a notification; of
    /// a stream there is nothing but what is read.
    pub(crate) fn cancel_extended(&self) {
        let is_notification = |handle: &Handle| handle.oneway && !handle.is_stream;
        self.stop(|handle| handle.reply_to.get().is_extended() && !is_notification(handle));
    }

    pub(crate) fn cancel_streams(&self) {
        self.stop(|handle| handle.is_stream);
    }

    /// Ends all streams, since the server ends: those that still wait for their turn are certainly not executed.
    pub(crate) fn drain_streams(&mut self) {
        self.stop_for(|handle| {
            let has_waited = handle.waiting.as_ref().is_some_and(Waiting::is_on);
            let ended = || Fault::abandoned("the server is draining, and the stream was ended");
            handle.is_stream.then(|| if has_waited { draining() } else { ended() })
        });
    }

    /// Stops the calls of this batch that still wait for their turn, for this reason.
    pub(crate) fn stop_waiting(&mut self, batch: u64, reason: &Fault) {
        self.stop_for(|handle| {
            let has_waited = handle.waiting.as_ref().is_some_and(Waiting::is_on);
            (handle.batch == Some(batch) && has_waited).then(|| reason.clone())
        });
    }

    /// Drops all calls in flight; returns those that want a reply.
    pub(crate) fn abandon(&mut self) -> impl Iterator<Item = Abandoned> {
        // What waits can begin no more.
        self.running = None;
        self.argument_bytes = 0;
        self.stopped.clear();
        let handles = std::mem::take(&mut self.handles).into_iter();
        handles.filter(|handle| !handle.oneway).map(|handle| Abandoned {
            reply_to: handle.reply_to,
            batch: handle.batch,
            has_waited: handle.waiting.is_some_and(|waiting| waiting.is_on()),
        })
    }

    /// Stops the calls that `reason` has a reason for.
    fn stop_for(&mut self, mut reason: impl FnMut(&Handle) -> Option<Fault>) {
        for handle in self.handles.iter().filter(|handle| !handle.abort.is_aborted()) {
            if let Some(fault) = reason(handle) {
                handle.abort.abort();
                self.stopped.push((handle.serial, fault));
            }
        }
    }

    fn stop(&self, which: impl Fn(&Handle) -> bool) {
        self.handles.iter().filter(|handle| which(handle)).for_each(|handle| handle.abort.abort());
    }

    fn register(&mut self, context: &mut CallContext, abort: AbortHandle, is_stream: bool) {
        self.next_serial += 1;
        context.serial = self.next_serial;
        context.batch = self.batch;
        self.argument_bytes += context.argument_bytes;
        self.handles.push(Handle {
            serial: context.serial,
            batch: context.batch,
            reply_to: context.reply_to.clone(),
            method: context.method,
            abort,
            oneway: context.oneway,
            is_stream,
            waiting: context.waiting.take(),
        });
    }
}

impl CallContext {
    /// How it is replied to.
    pub(crate) fn reply_to(&self) -> ReplyTo<'_> {
        self.reply_to.get()
    }

    pub(crate) fn new(reply_to: ReplyTo<'_>, method: usize, started: Instant) -> Self {
        Self {
            serial: 0,
            reply_to: Kept::of(reply_to),
            method,
            started,
            argument_bytes: 0,
            oneway: false,
            batch: None,
            waiting: None,
            is_stream: false,
        }
    }
}

/// The error of a stream that has given items: none that says that the call was not executed.
fn of_begun(fault: Fault) -> Fault {
    let code = fault.code;
    if code.may_have_run() {
        return fault;
    }
    let message = format!("{} (code {code} of the method, behind items)", fault.plain_text());
    Fault { data: fault.data, ..Fault::method_failed(message) }
}

fn cancelled() -> Fault {
    Fault::new(Code::Cancelled, "the call was cancelled")
}

pub(crate) fn deadline_exceeded(after: Duration) -> Fault {
    let text = format!("the deadline passed after {} ms", after.as_millis());
    Fault::new(Code::DeadlineExceeded, text)
}
