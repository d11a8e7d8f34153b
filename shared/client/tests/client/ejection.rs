//! One bad instance of three, beside two good ones: what it costs, and how it comes back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rpc_client::{
    Balance, Client, ClientOptions, EjectionOptions, InstanceState, KnownInstance, Request,
};
use rpc_tests::fakes::{self, Do, Peer, adder, extended, failure, result, sum};
use rpc_tests::proxy::Proxy;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use crate::fake_registry::{FakeRegistry, entry};
use crate::{eventually, options};

const MS: Duration = Duration::from_millis(1);

/// The defaults, five times as fast.
fn fast() -> EjectionOptions {
    EjectionOptions {
        min_ejection: 200 * MS,
        max_ejection: 800 * MS,
        slow_start_window: 600 * MS,
        ping_interval: 50 * MS,
        ping_timeout: 50 * MS,
        ..EjectionOptions::default()
    }
}

/// A client of a registry that lists `bad` and two good instances as newer servers of one contract.
struct Trio {
    client: Client,
    bad: SocketAddr,
    good: [Peer; 2],
    registry: FakeRegistry,
}

impl Trio {
    async fn new(bad: SocketAddr, balance: Balance, ejection: EjectionOptions) -> Self {
        let good = [adder().await, adder().await];
        let registry = FakeRegistry::new_style().await;
        list(&registry, &[bad, good[0].address, good[1].address]);
        let options = ClientOptions { balance, ejection, ..options() };
        let client = Client::through_registry(&registry.url(), options).unwrap();
        let trio = Self { client, bad, good, registry };
        eventually("all are known", || trio.client.instances().len() == 3).await;
        trio
    }

    fn known_bad(&self) -> KnownInstance {
        let known = self.client.instances();
        known.into_iter().find(|known| known.instance.port == self.bad.port()).unwrap()
    }

    fn state(&self) -> InstanceState {
        self.known_bad().health.state
    }

    /// A call that may run twice; who replied.
    async fn idempotent_call(&self) -> String {
        let request = Request::new("add", (1, 2)).unwrap().idempotent();
        self.client.request(request).await.unwrap().peer
    }

    /// Calls one after the other for that time, with a short pause between; how many, and how many failed.
    async fn call_for(&self, time: Duration) -> (u32, u32) {
        let (end, mut calls, mut failed) = (Instant::now() + time, 0, 0);
        while Instant::now() < end {
            calls += 1;
            failed += u32::from(self.client.call("add", (1, 2)).await.is_err());
            tokio::time::sleep(MS).await;
        }
        (calls, failed)
    }
}

fn list(registry: &FakeRegistry, addresses: &[SocketAddr]) {
    let parameters = json!({"wire": 1, "contract": "0123456789abcdef0123456789abcdef"});
    let entries: Vec<_> = addresses.iter().map(|at| entry(*at, parameters.clone())).collect();
    registry.list_json(&Value::from(entries));
}

/// A server that can be stopped and continued, as by a signal: it accepts, but reads and writes nothing.
struct Stoppable {
    peer: Peer,
    is_stopped: watch::Sender<bool>,
}

impl Stoppable {
    async fn new() -> Self {
        let is_stopped = watch::Sender::new(false);
        let seen = is_stopped.subscribe();
        let serve =
            Arc::new(|request: &Value| Do::Write(result(request, &sum(request).to_string())));
        let peer = fakes::scripted(move |_, socket, log| {
            let (mut seen, serve) = (seen.clone(), Arc::clone(&serve));
            async move {
                let mut speak = std::pin::pin!(fakes::speak_extended(socket, log, serve));
                loop {
                    let _ = seen.wait_for(|is_stopped| !is_stopped).await;
                    tokio::select! {
                        biased;
                        _ = seen.wait_for(|is_stopped| *is_stopped) => {}
                        () = &mut speak => return,
                    }
                }
            }
        })
        .await;
        Self { peer, is_stopped }
    }

    fn stop(&self) {
        self.is_stopped.send_replace(true);
    }

    fn go_on(&self) {
        self.is_stopped.send_replace(false);
    }

    /// The calls end soon, and others reply to them.
    async fn is_not_waited_for(&self, calls: impl Future<Output = Vec<String>>) {
        let replied = tokio::time::timeout(3000 * MS, calls).await.expect("nobody waits for it");
        assert!(replied.iter().all(|peer| *peer != self.peer.name()), "{replied:?}");
    }
}

