//! Calls over HTTP: `POST /rpc` takes JSON-RPC 2.0, `POST /call/METHOD` the bare arguments.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use rpc_host::web;
use rpc_wire::call::{Call, Message, Meta, Reply, ReplyTo, reply};
use rpc_wire::fault::{Code, Fault};
use rpc_wire::json::Json;
use rpc_wire::paths;
use serde_json::value::RawValue;

use super::caller::Caller;
use super::exchange::Exchange;
use super::{JSON, error, problem};
use crate::reserved::Reserved;
use crate::state::ServerState;

/// Content types of JSON-RPC requests. None is one that a form of a foreign web page could send.
const JSON_RPC_TYPES: [&str; 3] = [JSON, "application/json-rpc", "application/jsonrequest"];
const EVENT_STREAM: &str = "text/event-stream";
const NDJSON: &str = "application/x-ndjson";

/// `POST /rpc`.
pub(super) async fn json_rpc(
    state: Arc<ServerState>,
    caller: Caller,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    if !has_type(&head.headers, &JSON_RPC_TYPES) {
        return error(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the content type must be application/json",
        );
    }
    let replies = match Exchange::new(state, &caller, &head.headers) {
        Ok(mut exchange) => match json_rpc_replies(&mut exchange, body).await {
            Ok(()) => exchange.finish().await,
            Err(fault) => refused(&fault),
        },
        Err(fault) => refused(&fault),
    };
    if replies.is_empty() {
        return StatusCode::NO_CONTENT.into_response();
    }
    ([(header::CONTENT_TYPE, JSON)], replies).into_response()
}

/// The reply to a request of which no id is known.
fn refused(fault: &Fault) -> Vec<u8> {
    let mut out = Vec::new();
    reply::fault(&mut out, ReplyTo::JsonRpc(Json::NULL), fault);
    out
}

async fn json_rpc_replies(exchange: &mut Exchange, body: Body) -> Result<(), Fault> {
    let body = exchange.read(body).await?;
    let body = body.ok_or_else(|| Fault::new(Code::NotJson, "request is not JSON: it is empty"))?;
    let other = || Fault::new(Code::Malformed, "send a JSON-RPC 2.0 request: this has no jsonrpc");
    let message = match Message::parse(body.trim_ascii()) {
        Err(rejected) if rejected.fatal => return Err(rejected.fault),
        Ok(Message::Call(call)) if !call.reply_to.is_json_rpc() => return Err(other()),
        Err(rejected) if !rejected.reply_to.is_json_rpc() => return Err(other()),
        Ok(Message::Cancel(_)) => return Err(other()),
        message => message,
    };
    exchange.handle(message).await
}

/// `POST /call/METHOD`.
pub(super) async fn call(
    state: Arc<ServerState>,
    caller: Caller,
    method: String,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    if !has_type(&head.headers, &[JSON]) {
        return error(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the content type must be application/json",
        );
    }
    let mut exchange = match Exchange::new(state, &caller, &head.headers) {
        Ok(exchange) => exchange,
        Err(fault) => return problem::response(&fault, false),
    };
    if let Err(fault) = begin_call(&mut exchange, &method, &head.headers, body).await {
        return problem::response(&fault, exchange.is_known());
    }
    let mut replies = Replies { exchange, waiting: VecDeque::new() };
    match replies.next().await {
        Some(Step::Result(result)) => ([(header::CONTENT_TYPE, JSON)], result).into_response(),
        Some(Step::Failed(fault)) => problem::response(&fault, replies.exchange.is_known()),
        Some(first) => {
            replies.waiting.push_front(first);
            match asks_for(&head.headers, EVENT_STREAM) {
                true => replies.into_events(),
                false => replies.into_lines(),
            }
        }
        // A call has a reply.
        None => problem::response(&Fault::method_failed("there is no reply"), true),
    }
}

