//! How calls in flight end, and a connection with them: their replies, and the final error.

use bytes::Bytes;
use rpc_wire::call::{ReplyTo, is_meant_as_json_rpc, reply};
use rpc_wire::fault::{Code, Fault};
use rpc_wire::json::Json;

use super::Dispatcher;
use crate::failure::draining;
use crate::metrics::Outcome;
use crate::session::calls::{Abandoned, CallContext, Progress};

impl Dispatcher {
    /// Waits for the next progress of a call in flight and appends it to the output; `false` if
    /// none is in flight.
    pub(crate) async fn finish_next(&mut self) -> bool {
        match self.calls.next().await {
            None => return false,
            Some(Progress::Item(context, item, dropped, rest)) => {
                if let Some(id) = context.reply_to().id() {
                    reply::item(&mut self.output, id, &item, dropped);
                }
                self.calls.resume(context, rest);
                return true;
            }
            Some(Progress::End(context)) => {
                self.count(&context, Outcome::Result);
                if let Some(id) = context.reply_to().id() {
                    reply::end_of_stream(&mut self.output, id);
                }
            }
            Some(Progress::Done(context, outcome)) => {
                let start = self.output.len();
                self.finish(&context, outcome);
                if let Some(serial) = context.batch {
                    self.finish_of_batch(&context, serial, start);
                }
            }
        }
        self.flush_final_error();
        true
    }

    /// No call in flight is waited for any more: of those that have begun it is unknown whether they have run.
    pub(crate) fn abandon_all(&mut self, why: &str) {
        let begun = Fault::abandoned(why);
        let not_begun = if self.draining { draining() } else { begun.clone() };
        for Abandoned { reply_to, batch, has_waited } in self.calls.abandon() {
            let start = self.output.len();
            let fault = if has_waited { &not_begun } else { &begun };
            reply::fault(&mut self.output, reply_to.get(), fault);
            if let Some(serial) = batch {
                self.batches.collect(serial, (&mut self.output, &mut self.documents), start);
            }
        }
        self.batches.end_all((&mut self.output, &mut self.documents));
        self.waiting_bytes = 0;
        for _ in self.classic_waiting.drain(..) {
            reply::fault(&mut self.output, ReplyTo::Classic, &not_begun);
        }
        self.flush_final_error();
    }

    /// Sends this error about bytes that cannot be read once every previous call has its reply. Streams,
    /// which may never end, stop.
    pub(crate) fn set_final_error(&mut self, fault: Fault, unread: &[u8]) {
        self.calls.cancel_streams();
        let reply_to = match self.is_json_rpc || is_meant_as_json_rpc(unread) {
            true => ReplyTo::JsonRpc(Json::NULL),
            false => ReplyTo::Classic,
        };
        self.final_error = Some((reply_to, fault));
        self.flush_final_error();
    }

    fn finish(&mut self, context: &CallContext, outcome: Result<Vec<u8>, Fault>) {
        let ended = match &outcome {
            Ok(_) => Outcome::Result,
            Err(fault) => fault.code.into(),
        };
        self.count(context, ended);
        let reply_to = context.reply_to();
        let start = self.output.len();
        match outcome {
            // No reply is wanted.
            _ if context.oneway => {}
            Ok(result) => self.write_result(reply_to, context.is_stream, &result),
            Err(fault) => reply::fault(&mut self.output, reply_to, &fault),
        }
        if reply_to.is_classic() {
            self.note_size(context.method, self.output.len() - start);
            self.classic_is_running = false;
            self.next_classic();
        }
    }

    pub(super) fn flush_final_error(&mut self) {
        if self.in_flight() == 0
            && let Some((reply_to, fault)) = self.final_error.take()
        {
            match reply_to {
                // As where a connection is refused from its start: it is about no bytes that were read.
                ReplyTo::Classic if fault.code == Code::Unauthorised => {
                    reply::refusal(&mut self.output, &fault);
                }
                _ => reply::fault(&mut self.output, reply_to, &fault),
            }
        }
    }

    /// Writes a result; to the reader of a stream, as its only item.
    pub(super) fn write_result(&mut self, to: ReplyTo<'_>, as_stream: bool, result: &[u8]) {
        if as_stream {
            return self.write_single_item(to, result);
        }
        reply::begin_result(&mut self.output, to);
        self.output.extend_from_slice(result);
        reply::end_result(&mut self.output);
    }

    /// Writes a result that all connections share: it may be long, and counts for none of them.
    pub(super) fn write_shared(&mut self, to: ReplyTo<'_>, as_stream: bool, result: Bytes) {
        let Self { output, documents, .. } = self;
        match to.id().filter(|_| as_stream) {
            Some(id) => {
                reply::begin_item(output, id);
                documents.put(output, result);
                reply::end_result(output);
                reply::end_of_stream(output, id);
            }
            None => {
                reply::begin_result(output, to);
                documents.put(output, result);
                reply::end_result(output);
            }
        }
    }

    pub(super) fn write_single_item(&mut self, to: ReplyTo<'_>, item: &[u8]) {
        if let Some(id) = to.id() {
            reply::item(&mut self.output, id, item, 0);
            reply::end_of_stream(&mut self.output, id);
        }
    }
}
