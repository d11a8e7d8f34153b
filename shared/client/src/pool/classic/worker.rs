//! The task that owns one socket to an older server and takes one call after another.

use std::sync::{Arc, MutexGuard};

use futures_util::FutureExt;
use tokio::sync::oneshot;

use super::socket::{ClassicSocket, Exchange};
use super::waiting::{ClassicCall, ClassicPool, Next, State};
use crate::CallError;

/// Opens sockets for waiting calls, up to the limits.
pub(super) fn open_more(pool: &Arc<ClassicPool>, mut state: MutexGuard<'_, State>) {
    while pool.may_open(&state) {
        let Some(call) = state.next_waiting() else { break };
        state.workers += 1;
        state.opening += 1;
        let worker = Worker::unconnected(Arc::clone(pool));
        pool.context.spawn(worker.run(Some(call)));
    }
}

/// A worker has lost its socket; `missed` was sent to it just before.
fn worker_ended(pool: &Arc<ClassicPool>, missed: Option<ClassicCall>) {
    let mut state = pool.state();
    state.workers -= 1;
    state.waiting.extend(missed);
    open_more(pool, state);
}

/// The server has accepted a socket, or never will.
fn opened(pool: &Arc<ClassicPool>) {
    let mut state = pool.state();
    state.opening -= 1;
    open_more(pool, state);
}

/// Counts a socket as not yet accepted by the server.
#[derive(Debug)]
pub(super) struct Opening(Arc<ClassicPool>);

impl Drop for Opening {
    fn drop(&mut self) {
        opened(&self.0);
    }
}

/// Lives as long as its socket.
pub(super) struct Worker {
    pool: Arc<ClassicPool>,
    /// `None` before it is opened and after it is lost.
    socket: Option<ClassicSocket<Opening>>,
}

impl Worker {
    pub(super) fn connected(pool: Arc<ClassicPool>, socket: ClassicSocket<Opening>) -> Self {
        Self { pool, socket: Some(socket) }
    }

    /// One that opens its socket for its first call. The pool already counts it as opening.
    pub(super) fn unconnected(pool: Arc<ClassicPool>) -> Self {
        Self { pool, socket: None }
    }

    pub(super) async fn run(mut self, mut call: Option<ClassicCall>) {
        loop {
            if let Some(call) = call.take() {
                self.serve(call).await;
            }
            if self.socket.is_none() {
                return worker_ended(&self.pool, None);
            }
            call = match self.pool.next() {
                Next::Call(call) => Some(call),
                Next::Wait(mut inbox) => {
                    let call = self.wait(&mut inbox).await;
                    if call.is_none() {
                        self.socket = None;
                        // A call may have been sent meanwhile.
                        inbox.close();
                        return worker_ended(&self.pool, inbox.try_recv().ok());
                    }
                    call
                }
            };
        }
    }

    /// The next call, unless the server closes or the socket is idle for too long.
    async fn wait(&self, inbox: &mut oneshot::Receiver<ClassicCall>) -> Option<ClassicCall> {
        let socket = self.socket.as_ref()?;
        tokio::select! {
            biased;
            call = inbox => call.ok(),
            () = socket.readable() => None,
            () = tokio::time::sleep(self.pool.context.options.classic_idle_timeout) => None,
        }
    }

    async fn serve(&mut self, mut call: ClassicCall) {
        let attempt = async {
            // The server may have closed it just before the call came.
            let kept = self.socket.take().filter(|it| it.readable().now_or_never().is_none());
            let mut socket = match kept {
                Some(socket) => socket,
                None => ClassicSocket::open(&self.pool, Opening(Arc::clone(&self.pool))).await?,
            };
            let exchange = socket.exchange(&self.pool, &call.bytes, &call.request).await?;
            Ok((exchange, socket))
        };
        let outcome = tokio::select! {
            biased;
            outcome = attempt => outcome,
            // The caller is gone: only closing the socket keeps its late reply away from the next call.
            () = call.reply_to.closed() => return,
        };
        let result = match outcome {
            Ok((exchange, mut socket)) => {
                self.socket = socket.is_clean().then_some(socket);
                match exchange {
                    Exchange::Result(reply) => Ok(reply),
                    Exchange::Failed(error) => Err(error),
                }
            }
            Err(error) => {
                self.pool.state().failed |= CallError::is_without_connection(&error);
                Err(error)
            }
        };
        // A caller that is gone needs no reply.
        drop(call.reply_to.send(result));
    }
}
