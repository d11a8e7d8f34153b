//! `rpcd call`: one call, many, or a stream.

use futures_util::{StreamExt, stream};
use rpc_client::{Client, Request};
use serde_json::value::RawValue;

use crate::failure::{Exit, Failure};
use crate::output;
use crate::plan::CallPlan;

/// Failures printed individually.
const FAILURES_SHOWN: u64 = 10;

/// Makes the calls and prints the results, in the order of the calls.
///
/// # Errors
/// The first failure.
pub async fn call(plan: CallPlan) -> Result<(), Failure> {
    let client = Client::new(plan.target.clone(), plan.options.clone())?;
    let request = Request {
        method: plan.method.clone(),
        args: plan.args.clone(),
        timeout: plan.timeout,
        idempotent: false,
        on: None,
        wire: None,
    };
    let done = if plan.stream {
        follow(&client, request, plan.json).await
    } else {
        repeat(&client, &request, &plan).await
    };
    super::close(client).await;
    done
}

async fn repeat(client: &Client, request: &Request, plan: &CallPlan) -> Result<(), Failure> {
    let calls = stream::iter(0..plan.repeat).map(|_| client.request(request.clone()));
    let mut replies = std::pin::pin!(calls.buffered(plan.concurrency));
    let mut first = None;
    let mut failed: u64 = 0;
    while let Some(reply) = replies.next().await {
        let failure = match reply {
            Ok(response) => {
                output::line(&shown(&response.value, plan.json))?;
                continue;
            }
            Err(error) => Failure::from(error),
        };
        failed += 1;
        // A usage error would fail every call.
        if plan.repeat == 1 || failure.exit == Exit::Usage {
            return Err(failure);
        }
        if failed <= FAILURES_SHOWN {
            output::say(&failure.message);
        }
        first.get_or_insert(failure.exit);
    }
    match first {
        Some(exit) => Err(Failure::new(exit, format!("{failed} of {} calls failed", plan.repeat))),
        None => Ok(()),
    }
}

async fn follow(client: &Client, request: Request, json: bool) -> Result<(), Failure> {
    let mut items = client.stream_request(request).await?;
    while let Some(item) = items.next().await {
        let item = item?;
        if item.dropped > 0 {
            output::say(&format!(
                "{} items dropped here: the output was read too slowly",
                item.dropped
            ));
        }
        output::line(&shown(&item.value, json))?;
    }
    Ok(())
}

/// A string without quotes, unless JSON is wanted; anything else as the JSON received.
fn shown(value: &RawValue, json: bool) -> String {
    let text = if json { None } else { serde_json::from_str::<String>(value.get()).ok() };
    text.unwrap_or_else(|| value.get().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_prints_unquoted_unless_json_is_wanted_and_numbers_as_received() {
        let value = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        for (text, raw) in [(r#""a\nb""#, "a\nb"), ("3.0", "3.0"), ("[\"a\"]", "[\"a\"]")] {
            assert_eq!(shown(&value(text), false), raw);
            assert_eq!(shown(&value(text), true), text);
        }
    }
}
