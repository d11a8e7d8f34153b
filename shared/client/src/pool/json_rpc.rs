//! Calls to a server that speaks JSON-RPC 2.0 only: on a connection of its own, or as HTTP requests.

mod address;
mod driver;
#[cfg(feature = "registry")]
mod http;
mod tcp;

use std::sync::Arc;
use std::time::Duration;

use rpc_wire::call::{JsonRpcReply, ReplyError};
use rpc_wire::fault::{Code, Fault};
use serde_json::value::RawValue;

use crate::CallError;
use crate::request::{CallReply, Outgoing};

#[cfg(feature = "registry")]
pub(super) use http::HttpEndpoint;
pub(super) use tcp::TcpEndpoint;

/// The way to a server of this dialect.
#[derive(Debug)]
pub(super) enum JsonRpc {
    Tcp(TcpEndpoint),
    #[cfg(feature = "registry")]
    Http(HttpEndpoint),
}

impl JsonRpc {
    /// Whether calls may go through it, see [`TcpEndpoint::is_usable`].
    pub(super) fn is_usable(&self, ttl: Duration) -> bool {
        match self {
            Self::Tcp(endpoint) => endpoint.is_usable(ttl),
            #[cfg(feature = "registry")]
            Self::Http(_) => true,
        }
    }

    /// Makes one call, or sends a notification. Dropping the future forgets it: nothing in the dialect cancels a call.
    pub(super) async fn call(&self, outgoing: &Arc<Outgoing>) -> Result<CallReply, CallError> {
        let Some(params) = outgoing.args.in_one() else {
            let text = "JSON-RPC takes arguments by position or by name, not both; give all of them in one way";
            return Err(CallError::BadArguments(text.to_owned()));
        };
        match self {
            Self::Tcp(endpoint) => endpoint.call(outgoing, params).await,
            #[cfg(feature = "registry")]
            Self::Http(endpoint) if outgoing.is_notification() => {
                endpoint.notify(outgoing, params).await
            }
            #[cfg(feature = "registry")]
            Self::Http(endpoint) => endpoint.call(outgoing, params).await,
        }
    }
}

/// The result of a call, or its error: servers have their own words for a method that they do not have.
fn outcome(
    peer: &str,
    method: &str,
    outcome: Result<&RawValue, Fault>,
) -> Result<Box<RawValue>, CallError> {
    outcome.map(ToOwned::to_owned).map_err(|mut fault| {
        if fault.code == Code::MethodNotFound {
            method.clone_into(&mut fault.message);
        }
        CallError::Remote { peer: peer.to_owned(), fault: Box::new(fault) }
    })
}

/// Why what the server sent is no reply to the call with this id.
fn mismatch(reply: &JsonRpcReply<'_>, id: u64) -> String {
    let answers =
        |of: &dyn std::fmt::Display| format!("it answers id {of}, and the call has id {id}");
    match reply {
        JsonRpcReply::Done { id: Some(of), .. } => answers(of),
        JsonRpcReply::Empty { id: of } if *of != id => answers(of),
        JsonRpcReply::Foreign { id: of } => answers(of),
        JsonRpcReply::Done { id: None, .. } | JsonRpcReply::Empty { .. } => {
            "it has neither a result nor an error".to_owned()
        }
        JsonRpcReply::Batch => "it is an array, and the call was no batch".to_owned(),
        JsonRpcReply::Request => "it is a request".to_owned(),
    }
}

/// What the server sent is not a reply.
fn unread(peer: &str, error: &ReplyError) -> CallError {
    match error {
        ReplyError::NotJson(_) | ReplyError::NoError(_) => CallError::bad_reply(peer, error),
        ReplyError::NotFinite | ReplyError::Inexact(_) => {
            CallError::NotExact { peer: peer.to_owned(), reason: error.to_string() }
        }
    }
}