/// One that fails every `nth` call with an error of the method.
async fn failing_each(nth: usize) -> Peer {
    let calls = AtomicUsize::new(0);
    extended(move |request| {
        let fails = calls.fetch_add(1, Ordering::SeqCst).is_multiple_of(nth);
        Do::Write(if fails { failure(request, -32603) } else { result(request, "3") })
    })
    .await
}

#[tokio::test]
async fn one_that_fails_every_call_is_ejected_under_every_policy() {
    for (name, balance) in Balance::ALL {
        let bad = failing_each(1).await;
        let trio = Trio::new(bad.address, balance, EjectionOptions::default()).await;
        let (calls, failed) = trio.call_for(1500 * MS).await;
        assert!(failed <= 15, "{name}: {failed} of {calls} failed");
        // It is also asked whether its methods may be repeated.
        let is_add = |message: &&Value| message["method_name"] == "add";
        let called = bad.seen.calls().iter().filter(is_add).count();
        assert!(called <= 15, "{name}: called {called} times");
        let health = trio.known_bad().health;
        if balance != Balance::LeastInFlight {
            assert_ne!(health.state, InstanceState::Up, "{name}");
            let reason = health.reason.unwrap();
            assert!(reason.contains(" failed, of the others' 0 of"), "{reason}");
            assert!(reason.contains("the last error: Error calling method: x"), "{reason}");
        }
    }
}

#[tokio::test]
async fn one_that_fails_half_of_its_calls_is_ejected_and_does_not_attract() {
    for (name, balance) in Balance::ALL {
        let bad = failing_each(2).await;
        let trio = Trio::new(bad.address, balance, EjectionOptions::default()).await;
        let (calls, failed) = trio.call_for(1500 * MS).await;
        assert!(failed <= 15, "{name}: {failed} of {calls} failed");
    }
}

#[tokio::test]
async fn one_that_closes_each_connection_after_reading_is_ejected() {
    for (name, balance) in Balance::ALL {
        let bad = extended(|_| Do::Close).await;
        let trio = Trio::new(bad.address, balance, EjectionOptions::default()).await;
        let (calls, failed) = trio.call_for(1000 * MS).await;
        assert!(failed <= 15, "{name}: {failed} of {calls} failed");
    }
}

#[tokio::test]
async fn one_that_refuses_every_call_as_overloaded_is_ejected_before_the_retry_budget_ends() {
    let bad = extended(|request| Do::Write(failure(request, -32002))).await;
    let trio = Trio::new(bad.address, Balance::Random, EjectionOptions::default()).await;
    assert_eq!(trio.call_for(1000 * MS).await.1, 0);
    assert!(bad.seen.calls().len() <= 10, "{}", bad.seen.calls().len());
}

#[tokio::test]
async fn a_method_that_fails_everywhere_ejects_nobody() {
    let peers = [failing_each(1).await, failing_each(1).await, failing_each(1).await];
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.each_ref().map(|peer| peer.address));
    let client = Client::through_registry(&registry.url(), options()).unwrap();
    for _ in 0..300 {
        client.call("add", (1, 2)).await.unwrap_err();
        assert!(client.instances().iter().all(|it| it.health.state == InstanceState::Up));
    }
    assert!(peers.iter().all(|peer| peer.seen.calls().len() > 50));
}

#[tokio::test]
async fn wrong_calls_eject_nobody() {
    let bad = extended(|request| Do::Write(failure(request, -32602))).await;
    let trio = Trio::new(bad.address, Balance::RoundRobin, EjectionOptions::default()).await;
    for _ in 0..300 {
        let _ = trio.client.call("add", (1, 2)).await;
    }
    assert_eq!((trio.state(), bad.seen.calls().len()), (InstanceState::Up, 100));
}

