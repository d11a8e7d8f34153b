//! The task that owns one socket to an older server and takes one call after another.

use std::sync::{Arc, MutexGuard};

use tokio::sync::oneshot;

use super::line::{Exchanged, Line};
use super::waiting::{ClassicPool, Job, Next, State};
use crate::CallError;
use crate::request::Answer;

/// Opens sockets for waiting calls, as many as may be.
pub(super) fn open_more(pool: &Arc<ClassicPool>, mut state: MutexGuard<'_, State>) {
    while pool.may_open(&state) {
        let Some(job) = state.next_waiting() else { break };
        state.workers += 1;
        state.opening += 1;
        let worker = Worker::without_line(Arc::clone(pool));
        pool.context.spawn(worker.run(Some(job)));
    }
}

/// A task has no socket any more; `unserved` was handed to it just before.
fn leave(pool: &Arc<ClassicPool>, unserved: Option<Job>) {
    let mut state = pool.state();
    state.workers -= 1;
    state.waiting.extend(unserved);
    open_more(pool, state);
}

/// The server has accepted a socket, or will never.
fn opened(pool: &Arc<ClassicPool>) {
    let mut state = pool.state();
    state.opening -= 1;
    open_more(pool, state);
}

/// Counts a socket as one that the server may not have accepted yet.
#[derive(Debug)]
pub(super) struct Opening(Arc<ClassicPool>);

impl Drop for Opening {
    fn drop(&mut self) {
        opened(&self.0);
    }
}

/// It lives as long as its socket.
pub(super) struct Worker {
    pool: Arc<ClassicPool>,
    /// `None` before it is opened and after it is lost.
    line: Option<Line<Opening>>,
}

impl Worker {
    pub(super) fn with_line(pool: Arc<ClassicPool>, line: Line<Opening>) -> Self {
        Self { pool, line: Some(line) }
    }

    /// One that opens its socket with its first call. The pool counts it as opening.
    pub(super) fn without_line(pool: Arc<ClassicPool>) -> Self {
        Self { pool, line: None }
    }

    pub(super) async fn run(mut self, mut job: Option<Job>) {
        loop {
            if let Some(job) = job.take() {
                self.serve(job).await;
            }
            if self.line.is_none() {
                return leave(&self.pool, None);
            }
            job = match self.pool.next() {
                Next::Call(job) => Some(job),
                Next::Wait(mut inbox) => {
                    let job = self.wait(&mut inbox).await;
                    if job.is_none() {
                        self.line = None;
                        // A call may have been handed over meanwhile.
                        inbox.close();
                        return leave(&self.pool, inbox.try_recv().ok());
                    }
                    job
                }
            };
        }
    }

    /// The next call, unless the server closes or the socket is idle for too long.
    async fn wait(&self, inbox: &mut oneshot::Receiver<Job>) -> Option<Job> {
        let line = self.line.as_ref()?;
        tokio::select! {
            biased;
            job = inbox => job.ok(),
            () = line.disturbed() => None,
            () = tokio::time::sleep(self.pool.context.options.classic_idle_timeout) => None,
        }
    }

    async fn serve(&mut self, mut job: Job) {
        let exchange = async {
            let mut line = match self.line.take() {
                Some(line) => line,
                None => Line::open(&self.pool, Opening(Arc::clone(&self.pool))).await?,
            };
            let exchanged = line.exchange(&self.pool, &job.bytes, &job.request).await?;
            Ok((exchanged, line))
        };
        let outcome = tokio::select! {
            biased;
            outcome = exchange => outcome,
            // The caller is gone: only closing the socket keeps its late reply from the next.
            () = job.reply.closed() => return,
        };
        let result = match outcome {
            Ok((exchanged, mut line)) => {
                self.line = line.is_clean().then_some(line);
                match exchanged {
                    Exchanged::Result(answer) => Ok(Answer {
                        sent: if job.request.keep_sent { job.bytes } else { Vec::new() },
                        ..answer
                    }),
                    Exchanged::Failed(error) => Err(error),
                }
            }
            Err(error) => {
                self.pool.state().failed |= matches!(error, CallError::Unreachable { .. });
                Err(error)
            }
        };
        // A caller that is gone by now needs no answer.
        drop(job.reply.send(result));
    }
}
