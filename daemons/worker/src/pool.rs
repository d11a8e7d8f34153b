//! The crew, shared: calls wait here for their results.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::{Stream, stream};
use rpc_server::{Args, Call, Method};
use rpc_wire::fault::Fault;
use rpc_wire::signature::Signature;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};

use crate::WorkerLimits;
use crate::crew::{Answer, Crew, Job, Untaken};
use crate::takes::Shape;

/// Items of a stream that wait for its reader.
const ITEMS: usize = 16;

/// The crew, and the way to it from any task. No lock is held for longer than it takes to pass a call on.
#[derive(Debug)]
pub(crate) struct Pool {
    crew: Mutex<Crew>,
}

impl Pool {
    pub(crate) fn new(limits: WorkerLimits) -> Arc<Self> {
        Arc::new(Self { crew: Mutex::new(Crew::new(limits)) })
    }

    pub(crate) fn crew(&self) -> MutexGuard<'_, Crew> {
        self.crew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The method of that signature, whose calls go to the crew.
    pub(crate) fn method(self: &Arc<Self>, signature: Signature) -> Method {
        let pool = self.clone();
        let may_run_again = signature.effect.is_idempotent();
        let shape = Arc::new(Shape::of(&signature));
        let job = move |call, args, answer| {
            let shape = shape.clone();
            Job { call, args, shape, answer, may_run_again, id: 0, given: None }
        };
        if signature.stream {
            Method::forwarded_stream(signature, move |call: Call, args| {
                let (items, received) = mpsc::channel(ITEMS);
                let (end, ended) = oneshot::channel();
                let ticket = pool.submit(job(call, args, Answer::Many { items, end }));
                read(ticket, received, ended)
            })
        } else {
            Method::forwarded(signature, move |call: Call, args: Args| {
                let (result, received) = oneshot::channel();
                let ticket = pool.submit(job(call, args, Answer::Once(result)));
                async move {
                    let ticket = ticket?;
                    let outcome = received.await.unwrap_or_else(|_| Err(lost()));
                    ticket.end();
                    outcome.map(Untaken::take)
                }
            })
        }
    }

    fn submit(self: &Arc<Self>, job: Job) -> Result<Ticket, Fault> {
        let id = self.crew().submit(job, Instant::now())?;
        Ok(Ticket { pool: self.clone(), id, is_done: false })
    }
}

/// A call that its caller waits for: dropped before its end, it is cancelled.
struct Ticket {
    pool: Arc<Pool>,
    id: u64,
    is_done: bool,
}

impl Ticket {
    fn end(mut self) {
        self.is_done = true;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.is_done {
            self.pool.crew().cancel(self.id, Instant::now());
        }
    }
}

/// The items of a stream, then its end.
fn read(
    ticket: Result<Ticket, Fault>,
    items: mpsc::Receiver<Untaken>,
    ended: oneshot::Receiver<Result<(), Fault>>,
) -> impl Stream<Item = Result<Box<RawValue>, Fault>> + Send {
    stream::unfold(Some((ticket, items, ended)), async |state| {
        let (ticket, mut items, ended) = state?;
        let ticket = match ticket {
            Ok(ticket) => ticket,
            Err(fault) => return Some((Err(fault), None)),
        };
        if let Some(item) = items.recv().await {
            return Some((Ok(item.take()), Some((Ok(ticket), items, ended))));
        }
        let end = ended.await.unwrap_or_else(|_| Err(lost()));
        ticket.end();
        end.err().map(|fault| (Err(fault), None))
    })
}

/// A call that was dropped without a word, which only an end of all workers does.
fn lost() -> Fault {
    Fault::abandoned("the workers ended before the call did")
}
