//! How a call ended, as the result that an agent reads: failures, too, with what to do about them.

use std::borrow::Cow;

use rpc_client::{CallError, Code, ErrorKind, Fault, Rounded};
use rpc_host::logging::escape_controls;
use rpc_wire::call::Types;
use rpc_wire::json::Json;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::protocol::Call;
use crate::reply::Reply;
use crate::strict;

/// How a call ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// With a result.
    Value(Box<RawValue>),
    /// With what a stream has sent, and why it did not go on.
    Items { items: Vec<String>, stopped: Option<Stopped> },
    /// With an error.
    Failed(CallError),
    /// Its result is longer than `max_result_bytes`.
    TooLarge { limit: usize },
    /// Its result is JSON that agents cannot read: they would lose the whole reply.
    Unreadable { why: String },
    /// There are `max_calls` already.
    Busy { limit: usize },
    /// By HTTP there is no room for its result.
    NoRoom { why: String },
    /// It was not made, since it could not be noted.
    Unaudited { why: String },
}

/// Why a stream was stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// The time of the call was over.
    Time,
    /// There was no room for more.
    Room,
}

/// The result of `tools/call`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult<'a> {
    content: Vec<Text<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    structured_content: Option<Cow<'a, RawValue>>,
    is_error: bool,
}

#[derive(Debug, Serialize)]
struct Text<'a> {
    r#type: &'static str,
    text: Cow<'a, str>,
}

impl Outcome {
    /// The same, if agents can read its result.
    pub(crate) fn readable(self) -> Self {
        let why = match &self {
            Self::Value(value) => strict::unreadable(value.get()),
            Self::Items { items, .. } => items.iter().find_map(|item| strict::unreadable(item)),
            _ => None,
        };
        why.map_or(self, |why| Self::Unreadable { why })
    }

    /// Bytes of a result as it came; `None`: it is a text that says what happened, which is short.
    pub(crate) fn result_bytes(&self) -> Option<usize> {
        match self {
            Self::Value(value) => Some(value.get().len()),
            Self::Items { items, .. } => Some(items.iter().map(|item| item.len() + 1).sum()),
            _ => None,
        }
    }

    /// The reply to the call.
    pub(crate) fn reply(&self, call: &Call) -> Reply {
        let wraps = !call.era.is_modern();
        let json = match self {
            Self::Value(value) => Json::from(value).compact(),
            Self::Items { items, .. } => Cow::Owned(format!("[{}]", items.join(","))),
            _ => Cow::default(),
        };
        let mistaken = match self {
            Self::Value(_) => call.tool.mistaken_types(&json),
            Self::Items { items, .. } => {
                items.iter().find_map(|item| call.tool.mistaken_types(item.trim_start()))
            }
            _ => None,
        };
        // Clients that check it would refuse the whole result.
        let structured = |mut content: Vec<_>| match mistaken {
            Some(types) => {
                content.push(text(misfit(&call.tool.method, types)));
                ToolResult { content, structured_content: None, is_error: true }
            }
            None => ToolResult {
                content,
                structured_content: structured(&json, call, wraps),
                is_error: false,
            },
        };
        let result = match self {
            Self::Value(value) => structured(vec![text(readable(value))]),
            Self::Items { items, stopped } => {
                let mut content = vec![text(&*json)];
                content.extend(stopped.map(|why| text(why.text(items.len()))));
                structured(content)
            }
            failed => ToolResult {
                content: vec![text(cut(failed.advice(&call.tool.method)))],
                structured_content: None,
                is_error: true,
            },
        };
        Reply::result(&call.id, call.era, result)
    }

    /// In a word, for the audit.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Value(_) | Self::Items { .. } => "ok",
            Self::Busy { .. } => "busy",
            Self::NoRoom { .. } => "no_room",
            Self::Unaudited { .. } => "unaudited",
            Self::TooLarge { .. } => "too_large",
            Self::Unreadable { .. } => "unreadable",
            Self::Failed(CallError::Remote { fault, .. }) if fault.code == Code::BadArguments => {
                "bad_arguments"
            }
            Self::Failed(CallError::Remote { fault, .. }) if fault.code == Code::Unauthorised => {
                "not_allowed"
            }
            Self::Failed(error) => match error.kind() {
                ErrorKind::Timeout => "timeout",
                ErrorKind::Unreachable => "unreachable",
                _ => "failed",
            },
        }
    }

    /// What happened, and what to do next, without a code.
    fn advice(&self, method: &str) -> String {
        match self {
            Self::TooLarge { limit } => format!(
                "The result of {method} has more than {limit} bytes; ask for less of it at a time."
            ),
            Self::Unreadable { why } => format!(
                "{method} was called, but its result is no JSON that programs can read: {why}. Tell who runs {method}."
            ),
            Self::Busy { limit } => {
                format!(
                    "{method} was not called: {limit} calls are in flight; wait until some have ended."
                )
            }
            Self::NoRoom { why } => {
                format!("{method} was called, but there is no room for its result: {why}")
            }
            Self::Unaudited { why } => format!(
                "{method} was not called: the gateway cannot write its audit log ({why}); tell its operator, and try again when that is mended."
            ),
            Self::Failed(error) => of_error(method, error),
            Self::Value(_) | Self::Items { .. } => String::new(),
        }
    }
}

