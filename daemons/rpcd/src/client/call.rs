//! `rpcd call`: one call, many, or a stream.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use rpc_client::{Attempt, AttemptLog, CallError, Client, Code, Phase, Request, Response, Rounded};
use rpc_load::show::precise;
use rpc_wire::shell_word;

use super::discovery::{Discovery, Missing, Spent};
use super::{explain, list_source, no_instance, reserved};
use crate::arguments::fit;
use crate::failure::{Exit, Failure};
use crate::output;
use crate::plan::CallPlan;
use crate::shell;

/// Failures printed individually.
const FAILURES_SHOWN: u64 = 10;

/// Makes the calls and prints the results, in the order of the calls.
///
/// # Errors
/// The first failure.
pub async fn call(plan: CallPlan) -> Result<(), Failure> {
    let client = Client::new(plan.target.clone(), plan.options.clone())?;
    let options = &plan.options;
    let discovery = Discovery::new(&client, options, plan.timeout.unwrap_or(options.timeout));
    let discovery = match &plan.described {
        Some(described) => discovery.described(described.methods.clone()),
        None => discovery,
    };
    let calls = Calls { client: &client, plan: &plan, discovery };
    let began = Instant::now();
    let done = list_source::said_during(&client, calls.make()).await;
    let done = done.map_err(|failure| {
        let mut failure = list_source::explained(failure, &client, began);
        if failure.exit != Exit::Usage {
            // Whoever knows better has said so: nothing was sent yet.
            failure.details.get_or_insert_default().may_have_run.get_or_insert(false);
        }
        failure
    });
    super::close(client).await;
    done
}

struct Calls<'a> {
    client: &'a Client,
    plan: &'a CallPlan,
    discovery: Discovery<'a>,
}

