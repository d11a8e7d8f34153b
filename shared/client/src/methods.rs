//! What one server offers: from `rpc.discover`, or from `all_your_methods` of an older one.

use std::sync::Arc;
use std::time::Duration;

use rpc_wire::exact;
use rpc_wire::fault::Code;
use rpc_wire::json::memory_of_value;
use rpc_wire::paths::{ALL_YOUR_METHODS, RPC_DISCOVER};
use rpc_wire::signature::{self, Signature};
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::deadline::{Failed, after};
use crate::method_list::Methods;
use crate::pool::{Peer, Progress};
use crate::request::Outgoing;
use crate::{Args, CallError, ClientOptions, Dialect, Phase, Response};

/// A longer document is read on a thread of its own: meanwhile calls and their deadlines go on.
const INLINE_BYTES: usize = 64 << 10;

/// Asks the server at `peer`, on its open connection if there is one.
pub(crate) async fn ask(
    peer: &Arc<Peer>,
    options: &ClientOptions,
    within: Duration,
) -> Result<Methods, CallError> {
    let asking = Asking { peer, options, within, deadline: after(Instant::now(), within) };
    let (dialect, discovered) = asking.call(RPC_DISCOVER).await;
    match (dialect, discovered) {
        (Dialect::Extended | Dialect::JsonRpc, Ok(value)) => return asking.read(value).await,
        (Dialect::JsonRpc, Err(CallError::Remote { peer, fault })) => {
            return Err(match fault.code {
                Code::MethodNotFound => not_discoverable(peer),
                _ => CallError::Remote { peer, fault },
            });
        }
        // An older server, or one without this reserved method.
        (Dialect::Classic, Ok(_)) => {}
        (_, Err(CallError::Remote { fault, .. })) if fault.code == Code::MethodNotFound => {}
        (_, Err(error)) => return Err(error),
    }
    asking.read(asking.call(ALL_YOUR_METHODS).await.1?).await
}

fn not_discoverable(peer: String) -> CallError {
    CallError::NotInJsonRpc {
        peer,
        what: "rpc.discover, so that its methods are unknown",
        instead: "call them by name, or give an OpenRPC document of them (--openrpc FILE)",
    }
}

struct Asking<'a> {
    peer: &'a Arc<Peer>,
    options: &'a ClientOptions,
    within: Duration,
    deadline: Instant,
}

impl Asking<'_> {
    async fn call(&self, method: &str) -> (Dialect, Result<Box<RawValue>, CallError>) {
        let call = Arc::new(Outgoing::new(method.to_owned(), Args::none(), None));
        let mut progress = Progress::default();
        let _in_flight = self.peer.load.enter();
        let replied = match self.peer.call(&call, self.deadline, &mut progress).await {
            Ok(reply) => Ok(reply.value),
            Err(Failed::Error(CallError::ConnectionLost { peer, reason, .. })) => {
                let reason = format!("{reason}, when it was asked for its methods");
                Err(CallError::ConnectionLost { peer, reason, executed: false })
            }
            Err(Failed::Error(error)) => Err(error),
            Err(Failed::Expired) => Err(self.expired(match progress.phase(&call) {
                // It has the question, which changes nothing.
                Phase::Reply => Phase::Discovery,
                phase => phase,
            })),
        };
        (progress.dialect.unwrap_or(Dialect::Classic), replied)
    }

    async fn read(&self, value: Box<RawValue>) -> Result<Methods, CallError> {
        let (bytes, options) = (value.get().len(), self.options.clone());
        let peer = self.peer.name().to_owned();
        let read = move || read(&peer, &value, &options);
        if bytes <= INLINE_BYTES || bytes > self.options.max_method_list_bytes {
            return read();
        }
        let read = tokio::task::spawn_blocking(read);
        match tokio::time::timeout_at(self.deadline, read).await {
            Ok(read) => read.unwrap_or(Err(CallError::Closed)),
            Err(_) => Err(self.expired(Phase::Discovery)),
        }
    }

    fn expired(&self, phase: Phase) -> CallError {
        CallError::Timeout { peer: self.peer.name().to_owned(), after: self.within, phase }
    }
}

impl Response {
    /// The result of `rpc.discover` or `all_your_methods`: methods by name. Of equal names the last counts.
    ///
    /// # Errors
    /// [`CallError::BadReply`]: it is no method list, or over [`ClientOptions::max_method_list_bytes`] or
    /// [`ClientOptions::max_methods`].
    pub fn methods(&self, options: &ClientOptions) -> Result<Vec<Signature>, CallError> {
        read(&self.peer, &self.value, options).map(Methods::into_signatures)
    }
}

/// The methods that the text of an OpenRPC document says, by name.
///
/// # Errors
/// It is none, or over [`ClientOptions::max_method_list_bytes`] or [`ClientOptions::max_methods`].
pub fn methods_of_document(text: &str, options: &ClientOptions) -> Result<Vec<Signature>, String> {
    let document: &RawValue =
        serde_json::from_str(text).map_err(|error| format!("it is not JSON: {error}"))?;
    match parsed(document, options) {
        Ok(_) if !document.get().starts_with('{') => Err("it is no object".to_owned()),
        parsed => parsed.map(Methods::into_signatures),
    }
}

fn read(peer: &str, value: &RawValue, options: &ClientOptions) -> Result<Methods, CallError> {
    parsed(value, options).map_err(|reason| CallError::bad_reply(peer, reason))
}

fn parsed(value: &RawValue, options: &ClientOptions) -> Result<Methods, String> {
    let (bytes, max_bytes) = (value.get().len(), options.max_method_list_bytes);
    if bytes > max_bytes {
        return Err(format!(
            "a method list of {bytes} bytes, over max_method_list_bytes = {max_bytes}"
        ));
    }
    exact::check(value).map_err(|inexact| inexact.to_string())?;
    let max_methods = options.max_methods;
    let one_more = max_methods.saturating_add(1);
    let signatures = match value.get().starts_with('{') {
        true => signature::from_openrpc_within(value.get(), one_more),
        false => signature::from_classic_within(value.get(), one_more),
    };
    let signatures = signatures.map_err(|error| error.to_string())?;
    if signatures.len() > max_methods {
        return Err(format!("a list of more methods than max_methods = {max_methods}"));
    }
    // Whatever the text would take, its values were left out beyond a limit.
    let memory = memory_of_value(value.get())
        .min(bytes.saturating_mul(20).saturating_add(signature::MAX_MEMORY));
    Ok(Methods::new(signatures, memory))
}