fn misfit(method: &str, types: Types) -> String {
    format!(
        "{method} was called, and this is its result, but not of the type that {method} says: {types}. Tell who runs {method}."
    )
}

fn of_error(method: &str, error: &CallError) -> String {
    match error {
        CallError::Remote { fault, .. } => of_fault(method, fault),
        CallError::Refused { .. } => {
            format!(
                "{method} was not called: its server takes no more calls now; try again in a moment."
            )
        }
        CallError::Timeout { after, .. } if error.may_have_run() => format!(
            "{method} gave no result within {}; it may still be running, so call it again only if that does no harm.",
            Rounded(*after)
        ),
        CallError::Timeout { after, .. } => format!(
            "{method} was not called: no server took the call within {}; try again in a moment.",
            Rounded(*after)
        ),
        CallError::ConnectionLost { executed: true, .. } => format!(
            "The server of {method} ended during the call, which may have run; call it again only if that does no harm."
        ),
        CallError::Unreachable { .. } | CallError::ConnectionLost { .. } => format!(
            "{method} was not called: its server cannot be reached; try again in a moment, or list the tools again."
        ),
        CallError::NoInstance { .. } | CallError::NoSuchMethod(_) => format!(
            "{method} was not called: no live server offers it now; list the tools again to see what there is."
        ),
        // What only who runs the gateway can change; each says what.
        other => format!("{method} failed: {other}. Tell this to who runs the gateway."),
    }
}

fn of_fault(method: &str, fault: &Fault) -> String {
    let why = &fault.message;
    let data = fault.data.as_ref().map(data).unwrap_or_default();
    match fault.code {
        Code::BadArguments => {
            format!(
                "The arguments of {method} are wrong: {why}{data}. Correct them by the tool's input schema, and call again."
            )
        }
        Code::MethodNotFound => {
            format!(
                "{method} was not called: no live server offers it now{data}; list the tools again to see what there is."
            )
        }
        Code::Overloaded | Code::Draining => {
            format!(
                "{method} was not called: its server takes no more calls now; try again in a moment."
            )
        }
        Code::DeadlineExceeded => format!(
            "{method} was not done in its time; ask for less of it, and call it again only if that does no harm."
        ),
        Code::Cancelled => format!("The call of {method} was cancelled."),
        Code::Abandoned => format!(
            "The server of {method} ended during the call, which may have run; call it again only if that does no harm."
        ),
        Code::Unauthorised => format!(
            "{method} was not called: the gateway itself may not call it ({why}). Tell this to who runs the gateway."
        ),
        Code::TooLarge => format!("{method} failed: {why}. Ask for less of it, or send less."),
        Code::NotJson | Code::Malformed | Code::MethodFailed | Code::Other(_) => {
            format!("{method} failed: {why}{data}")
        }
    }
}

impl Stopped {
    fn text(self, count: usize) -> String {
        let why = match self {
            Self::Time => "the time of a call was over",
            Self::Room => "a result has no room for more",
        };
        format!("These are the first {count} items; the stream was stopped there, since {why}.")
    }
}

/// What an error says beside its text, in parentheses: the start of it, so that there is room for what to do next.
fn data(data: &Value) -> String {
    const MAX_CHARS: usize = 2000;
    let data = escape_controls(&data.to_string()).into_owned();
    match data.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!(" ({}…)", &data[..end]),
        None => format!(" ({data})"),
    }
}

/// A server may write any text into an error; agents read the start.
fn cut(mut text: String) -> String {
    const MAX_BYTES: usize = 8 << 10;
    if text.len() > MAX_BYTES {
        text.truncate(text.floor_char_boundary(MAX_BYTES));
        text.push('…');
    }
    text
}

/// A string without quotes, anything else as JSON.
fn readable(value: &RawValue) -> Cow<'_, str> {
    let json = Json::from(value);
    json.as_string().unwrap_or_else(|| json.compact())
}

fn text<'a>(text: impl Into<Cow<'a, str>>) -> Text<'a> {
    Text { r#type: "text", text: text.into() }
}

/// The result as the tool's output schema has it.
fn structured<'a>(value: &'a str, call: &Call, wraps: bool) -> Option<Cow<'a, RawValue>> {
    let is_object = value.starts_with('{');
    match wraps && (call.tool.wraps || !is_object) {
        true => RawValue::from_string(format!("{{\"result\":{value}}}")).ok().map(Cow::Owned),
        false => serde_json::from_str(value).ok().map(Cow::Borrowed),
    }
}

#[cfg(test)]
mod tests;
