//! An older server: one call in flight per socket, never pipelined, few sockets, none kept long.

mod line;
mod waiting;
mod worker;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_wire::call::request;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::CallError;
use crate::connection::Inbox;
use crate::context::Context;
use crate::request::{Answer, Outgoing};

use line::Line;
pub(super) use waiting::ClassicPool;
use waiting::Job;
use worker::{Opening, Worker, open_more};

/// What an older server reads at once, and therefore the most a request may have.
const MAX_REQUEST: usize = 1024;

impl ClassicPool {
    /// A pool that begins with the connection on which the dialect was learned.
    pub(super) fn start(
        context: &Arc<Context>,
        peer: Arc<str>,
        address: (String, u16),
        socket: TcpStream,
        mut inbox: Inbox,
    ) -> Arc<Self> {
        let pool = Arc::new(Self {
            context: Arc::clone(context),
            peer,
            address,
            learned: Instant::now(),
            state: Mutex::default(),
        });
        if inbox.is_clean() {
            pool.state().workers = 1;
            let line: Line<Opening> = Line::known(socket, inbox);
            context.spawn(Worker::with_line(Arc::clone(&pool), line).run(None));
        }
        pool
    }

    /// Whether calls may go through it: nothing failed, and what was learned is fresh or at
    /// least in use.
    pub(super) fn is_usable(&self, memory: Duration) -> bool {
        let state = self.state();
        !state.failed && (state.workers > 0 || self.learned.elapsed() < memory)
    }

    /// Makes one call. Dropping the future closes its socket.
    pub(super) async fn call(
        self: &Arc<Self>,
        outgoing: &Arc<Outgoing>,
    ) -> Result<Answer, CallError> {
        let mut bytes = Vec::new();
        request::classic(&mut bytes, &outgoing.method, &outgoing.args);
        if bytes.len() > MAX_REQUEST {
            let (size, limit) = (bytes.len(), MAX_REQUEST);
            return Err(CallError::TooLarge { peer: self.peer.to_string(), size, limit });
        }
        let (reply, answer) = oneshot::channel();
        self.submit(Job { bytes, request: Arc::clone(outgoing), reply })?;
        answer.await.unwrap_or_else(|_| {
            Err(if self.context.has_ended() {
                CallError::Closed
            } else {
                self.lost("its task is gone", outgoing.is_sent())
            })
        })
    }

    fn submit(self: &Arc<Self>, mut job: Job) -> Result<(), CallError> {
        let mut state = self.state();
        while let Some(worker) = state.idle.pop() {
            match worker.send(job) {
                Ok(()) => return Ok(()),
                Err(back) => job = back,
            }
        }
        let most = self.context.options.max_classic_queue;
        if state.waiting.len() >= most && !self.may_open(&state) {
            state.waiting.retain(|job| !job.reply.is_closed());
            let waiting = state.waiting.len();
            if waiting >= most {
                return Err(CallError::QueueFull { peer: self.peer.to_string(), waiting });
            }
        }
        state.waiting.push_back(job);
        open_more(self, state);
        Ok(())
    }
}