#[tokio::test]
async fn calls_that_may_run_twice_leave_a_stopped_instance_at_once() {
    let stopped = Stoppable::new().await;
    let trio = Trio::new(stopped.peer.address, Balance::RoundRobin, fast()).await;
    for _ in 0..9 {
        trio.idempotent_call().await;
    }
    stopped.stop();
    let began = Instant::now();
    let calls = futures_util::future::join_all((0..30).map(|_| trio.idempotent_call()));
    stopped.is_not_waited_for(calls).await;
    assert!(began.elapsed() >= 50 * MS, "a part of them waited for it");
    assert_ne!(trio.state(), InstanceState::Up);
    let reason = trio.known_bad().health.reason.unwrap();
    assert!(reason.starts_with("its calls and a ping got no answer for"), "{reason}");
    // It gets no new ones.
    let before = stopped.peer.seen.accepted();
    let (calls, failed) = trio.call_for(300 * MS).await;
    assert_eq!(failed, 0, "of {calls}");
    // Probes and pings.
    assert!(stopped.peer.seen.accepted() - before < 20);
    stopped.go_on();
    eventually("it is called again", || trio.state().gets_calls()).await;
    while trio.idempotent_call().await != stopped.peer.name() {}
}

#[tokio::test]
async fn calls_leave_a_stopped_instance_that_has_left_the_list() {
    let stopped = Stoppable::new().await;
    // Found out only after it has left.
    let ejection = EjectionOptions { ping_interval: 500 * MS, ..fast() };
    let trio = Trio::new(stopped.peer.address, Balance::RoundRobin, ejection).await;
    for _ in 0..9 {
        trio.idempotent_call().await;
    }
    stopped.stop();
    let leaving = async {
        tokio::task::yield_now().await;
        list(&trio.registry, &[trio.good[0].address, trio.good[1].address]);
        eventually("it is listed no more", || trio.client.instances().len() == 2).await;
    };
    let calls = futures_util::future::join_all((0..30).map(|_| trio.idempotent_call()));
    let both = async { tokio::join!(calls, leaving).0 };
    stopped.is_not_waited_for(both).await;
}

#[tokio::test]
async fn calls_of_no_service_leave_a_stopped_instance_that_is_alone_in_its_own() {
    let stopped = Stoppable::new().await;
    let trio = Trio::new(stopped.peer.address, Balance::RoundRobin, fast()).await;
    let listed = |at, service| {
        let contract = "0123456789abcdef0123456789abcdef";
        entry(at, json!({"wire": 1, "contract": contract, "service": service}))
    };
    let [one, other] = trio.good.each_ref().map(|good| listed(good.address, "a"));
    trio.registry.list_json(&json!([listed(trio.bad, "b"), one, other]));
    eventually("all services are known", || {
        trio.client.instances().iter().all(|known| known.instance.service().is_some())
    })
    .await;
    for _ in 0..9 {
        trio.idempotent_call().await;
    }
    stopped.stop();
    let calls = futures_util::future::join_all((0..30).map(|_| trio.idempotent_call()));
    stopped.is_not_waited_for(calls).await;
}

#[tokio::test]
async fn a_call_that_may_have_run_is_not_sent_elsewhere() {
    let stopped = Stoppable::new().await;
    let trio = Trio::new(stopped.peer.address, Balance::RoundRobin, fast()).await;
    for _ in 0..3 {
        trio.idempotent_call().await;
    }
    stopped.stop();
    let call = || trio.client.call("add", (1, 2));
    let both = async { tokio::join!(call(), call(), call()) };
    let going_on = async {
        eventually("it is suspect", || !trio.state().gets_calls()).await;
        stopped.go_on();
    };
    let ((one, two, three), ()) = tokio::join!(both, going_on);
    assert_eq!([one.unwrap(), two.unwrap(), three.unwrap()], [3, 3, 3]);
    let is_add = |message: &&Value| message["method_name"] == "add";
    let calls = |peer: &Peer| peer.seen.calls().iter().filter(is_add).count();
    let all = calls(&stopped.peer) + trio.good.iter().map(calls).sum::<usize>();
    assert_eq!(all, 6, "each ran once");
}

