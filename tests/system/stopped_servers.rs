//! One of three servers is stopped and continued: what that costs its clients under every balancing policy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rpc_client::{Balance, Client, ClientOptions, InstanceState, Request};
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::{eventually, eventually_within};
use rpc_tests::queries::lists;
use rpc_tests::slow;
use rustix::process::Signal;

/// A registry and three servers; the first is the one to be stopped.
struct Servers {
    registry: Daemon,
    servers: [Daemon; 3],
    url: String,
    at: [SocketAddr; 3],
}

impl Servers {
    async fn start() -> Self {
        let (registry, registry_at) = Daemon::registry(&[]).await;
        let url = format!("http://{registry_at}");
        let arguments = ["--registry", &url];
        let (one, first) = Daemon::server(&arguments).await;
        let (two, second) = Daemon::server(&arguments).await;
        let (three, third) = Daemon::server(&arguments).await;
        let at = [first, second, third];
        lists(registry_at, &at).await;
        Self { registry, servers: [one, two, three], url, at }
    }

    async fn client(&self, balance: Balance, timeout: Duration) -> Client {
        let options = ClientOptions { balance, timeout, ..ClientOptions::default() };
        let client = Client::through_registry(&self.url, options).unwrap();
        eventually("all are known", async || client.instances().len() == 3).await;
        client
    }

    /// What `client` thinks of the first server.
    fn state(&self, client: &Client) -> InstanceState {
        let known = client.instances();
        let first = known.iter().find(|known| known.instance.port == self.at[0].port());
        first.unwrap().health.state
    }

    fn stop(&self) {
        self.servers[0].signal(Signal::STOP);
    }

    fn go_on(&self) {
        self.servers[0].signal(Signal::CONT);
    }
}

/// One call of an open loop.
struct Made {
    began: Instant,
    /// Who replied, unless it failed.
    peer: Option<String>,
}

/// A hundred calls a second until `end`.
async fn calls_until(end: Instant, client: Client) -> Vec<Made> {
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let mut calls = Vec::new();
    while Instant::now() < end {
        ticks.tick().await;
        let client = client.clone();
        calls.push(tokio::spawn(async move {
            let began = Instant::now();
            let request = Request::new("echo", (7,)).unwrap();
            let peer = client.request(request).await.ok().map(|response| response.peer);
            Made { began, peer }
        }));
    }
    let mut made = Vec::new();
    for call in calls {
        made.push(call.await.unwrap());
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_that_only_reads_is_lost_to_a_stopped_server_which_is_called_again_soon() {
    if !slow::enabled("a server that is stopped for six seconds") {
        return;
    }
    let servers = Servers::start().await;
    let second = Duration::from_secs(1);
    let began = Instant::now();
    let mut loops = Vec::new();
    for (name, balance) in Balance::ALL {
        let client = servers.client(balance, second).await;
        loops.push((name, tokio::spawn(calls_until(began + 14 * second, client))));
    }
    tokio::time::sleep_until((began + 2 * second).into()).await;
    servers.stop();
    tokio::time::sleep(6 * second).await;
    servers.go_on();
    let continued = Instant::now();
    let first = servers.at[0].to_string();
    for (name, made) in loops {
        let made = made.await.unwrap();
        let lost = made.iter().filter(|call| call.peer.is_none()).count();
        let back = made.iter().filter(|call| call.began > continued);
        let back = back.filter(|call| call.peer.as_deref() == Some(&*first));
        let back = back.map(|call| call.began - continued).min();
        println!("{name}: lost {lost} of {}; back after {back:?}", made.len());
        assert_eq!(lost, 0, "{name}");
        assert!(back.is_some_and(|back| back < 5 * second), "{name}: {back:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_loop_goes_on_beside_a_stopped_server() {
    if !slow::enabled("four loops of ten seconds each") {
        return;
    }
    let servers = Servers::start().await;
    for (name, balance) in Balance::ALL {
        // By their contract these calls only read; the callers do not say so.
        let client = servers.client(balance, Duration::from_secs(10)).await;
        let (done, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let over = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..64)
            .map(|_| {
                let (client, over) = (client.clone(), Arc::clone(&over));
                let (done, failed) = (Arc::clone(&done), Arc::clone(&failed));
                tokio::spawn(async move {
                    while !over.load(Ordering::Relaxed) {
                        let count =
                            if client.call("echo", (7,)).await.is_ok() { &done } else { &failed };
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let rate = async |time: Duration| {
            let before = done.load(Ordering::Relaxed);
            tokio::time::sleep(time).await;
            (done.load(Ordering::Relaxed) - before) as f64 / time.as_secs_f64()
        };
        let second = Duration::from_secs(1);
        let before = rate(2 * second).await;
        servers.stop();
        let stopped = Instant::now();
        let mut resumed = None;
        while resumed.is_none() && stopped.elapsed() < 10 * second {
            let now = rate(second / 10).await;
            resumed = (now >= 0.6 * before).then(|| stopped.elapsed());
        }
        let beside = rate(2 * second).await;
        servers.go_on();
        let limit = 5 * second;
        let is_back = async || servers.state(&client).gets_calls();
        eventually_within(limit, "it gets calls again", is_back).await;
        over.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.await.unwrap();
        }
        let failed = failed.load(Ordering::Relaxed);
        println!(
            "{name}: {before:.0} calls/s, {beside:.0} beside it, after {resumed:?}; {failed} failed"
        );
        assert!(resumed.is_some_and(|after| after < 3 * second), "{name}: {resumed:?}");
        assert!(beside >= 0.6 * before && failed == 0, "{name}");
        client.close().await;
    }
    drop(servers.registry);
}
