//! What one server offers: from `rpc.discover`, or from `all_your_methods` of an older one.

use std::sync::Arc;
use std::time::Duration;

use rpc_wire::exact;
use rpc_wire::fault::Code;
use rpc_wire::paths::{ALL_YOUR_METHODS, RPC_DISCOVER};
use rpc_wire::signature::{self, NotAMethodList, Signature};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::deadline::{Failed, after};
use crate::method_list::Methods;
use crate::pool::{Peer, Progress};
use crate::request::Outgoing;
use crate::{Args, CallError, ClientOptions, Dialect, Phase};

/// A longer document is read on a thread of its own: meanwhile calls and their deadlines go on.
const INLINE_BYTES: usize = 64 << 10;

type Read = fn(&str) -> Result<Vec<Signature>, NotAMethodList>;

/// Asks the server at `peer`, on its open connection if there is one.
pub(crate) async fn ask(
    peer: &Arc<Peer>,
    options: &ClientOptions,
    within: Duration,
) -> Result<Methods, CallError> {
    let asking = Asking { peer, options, within, deadline: after(Instant::now(), within) };
    match asking.call(RPC_DISCOVER).await {
        Ok((Dialect::Extended, value)) => return asking.read(value, signature::from_openrpc).await,
        // An older server, or one without this reserved method.
        Ok(_) => {}
        Err(CallError::Remote { fault, .. }) if fault.code == Code::MethodNotFound => {}
        Err(error) => return Err(error),
    }
    let (_, value) = asking.call(ALL_YOUR_METHODS).await?;
    asking.read(value, signature::from_classic).await
}

struct Asking<'a> {
    peer: &'a Arc<Peer>,
    options: &'a ClientOptions,
    within: Duration,
    deadline: Instant,
}

impl Asking<'_> {
    async fn call(&self, method: &str) -> Result<(Dialect, Box<RawValue>), CallError> {
        let call = Arc::new(Outgoing::new(method.to_owned(), Args::none(), None));
        let mut progress = Progress::default();
        let _in_flight = self.peer.load.enter();
        match self.peer.call(&call, self.deadline, &mut progress).await {
            Ok(reply) => Ok((progress.dialect.unwrap_or(Dialect::Classic), reply.value)),
            Err(Failed::Error(error)) => Err(error),
            Err(Failed::Expired) => Err(CallError::Timeout {
                peer: self.peer.name().to_owned(),
                after: self.within,
                phase: progress.phase(&call),
            }),
        }
    }

    async fn read(&self, value: Box<RawValue>, read: Read) -> Result<Methods, CallError> {
        let (bytes, limit) = (value.get().len(), self.options.max_method_list_bytes);
        if bytes > limit {
            let reason =
                format!("a method list of {bytes} bytes, over max_method_list_bytes = {limit}");
            return Err(CallError::bad_reply(self.peer.name(), reason));
        }
        let (name, max_methods) = (self.peer.name().to_owned(), self.options.max_methods);
        let read = move || read_list(&name, &value, read, max_methods);
        if bytes <= INLINE_BYTES {
            return read();
        }
        let read = tokio::task::spawn_blocking(read);
        match tokio::time::timeout_at(self.deadline, read).await {
            Ok(read) => read.unwrap_or(Err(CallError::Closed)),
            Err(_) => Err(CallError::Timeout {
                peer: self.peer.name().to_owned(),
                after: self.within,
                phase: Phase::Reply,
            }),
        }
    }
}

fn read_list(
    peer: &str,
    value: &RawValue,
    read: Read,
    max_methods: usize,
) -> Result<Methods, CallError> {
    exact::check(value).map_err(|inexact| CallError::bad_reply(peer, inexact))?;
    let signatures = read(value.get()).map_err(|error| CallError::bad_reply(peer, error))?;
    if signatures.len() > max_methods {
        let count = signatures.len();
        let reason = format!("a list of {count} methods, over max_methods = {max_methods}");
        return Err(CallError::bad_reply(peer, reason));
    }
    Ok(Methods::new(signatures))
}
