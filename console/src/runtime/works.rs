//! The tasks under way: begun by effects, ended with the console or its turn to another registry.

use std::collections::{BTreeMap, HashMap};

use rpc_client::{Client, ClientOptions};
use rpc_host::logging::LogRing;
use rpc_wire::instance::{Instance, InstanceKey};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::inbox::Senders;
use super::{attend, calls, feed, history, load, outside};
use rpc_console_core::message::{DemoCommand, Effect, Msg};
use rpc_console_core::model::calls::CallId;

/// The tasks under way; dropping it ends them.
pub(super) struct Works {
    /// What was asked for is told here.
    pub(super) answers: mpsc::Sender<Msg>,
    /// What is streamed or polled is told here.
    live: mpsc::Sender<Msg>,
    feeds: Vec<AbortHandle>,
    attended: HashMap<InstanceKey, (Client, AbortHandle)>,
    /// Those that are only listed: as many are attended as may be.
    waiting: BTreeMap<InstanceKey, Instance>,
    max_attended: usize,
    options: ClientOptions,
    calls: HashMap<CallId, AbortHandle>,
    load: Option<load::Runs>,
    pub(super) history: Option<history::Keeper>,
    pub(super) demo: Option<mpsc::Sender<DemoCommand>>,
}

impl Works {
    /// Nothing is under way; what will be is told to `senders`, and of so many instances at most.
    pub(super) fn new(senders: Senders, max_attended: usize, options: ClientOptions) -> Self {
        let Senders { answers, live } = senders;
        Self {
            answers,
            live,
            feeds: Vec::new(),
            attended: HashMap::new(),
            waiting: BTreeMap::new(),
            max_attended,
            options,
            calls: HashMap::new(),
            load: None,
            history: None,
            demo: None,
        }
    }

    /// Follows the registry at `url`, and its log.
    pub(super) fn watch(&mut self, url: &str) {
        let changes =
            tokio::spawn(feed::changes(url.to_owned(), self.options.clone(), self.live.clone()));
        let logs =
            tokio::spawn(feed::logs(url.to_owned(), self.options.registry(), self.live.clone()));
        self.feeds.extend([changes.abort_handle(), logs.abort_handle()]);
    }

    /// Follows the console's own log.
    pub(super) fn follow_own_log(&mut self, ring: LogRing) {
        let task = tokio::spawn(feed::own_log(ring, self.live.clone()));
        self.feeds.push(task.abort_handle());
    }

    /// Begins what an effect asks for; those of the terminal are not for here.
    pub(super) fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Monitor(instance) => self.attach(*instance),
            Effect::StopMonitor(key) => self.detach(&key),
            Effect::Call(request) => {
                let clients = request
                    .candidates
                    .iter()
                    .filter_map(|key| Some((key.clone(), self.client(key)?)))
                    .collect();
                let id = request.id;
                self.calls.retain(|_, task| !task.is_finished());
                let task = tokio::spawn(calls::call(*request, clients, self.answers.clone()));
                self.calls.insert(id, task.abort_handle());
            }
            Effect::Cancel(id) => {
                if let Some(task) = self.calls.remove(&id) {
                    task.abort();
                    self.report(Msg::CallEnded(id, Box::new(calls::cancelled())));
                }
            }
            Effect::RecordCall(call) => {
                if let Some(history) = &self.history {
                    history.remember(*call);
                }
            }
            Effect::StartLoad(request) => {
                self.load = Some(load::start(*request, self.options.clone(), self.answers.clone()));
            }
            Effect::StopLoad => {
                if let Some(load) = &self.load {
                    load.stop();
                }
            }
            Effect::Demo(command) => {
                if let Some(demo) = &self.demo {
                    // A demo that is busy misses a key press; the next one will do.
                    let _ = demo.try_send(command);
                }
            }
            Effect::Search(id, document, needle) => {
                let answers = self.answers.clone();
                tokio::task::spawn_blocking(move || {
                    let hits = document.find(&needle, rpc_console_core::update::MAX_MATCHES);
                    let _ = answers.blocking_send(Msg::Found(id, needle, hits));
                });
            }
            Effect::Save { path, content, overwrite } => {
                let answers = self.answers.clone();
                tokio::task::spawn_blocking(move || {
                    let result = outside::save(&path, &content, overwrite);
                    let _ = answers.blocking_send(Msg::Saved(path, result));
                });
            }
            Effect::Unregister(url, instance) => {
                tokio::spawn(feed::unregister(
                    url,
                    self.options.registry(),
                    *instance,
                    self.answers.clone(),
                ));
            }
            Effect::View { .. }
            | Effect::Edit(..)
            | Effect::Copy(_)
            | Effect::Mouse(_)
            | Effect::SwitchRegistry(_)
            | Effect::Suspend
            | Effect::Repaint
            | Effect::Quit => {}
        }
    }

    fn attach(&mut self, instance: Instance) {
        let key = instance.key();
        if self.attended.len() >= self.max_attended && !self.attended.contains_key(&key) {
            tracing::debug!(instance = %key, limit = self.max_attended,
                "listed, but not probed: max_probed reached");
            self.waiting.insert(key, instance);
            return;
        }
        self.waiting.remove(&key);
        let Some(client) = attend::client(&key, &self.options) else { return };
        let task = tokio::spawn(attend::attend(instance, client.clone(), self.live.clone()));
        if let Some((_, old)) = self.attended.insert(key, (client, task.abort_handle())) {
            old.abort();
        }
    }

    fn detach(&mut self, key: &InstanceKey) {
        self.waiting.remove(key);
        let Some((_, task)) = self.attended.remove(key) else { return };
        task.abort();
        if let Some((_, next)) = self.waiting.pop_first() {
            self.attach(next);
        }
    }

    fn client(&self, key: &InstanceKey) -> Option<Client> {
        self.attended
            .get(key)
            .map(|(client, _)| client.clone())
            .or_else(|| attend::client(key, &self.options))
    }

    /// Tells the model something from a place that cannot wait.
    fn report(&self, msg: Msg) {
        let answers = self.answers.clone();
        tokio::spawn(async move { answers.send(msg).await });
    }
}

impl Drop for Works {
    fn drop(&mut self) {
        let attended = self.attended.values().map(|(_, task)| task);
        for task in self.feeds.iter().chain(attended).chain(self.calls.values()) {
            task.abort();
        }
    }
}