impl Calls<'_> {
    async fn make(mut self) -> Result<(), Failure> {
        let plan = self.plan;
        let service = plan.options.service.as_deref();
        let flags = super::flags_with(&plan.target, service, plan.described.as_ref());
        let method = match reserved::find(&plan.method) {
            // What discovery says of streams is of no interest then.
            None if plan.stream && !self.discovery.is_needed(&plan.arguments).await => None,
            None => self.discovery.before_a_call(&plan.method, &plan.arguments).await?,
            known => known,
        };
        let method = method.cloned();
        let (method, is_sure) = (method.as_ref(), self.discovery.is_sure(&plan.method));
        if method.is_some_and(|method| method.deprecated) {
            let name = &plan.method;
            let see = shell::command("rpcd describe", &[shell_word(name)], &flags);
            output::warn(&format!("{name} is deprecated; see {see}"));
        }
        let is_stream = plan.stream || method.is_some_and(|method| method.stream);
        let args = plan.arguments.read(method, &flags)?;
        if let Some(method) = method.filter(|_| is_sure) {
            fit::check(&args, method, &flags)?;
        }
        let args = super::arranged(args, method, self.client, plan.described.as_ref());
        let request = Request {
            method: plan.method.clone(),
            args,
            timeout: plan.timeout,
            idempotent: plan.idempotent,
            service: None,
            on: None,
            listed: None,
            traceparent: None,
            wire: None,
            attempts: None,
        };
        if let Some(hint) = self.discovery.hint(&plan.method) {
            output::warn(&hint);
        }
        if plan.notify {
            self.warn_of_missing().await?;
        }
        let refusal = match plan.notify {
            true => self.discovery.refusal().await,
            false => None,
        };
        let done = match (is_stream, plan.repeat) {
            (true, _) if plan.notify => Err(Failure::usage(format!(
                "{} is a stream, and without its items nothing; call it without --notify",
                plan.method
            ))),
            (true, 1) => output::while_read(self.follow(request)).await,
            (true, _) => Err(Failure::usage(format!(
                "{} is a stream; call it without --repeat and --concurrency",
                plan.method
            ))),
            (false, 1) => self.once(request).await,
            (false, _) => self.repeat(&request).await,
        };
        match (done, refusal) {
            (Ok(()), Some(refusal)) => {
                let failure = Failure::of_call(refusal);
                let sent = "; the notification was sent, and nobody tells that it was refused, too";
                Err(Failure { message: failure.message.clone() + sent, ..failure })
            }
            (done, _) => done,
        }
    }

    /// Of a notification nobody says that there is no such method.
    async fn warn_of_missing(&self) -> Result<(), Failure> {
        let name = &self.plan.method;
        match self.discovery.missing(name) {
            None => {}
            Some(Missing::AtServer) => {
                output::warn(&format!(
                    "{name} is not among the server's methods; nobody will tell"
                ));
            }
            Some(Missing::Everywhere(error)) => {
                let Self { plan, .. } = self;
                let failure = Failure::of_call(error);
                return Err(no_instance::with_not_asked(failure, &plan.target, &plan.options).await);
            }
            Some(Missing::WhereAsked) => output::warn(&format!(
                "{name} is not among the methods of the instances that could be asked; nobody will tell"
            )),
        }
        Ok(())
    }

    async fn once(mut self, mut request: Request) -> Result<(), Failure> {
        if self.discovery.was_made() {
            request.timeout = Some(self.discovery.left());
        }
        let log = self.log_of(&mut request);
        let error = match self.send(request.clone()).await {
            Ok(response) => return self.print(response, &log),
            // The time of the probes is their own.
            Err(CallError::Timeout { peer, phase, .. }) if phase != Phase::Probe => {
                CallError::Timeout { peer, phase, after: self.discovery.timeout() }
            }
            Err(error) => error,
        };
        say(&log.attempts());
        // A server refuses to call a stream method as another one: nothing was executed.
        if matches!(&error, CallError::Remote { fault, .. } if fault.code == Code::BadArguments)
            && !self.plan.notify
            && self.discovery.method(&self.plan.method).await?.is_some_and(|method| method.stream)
        {
            request.timeout = self.plan.timeout;
            return output::while_read(self.follow(request)).await;
        }
        if self.plan.verbose {
            output::say(&format!("failed after {}", precise(self.discovery.elapsed())));
        }
        let plan = self.plan;
        Err(explain::failure(error, &plan.method, &mut self.discovery, plan.stream).await)
    }

    /// The response, if one is wanted.
    async fn send(&self, request: Request) -> Result<Option<Response>, CallError> {
        if self.plan.notify {
            return self.client.notify_request(request).await.map(|()| None);
        }
        self.client.request(request).await.map(Some)
    }

    async fn repeat(&self, request: &Request) -> Result<(), Failure> {
        let plan = self.plan;
        let calls = stream::iter(0..plan.repeat).map(|_| {
            let mut request = request.clone();
            let log = self.log_of(&mut request);
            async { (self.send(request).await, log) }
        });
        let mut replies = std::pin::pin!(calls.buffered(plan.concurrency));
        let mut first = None;
        let mut failed: u64 = 0;
        while let Some((reply, log)) = replies.next().await {
            let failure = match reply {
                Ok(response) => {
                    self.print(response, &log)?;
                    continue;
                }
                Err(error) => Failure::of_call(error),
            };
            say(&log.attempts());
            failed += 1;
            // A usage error would fail every call.
            if failure.exit == Exit::Usage {
                return Err(failure);
            }
            if plan.json {
                output::json(&failure.to_json())?;
            }
            if failed <= FAILURES_SHOWN {
                output::say(&failure.message);
            }
            first.get_or_insert(failure.exit);
        }
        match first {
            Some(exit) => {
                let message = format!("{failed} of {} calls failed", plan.repeat);
                Err(Failure::new(exit, message).printed())
            }
            None => Ok(()),
        }
    }

    async fn follow(&self, mut request: Request) -> Result<(), Failure> {
        if self.discovery.was_made() && request.timeout.is_some() {
            request.timeout = Some(self.discovery.left());
        }
        let log = self.log_of(&mut request);
        let streams = self.client.stream_request(request).await;
        say(&log.attempts());
        let mut items = match streams {
            Ok(items) => items,
            Err(error) => {
                let Self { plan, .. } = self;
                let error = self.timed(error);
                return Err(explain::without_reply(error, &plan.target, &plan.options).await);
            }
        };
        if self.plan.verbose {
            output::say(&format!("{} streams", items.peer()));
        }
        let mut count: u64 = 0;
        while let Some(item) = items.next().await {
            let item = match item.map_err(|error| self.timed(error)) {
                Err(CallError::Timeout { peer, after, .. }) if count > 0 => {
                    return Err(unended(&peer, after));
                }
                Err(error) if count > 0 => {
                    let mut failure = Failure::of_call(error);
                    failure.details.get_or_insert_default().may_have_run = Some(true);
                    return Err(failure);
                }
                item => item.map_err(Failure::of_call)?,
            };
            if item.dropped > 0 {
                output::say(&format!(
                    "{} items dropped here: the output was read too slowly",
                    item.dropped
                ));
            }
            count += 1;
            output::value(item.value.get(), self.plan.json)?;
        }
        if self.plan.verbose {
            output::say(&format!("{count} items in {}", precise(self.discovery.elapsed())));
        }
        Ok(())
    }

    /// The log of the request's attempts; it stays empty if they are not to be told.
    fn log_of(&self, request: &mut Request) -> AttemptLog {
        let log = AttemptLog::new();
        request.attempts = self.plan.verbose.then(|| log.clone());
        log
    }

    /// The time of a stream that was given one is all of it.
    fn timed(&self, error: CallError) -> CallError {
        match (error, self.plan.timeout) {
            (CallError::Timeout { peer, phase, .. }, Some(after)) => {
                CallError::Timeout { peer, phase, after }
            }
            (error, _) => error,
        }
    }

    fn print(&self, response: Option<Response>, log: &AttemptLog) -> Result<(), Failure> {
        let Some(response) = response else {
            say(&log.attempts());
            return Ok(());
        };
        if self.plan.verbose {
            output::say(&self.story(&response, &log.attempts()));
        }
        output::value(response.value.get(), self.plan.json)
    }

    /// `127.0.0.1:8089 replied, extended dialect, chosen at random: connect 301 µs, …, total 1.20 ms`. Of
    /// several attempts each has a line before it.
    fn story(&self, response: &Response, attempts: &[Attempt]) -> String {
        let spent = &response.timing;
        // Many calls have one discovery.
        let before = if self.plan.repeat == 1 { self.discovery.spent() } else { Spent::default() };
        let parts = [
            ("discovery", before.discovery),
            ("earlier attempts", spent.earlier),
            ("queue", before.queue + spent.queue),
            ("connect", before.connect + spent.connect),
            ("server", spent.server),
            ("transfer", spent.transfer),
        ];
        let total = parts.iter().map(|(_, spent)| *spent).sum();
        let shown: Vec<String> = parts
            .iter()
            .chain([&("total", total)])
            .filter(|(name, spent)| !spent.is_zero() || is_always_shown(name))
            .map(|(name, spent)| format!("{name} {}", precise(*spent)))
            .collect();
        let attempts = match attempts {
            [only] => only.reason.to_string(),
            several => {
                say(several);
                format!("{} attempts", several.len())
            }
        };
        format!(
            "{} replied, {} dialect, {attempts}: {}",
            response.peer,
            response.dialect,
            shown.join(", ")
        )
    }
}

/// Parts of a call's time that are shown although they took none.
fn is_always_shown(part: &str) -> bool {
    matches!(part, "connect" | "server" | "transfer" | "total")
}

/// Says where a call went, and why.
fn say(attempts: &[Attempt]) {
    attempts.iter().for_each(|attempt| output::say(&attempt.to_string()));
}

/// Not "no reply": items did arrive.
fn unended(peer: &str, after: Duration) -> Failure {
    let message = format!(
        "the stream of {peer} did not end within {}; raise --timeout, or leave it out to follow the stream",
        Rounded(after)
    );
    let mut failure = Failure::new(Exit::Timeout, message);
    failure.details.get_or_insert_default().may_have_run = Some(true);
    failure
}
