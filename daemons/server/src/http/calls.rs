//! Calls over HTTP: `POST /rpc` takes JSON-RPC 2.0, `POST /call/METHOD` the bare arguments.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, StatusCode, header};
use rpc_host::web;
use rpc_wire::call::{Call, Message, Messages, Meta, ReplyTo, reply};
use rpc_wire::fault::{Code, Fault};
use rpc_wire::framing::Framer;
use rpc_wire::json::Json;
use rpc_wire::paths;
use serde_json::value::RawValue;

use super::caller::Caller;
use super::exchange::Exchange;
use super::problem;
use super::replies::{ID, Replies, Step};
use super::reply::{JSON, Reply, empty, whole};
use crate::reserved::Reserved;
use crate::state::ServerState;

const TIMEOUT: HeaderName = HeaderName::from_static(paths::TIMEOUT_HEADER);
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Content types of JSON-RPC requests. None is one that a form of a foreign web page could send.
const JSON_RPC_TYPES: [&str; 3] = [JSON, "application/json-rpc", "application/jsonrequest"];

/// `POST /rpc`.
pub(super) async fn json_rpc(
    state: &Arc<ServerState>,
    caller: &Caller,
    headers: &HeaderMap,
    body: Incoming,
) -> Reply {
    if !has_type(headers, &JSON_RPC_TYPES) {
        return of_another_type(paths::RPC);
    }
    let replies = match Exchange::new(state, caller, headers) {
        Ok(mut exchange) => match json_rpc_replies(state, &mut exchange, body).await {
            Ok(()) => exchange.finish().await,
            Err(fault) => refused(&fault),
        },
        Err(fault) => refused(&fault),
    };
    match replies.is_empty() {
        true => empty(StatusCode::NO_CONTENT),
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
    exchange: &mut Exchange,
    body: Incoming,
) -> Result<(), Fault> {
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
        message => message,
    };
    exchange.handle(state, message).await
}

/// `POST /call/METHOD`.
pub(super) async fn call(
    state: &Arc<ServerState>,
    caller: &Caller,
    method: &str,
    headers: &HeaderMap,
    body: Incoming,
) -> Reply {
    if !has_type(headers, &[JSON]) {
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
        Some(Step::Failed(fault)) => problem::response(&fault, replies.is_of_known()),
        Some(first) => replies.stream(first, headers),
        // A call has a reply.
        None => problem::response(&Fault::method_failed("there is no reply"), true),
    }
}

/// Starts the call in the extended dialect: with an id, so that its replies are typed.
async fn begin_call(
    state: &ServerState,
    exchange: &mut Exchange,
    method: &str,
    headers: &HeaderMap,
    body: Incoming,
) -> Result<(), Fault> {
    let deadline_ms = timeout(headers)?;
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
    let traceparent = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    let traceparent = traceparent.and_then(|text| serde_json::value::to_raw_value(text).ok());
    let stream = is_stream(state, method);
    let call = Call {
        reply_to: ReplyTo::Extended(ID),
        method: method.into(),
        args,
        kwargs,
        has_arguments: true,
        meta: Meta { deadline_ms, stream, oneway: false },
        traceparent: traceparent.as_ref().map(Json::from),
        token: None,
    };
    exchange.handle(state, Ok(Message::Call(call))).await
}

fn is_stream(state: &ServerState, method: &str) -> bool {
    let is_the_log = || Reserved::find(method) == Some(Reserved::Logs);
    state.is_stream(method).unwrap_or_else(is_the_log)
}

/// Milliseconds until the deadline, if the request names one.
fn timeout(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let seconds = value.to_str().ok().and_then(|text| text.trim().parse::<f64>().ok());
    let duration = seconds
        .filter(|seconds| *seconds >= 0.001)
        .map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
    let wrong = "the header Timeout must be seconds, 0.001 at least, such as 2.5";
    let wrong = || Fault::new(Code::Malformed, wrong);
    let milliseconds = duration.ok_or_else(wrong)?.as_millis();
    Ok(Some(u64::try_from(milliseconds).unwrap_or(u64::MAX)))
}

fn has_type(headers: &HeaderMap, types: &[&str]) -> bool {
    let given = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    web::has_type(given, headers.contains_key(header::ORIGIN), types)
}

fn of_another_type(path: &str) -> Reply {
    let text = "the content type must be application/json";
    problem::refusal(path, StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
}
