//! Sends a call and reports its outcome.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use rpc_client::{CallError, Client, Dialect, ErrorKind, Request, Response};
use rpc_wire::instance::InstanceKey;
use tokio::sync::mpsc;

use rpc_console_core::message::Msg;
use rpc_console_core::model::calls::CallRequest;
use rpc_console_core::model::calls::{CallId, Failure, Outcome, Phases};
use rpc_console_core::model::json::Document;

/// Interval of reports on how much of a reply has arrived.
const ARRIVALS: Duration = Duration::from_millis(200);
/// Results longer than this, in bytes, are laid out on the blocking pool.
const LARGE: usize = 64 * 1024;

/// The nearest whole number of milliseconds: texts of errors show the time.
fn whole_ms(left: Duration) -> Duration {
    Duration::from_millis(u64::try_from((left.as_micros() + 500) / 1000).unwrap_or(u64::MAX))
}

/// Sends a call to a candidate, and to the next one where it was provably not executed.
pub(super) async fn call(
    request: CallRequest,
    mut clients: Vec<(InstanceKey, Client)>,
    inbox: mpsc::Sender<Msg>,
) {
    clients.shuffle(&mut rand::rng());
    let start = Instant::now();
    let id = request.id;
    let mut last = None;
    let mut attempts = 0;
    for (key, client) in clients {
        attempts += 1;
        let left = whole_ms(request.timeout.saturating_sub(start.elapsed()));
        match once(&request, &client, left, &inbox).await {
            Ok(Reply::Value(response)) => {
                let outcome = replied(id, *response, start.elapsed(), attempts, &inbox).await;
                let _ = inbox.send(Msg::CallEnded(id, Box::new(outcome))).await;
                return;
            }
            Ok(Reply::StreamEnded) => {
                let outcome = stream_ended(&request, &key, start.elapsed());
                let _ = inbox.send(Msg::CallEnded(id, Box::new(outcome))).await;
                return;
            }
            Err(error) => {
                let retry = error.is_not_executed();
                last = Some((key, error));
                if !retry {
                    break;
                }
            }
        }
    }
    let failure = match &last {
        Some((_, error)) => failure(error),
        None => Failure { kind: "unreachable".to_owned(), text: "no instance to call".to_owned() },
    };
    let peer = last.map(|(key, _)| key.to_string());
    let sent = rpc_console_core::model::snippet::wire(&request.method, &request.args);
    let outcome = Outcome {
        result: Err(failure),
        peer,
        sent,
        reply_bytes: 0,
        timing: None,
        elapsed: start.elapsed(),
        attempts,
        classic: false,
    };
    let _ = inbox.send(Msg::CallEnded(id, Box::new(outcome))).await;
}

/// The outcome of a call that a person cancelled.
pub(super) fn cancelled() -> Outcome {
    let text = "cancelled; the server may already have executed it".to_owned();
    Outcome {
        result: Err(Failure { kind: "cancelled".to_owned(), text }),
        peer: None,
        sent: String::new(),
        reply_bytes: 0,
        timing: None,
        elapsed: Duration::ZERO,
        attempts: 1,
        classic: false,
    }
}

enum Reply {
    Value(Box<Response>),
    StreamEnded,
}

async fn once(
    request: &CallRequest,
    client: &Client,
    left: Duration,
    inbox: &mpsc::Sender<Msg>,
) -> Result<Reply, CallError> {
    let bad = |error: rpc_client::ArgsError| CallError::BadArguments(error.to_string());
    let mut call = Request::new(&request.method, request.args.clone()).map_err(bad)?;
    if !request.stream {
        call.timeout = Some(left);
        let response = tokio::select! {
            biased;
            response = client.request(call) => response?,
            never = report_arrivals(request.id, client, inbox) => match never {},
        };
        return Ok(Reply::Value(Box::new(response)));
    }
    let mut items = client.stream_request(call).await?;
    while let Some(item) = items.next().await {
        let item = item?;
        let text = item.value.get().to_owned();
        if inbox.send(Msg::StreamItem(request.id, text, item.dropped)).await.is_err() {
            break;
        }
    }
    Ok(Reply::StreamEnded)
}

/// Reports how many bytes have arrived from the instance since the call started, once they are many.
/// They include its log and health replies, which are small beside a large result.
async fn report_arrivals(id: CallId, client: &Client, inbox: &mpsc::Sender<Msg>) -> Infallible {
    let before = client.stats().received_bytes;
    let mut reported = LARGE;
    loop {
        tokio::time::sleep(ARRIVALS).await;
        let arrived = client.stats().received_bytes.saturating_sub(before);
        let arrived = usize::try_from(arrived).unwrap_or(usize::MAX);
        if arrived > reported {
            reported = arrived;
            let _ = inbox.send(Msg::Receiving(id, arrived)).await;
        }
    }
}

async fn replied(
    id: CallId,
    response: Response,
    elapsed: Duration,
    attempts: u32,
    inbox: &mpsc::Sender<Msg>,
) -> Outcome {
    let value = response.value;
    let document = if value.get().len() > LARGE {
        let _ = inbox.send(Msg::Parsing(id, value.get().len())).await;
        tokio::task::spawn_blocking(move || Document::new(value)).await.unwrap_or_default()
    } else {
        Document::new(value)
    };
    let timing = response.timing;
    Outcome {
        result: Ok(Arc::new(document)),
        peer: Some(response.peer),
        sent: String::from_utf8_lossy(&response.sent).into_owned(),
        reply_bytes: response.reply_bytes,
        timing: Some(Phases {
            queue: timing.queue,
            connect: timing.connect,
            server: timing.server,
            transfer: timing.transfer,
        }),
        elapsed,
        attempts: attempts - 1 + response.attempts,
        classic: response.dialect == Dialect::Classic,
    }
}

fn stream_ended(request: &CallRequest, key: &InstanceKey, elapsed: Duration) -> Outcome {
    Outcome {
        result: Ok(Arc::new(Document::of_text("null"))),
        peer: Some(key.to_string()),
        sent: rpc_console_core::model::snippet::wire(&request.method, &request.args),
        reply_bytes: 0,
        timing: None,
        elapsed,
        attempts: 1,
        classic: false,
    }
}

fn failure(error: &CallError) -> Failure {
    let kind = match (error, error.kind()) {
        (CallError::Remote { fault, .. }, _) => format!("remote error {}", fault.code),
        (_, ErrorKind::Remote) => "invalid reply".to_owned(),
        (_, ErrorKind::Usage) => "not sent".to_owned(),
        (_, ErrorKind::Unreachable) => "unreachable".to_owned(),
        (_, ErrorKind::Timeout) => "timeout".to_owned(),
    };
    Failure { kind, text: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_shown_without_nanoseconds() {
        assert_eq!(whole_ms(Duration::from_nanos(9_999_999_534)), Duration::from_secs(10));
        assert_eq!(whole_ms(Duration::from_nanos(1_499_400)), Duration::from_millis(1));
    }
}
