//! The running tasks: started by effects, aborted when the console quits or watches another registry.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rpc_client::registry::RegistryClient;
use rpc_client::{Client, ClientOptions};
use rpc_host::logging::LogRing;
use rpc_wire::instance::{Instance, InstanceKey, OverrideRequest};
use rpc_wire::target::Target;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::calls::Attempts;
use super::contracts::Contracts;
use super::direct::Directory;
use super::discovery::Discovery;
use super::inbox::Senders;
use super::requests::RequestsFile;
use super::{calls, clipboard, feed, files, history, load, monitor, own_client, traffic};
use rpc_console_core::message::{DemoCommand, Msg};
use rpc_console_core::model::calls::{CallId, CallRequest, PastCall};
use rpc_console_core::model::content::Content;
use rpc_console_core::model::json::Document;
use rpc_console_core::model::load::LoadRequest;
use rpc_console_core::model::saved::Change;

/// The running tasks; dropping it aborts them.
pub(super) struct Tasks {
    /// For replies that a person waits for.
    pub(super) replies: mpsc::Sender<Msg>,
    /// For what is streamed or polled.
    live: mpsc::Sender<Msg>,
    /// For changes of the registry.
    changes: mpsc::Sender<Msg>,
    feeds: Vec<AbortHandle>,
    monitored: HashMap<InstanceKey, (Client, AbortHandle)>,
    contracts: Contracts,
    discovery: Discovery,
    /// For calls to any of several instances.
    own_client: Option<Client>,
    /// Asks instances for their statistics.
    sampling: Option<(watch::Sender<traffic::Clients>, AbortHandle)>,
    sampled: Vec<InstanceKey>,
    /// Instances beyond `max_monitored`: listed, not probed.
    waiting: BTreeMap<InstanceKey, Instance>,
    max_monitored: usize,
    directory: Directory,
    options: ClientOptions,
    calls: HashMap<CallId, (AbortHandle, Attempts)>,
    load: Option<load::Running>,
    copying: Option<AbortHandle>,
    /// Asks an instance for its methods again.
    asking: Option<AbortHandle>,
    /// Stops the latest filtering of a large result.
    selecting: Option<Arc<AtomicBool>>,
    pub(super) history: Option<history::Keeper>,
    requests: RequestsFile,
    pub(super) demo: Option<mpsc::Sender<DemoCommand>>,
}

impl Tasks {
    /// No task runs yet. Tasks report to `senders`; at most `max_monitored` instances are monitored.
    pub(super) fn new(
        senders: Senders,
        max_monitored: usize,
        options: ClientOptions,
        directory: Directory,
        requests: RequestsFile,
    ) -> Self {
        let Senders { replies, live, changes } = senders;
        let discovery = Discovery::new(&options, directory.clone());
        Self {
            contracts: Contracts::new(max_monitored, discovery.clone(), live.clone()),
            discovery,
            replies,
            live,
            changes,
            feeds: Vec::new(),
            monitored: HashMap::new(),
            own_client: None,
            sampling: None,
            sampled: Vec::new(),
            waiting: BTreeMap::new(),
            max_monitored,
            directory,
            options,
            calls: HashMap::new(),
            load: None,
            copying: None,
            asking: None,
            selecting: None,
            history: None,
            requests,
            demo: None,
        }
    }

    /// Follows the registry and its log, or opens the one server.
    pub(super) fn watch(&mut self, target: &Target) {
        let url = match target {
            Target::Registry { url } => url,
            Target::Direct { .. } | Target::JsonRpc { .. } => {
                let (host, port) = target.host_and_port().unwrap_or_default();
                let opened = feed::server(Instance::new(host, port), self.changes.clone());
                return self.feeds.push(tokio::spawn(opened).abort_handle());
            }
        };
        let has_list = feed::HasList::default();
        self.own_client = own_client::open(url, &self.options);
        if let Some(client) = self.own_client.clone() {
            let reports = own_client::report(
                client,
                has_list.clone(),
                self.live.clone(),
                self.changes.clone(),
            );
            let reports = tokio::spawn(reports);
            self.feeds.push(reports.abort_handle());
        }
        let registry = match RegistryClient::new(url, self.options.registry()) {
            Ok(registry) => registry,
            Err(error) => {
                let said = tokio::spawn(feed::unusable(error, self.changes.clone()));
                return self.feeds.push(said.abort_handle());
            }
        };
        // Of several registries they look at the same one.
        let (options, inbox) = (self.options.clone(), self.changes.clone());
        let changes = feed::changes(registry.clone(), options, has_list, inbox);
        let changes = tokio::spawn(changes);
        let logs = tokio::spawn(feed::logs(registry.clone(), self.live.clone()));
        let condition = tokio::spawn(feed::condition(registry, self.changes.clone()));
        self.feeds.extend([changes.abort_handle(), logs.abort_handle(), condition.abort_handle()]);
    }

