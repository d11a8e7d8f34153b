//! Discovers the methods of each contract: one reply serves all instances that show it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rpc_wire::instance::{Instance, InstanceKey};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use super::discovery::Discovery;
use rpc_console_core::message::{InstanceUpdate, Msg};
use rpc_console_core::text;

/// Interval of attempts, until one succeeds.
const RETRY: Duration = Duration::from_secs(10);

/// The contracts that the instances show; dropping it stops the discovery.
pub(super) struct Contracts {
    by_digest: HashMap<String, Contract>,
    homes: HashMap<InstanceKey, String>,
    /// Instances of contracts beyond the limit.
    waiting: HashMap<InstanceKey, Instance>,
    /// Contracts discovered at most, so that no registry can make the console ask without end.
    limit: usize,
    discovery: Discovery,
    inbox: mpsc::Sender<Msg>,
}

/// The discovery of one contract.
struct Contract {
    members: usize,
    progress: Arc<Mutex<Progress>>,
    task: Option<AbortHandle>,
}

#[derive(Default)]
struct Progress {
    /// The instances to ask.
    to_ask: VecDeque<InstanceKey>,
    /// Whether a task asks them.
    is_running: bool,
    is_done: bool,
}

impl Contracts {
    /// No contract is known yet.
    pub(super) fn new(limit: usize, discovery: Discovery, inbox: mpsc::Sender<Msg>) -> Self {
        Self {
            by_digest: HashMap::new(),
            homes: HashMap::new(),
            waiting: HashMap::new(),
            limit,
            discovery,
            inbox,
        }
    }

    /// An instance shows a contract; it is asked unless another one has replied.
    pub(super) fn add(&mut self, instance: &Instance) {
        let key = instance.key();
        self.remove(&key);
        let Some(digest) = instance.contract() else { return };
        if self.by_digest.len() >= self.limit && !self.by_digest.contains_key(digest) {
            tracing::debug!(instance = %key, limit = self.limit,
                "its methods are not discovered: max_probed reached");
            self.waiting.insert(key, instance.clone());
            return;
        }
        self.homes.insert(key.clone(), digest.to_owned());
        let contract = self.by_digest.entry(digest.to_owned()).or_insert_with(|| Contract {
            members: 0,
            progress: Arc::default(),
            task: None,
        });
        contract.members += 1;
        let is_running = {
            let mut progress = lock(&contract.progress);
            if progress.is_done {
                return;
            }
            progress.to_ask.push_back(key);
            std::mem::replace(&mut progress.is_running, true)
        };
        if !is_running {
            let progress = contract.progress.clone();
            let (discovery, inbox) = (self.discovery.clone(), self.inbox.clone());
            let task = tokio::spawn(discover(digest.to_owned(), progress, discovery, inbox));
            contract.task = Some(task.abort_handle());
        }
    }

    /// An instance is gone, or shows another contract.
    pub(super) fn remove(&mut self, key: &InstanceKey) {
        self.waiting.remove(key);
        let Some(digest) = self.homes.remove(key) else { return };
        let Some(contract) = self.by_digest.get_mut(&digest) else { return };
        contract.members -= 1;
        lock(&contract.progress).to_ask.retain(|other| other != key);
        if contract.members == 0 {
            self.by_digest.remove(&digest);
            // Another contract takes its place.
            for instance in std::mem::take(&mut self.waiting).into_values() {
                self.add(&instance);
            }
        }
    }

    /// Asks an instance again for the methods of its contract, which the documentation is no part of; `None`: it shows
    /// none.
    pub(super) fn ask_again(
        &self,
        key: InstanceKey,
        inbox: mpsc::Sender<Msg>,
    ) -> Option<impl Future<Output = ()> + use<>> {
        let digest = self.homes.get(&key)?.clone();
        let discovery = self.discovery.clone();
        Some(async move {
            let Some(client) = discovery.client(&key) else { return };
            // What fails is known already, or will be: this is no probe.
            let Ok(found) = discovery.ask(&client).await else { return };
            if found.digest == digest
                && let Ok(methods) = discovery.keep(found.methods)
            {
                let _ = inbox.send(Msg::Contract(digest, methods)).await;
            }
        })
    }
}

