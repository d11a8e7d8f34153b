//! What is counted of calls: how they ended, and how long they took.

use std::time::{Duration, Instant};

use rpc_wire::call::Call;
use rpc_wire::fault::{Code, Fault};

use super::{Dispatcher, FRESH};
use crate::metrics::{MethodMetrics, Outcome};
use crate::reserved::Reserved;
use crate::session::calls::CallContext;

/// Older clients read a reply with a single read of this size.
const OLD_CLIENT_READS: usize = 1024;

impl Dispatcher {
    /// Reads the clock, once for all calls since the last time: records their latencies. Returns
    /// how long they took. Their output is to be written now.
    pub(crate) fn read_clock(&mut self) -> Duration {
        let now = Instant::now();
        let took = now - std::mem::replace(&mut self.now, now);
        let latency = now - self.arrived;
        self.is_fresh = latency < FRESH;
        let mut all = 0;
        for (method, outcome, calls) in self.unwritten_calls.drain(..) {
            if let Some(metrics) = self.state.metrics.method(method) {
                metrics.done(self.shard, outcome, latency, calls);
            }
            all += calls;
        }
        self.state.admission.learn(took, all);
        took
    }

    /// Records the latencies of finished calls, before the output is written.
    pub(crate) fn end_turn(&mut self) {
        if !self.unwritten_calls.is_empty() {
            self.read_clock();
        }
    }

    pub(super) fn count(&self, context: &CallContext, outcome: Outcome) {
        self.note(context.method, context.started.elapsed(), outcome);
    }

    /// Counts a call that does not start. Methods that the server does not have are counted as one, so
    /// that nobody can add to them; its own methods are not counted.
    pub(super) fn count_refused(&self, call: &Call<'_>, fault: &Fault, received: Instant) {
        let state = &self.state;
        if fault.code == Code::Overloaded {
            state.metrics.calls_refused.inc();
        }
        let outcome = fault.code.into();
        match state.position(&call.method, self.last_method) {
            Some(method) => self.note(method, received.elapsed(), outcome),
            None if Reserved::find(&call.method).is_some() => {}
            None => state.metrics.unknown.done(self.shard, outcome, received.elapsed(), 1),
        }
    }

    pub(super) fn note(&self, method: usize, elapsed: Duration, outcome: Outcome) {
        if let Some(metrics) = self.state.metrics.method(method) {
            metrics.done(self.shard, outcome, elapsed, 1);
        }
        if tracing::enabled!(tracing::Level::DEBUG)
            && let Some(name) = self.state.metrics.method(method).map(MethodMetrics::name)
        {
            let failed = outcome != Outcome::Result;
            tracing::debug!(peer = %self.peer, method = name, elapsed = format_args!("{elapsed:.1?}"), failed, "call");
        }
    }

    pub(super) fn note_size(&self, method: usize, size: usize) {
        if size > OLD_CLIENT_READS
            && let Some(metrics) = self.state.metrics.method(method)
        {
            metrics.unreadable_for_old_clients.inc();
        }
    }
}
