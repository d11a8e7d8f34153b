//! Calls to an older server: one in flight per socket, never pipelined, few sockets, none kept for
//! long.

mod socket;
mod waiting;
mod worker;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_socket::Socket;
use rpc_wire::call::request;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::CallError;
use crate::connection::Inbox;
use crate::context::Context;
use crate::request::{CallReply, Outgoing};

use super::route::Route;

use socket::ClassicSocket;
use waiting::ClassicCall;
pub(super) use waiting::ClassicPool;
use worker::{Opening, Worker, open_more};

/// An older server reads a request with one read of this size.
const MAX_REQUEST: usize = 1024;

impl ClassicPool {
    /// A pool that starts with the connection on which the dialect was learned.
    pub(super) fn start(
        context: &Arc<Context>,
        route: Route,
        socket: Socket,
        mut inbox: Inbox,
    ) -> Arc<Self> {
        let pool = Arc::new(Self {
            context: Arc::clone(context),
            peer: route.shared_name(),
            route,
            learned: Instant::now(),
            heard: inbox.counter(),
            state: Mutex::default(),
        });
        if inbox.is_clean() {
            pool.state().workers = 1;
            let socket: ClassicSocket<Opening> = ClassicSocket::known(socket, inbox);
            context.spawn(Worker::connected(Arc::clone(&pool), socket).run(None));
        }
        pool
    }

    /// Whether calls may go through it: no connection failed, and the dialect was learned within `ttl` or
    /// a socket is open.
    pub(super) fn is_usable(&self, ttl: Duration) -> bool {
        let state = self.state();
        !state.failed && (state.workers > 0 || self.learned.elapsed() < ttl)
    }

    /// Makes one call. Dropping the future closes its socket.
    pub(super) async fn call(
        self: &Arc<Self>,
        outgoing: &Arc<Outgoing>,
    ) -> Result<CallReply, CallError> {
        let mut bytes = Vec::new();
        request::classic(&mut bytes, &outgoing.method, &outgoing.args);
        if bytes.len() > MAX_REQUEST {
            let (size, limit) = (bytes.len(), MAX_REQUEST);
            return Err(CallError::TooLarge { peer: self.peer.to_string(), size, limit });
        }
        let (reply_to, reply) = oneshot::channel();
        self.submit(ClassicCall { bytes, request: Arc::clone(outgoing), reply_to })?;
        reply.await.unwrap_or_else(|_| {
            Err(if self.context.has_ended() {
                CallError::Closed
            } else {
                self.lost("its task has ended", outgoing.is_sent())
            })
        })
    }

    fn submit(self: &Arc<Self>, mut call: ClassicCall) -> Result<(), CallError> {
        let mut state = self.state();
        while let Some(worker) = state.idle.pop() {
            match worker.send(call) {
                Ok(()) => return Ok(()),
                Err(returned) => call = returned,
            }
        }
        let limit = self.context.options.max_classic_queue;
        if state.waiting.len() >= limit && !self.may_open(&state) {
            state.waiting.retain(|call| !call.reply_to.is_closed());
            if state.waiting.len() >= limit {
                return Err(CallError::QueueFull { peer: self.peer.to_string(), limit });
            }
        }
        state.waiting.push_back(call);
        open_more(self, state);
        Ok(())
    }
}