#[tokio::test]
async fn an_open_loop_loses_what_was_sent_to_a_stopped_instance_before_it_was_suspect() {
    for (name, balance) in Balance::ALL {
        let stopped = Stoppable::new().await;
        let trio = Trio::new(stopped.peer.address, balance, EjectionOptions::default()).await;
        trio.call_for(200 * MS).await;
        stopped.stop();
        let (mut calls, mut suspect) = (Vec::new(), None);
        let mut ticks = tokio::time::interval(5 * MS);
        for index in 0..400_usize {
            ticks.tick().await;
            if !trio.state().gets_calls() {
                suspect.get_or_insert(index);
            }
            let client = trio.client.clone();
            let request = Request::new("add", (1, 2)).unwrap().timeout(1000 * MS);
            calls.push(tokio::spawn(async move { client.request(request).await.err() }));
        }
        let (stopped, mut lost) = (trio.bad.to_string(), Vec::new());
        for (index, call) in calls.into_iter().enumerate() {
            // Others fail only where the machine itself pauses.
            let error = call.await.unwrap();
            lost.extend(error.filter(|it| it.peer() == Some(&stopped)).map(|_| index));
        }
        // Within half a second, and a quarter more for the time between two looks: 150 calls, and as many again on a
        // busy machine.
        let suspect = suspect.unwrap_or(400);
        assert!(suspect <= 300, "{name}: suspect after {suspect} calls");
        // Until then a third; by chance it may be three standard deviations more.
        let third = suspect as f64 / 3.0;
        let most = third + 3.0 * (third * 2.0 / 3.0).sqrt();
        assert!(lost.len() as f64 <= most, "{name}: {} of {suspect} were lost", lost.len());
        let later = lost.iter().filter(|index| **index > suspect).count();
        assert!(later <= 2, "{name}: {later} were lost later");
    }
}