    /// Follows the console's own log.
    pub(super) fn follow_own_log(&mut self, ring: LogRing) {
        let task = tokio::spawn(feed::own_log(ring, self.live.clone()));
        self.feeds.push(task.abort_handle());
    }

    /// Sends a call.
    pub(super) fn call(&mut self, request: CallRequest) {
        let single = request.candidates.iter();
        let single = single.filter_map(|key| Some((key.clone(), self.client(key)?))).collect();
        let is_for_any = request.candidates.len() > 1;
        let own = self.own_client.clone().filter(|_| is_for_any);
        let id = request.id;
        self.calls.retain(|_, (task, _)| !task.is_finished());
        let attempts = Attempts::new();
        let task = tokio::spawn(calls::call(
            request,
            calls::Senders { own, single },
            attempts.clone(),
            self.discovery.clone(),
            self.replies.clone(),
        ));
        self.calls.insert(id, (task.abort_handle(), attempts));
    }

    /// Cancels a call in flight. Dropping the call is what tells the server.
    pub(super) fn cancel(&mut self, id: CallId) {
        if let Some((task, attempts)) = self.calls.remove(&id) {
            task.abort();
            let replies = self.replies.clone();
            let cancelled = Msg::CallEnded(id, Box::new(calls::cancelled(&attempts)));
            tokio::spawn(async move { replies.send(cancelled).await });
        }
    }

    /// Adds a finished call to the history file, where one is kept.
    pub(super) fn remember(&self, call: PastCall) {
        if let Some(history) = &self.history {
            history.remember(call);
        }
    }

    /// Starts a load test; a running one is stopped by its drop.
    pub(super) fn start_load(&mut self, request: LoadRequest) {
        let listed = match &request.target {
            Target::Direct { host, port } => {
                self.directory.listed(&Instance::new(host, *port).key())
            }
            Target::Registry { .. } | Target::JsonRpc { .. } => None,
        };
        let options = ClientOptions { listed, ..self.options.clone() };
        self.load = Some(load::start(request, options, self.replies.clone()));
    }

    /// Stops the load test; its results are kept.
    pub(super) fn stop_load(&self) {
        if let Some(load) = &self.load {
            load.stop();
        }
    }

    /// Passes a command to the demo.
    pub(super) fn command_demo(&self, command: DemoCommand) {
        if let Some(demo) = &self.demo {
            // A busy demo misses a key press; the person sees it and presses again.
            let _ = demo.try_send(command);
        }
    }

    /// Searches a result on a thread that may block: it can have megabytes.
    pub(super) fn search(&self, id: CallId, document: Arc<Document>, needle: String) {
        let replies = self.replies.clone();
        tokio::task::spawn_blocking(move || {
            let hits = document.find(&needle, rpc_console_core::update::MAX_MATCHES);
            let _ = replies.blocking_send(Msg::Found(id, needle, hits));
        });
    }

    /// Filters a result by a JSONPath, as `search` does.
    pub(super) fn select(&mut self, id: CallId, document: Arc<Document>, path: String) {
        let (replies, stop) = (self.replies.clone(), Arc::new(AtomicBool::new(false)));
        self.stop_select();
        self.selecting = Some(stop.clone());
        tokio::task::spawn_blocking(move || {
            let selection = document.select_until(&path, &stop);
            if !stop.load(Relaxed) {
                let _ = replies.blocking_send(Msg::Selected(id, path, selection));
            }
        });
    }

    /// Stops filtering: nobody waits for the outcome.
    pub(super) fn stop_select(&mut self) {
        if let Some(stop) = self.selecting.take() {
            stop.store(true, Relaxed);
        }
    }

    /// Saves `content` to a file.
    pub(super) fn save(&self, path: String, content: Content, overwrite: bool) {
        let replies = self.replies.clone();
        tokio::task::spawn_blocking(move || {
            let result = files::save(&path, &content, overwrite);
            let _ = replies.blocking_send(Msg::Saved(path, result));
        });
    }

    /// Copies a text with the clipboard programs at hand, and says how it was copied. `sent`: the
    /// terminal has got it.
    pub(super) fn copy(&mut self, what: String, text: String, sent: bool) {
        let task = tokio::spawn(clipboard::copy(what, text, sent, self.replies.clone()));
        // The latest copy counts; a program that hangs for an earlier one is ended.
        if let Some(earlier) = self.copying.replace(task.abort_handle()) {
            earlier.abort();
        }
    }

