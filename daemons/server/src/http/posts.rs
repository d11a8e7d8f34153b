//! Calls over HTTP: `POST /rpc` takes JSON-RPC 2.0, `POST /call/METHOD` the bare arguments.

use std::sync::Arc;

use hyper::StatusCode;
use hyper::body::Incoming;
use rpc_wire::call::{Call, Message, Messages, Meta, ReplyTo, reply};
use rpc_wire::fault::{Code, Fault};
use rpc_wire::framing::Framer;
use rpc_wire::json::Json;
use rpc_wire::paths;
use serde_json::value::RawValue;

use super::activity::Asking;
use super::caller::Caller;
use super::exchange::Exchange;
use super::headers::Headers;
use super::notifications::Lasting;
use super::problem;
use super::replies::{ID, Replies, Step};
use super::reply::{JSON, Reply, empty, shared, whole};
use crate::reserved::Reserved;
use crate::session::{Defaults, Documents};
use crate::state::ServerState;

/// Content types of JSON-RPC requests. None is one that a form of a foreign web page could send.
const JSON_RPC_TYPES: [&str; 3] = [JSON, "application/json-rpc", "application/jsonrequest"];

/// `POST /rpc`.
pub(super) async fn json_rpc(
    state: &Arc<ServerState>,
    caller: &Caller,
    headers: &Headers<'_>,
    body: &mut Incoming,
) -> Reply {
    if !headers.has_type(&JSON_RPC_TYPES) {
        return of_another_type(paths::RPC);
    }
    let replies = match Exchange::new(state, caller, headers) {
        Ok(exchange) => {
            let mut lasting = Lasting { exchange: Some(exchange), state, caller };
            json_rpc_replies(state, &mut lasting.exchange, headers, body).await
        }
        Err(fault) => Err(fault),
    };
    let (replies, documents) =
        replies.unwrap_or_else(|fault| (refused(&fault), Documents::default()));
    match replies.is_empty() {
        true => empty(StatusCode::NO_CONTENT),
        false if documents.bytes() > 0 => shared(JSON, documents.among(replies)),
        false => whole(JSON, replies),
    }
}

/// The reply to a request of which no id is known.
fn refused(fault: &Fault) -> Vec<u8> {
    let mut out = Vec::new();
    reply::fault(&mut out, ReplyTo::JsonRpc(Json::NULL), fault);
    out
}

async fn json_rpc_replies(
    state: &ServerState,
    exchange: &mut Option<Exchange>,
    headers: &Headers<'_>,
    body: &mut Incoming,
) -> Result<(Vec<u8>, Documents), Fault> {
    // It is taken when nobody waits for replies any more.
    let Some(exchange) = exchange else { return Ok(Default::default()) };
    begin_json_rpc(state, exchange, headers, body).await?;
    exchange.handle_batch(state).await;
    Ok(exchange.finish().await)
}

/// Begins with the message. Its bytes are not kept: those of a batch are kept as its own.
async fn begin_json_rpc(
    state: &ServerState,
    exchange: &mut Exchange,
    headers: &Headers<'_>,
    body: &mut Incoming,
) -> Result<(), Fault> {
    let defaults = headers.defaults();
    let body = exchange.read(state, body).await?;
    let empty = || Fault::new(Code::NotJson, "request is not JSON: it is empty");
    let received = exchange.sole(&body, |framer, body| Messages::new(framer, body).next())?;
    let (message, _) = received.ok_or_else(empty)?;
    let other = || Fault::new(Code::Malformed, "send a JSON-RPC 2.0 request: this has no jsonrpc");
    let message = match message {
        Err(rejected) if rejected.fatal => return Err(rejected.fault),
        Ok(Message::Call(call)) if !call.reply_to.is_json_rpc() => return Err(other()),
        Err(rejected) if !rejected.reply_to.is_json_rpc() => return Err(other()),
        Ok(Message::Cancel(_)) => return Err(other()),
        Ok(Message::Call(call)) => match defaults.as_ref().and_then(Defaults::refusal) {
            Some(fault) => {
                exchange.refuse(&call, fault);
                return Ok(());
            }
            None => Ok(Message::Call(with_defaults(call, defaults.as_ref()))),
        },
        Ok(Message::Batch(batch)) => {
            defaults.into_iter().for_each(|defaults| exchange.set_defaults(defaults));
            Ok(Message::Batch(batch))
        }
        message => message,
    };
    exchange.begin(state, message)
}

/// `POST /call/METHOD`.
pub(super) async fn call(
    state: &Arc<ServerState>,
    caller: &Caller,
    method: &str,
    (headers, body): (&Headers<'_>, &mut Incoming),
    ask: impl FnOnce() -> Asking,
) -> Reply {
    if !headers.has_type(&[JSON]) {
        return of_another_type(paths::CALL);
    }
    let mut exchange = match Exchange::new(state, caller, headers) {
        Ok(exchange) => exchange,
        Err(fault) => return problem::response(&fault, false),
    };
    if let Err(fault) = begin_call(state, &mut exchange, method, headers, body).await {
        return problem::response(&fault, exchange.is_known());
    }
    let mut replies = Replies::new(exchange);
    match replies.next().await {
        Some(Step::Result(result)) => whole(JSON, result),
        Some(Step::Document(document)) => shared(JSON, [document]),
        Some(Step::Failed(fault)) => problem::response(&fault, replies.is_of_known()),
        Some(first) => replies.stream(first, headers, ask()),
        // A call has a reply.
        None => problem::response(&Fault::method_failed("there is no reply"), true),
    }
}

/// Starts the call in the extended dialect: with an id, so that its replies are typed.
async fn begin_call(
    state: &ServerState,
    exchange: &mut Exchange,
    method: &str,
    headers: &Headers<'_>,
    body: &mut Incoming,
) -> Result<(), Fault> {
    let defaults = headers.defaults();
    if let Some(fault) = defaults.as_ref().and_then(Defaults::refusal) {
        return Err(fault.clone());
    }
    let body = exchange.read(state, body).await?;
    let range = exchange.sole(&body, Framer::next)?;
    let body = range.and_then(|range| body.get(range));
    let not_json = |error: serde_json::Error| {
        Fault::new(Code::NotJson, format!("request is not JSON: {error}"))
    };
    let arguments: Option<&RawValue> =
        body.map(serde_json::from_slice).transpose().map_err(not_json)?;
    let arguments = arguments.map(Json::from).filter(|arguments| !arguments.is_null());
    let (args, kwargs) = match arguments {
        Some(arguments) if arguments.elements().is_some() => (Some(arguments), None),
        arguments => (None, arguments),
    };
    let stream = is_stream(state, method);
    let call = Call {
        reply_to: ReplyTo::Extended(ID),
        method: method.into(),
        args,
        kwargs,
        has_arguments: true,
        meta: Meta { deadline_ms: None, stream, oneway: false },
        traceparent: None,
        token: None,
    };
    let call = with_defaults(call, defaults.as_ref());
    exchange.begin(state, Ok(Message::Call(call)))
}

fn with_defaults<'a>(call: Call<'a>, defaults: Option<&'a Defaults>) -> Call<'a> {
    match defaults {
        Some(defaults) => defaults.of(call),
        None => call,
    }
}

fn is_stream(state: &ServerState, method: &str) -> bool {
    let is_the_log = || Reserved::find(method) == Some(Reserved::Logs);
    state.is_stream(method).unwrap_or_else(is_the_log)
}

fn of_another_type(path: &str) -> Reply {
    let text = "the content type must be application/json";
    problem::refusal(path, StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
}
