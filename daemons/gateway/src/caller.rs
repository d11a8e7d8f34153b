//! Makes a call through the client library, like any other caller.

use std::time::Duration;

use rpc_client::{CallError, Client, Code, Request, StreamItem};
use rpc_wire::json::Json;
use tokio::time::Instant;

use crate::GatewayOptions;
use crate::era::ProgressToken;
use crate::outcome::{Outcome, Stopped};
use crate::protocol::Call;
use crate::reply;

/// Where reports of progress go. They may be dropped.
pub(crate) type Report<'a> = &'a mut (dyn FnMut(String) + Send);

/// Makes the call; the items of a stream are reported as its progress.
pub(crate) async fn call(
    client: &Client,
    call: &Call,
    options: &GatewayOptions,
    report: Report<'_>,
) -> Outcome {
    made(client, call, options, report).await.readable()
}

async fn made(
    client: &Client,
    call: &Call,
    options: &GatewayOptions,
    report: Report<'_>,
) -> Outcome {
    let request = match Request::new(&call.tool.method, call.arguments.clone()) {
        Ok(request) => request.timeout(options.timeout),
        Err(error) => return Outcome::Failed(CallError::BadArguments(error.to_string())),
    };
    let (service, traceparent) = (call.service.clone(), call.traceparent.clone());
    let request = Request { service, traceparent, ..request };
    if call.tool.stream {
        let mut progress = call.progress.as_ref().map(|token| Progress {
            token,
            interval: options.progress_interval,
            last: None,
        });
        return items(client, request, options, |count, item| {
            if let Some(text) = progress.as_mut().and_then(|it| it.of(count, item)) {
                report(text);
            }
        })
        .await;
    }
    match client.request(request).await {
        Ok(response) if response.value.get().len() > options.max_result_bytes => {
            Outcome::TooLarge { limit: options.max_result_bytes }
        }
        Ok(response) => Outcome::Value(response.value),
        Err(error) => Outcome::Failed(error),
    }
}

async fn items(
    client: &Client,
    request: Request,
    options: &GatewayOptions,
    mut on_item: impl FnMut(u64, &StreamItem),
) -> Outcome {
    let mut stream = match client.stream_request(request).await {
        Ok(stream) => stream,
        Err(error) => return Outcome::Failed(error),
    };
    let (mut items, mut bytes) = (Vec::new(), 0);
    while let Some(item) = stream.next().await {
        match item {
            Ok(item) => {
                bytes += item.value.get().len() + 1;
                if items.len() >= options.max_items || bytes > options.max_result_bytes {
                    return Outcome::Items { items, stopped: Some(Stopped::Room) };
                }
                items.push(Json::from(&item.value).compact().into_owned());
                on_item(items.len() as u64, &item);
            }
            Err(error) if is_late(&error) && !items.is_empty() => {
                return Outcome::Items { items, stopped: Some(Stopped::Time) };
            }
            Err(error) => return Outcome::Failed(error),
        }
    }
    Outcome::Items { items, stopped: None }
}

/// Whether the time of the call was over, here or at the server, whichever was first.
fn is_late(error: &CallError) -> bool {
    match error {
        CallError::Timeout { .. } => true,
        CallError::Remote { fault, .. } => fault.code == Code::DeadlineExceeded,
        _ => false,
    }
}

/// Reports progress, not too often.
struct Progress<'a> {
    token: &'a ProgressToken,
    interval: Duration,
    last: Option<Instant>,
}

impl Progress<'_> {
    /// The report of an item, if one is due.
    fn of(&mut self, count: u64, item: &StreamItem) -> Option<String> {
        /// What an item looks like; the result has it in full.
        const MAX_CHARS: usize = 200;
        let now = Instant::now();
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < self.interval) {
            return None;
        }
        self.last = Some(now);
        let message: String = item.value.get().chars().take(MAX_CHARS).collect();
        Some(reply::progress(self.token, count, &message))
    }
}