    /// Reads the saved requests.
    pub(super) fn read_requests(&self) {
        let (file, replies) = (self.requests.clone(), self.replies.clone());
        tokio::task::spawn_blocking(move || {
            let _ = replies.blocking_send(Msg::Requests(file.read()));
        });
    }

    /// Changes the saved requests, and reads them again.
    pub(super) fn change_requests(&self, change: Box<Change>) {
        let (file, replies) = (self.requests.clone(), self.replies.clone());
        tokio::task::spawn_blocking(move || {
            let result = file.change(&change);
            let _ = replies.blocking_send(Msg::Requests(file.read()));
            let _ = replies.blocking_send(Msg::RequestsChanged(change, result));
        });
    }

    /// Takes an instance out of use at the registry with this URL, or brings it back.
    pub(super) fn set_override(
        &self,
        url: String,
        key: InstanceKey,
        asked: Option<OverrideRequest>,
    ) {
        let (options, replies) = (self.options.registry(), self.replies.clone());
        tokio::spawn(feed::set_override(url, options, key, asked, replies));
    }

    /// Unregisters an instance at the registry with this URL.
    pub(super) fn unregister(&self, url: String, instance: Instance) {
        let (options, replies) = (self.options.registry(), self.replies.clone());
        tokio::spawn(feed::unregister(url, options, instance, replies));
    }

    /// Monitors an instance, now or when another one is detached.
    pub(super) fn attach(&mut self, instance: Instance) {
        let key = instance.key();
        self.directory.note(&instance);
        if self.monitored.len() >= self.max_monitored && !self.monitored.contains_key(&key) {
            tracing::debug!(instance = %key, limit = self.max_monitored,
                "listed, but not probed: max_probed reached");
            self.contracts.add(&instance);
            self.waiting.insert(key, instance);
            return;
        }
        self.waiting.remove(&key);
        let Some(client) = self.directory.client(&key, &self.options) else { return };
        self.contracts.add(&instance);
        let probing = monitor::Probing::of(&instance, self.directory.is_direct());
        let (options, discovery) = (self.options.clone(), self.discovery.clone());
        let live = self.live.clone();
        let task = tokio::spawn(async move {
            monitor::run(instance, probing, &options, discovery, live).await;
        });
        if let Some((_, old)) = self.monitored.insert(key, (client, task.abort_handle())) {
            old.abort();
        }
    }

    /// Asks an instance for the methods of its contract again. The latest question counts.
    pub(super) fn ask_again(&mut self, key: InstanceKey) {
        let Some(asked) = self.contracts.ask_again(key, self.replies.clone()) else { return };
        if let Some(earlier) = self.asking.replace(tokio::spawn(asked).abort_handle()) {
            earlier.abort();
        }
    }

    /// Stops monitoring an instance; a waiting one takes its place.
    pub(super) fn detach(&mut self, key: &InstanceKey) {
        self.directory.forget(key);
        self.waiting.remove(key);
        self.contracts.remove(key);
        let Some((_, task)) = self.monitored.remove(key) else { return };
        task.abort();
        if let Some((_, next)) = self.waiting.pop_first() {
            self.attach(next);
        }
    }

    /// Asks these instances for their statistics once a second, and no others.
    pub(super) fn sample(&mut self, keys: &[InstanceKey]) {
        if keys == self.sampled {
            return;
        }
        self.sampled = keys.to_vec();
        let clients = keys.iter().filter_map(|key| Some((key.clone(), self.client(key)?)));
        let clients = clients.collect();
        match &self.sampling {
            Some((sampled, _)) => drop(sampled.send_replace(clients)),
            None => {
                let (sampled, changes) = watch::channel(clients);
                let task = tokio::spawn(traffic::sample(changes, self.live.clone()));
                self.sampling = Some((sampled, task.abort_handle()));
            }
        }
    }

    fn client(&self, key: &InstanceKey) -> Option<Client> {
        self.monitored
            .get(key)
            .map(|(client, _)| client.clone())
            .or_else(|| self.directory.client(key, &self.options))
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.stop_select();
        let monitored = self.monitored.values().map(|(_, task)| task);
        let sampling = self.sampling.as_ref().map(|(_, task)| task);
        let calls = self.calls.values().map(|(task, _)| task);
        let tasks = self.feeds.iter().chain(monitored).chain(calls);
        for task in tasks.chain(&self.copying).chain(&self.asking).chain(sampling) {
            task.abort();
        }
    }
}
