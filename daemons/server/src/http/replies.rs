//! The replies to one call of `POST /call/METHOD`: a result, or a stream as lines or events.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use hyper::header;
use hyper::header::HeaderValue;
use rpc_wire::call::{Reply as Received, reply};
use rpc_wire::fault::Fault;
use rpc_wire::json::Json;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::activity::Asking;
use super::exchange::Exchange;
use super::headers::Headers;
use super::problem;
use super::reply::{Reply, streamed};

/// Of the one call of `POST /call/METHOD`.
pub(super) const ID: Json<'static> = Json::ZERO;

const EVENT_STREAM: &str = "text/event-stream";
const NDJSON: &str = "application/x-ndjson";
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// After so long without an event a comment shows that the stream lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const COMMENT: &[u8] = b":\n\n";
/// How often is looked whether a peer has taken the last line of a stream that failed; it has `write_timeout` for that.
const WRITING_LOOK: Duration = Duration::from_millis(5);

/// What a call has replied.
pub(super) enum Step {
    Result(Bytes),
    /// A result that all share.
    Document(Bytes),
    Item(Bytes),
    End,
    Failed(Fault),
}

impl Step {
    fn read(line: &Bytes) -> Option<Self> {
        let part = |json: &RawValue| line.slice_ref(json.get().as_bytes());
        Some(match Received::parse(line).ok()? {
            Received::Done { outcome: Ok(result), .. } => Self::Result(part(result)),
            Received::Done { outcome: Err(fault), .. } => Self::Failed(fault),
            Received::Item { item, .. } => Self::Item(part(item)),
            Received::End { .. } => Self::End,
            Received::Empty { .. } | Received::Draining | Received::Unknown => return None,
        })
    }
}

/// The replies to one call.
pub(super) struct Replies {
    exchange: Exchange,
    waiting: VecDeque<Step>,
    /// Of a stream, until all of it is written.
    asking: Option<Asking>,
}

impl Replies {
    /// Those to the call of this exchange.
    pub(super) fn new(exchange: Exchange) -> Self {
        Self { exchange, waiting: VecDeque::new(), asking: None }
    }

    pub(super) async fn next(&mut self) -> Option<Step> {
        while self.waiting.is_empty() {
            let (written, documents) = self.exchange.next().await?;
            if let Some((_, document)) = documents.first() {
                // The whole result of the only call.
                return Some(Step::Document(document.clone()));
            }
            let written = Bytes::from(written);
            if let Some(result) = reply::sole_result(&written, ID) {
                return Some(Step::Result(written.slice_ref(result)));
            }
            let lines = written.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let steps = lines.filter_map(|line| Step::read(&written.slice_ref(line)));
            self.waiting.extend(steps);
        }
        self.waiting.pop_front()
    }

    /// Whether the caller is known by the token it has shown.
    pub(super) fn is_of_known(&mut self) -> bool {
        self.exchange.is_known()
    }

    /// The stream that begins with this step, in the form that the caller asks for.
    pub(super) fn stream(mut self, first: Step, headers: &Headers<'_>, asking: Asking) -> Reply {
        self.waiting.push_front(first);
        self.asking = Some(asking);
        match asks_for(headers, EVENT_STREAM) {
            true => self.into_events(),
            false => self.into_lines(),
        }
    }

    /// Server-Sent Events: one with each item, at last `end` or `error`.
    fn into_events(self) -> Reply {
        let events = stream::unfold(Some(self), |replies| async {
            let mut replies = replies?;
            let Ok(step) = timeout(KEEP_ALIVE, replies.next()).await else {
                return Some((Ok(Bytes::from_static(COMMENT)), Some(replies)));
            };
            let (event, rest) = match step? {
                Step::Result(item) | Step::Document(item) | Step::Item(item) => {
                    (event(b"", &item), Some(replies))
                }
                Step::End => (event(b"event: end\n", b"{}"), None),
                Step::Failed(fault) => {
                    let problem = problem::json(&fault, replies.is_of_known());
                    (event(b"event: error\n", problem.as_bytes()), None)
                }
            };
            Some((Ok(event), rest))
        });
        streamed(EVENT_STREAM, events).with(header::CACHE_CONTROL, NO_CACHE)
    }

    /// One line with each item. A body that is cut off has failed: its last line is the problem.
    fn into_lines(self) -> Reply {
        enum State {
            Open(Box<Replies>),
            Failed(Option<Asking>),
        }
        let first = Some(State::Open(Box::new(self)));
        let lines = stream::unfold(first, |state| async {
            let mut replies = match state? {
                State::Open(replies) => replies,
                State::Failed(asking) => {
                    // hyper writes what it has when there is nothing more for now, and forgets what is left of it
                    // when the body fails.
                    tokio::task::yield_now().await;
                    while asking.as_ref().is_some_and(Asking::is_writing) {
                        tokio::time::sleep(WRITING_LOOK).await;
                    }
                    return Some((Err(io::ErrorKind::ConnectionAborted.into()), None));
                }
            };
            let (mut line, rest) = match replies.next().await? {
                Step::Result(item) | Step::Document(item) | Step::Item(item) => {
                    (item.to_vec(), State::Open(replies))
                }
                Step::End => return None,
                Step::Failed(fault) => {
                    let problem = problem::json(&fault, replies.is_of_known());
                    (problem.into_bytes(), State::Failed(replies.asking.take()))
                }
            };
            line.push(b'\n');
            Some((Ok(Bytes::from(line)), Some(rest)))
        });
        streamed(NDJSON, lines)
    }
}

/// An event with this JSON. Line ends between its parts would end a field.
fn event(name: &[u8], data: &[u8]) -> Bytes {
    let mut event = name.to_vec();
    for line in data.split(|byte| matches!(byte, b'\n' | b'\r')) {
        event.extend([b"data: ", line, b"\n"].into_iter().flatten());
    }
    event.push(b'\n');
    event.into()
}

fn asks_for(headers: &Headers<'_>, content_type: &str) -> bool {
    headers.accepted().flat_map(|value| value.split(',')).any(|one| {
        let essence = one.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case(content_type)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_the_whole_of_its_data() {
        assert_eq!(event(b"", b"1"), "data: 1\n\n");
        let event = event(b"event: end\n", b"[1,\r2,\n3]");
        assert_eq!(event, "event: end\ndata: [1,\ndata: 2,\ndata: 3]\n\n");
    }
}
