//! `rpcd logs`: the logs of the registry and of instances, as one.
//!
//! - `recent`: the recent lines of all, as far as memory allows.
//! - `source`: one daemon's log, in a task of its own.
//! - `print`: what is printed, and what was printed before.

mod print;
mod recent;
mod source;

use std::collections::BTreeSet;
use std::time::Duration;

use rpc_client::registry::RegistryClient;
use rpc_client::{Client, Rounded, Target};
use tokio::sync::mpsc;
use tokio::time::interval;

use super::stats::Listed;
use crate::failure::{Exit, Failure, NO_INSTANCE};
use crate::output;
use crate::plan::{LogsPlan, REGISTRY};
use print::Printer;
use recent::Recent;
use source::{Ended, Event, Source, Wanted};

/// Without a line for this time, the recent ones are there: nothing marks their end.
const QUIET: Duration = Duration::from_millis(500);
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
        Target::Direct { .. } | Target::JsonRpc { .. } => None,
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
        let daemons = self.daemons().await?;
        if daemons.is_empty() {
            let message = format!("no instances registered at {}", self.plan.ask.target);
            return Err(Failure::new(Exit::Unreachable, message).with_kind(NO_INSTANCE));
        }
        daemons.into_iter().for_each(|daemon| self.follow(daemon));
        if self.recent().await? {
            self.live().await?;
        }
        Ok(())
    }

    /// The daemons to follow now.
    async fn daemons(&self) -> Result<Vec<Listed>, Failure> {
        // Who wants the logs of one service does not want the registry's.
        let asks_all = self.plan.instances.is_empty()
            && self.plan.ask.options.service.is_none()
            && self.registry.is_some();
        let listed = super::stats::listed(&self.plan.ask, self.plan.instances.clone()).await?;
        let registry = asks_all.then(|| Listed { address: REGISTRY.to_owned(), listed: None });
        Ok(registry.into_iter().chain(listed).collect())
    }

    /// Starts the task of a daemon, unless it has one.
    fn follow(&mut self, Listed { address: name, listed }: Listed) {
        if self.unsupported.contains(&name) || !self.followed.insert(name.clone()) {
            return;
        }
        let source = match &self.registry {
            Some(registry) if name == REGISTRY => Source::Registry(Box::new(registry.clone())),
            _ => Source::Instance(self.client.clone(), listed),
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
        let timeout = self.plan.ask.options.timeout;
        let recent = Recent::of(self.followed.len(), &mut self.events, timeout).await;
        let silent: Vec<String> = recent.silent(&self.followed).cloned().collect();
        let Recent { mut lines, started, ended, .. } = recent;
        ended.iter().for_each(|ended| self.ended(ended));
        lines.sort_by_key(|line| line.line.at_ms);
        lines.iter().try_for_each(|line| self.printer.print(line))?;
        if started.is_empty() {
            let late =
                || Failure::new(Exit::Timeout, "no daemon sent its log in time; raise --timeout");
            return Err(ended.first().map_or_else(late, no_log));
        }
        ended.iter().for_each(|ended| output::warn(&no_log(ended).message));
        for name in silent {
            output::warn(&format!(
                "no log from {name} within {}; check it, or raise --timeout",
                Rounded(timeout)
            ));
        }
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
                    Some(Event::Ended(ended)) => {
                        self.ended(&ended);
                        self.printer.lost(&ended.name, &ended.failure);
                    }
                    Some(Event::Started(_)) => {}
                    None => return Ok(()),
                },
                _ = again.tick() => {
                    // A registry that is lost is said by its own log.
                    let daemons = self.daemons().await.unwrap_or_default();
                    daemons.into_iter().for_each(|daemon| self.follow(daemon));
                }
            }
        }
    }

    fn ended(&mut self, ended: &Ended) {
        self.followed.remove(&ended.name);
        if ended.is_unsupported {
            self.unsupported.insert(ended.name.clone());
        }
    }
}

fn no_log(ended: &Ended) -> Failure {
    let message = format!("no log from {}: {}", ended.name, ended.failure.message);
    Failure { message, ..ended.failure.clone() }
}
