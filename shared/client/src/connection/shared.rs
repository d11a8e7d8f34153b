//! What the callers of a connection and the task that owns its socket both know.

use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::mpsc;

use super::inbound::Inbound;
use super::outbound::Outbound;
use super::pending::Job;
use super::places::Places;
use crate::CallError;
use crate::context::Context;

/// The callers' end of a connection: while there is one, the task runs.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    /// Never more calls than there are [`Places`] for, beside those cancelled that it has not heard of
    /// and a word to look for each call made alone.
    pub(super) words: mpsc::UnboundedSender<Word>,
    pub(super) shared: Arc<Shared>,
}

/// What callers tell the socket's task.
#[derive(Debug)]
pub(super) enum Word {
    Call(Job),
    /// The caller is gone.
    Cancel(u64),
    /// A caller who wrote and read by itself has left something to do.
    Look,
}

/// What callers and the socket's task both know.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) peer: Arc<str>,
    pub(super) context: Arc<Context>,
    pub(super) next_id: AtomicU64,
    pub(super) places: Places,
    /// No new calls are taken; those in flight are still answered. Set with `outbound` locked.
    pub(super) retired: AtomicBool,
    /// Replies on their way: the task's, and a caller's who has the connection to itself. Who locks
    /// both locks this one first.
    pub(super) inbound: Mutex<Inbound>,
    /// Calls on their way, likewise.
    pub(super) outbound: Mutex<Outbound>,
}

impl Shared {
    /// Writes a call of the only caller, who from then on is the reader; `true` if the task has to look.
    /// To wake the task for both would cost as much as all the rest that a call takes here.
    ///
    /// It waits for nothing, it is `async` for who is to be woken.
    pub(super) async fn write_alone(&self, job: Job) -> Result<bool, Job> {
        let id = job.id;
        // What arrived before, such as the connection's end, is the task's to read.
        let lent = poll_fn(|context| {
            let inbound = self.inbound.try_lock();
            Poll::Ready(inbound.is_ok_and(|mut inbound| inbound.lend(context, id)))
        });
        if !lent.await {
            return Err(job);
        }
        match self.outbound.try_lock() {
            Ok(mut outbound) if !self.is_retired() => outbound.write_alone(job),
            _ => Err(job),
        }
    }

    /// The task's own reading.
    pub(super) async fn fill(&self) -> io::Result<usize> {
        poll_fn(|context| self.inbound().poll_fill(context)).await
    }

    pub(super) fn inbound(&self) -> MutexGuard<'_, Inbound> {
        self.inbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn outbound(&self) -> MutexGuard<'_, Outbound> {
        self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn obey(&self, word: Word, outbound: &mut Outbound) {
        match word {
            // It came just when the server began to drain.
            Word::Call(job) if self.is_retired() => job.reply.fail(self.retired()),
            Word::Call(job) => outbound.hold(job),
            Word::Cancel(id) => outbound.cancel(id),
            Word::Look => {}
        }
    }

    /// Takes no new calls. With `outbound` locked, so that no caller is just writing one.
    pub(super) fn retire(&self, _outbound: &Outbound) {
        self.retired.store(true, Ordering::Release);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// The connection was closed before it took the call.
    pub(super) fn retired(&self) -> CallError {
        self.lost("it was closed before the call was sent", false)
    }

    /// The socket's task is gone without an answer: the client ended, or its runtime, or the task
    /// was ending just when the call was handed over.
    pub(super) fn vanished(&self, sent: bool) -> CallError {
        if self.context.has_ended() {
            CallError::Closed
        } else {
            self.lost("its task is gone", sent)
        }
    }

    pub(super) fn lost(&self, reason: &str, executed: bool) -> CallError {
        CallError::ConnectionLost {
            peer: self.peer.to_string(),
            reason: reason.to_owned(),
            executed,
        }
    }
}