/// Starts the call in the extended dialect: with an id, so that its replies are typed.
async fn begin_call(
    exchange: &mut Exchange,
    method: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), Fault> {
    let deadline_ms = timeout(headers)?;
    let body = exchange.read(body).await?;
    let not_json = |error: serde_json::Error| {
        Fault::new(Code::NotJson, format!("request is not JSON: {error}"))
    };
    let arguments: Option<&RawValue> =
        body.as_deref().map(serde_json::from_slice).transpose().map_err(not_json)?;
    let arguments = arguments.map(Json::from).filter(|arguments| !arguments.is_null());
    let (args, kwargs) = match arguments {
        Some(arguments) if arguments.elements().is_some() => (Some(arguments), None),
        arguments => (None, arguments),
    };
    let traceparent = headers.get("traceparent").and_then(|value| value.to_str().ok());
    let traceparent = traceparent.and_then(|text| serde_json::value::to_raw_value(text).ok());
    let stream = is_stream(exchange.state(), method);
    let call = Call {
        reply_to: ReplyTo::Extended(Json::ZERO),
        method: method.into(),
        args,
        kwargs,
        has_arguments: true,
        meta: Meta { deadline_ms, stream, oneway: false },
        traceparent: traceparent.as_ref().map(Json::from),
        token: None,
    };
    exchange.handle(Ok(Message::Call(call))).await
}

fn is_stream(state: &ServerState, method: &str) -> bool {
    let is_the_log = || Reserved::find(method) == Some(Reserved::Logs);
    state.is_stream(method).unwrap_or_else(is_the_log)
}

/// Milliseconds until the deadline, if the request names one.
fn timeout(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    let Some(value) = headers.get(paths::TIMEOUT_HEADER) else { return Ok(None) };
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

fn asks_for(headers: &HeaderMap, content_type: &str) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|one| {
        let essence = one.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(content_type)
    })
}

/// What a call has replied.
enum Step {
    Result(String),
    Item(String),
    End,
    Failed(Fault),
}

impl Step {
    fn read(line: &[u8]) -> Option<Self> {
        Some(match Reply::parse(line).ok()? {
            Reply::Done { outcome: Ok(result), .. } => Self::Result(result.get().to_owned()),
            Reply::Done { outcome: Err(fault), .. } => Self::Failed(fault),
            Reply::Item { item, .. } => Self::Item(item.get().to_owned()),
            Reply::End { .. } => Self::End,
            Reply::Empty { .. } | Reply::Draining | Reply::Unknown => return None,
        })
    }
}

/// The replies to one call.
struct Replies {
    exchange: Exchange,
    waiting: VecDeque<Step>,
}

impl Replies {
    async fn next(&mut self) -> Option<Step> {
        while self.waiting.is_empty() {
            let written = self.exchange.next().await?;
            let lines = written.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            self.waiting.extend(lines.filter_map(Step::read));
        }
        self.waiting.pop_front()
    }

    /// Server-Sent Events: one with each item, at last `end` or `error`.
    fn into_events(self) -> Response {
        let events = stream::unfold(Some(self), |replies| async {
            let mut replies = replies?;
            let (event, rest) = match replies.next().await? {
                Step::Result(item) | Step::Item(item) => {
                    (Event::default().data(item), Some(replies))
                }
                Step::End => (Event::default().event("end").data("{}"), None),
                Step::Failed(fault) => {
                    let problem = problem::json(&fault, replies.exchange.is_known());
                    (Event::default().event("error").data(problem), None)
                }
            };
            Some((Ok::<_, io::Error>(event), rest))
        });
        Sse::new(events).keep_alive(KeepAlive::default()).into_response()
    }

    /// One line with each item. A body that is cut off has failed: its last line is the problem.
    fn into_lines(self) -> Response {
        enum State {
            Open(Box<Replies>),
            Failed,
        }
        let first = Some(State::Open(Box::new(self)));
        let lines = stream::unfold(first, |state| async {
            let mut replies = match state? {
                State::Open(replies) => replies,
                State::Failed => {
                    // hyper writes what it has only when there is nothing more for now.
                    tokio::task::yield_now().await;
                    return Some((Err(io::ErrorKind::ConnectionAborted.into()), None));
                }
            };
            let (mut line, rest) = match replies.next().await? {
                Step::Result(item) | Step::Item(item) => (item, State::Open(replies)),
                Step::End => return None,
                Step::Failed(fault) => {
                    (problem::json(&fault, replies.exchange.is_known()), State::Failed)
                }
            };
            line.push('\n');
            Some((Ok::<_, io::Error>(Bytes::from(line)), Some(rest)))
        });
        ([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response()
    }
}