#[tokio::test]
async fn a_closed_loop_goes_on_beside_a_stopped_instance_under_every_policy() {
    for (name, balance) in Balance::ALL {
        let stopped = Stoppable::new().await;
        let trio = Arc::new(Trio::new(stopped.peer.address, balance, fast()).await);
        let done = Arc::new(AtomicUsize::new(0));
        let over = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..64)
            .map(|_| {
                let (trio, done, over) = (Arc::clone(&trio), Arc::clone(&done), Arc::clone(&over));
                tokio::spawn(async move {
                    while !over.load(Ordering::SeqCst) {
                        trio.idempotent_call().await;
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let ended = || done.load(Ordering::SeqCst);
        eventually("calls end", || ended() > 1_000).await;
        stopped.stop();
        eventually("it is suspect", || !trio.state().gets_calls()).await;
        // If it stood still, each caller would wait for the timeout of a call, and 256 would end in this time. How much
        // it loses is measured with real servers, on an idle machine.
        let before = ended();
        eventually(&format!("{name}: it goes on"), || ended() > before + 1_000).await;
        stopped.go_on();
        eventually("it is up again", || trio.state() == InstanceState::Up).await;
        over.store(true, Ordering::SeqCst);
        for caller in callers {
            caller.await.unwrap();
        }
    }
}

#[tokio::test]
async fn one_whose_method_takes_long_is_never_suspect() {
    let slow = extended(|request| Do::WriteAfter(800 * MS, result(request, "3"))).await;
    let trio = Trio::new(slow.address, Balance::RoundRobin, fast()).await;
    let calls = futures_util::future::join_all((0..30).map(|_| trio.idempotent_call()));
    let watching = async {
        let end = Instant::now() + 700 * MS;
        while Instant::now() < end {
            assert_eq!(trio.state(), InstanceState::Up);
            tokio::time::sleep(5 * MS).await;
        }
    };
    let (replied, ()) = tokio::join!(calls, watching);
    assert_eq!(replied.iter().filter(|peer| **peer == slow.name()).count(), 10);
    let pings = slow.seen.messages().len() - slow.seen.calls().len();
    assert!((1..=12).contains(&pings), "{pings}");
}

#[tokio::test]
async fn a_stuck_connection_is_left_for_a_new_one_and_its_instance_is_not_blamed() {
    let slow = Arc::new(AtomicBool::new(false));
    let is_slow = Arc::clone(&slow);
    let peer = extended(move |request| {
        let reply = result(request, &sum(request).to_string());
        match is_slow.load(Ordering::SeqCst) {
            true => Do::WriteAfter(500 * MS, reply),
            false => Do::Write(reply),
        }
    })
    .await;
    let way = Proxy::start(peer.address).await;
    let trio = Trio::new(way.address(), Balance::RoundRobin, fast()).await;
    let name = way.address().to_string();
    for _ in 0..6 {
        trio.idempotent_call().await;
    }
    // Whose reply takes long is not stuck.
    slow.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        trio.idempotent_call().await;
    }
    slow.store(false, Ordering::SeqCst);
    let is_add = |message: &&Value| message["method_name"] == "add";
    let calls = || peer.seen.calls().iter().filter(is_add).count();
    assert_eq!(calls(), 3, "each third, once");
    way.stall_open();
    let began = Instant::now();
    let replied: Vec<_> =
        futures_util::future::join_all((0..6).map(|_| trio.idempotent_call())).await;
    assert!(began.elapsed() < 3000 * MS, "{:?}", began.elapsed());
    assert!(!replied.contains(&name), "what may run twice goes elsewhere: {replied:?}");
    assert_eq!(trio.state(), InstanceState::Up);
    let replied: Vec<_> =
        futures_util::future::join_all((0..6).map(|_| trio.idempotent_call())).await;
    assert!(replied.contains(&name), "over a new connection: {replied:?}");
    assert_eq!(trio.state(), InstanceState::Up);
}

#[tokio::test]
async fn a_single_instance_is_neither_pinged_nor_ejected() {
    let slow = extended(|request| Do::WriteAfter(400 * MS, failure(request, -32603))).await;
    let registry = FakeRegistry::new_style().await;
    registry.list_json(&json!([entry(slow.address, json!({"wire": 1}))]));
    let ejection = EjectionOptions { max_consecutive_failures: 1, ..fast() };
    let client = Client::through_registry(&registry.url(), ClientOptions { ejection, ..options() });
    let client = client.unwrap();
    for _ in 0..3 {
        client.call("add", (1, 2)).await.unwrap_err();
        assert_eq!(client.instances()[0].health.state, InstanceState::Up);
    }
    assert_eq!((slow.seen.accepted(), slow.seen.messages().len()), (1, 3), "no ping");
}

#[tokio::test]
async fn a_silent_older_server_gets_connections_without_a_byte_and_stays_up() {
    let older = fakes::classic(|request| {
        let reply = json!({"res": sum(request)}).to_string();
        Do::WriteAfter(400 * MS, reply)
    })
    .await;
    let other = adder().await;
    let registry = FakeRegistry::new_style().await;
    registry.list(&[older.address, other.address]);
    let options = ClientOptions { balance: Balance::RoundRobin, ejection: fast(), ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    for _ in 0..4 {
        assert_eq!(client.call("add", (1, 2)).await.unwrap(), 3);
        assert!(client.instances().iter().all(|it| it.health.state == InstanceState::Up));
    }
    assert!(older.seen.accepted() > 1, "it was pinged");
    let health = |message: &Value| message["method_name"] == "rpc.health";
    assert_eq!(older.seen.messages().into_iter().filter(health).count(), 1, "to learn the dialect");
}

#[tokio::test]
async fn one_that_accepts_and_does_not_say_which_dialect_it_speaks_costs_no_call() {
    let silent = fakes::scripted(|_, mut socket, _| async move {
        while matches!(socket.read(&mut [0; 1024]).await, Ok(1..)) {}
    })
    .await;
    let good = adder().await;
    let registry = FakeRegistry::new_style().await;
    registry.list(&[silent.address, good.address]);
    let options = ClientOptions { balance: Balance::RoundRobin, ejection: fast(), ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    for _ in 0..20 {
        // Well below the time after which a call fails over.
        let request = Request::new("add", (1, 2)).unwrap().timeout(1000 * MS);
        assert_eq!(client.request(request).await.unwrap().peer, good.name());
    }
}

#[tokio::test]
async fn one_that_is_ten_times_slower_than_the_others_is_ejected() {
    let slow = extended(|request| Do::WriteAfter(40 * MS, result(request, "3"))).await;
    let trio = Trio::new(slow.address, Balance::Random, EjectionOptions::default()).await;
    let mut ejected = false;
    for _ in 0..500 {
        assert_eq!(trio.client.call("add", (1, 2)).await.unwrap(), 3);
        ejected |= !trio.state().gets_calls();
        if ejected {
            break;
        }
    }
    let reason = trio.known_bad().health.reason.unwrap();
    assert!(reason.contains("calls took at least"), "{reason}");
    assert!(reason.contains(", of the others' 0 of"), "{reason}");
}

#[tokio::test]
async fn one_that_is_still_slow_when_it_comes_back_gets_one_call_each_time() {
    let slow = extended(|request| Do::WriteAfter(400 * MS, result(request, "3"))).await;
    // On a busy machine calls of the others may take some milliseconds, too.
    let ejection = EjectionOptions { min_latency: 200 * MS, min_ejection: 400 * MS, ..fast() };
    let trio = Trio::new(slow.address, Balance::Random, ejection).await;
    let client = &trio.client;
    let call_for = |time: Duration| {
        let end = Instant::now() + time;
        let caller = move |_| async move {
            while Instant::now() < end {
                assert_eq!(client.call("add", (1, 2)).await.unwrap(), 3);
            }
        };
        futures_util::future::join_all((0..8).map(caller))
    };
    let began = Instant::now();
    while trio.state() != InstanceState::Ejected {
        call_for(10 * MS).await;
        assert!(began.elapsed() < 10_000 * MS, "{:?}", trio.known_bad());
    }
    let before = slow.seen.calls().len();
    call_for(1300 * MS).await;
    // It is back after 0.4 s at first, then after 0.8 s.
    let calls = slow.seen.calls().len() - before;
    assert!((1..=3).contains(&calls), "{calls} calls");
}

#[tokio::test]
async fn one_that_is_well_again_gets_a_share_that_grows_and_then_its_whole() {
    for (name, balance) in Balance::ALL {
        let is_bad = Arc::new(AtomicBool::new(true));
        let fails = Arc::clone(&is_bad);
        let peer = extended(move |request| {
            let fails = fails.load(Ordering::SeqCst);
            Do::Write(if fails { failure(request, -32603) } else { result(request, "3") })
        })
        .await;
        let trio = Trio::new(peer.address, balance, fast()).await;
        trio.call_for(300 * MS).await;
        is_bad.store(false, Ordering::SeqCst);
        let began = Instant::now();
        while trio.state() != InstanceState::Up || peer.seen.calls().len() < 20 {
            trio.call_for(20 * MS).await;
            assert!(began.elapsed() < 5000 * MS, "{name}: {:?}", trio.known_bad());
        }
        let before = peer.seen.calls().len();
        let (calls, failed) = trio.call_for(1000 * MS).await;
        let share = (peer.seen.calls().len() - before) as f64 / f64::from(calls);
        // By latency it may be less than a third.
        let least = if balance == Balance::LeastInFlight { 0.02 } else { 0.15 };
        assert!(failed == 0 && share >= least, "{name}: a share of {share}");
    }
}

#[tokio::test]
async fn retries_go_to_one_in_its_slow_start_only_if_there_is_no_other() {
    let is_ending = Arc::new(AtomicBool::new(true));
    let ends = Arc::clone(&is_ending);
    let back = extended(move |request| {
        let ends = ends.load(Ordering::SeqCst);
        Do::Write(if ends { failure(request, -32003) } else { result(request, "3") })
    })
    .await;
    let refusing = extended(|request| Do::Write(failure(request, -32002))).await;
    let good = adder().await;
    let registry = FakeRegistry::new_style().await;
    registry.list(&[back.address, refusing.address, good.address]);
    // Nobody is ejected for refusing.
    let ejection = EjectionOptions {
        max_consecutive_failures: 10_000,
        slow_start_window: 60_000 * MS,
        ..fast()
    };
    let options = ClientOptions { balance: Balance::RoundRobin, ejection, ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    let state = || {
        let known = client.instances();
        let back = known.iter().find(|known| known.instance.port == back.address.port());
        back.map(|known| known.health.state)
    };
    let began = Instant::now();
    while state() != Some(InstanceState::SlowStart) {
        let _ = client.call("add", (1, 2)).await;
        is_ending.store(state() != Some(InstanceState::Ejected), Ordering::SeqCst);
        assert!(began.elapsed() < 5000 * MS, "{:?}", client.instances());
    }
    let before = back.seen.calls().len();
    for _ in 0..150 {
        let _ = client.call("add", (1, 2)).await;
    }
    // Five as a first choice, a tenth of its turns; and none of the fifty that the other one refused.
    let calls = back.seen.calls().len() - before;
    assert!(calls <= 16, "{calls} calls");
}