impl Drop for Contract {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks one instance after the other until one replies with the methods of this contract. A reply
/// with others counts for its instance alone.
async fn discover(
    digest: String,
    progress: Arc<Mutex<Progress>>,
    discovery: Discovery,
    inbox: mpsc::Sender<Msg>,
) {
    let mut failures = 0;
    loop {
        let next = {
            let mut progress = lock(&progress);
            let next = progress.to_ask.pop_front();
            progress.is_running = next.is_some();
            next
        };
        let Some(key) = next else { return };
        let Some(client) = discovery.client(&key) else { continue };
        let asked = discovery.ask(&client).await.map_err(|error| text::note(&error.to_string()));
        let kept = asked.and_then(|found| Ok((found.digest, discovery.keep(found.methods)?)));
        let msg = match kept {
            Ok((found, methods)) if found == digest => {
                let mut progress = lock(&progress);
                progress.is_done = true;
                progress.to_ask.clear();
                Msg::Contract(digest.clone(), methods)
            }
            Ok((_, methods)) => {
                tracing::warn!(instance = %key, "its methods are not those of its contract");
                Msg::Instance(key.clone(), InstanceUpdate::Methods(Ok(methods)))
            }
            Err(error) => {
                // The others are asked first; it is asked again after them.
                failures += 1;
                lock(&progress).to_ask.push_back(key.clone());
                Msg::Instance(key.clone(), InstanceUpdate::Methods(Err(error)))
            }
        };
        let is_done = matches!(msg, Msg::Contract(..));
        if inbox.send(msg).await.is_err() || is_done {
            return;
        }
        if failures > 0 && failures >= lock(&progress).to_ask.len() {
            failures = 0;
            sleep(RETRY).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::direct::Directory;
    use super::*;
    use rpc_client::ClientOptions;
    use rpc_server::{Server, builtin};
    use rpc_wire::signature::contract;
    use std::net::Ipv4Addr;

    fn instance(port: u16, digest: &str) -> Instance {
        let mut instance = Instance::new("127.0.0.1", port);
        instance.parameters.insert("contract".to_owned(), digest.into());
        instance
    }

    /// Serves some of the built-in methods; returns the port.
    async fn serve(count: usize) -> u16 {
        let methods: Vec<_> = builtin::methods().into_iter().take(count).collect();
        let server = Server::builder().methods(methods);
        let server = server.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = server.local_addr().port();
        tokio::spawn(server.serve(std::future::pending()));
        port
    }

    #[tokio::test]
    async fn one_right_reply_serves_all_and_a_wrong_or_missing_one_asks_the_next() {
        let signatures: Vec<_> =
            builtin::methods().iter().take(3).map(|method| method.signature().clone()).collect();
        let digest = contract(&signatures);
        let (inbox, mut messages) = mpsc::channel(16);
        let mut contracts = Contracts::new(
            1,
            Discovery::new(&ClientOptions::default(), Directory::default()),
            inbox,
        );
        // Port 1 is closed; the second shows the contract of the others, but has other methods.
        let (closed, liar) = (instance(1, &digest), instance(serve(2).await, &digest));
        let honest = instance(serve(3).await, &digest);
        for instance in [&closed, &liar, &honest] {
            contracts.add(instance);
        }
        let mut found = Vec::new();
        while found.last().is_none_or(|last| !matches!(last, Msg::Contract(..))) {
            found.push(messages.recv().await.unwrap());
        }
        let [
            Msg::Instance(one, InstanceUpdate::Methods(Err(_))),
            Msg::Instance(two, InstanceUpdate::Methods(Ok(own))),
            Msg::Contract(known, methods),
        ] = &found[..]
        else {
            panic!("{found:?}");
        };
        assert_eq!((one, two, own.len()), (&closed.key(), &liar.key(), 2));
        assert_eq!((known, methods.len()), (&digest, 3));
        contracts.add(&instance(2, &digest));
        assert!(messages.try_recv().is_err(), "nobody is asked for what is known");

        let (replies, mut answers) = mpsc::channel(1);
        contracts.ask_again(honest.key(), replies.clone()).unwrap().await;
        let answer = answers.try_recv().unwrap();
        assert!(matches!(answer, Msg::Contract(of, again) if of == digest && again.len() == 3));
        contracts.ask_again(liar.key(), replies).unwrap().await;
        assert!(answers.try_recv().is_err(), "it says nothing of that contract");

        // A second contract is beyond the limit, until the first one is gone.
        let other = instance(serve(1).await, "00000000000000000000000000000000");
        contracts.add(&other);
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(messages.try_recv().is_err());
        for key in [closed.key(), liar.key(), honest.key(), instance(2, &digest).key()] {
            contracts.remove(&key);
        }
        let next = messages.recv().await.unwrap();
        assert!(matches!(next, Msg::Instance(key, _) if key == other.key()));
    }
}
