//! One call as one line of JSON.

use std::time::Duration;

use rpc_wire::call::Args;
use rpc_wire::instance::Instance;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use rpc_console_core::model::calls::{Failure, PastCall, PastOutcome};

/// A line of the file; later versions may add fields. Arguments are raw, so that numbers keep every digit.
#[derive(Serialize, Deserialize)]
struct Line {
    at_ms: u64,
    method: String,
    args: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kwargs: Option<Box<RawValue>>,
    /// Both as written, if they refer to variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written: Option<[Box<RawValue>; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Address>,
    timeout_ms: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure: Option<Failed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    took_us: u64,
    reply_bytes: usize,
}

#[derive(Serialize, Deserialize)]
struct Address {
    host: String,
    port: u16,
}

#[derive(Serialize, Deserialize)]
struct Failed {
    kind: String,
    text: String,
}

/// The line of a call; `None` if its arguments are not JSON.
pub(super) fn write(call: &PastCall) -> Option<String> {
    let raw = |json: &str| serde_json::from_str::<Box<RawValue>>(json).ok();
    let is_written_so = call.written == call.args;
    let number = |time: u128| u64::try_from(time).unwrap_or(u64::MAX);
    let line = Line {
        at_ms: call.at_ms,
        method: call.method.clone(),
        args: raw(call.args.positional())?,
        kwargs: match call.args.keyword() {
            "{}" => None,
            keyword => Some(raw(keyword)?),
        },
        written: match is_written_so {
            true => None,
            false => Some([raw(call.written.positional())?, raw(call.written.keyword())?]),
        },
        target: call.target.as_ref().map(|key| Address { host: key.host.clone(), port: key.port }),
        timeout_ms: number(call.timeout.as_millis()),
        stream: call.stream,
        failure: call
            .outcome
            .failure
            .as_ref()
            .map(|failure| Failed { kind: failure.kind.clone(), text: failure.text.clone() }),
        peer: call.outcome.peer.clone(),
        took_us: number(call.outcome.elapsed.as_micros()),
        reply_bytes: call.outcome.reply_bytes,
    };
    // A value may bring line breaks between its parts; a line may not.
    let text = serde_json::to_string(&line).ok()?;
    Some(text.replace(['\n', '\r'], " "))
}

/// The call of a line, if it is one.
pub(super) fn read(text: &str) -> Option<PastCall> {
    let line: Line = serde_json::from_str(text).ok()?;
    let none = RawValue::from_string("{}".to_owned()).ok()?;
    let args = Args::from_json(&line.args, line.kwargs.as_deref().unwrap_or(&none)).ok()?;
    Some(PastCall {
        at_ms: line.at_ms,
        method: line.method,
        written: match &line.written {
            Some([positional, keyword]) => Args::from_json(positional, keyword).ok()?,
            None => args.clone(),
        },
        args,
        target: line.target.map(|at| Instance::new(at.host, at.port).key()),
        timeout: Duration::from_millis(line.timeout_ms),
        stream: line.stream,
        outcome: PastOutcome {
            failure: line.failure.map(|failed| Failure {
                kind: failed.kind,
                text: failed.text,
                ..Failure::default()
            }),
            peer: line.peer,
            elapsed: Duration::from_micros(line.took_us),
            reply_bytes: line.reply_bytes,
        },
    })
}
