//! Servers replaced by new ones at other addresses, and a registry that comes back at once: no call is lost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use rpc_client::{Client, ClientOptions, ListSource};
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::SOON;
use rpc_tests::home::Home;
use rpc_tests::queries::lists;
use rpc_tests::reserved_port::ReservedPort;
use rustix::process::Signal;
use tokio::task::JoinSet;

/// What a registry lists that has just started is not kept on disk.
const KNOWS_ALL: [(&str, &str); 1] = [("REGISTRY_SERVER_WARMING", "0s")];

/// Callers that call `add` one after the other until they are told to stop.
struct Callers {
    tasks: JoinSet<()>,
    done: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Callers {
    fn start(client: &Client, count: usize) -> Self {
        let (done, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let (client, done, stop) = (client.clone(), Arc::clone(&done), Arc::clone(&stop));
            tasks.spawn(async move {
                while !stop.load(SeqCst) {
                    assert_eq!(client.call("add", (1, 2)).await.unwrap(), 13);
                    done.fetch_add(1, SeqCst);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            });
        }
        Self { tasks, done, stop }
    }

    /// Waits for so many further calls.
    async fn call(&mut self, count: usize) {
        let wanted = self.done.load(SeqCst) + count;
        let called = async {
            while self.done.load(SeqCst) < wanted {
                tokio::select! {
                    Some(ended) = self.tasks.join_next() => ended.expect("a call was lost"),
                    () = tokio::time::sleep(Duration::from_millis(5)) => {}
                }
            }
        };
        tokio::time::timeout(SOON, called).await.expect("calls go on");
    }

    async fn stop(mut self) {
        self.stop.store(true, SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a call was lost");
        }
    }
}

async fn servers(url: &str, count: usize) -> (Vec<Daemon>, Vec<SocketAddr>) {
    let mut started = (Vec::new(), Vec::new());
    for _ in 0..count {
        let (server, address) = Daemon::server(&["--registry", url]).await;
        started.0.push(server);
        started.1.push(address);
    }
    started
}

#[tokio::test]
async fn servers_that_end_as_soon_as_others_are_listed_lose_no_call() {
    let (_registry, at) = Daemon::registry(&[]).await;
    let url = format!("http://{at}");
    for count in [1, 3] {
        let (mut old, addresses) = servers(&url, count).await;
        lists(at, &addresses).await;
        // As seldom as no change would be found by chance.
        let refresh_interval = Duration::from_secs(3600);
        let options = ClientOptions { refresh_interval, ..ClientOptions::default() };
        let client = Client::through_registry(&url, options).unwrap();
        let mut callers = Callers::start(&client, 8);
        for _round in 0..3 {
            callers.call(200).await;
            // Each is listed before its start is over.
            let (new, _) = servers(&url, count).await;
            old.iter().for_each(|server| server.signal(Signal::TERM));
            for mut server in std::mem::replace(&mut old, new) {
                server.exits_within(SOON).await;
            }
        }
        callers.call(200).await;
        callers.stop().await;
        client.close().await;
    }
}

#[tokio::test]
async fn a_registry_without_a_store_that_is_killed_and_back_at_once_loses_no_call() {
    let port = ReservedPort::new();
    let start = async || Daemon::registry_with(&[], port.number(), &["--store", "none"]).await;
    let (mut registry, at) = start().await;
    let url = port.url();
    let (_servers, addresses) = servers(&url, 3).await;
    lists(at, &addresses).await;
    let client = Client::through_registry(&url, ClientOptions::default()).unwrap();
    let mut callers = Callers::start(&client, 8);
    for _round in 0..3 {
        callers.call(200).await;
        registry.signal(Signal::KILL);
        registry.exits_within(SOON).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        registry = start().await.0;
        callers.call(1000).await;
    }
    lists(at, &addresses).await;
    callers.stop().await;
    client.close().await;
}

#[tokio::test]
async fn a_command_that_starts_without_the_registry_calls_by_the_list_on_disk_and_says_so() {
    let port = ReservedPort::new();
    let (mut registry, at) = Daemon::registry_with(&KNOWS_ALL, port.number(), &[]).await;
    let url = port.url();
    let (_server, address) = Daemon::server(&["--registry", &url]).await;
    lists(at, &[address]).await;
    let folder = tempfile::tempdir().unwrap();
    let settings = [("CLIENT_LIST_CACHE", folder.path().to_str().unwrap())];
    let run = async |line: &str| {
        let line = format!("{line} --registry {url}");
        let mut run = Daemon::program_in("rpcd", Home::new(), &settings, line.split(' '));
        let code = run.exit_code().await;
        (code, run.stdout().text(), run.stderr().text())
    };
    let (code, stdout, stderr) = run("call add 1 2").await;
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "13", ""));

