//! `rpcd logs`: the logs of the registry and of instances, as one.
//!
//! - `source`: one daemon's log, in a task of its own.
//! - `print`: what is printed, and what was printed before.

mod print;
mod source;

use std::collections::BTreeSet;
use std::time::Duration;

use rpc_client::registry::RegistryClient;
use rpc_client::{Client, Target};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, timeout_at};

use crate::failure::{Exit, Failure};
use crate::output;
use crate::plan::{LogsPlan, REGISTRY};
use print::Printer;
use source::{Event, Source, Wanted};

/// Without a line for this time, the recent ones are there: nothing marks their end.
const QUIET: Duration = Duration::from_millis(500);
/// Text of recent lines that waits to be sorted, in bytes; then it is printed, and what follows is live.
const MAX_RECENT_BYTES: usize = 16 << 20;
/// Lines that wait to be printed; then the daemons are read more slowly.
const QUEUE: usize = 256;

/// Prints recent lines in order of time, then live ones as they arrive.
///
/// # Errors
/// No daemon has a log to print.
pub async fn logs(plan: LogsPlan) -> Result<(), Failure> {
    let client = Client::new(plan.ask.target.clone(), plan.ask.options.clone())?;
    let registry = match &plan.ask.target {
        Target::Registry { url } => Some(RegistryClient::new(url, plan.registry.clone())?),
        Target::Direct { .. } => None,
    };
    let (sender, events) = mpsc::channel(QUEUE);
    let logs = Logs {
        plan: &plan,
        client: client.clone(),
        registry,
        sender,
        events,
        followed: BTreeSet::new(),
        unsupported: BTreeSet::new(),
        printer: Printer::new(plan.ask.json),
    };
    let done = logs.print().await;
    super::close(client).await;
    done
}

struct Logs<'a> {
    plan: &'a LogsPlan,
    client: Client,
    registry: Option<RegistryClient>,
    sender: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
    /// Those with a task.
    followed: BTreeSet<String>,
    /// Those that have no log.
    unsupported: BTreeSet<String>,
    printer: Printer,
}

impl Logs<'_> {
    async fn print(mut self) -> Result<(), Failure> {
        let names = self.names().await?;
        names.into_iter().for_each(|name| self.follow(name));
        if self.recent().await? {
            self.live().await?;
        }
        Ok(())
    }

    /// The daemons to follow now.
    async fn names(&self) -> Result<Vec<String>, Failure> {
        let asks_all = self.plan.instances.is_empty() && self.registry.is_some();
        let addresses =
            super::stats::addresses(&self.plan.ask, self.plan.instances.clone()).await?;
        let registry = asks_all.then(|| REGISTRY.to_owned());
        Ok(registry.into_iter().chain(addresses).collect())
    }

    /// Starts the task of a daemon, unless it has one.
    fn follow(&mut self, name: String) {
        if self.unsupported.contains(&name) || !self.followed.insert(name.clone()) {
            return;
        }
        let source = match &self.registry {
            Some(registry) if name == REGISTRY => Source::Registry(registry.clone()),
            _ => Source::Instance(self.client.clone()),
        };
        let resumes = self.printer.knows(&name);
        let wanted = Wanted {
            level: self.plan.level,
            contains: self.plan.contains.clone(),
            recent: if resumes { source::RESUMED } else { self.plan.recent },
        };
        self.printer.starts(&name, resumes);
        tokio::spawn(source::follow(source, name, wanted, self.sender.clone()));
    }

    /// Prints the recent lines of all, in order of time; `false`: that is all.
    async fn recent(&mut self) -> Result<bool, Failure> {
        let (mut lines, mut failures, mut bytes) = (Vec::new(), Vec::new(), 0);
        let expected = self.followed.len();
        let mut started = 0;
        let mut last = Instant::now() + self.plan.ask.options.timeout;
        let mut end = last;
        while failures.len() < expected && bytes < MAX_RECENT_BYTES {
            match timeout_at(end, self.events.recv()).await {
                Ok(Some(Event::Started)) => started += 1,
                Ok(Some(Event::Line(line))) => {
                    bytes += line.line.message.len();
                    lines.push(line);
                }
                Ok(Some(Event::Ended { name, failure, is_unsupported })) => {
                    self.ended(&name, is_unsupported);
                    failures.push((name, failure));
                }
                Ok(None) | Err(_) => break,
            }
            if started + failures.len() >= expected {
                // A log that never pauses must not hold back the others.
                last = last.min(Instant::now() + 4 * QUIET);
                end = last.min(Instant::now() + QUIET);
            }
        }
        lines.sort_by_key(|line| line.line.at_ms);
        lines.iter().try_for_each(|line| self.printer.print(line))?;
        if started == 0 {
            return Err(failures.into_iter().next().map_or_else(
                || Failure::new(Exit::Timeout, "no daemon sent its log in time; raise --timeout"),
                |(name, failure)| no_log(&name, &failure),
            ));
        }
        failures.iter().for_each(|(name, failure)| output::warn(&no_log(name, failure).message));
        Ok(self.plan.follow)
    }

    /// Prints lines as they arrive; daemons that come, or come back, are followed too.
    async fn live(&mut self) -> Result<(), Failure> {
        let mut again =
            interval(self.plan.ask.options.refresh_interval.max(Duration::from_millis(10)));
        again.tick().await;
        loop {
            tokio::select! {
                event = self.events.recv() => match event {
                    Some(Event::Line(line)) => self.printer.print(&line)?,
                    Some(Event::Ended { name, failure, is_unsupported }) => {
                        self.ended(&name, is_unsupported);
                        self.printer.lost(&name, &failure);
                    }
                    Some(Event::Started) => {}
                    None => return Ok(()),
                },
                _ = again.tick() => {
                    // A registry that is lost is said by its own log.
                    let names = self.names().await.unwrap_or_default();
                    names.into_iter().for_each(|name| self.follow(name));
                }
            }
        }
    }

    fn ended(&mut self, name: &str, is_unsupported: bool) {
        self.followed.remove(name);
        if is_unsupported {
            self.unsupported.insert(name.to_owned());
        }
    }
}

fn no_log(name: &str, failure: &Failure) -> Failure {
    let message = format!("no log from {name}: {}", failure.message);
    Failure { message, ..failure.clone() }
}
