//! `rpcd bench`: a load test with the engine of rpc-load.
//!
//! - [`consent`]: whether the method may be called that often.
//! - [`text`]: progress and results for people.

mod consent;
mod text;

use std::sync::Arc;
use std::time::Instant;

use rpc_client::{Args, CallError, Client, Request};
use rpc_host::shutdown;
use rpc_load::show::percent;
use rpc_load::{Load, LoadError, Progress, Report};
use tokio::sync::watch;

use super::discovery::Discovery;
use super::{explain, list_source};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::plan::BenchPlan;

/// Measures and prints the report.
///
/// # Errors
/// No call got through, or more calls failed than allowed.
pub async fn bench(plan: BenchPlan) -> Result<(), Failure> {
    let args = prepared(&plan).await?;
    let stop = shutdown::on_signals()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot handle signals: {error}")))?;
    let mut load = plan.load;
    load.args = args;
    let load = Load::start(plan.target, plan.options, load)?;
    let report = {
        let mut finished = std::pin::pin!(load.finished());
        let shown = show(load.progress());
        tokio::select! {
            report = &mut finished => report,
            () = shown => finished.await,
            () = stop.cancelled() => {
                load.stop();
                finished.await
            }
        }
    };
    output::clear_status();
    let report = report?;
    if plan.json {
        let json = serde_json::to_string(&report)
            .map_err(|error| Failure::new(Exit::Failed, format!("cannot write JSON: {error}")))?;
        output::json(&json)?;
    } else {
        text::report(&report).lines().try_for_each(output::text)?;
    }
    verdict(&report, plan.max_error_ratio).map_err(Failure::printed)
}

/// The arguments as the method's schema says, once it is clear that there is such a method and that it may be
/// loaded.
async fn prepared(plan: &BenchPlan) -> Result<Args, Failure> {
    let method = plan.load.method.as_str();
    let client = Client::new(plan.target.clone(), plan.options.clone())?;
    let mut discovery =
        Discovery::new(&client, &plan.options, plan.options.timeout).without_a_call();
    if let Some(described) = &plan.described {
        discovery = discovery.described(described.methods.clone());
    }
    let began = Instant::now();
    let args = list_source::said_during(&client, async {
        if !plan.yes {
            consent::obtain(&mut discovery, method, &plan.target).await?;
        }
        let service = plan.options.service.as_deref();
        let flags = super::flags_with(&plan.target, service, plan.described.as_ref());
        let known = discovery.method(method).await?;
        let is_known = known.is_some();
        if known.is_some_and(|method| method.stream) {
            return Err(Failure::usage(format!(
                "{method} is a stream, which a load test does not measure; rpcd call follows it"
            )));
        }
        let args = plan.arguments.read(known, &flags)?;
        let args = super::arranged(args, known, &client, plan.described.as_ref());
        match discovery.error() {
            None if !is_known => refuse_unknown(&client, &mut discovery, method, &args).await?,
            Some(error @ CallError::NoInstance { .. }) => return Err(error.clone().into()),
            _ => {}
        }
        Ok(args)
    })
    .await;
    let args = args.map_err(|failure| list_source::explained(failure, &client, began));
    super::close(client).await;
    args
}

/// Calls a method once that nobody says to have, as `rpcd call` would: a server may have more than it lists.
///
/// # Errors
/// Nobody has it.
async fn refuse_unknown(
    client: &Client,
    discovery: &mut Discovery<'_>,
    method: &str,
    args: &Args,
) -> Result<(), Failure> {
    let request =
        Request::new(method, args.clone()).map_err(|error| Failure::usage(error.to_string()))?;
    match client.request(request).await {
        Err(error) if explain::is_unknown(&error, method) => {
            Err(explain::failure(error, method, discovery, false).await)
        }
        // The load test measures errors of any other kind.
        _ => Ok(()),
    }
}

/// Shows progress on a terminal.
async fn show(mut progress: watch::Receiver<Arc<Progress>>) {
    while progress.changed().await.is_ok() {
        let now = Arc::clone(&progress.borrow_and_update());
        if now.phase.is_over() {
            return;
        }
        output::status(&text::status(&now));
    }
}

/// The exit code that the results mean.
fn verdict(report: &Report, max_error_ratio: f64) -> Result<(), Failure> {
    if report.calls == 0 {
        return Err(Failure::new(
            Exit::Failed,
            "no call completed while measuring; use a longer --duration",
        ));
    }
    if report.unreached == report.calls {
        let why = report.errors.first().map_or("", |error| error.example.as_str());
        return Err(Failure::new(Exit::Unreachable, format!("all calls failed: {why}")));
    }
    if report.error_ratio > max_error_ratio {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "{} of the calls failed; --max-error-ratio allows {}",
                percent(report.error_ratio),
                percent(max_error_ratio)
            ),
        ));
    }
    Ok(())
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let exit = match &error {
            LoadError::Plan(_) | LoadError::Target(_) | LoadError::Usage(_) => Exit::Usage,
            LoadError::Unreachable(_) => Exit::Unreachable,
            LoadError::TimedOut(_) => Exit::Timeout,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

#[cfg(test)]
mod tests;