    registry.signal(Signal::KILL);
    registry.exits_within(SOON).await;
    for line in ["call add 1 2", "call add 1 2 --timeout 1s", "bench add 1 2 --count 3", "methods"]
    {
        let (code, _, stderr) = run(line).await;
        assert_eq!(code, 0, "{line}: {stderr}");
        let said = stderr.lines().filter(|line| line.contains("meanwhile calls go by its list of"));
        assert_eq!(said.count(), 1, "{line}: {stderr}");
        assert!(stderr.contains(&url), "{line}: {stderr}");
    }
    // It shows what the registry lists, and nothing else.
    let (code, stdout, stderr) = run("instances").await;
    assert_eq!((code, stdout.as_str()), (3, ""), "{stderr}");
}

#[tokio::test]
async fn without_a_list_a_command_waits_for_the_registry_and_then_it_is_unreachable() {
    let (registry, at) = Daemon::registry(&[]).await;
    let url = format!("http://{at}");
    let (_server, address) = Daemon::server(&["--registry", &url]).await;
    lists(at, &[address]).await;
    registry.signal(Signal::STOP);
    let line = format!("call add 1 2 --timeout 1s --registry {url}");
    let mut late = Daemon::rpcd(line.split(' '));
    assert_eq!(late.exit_code().await, 3, "{}", late.transcript());
    assert!(late.stderr().text().contains("cannot reach the registry"), "{}", late.transcript());

    let line = format!("call add 1 2 --timeout 20s --registry {url}");
    let mut waiting = Daemon::rpcd(line.split(' '));
    tokio::time::sleep(Duration::from_millis(500)).await;
    registry.signal(Signal::CONT);
    assert_eq!(waiting.exit_code().await, 0, "{}", waiting.transcript());
    assert_eq!(waiting.stdout().text(), "13");
}

#[tokio::test]
async fn a_client_that_starts_without_the_registry_goes_on_asking() {
    let port = ReservedPort::new();
    let (mut registry, at) = Daemon::registry_with(&KNOWS_ALL, port.number(), &[]).await;
    let url = port.url();
    let (_server, address) = Daemon::server(&["--registry", &url]).await;
    lists(at, &[address]).await;
    let folder = tempfile::tempdir().unwrap();
    let list_cache = rpc_client::ListCache::Folder(folder.path().to_owned());
    let options = ClientOptions { list_cache, ..ClientOptions::default() };
    let first = Client::through_registry(&url, options.clone()).unwrap();
    assert_eq!(first.call("add", (1, 2)).await.unwrap(), 13);
    first.close().await;
    registry.signal(Signal::KILL);
    registry.exits_within(SOON).await;
    let client = Client::through_registry(&url, options).unwrap();
    let mut callers = Callers::start(&client, 4);
    callers.call(100).await;
    assert_eq!(client.list_status().unwrap().source, ListSource::Disk);
    let (_registry, _) = Daemon::registry_with(&[], port.number(), &[]).await;
    let live = async {
        while !client.list_status().unwrap().is_live() {
            client.list_refreshed().await;
        }
    };
    tokio::time::timeout(SOON, live).await.expect("the list is live");
    callers.call(100).await;
    callers.stop().await;
    client.close().await;
}
