//! The service on a paused clock, and without a socket except where one is probed.

use std::future::Future;
use std::net::Ipv4Addr;

use rpc_wire::instance::{EntryLimits, WatchEvent};

use rpc_wire::instance::InstanceRecord;

use super::*;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const ADDRESS: SocketAddr = SocketAddr::new(PEER, 9);

fn service(options: RegistryOptions) -> Arc<Service> {
    let service = Arc::new(Service::new(options, ADDRESS, Vec::new()));
    let timer = Arc::clone(&service);
    tokio::spawn(async move { timer.run_timers().await });
    service
}

fn body(protocol: &str, port: u16, weight: u64) -> Vec<u8> {
    format!(
        r#"{{"protocol":"{protocol}","host":"127.0.0.1","port":{port},"parameters":{{"weight":{weight}}}}}"#
    )
    .into()
}

async fn register(service: &Service, body: &[u8]) -> String {
    let renewed = service.register(body, &Sender::anyone(PEER)).await.unwrap();
    String::from_utf8(renewed.of.reply.to_vec()).unwrap()
}

fn watch(service: &Arc<Service>, protocol: Option<&str>, last: Option<&str>) -> Watcher {
    let scope = Scope { protocol: protocol.map(Into::into), ..Scope::default() };
    Watcher::new(Arc::clone(service), (scope, Reader::Ages), last, false)
}

/// The next event and its id.
async fn next(watcher: &mut Watcher) -> (WatchEvent, Option<String>) {
    loop {
        let frame = String::from_utf8(watcher.next().await.unwrap().to_vec()).unwrap();
        let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
        if let Some(name) = field("event: ") {
            let data: String =
                frame.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
            let (event, skipped) =
                WatchEvent::parse(name, &data, EntryLimits::default()).unwrap().unwrap();
            assert_eq!(skipped.count, 0, "{data}");
            return (event, field("id: ").map(str::to_owned));
        }
    }
}

/// The next event as `name port,port…`.
async fn next_text(watcher: &mut Watcher) -> String {
    let (event, _) = next(watcher).await;
    let ports: Vec<_> = match &event {
        WatchEvent::Snapshot(records) => records.iter().map(|r| r.instance.port).collect(),
        WatchEvent::Registered(record)
        | WatchEvent::Updated(record)
        | WatchEvent::Suspect(record) => vec![record.instance.port],
        WatchEvent::Unregistered(key) | WatchEvent::Expired(key, _) => vec![key.port],
        WatchEvent::Beats(beats) => beats.iter().map(|beat| beat.key.port).collect(),
    };
    let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
    format!("{} {}", event.name(), ports.join(","))
}

async fn is_silent(watcher: &mut Watcher) -> bool {
    tokio::time::timeout(Duration::from_millis(10), next_text(watcher)).await.is_err()
}

async fn within<T>(limit: Duration, what: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, what).await.expect("it takes too long")
}

#[tokio::test(start_paused = true)]
async fn a_watcher_gets_every_change_once_and_in_order() {
    let service = service(RegistryOptions::default());
    register(&service, &body("json", 1, 0)).await;
    let mut watcher = watch(&service, None, None);
    assert_eq!(next_text(&mut watcher).await, "snapshot 1");
    register(&service, &body("json", 2, 0)).await;
    register(&service, &body("json", 2, 0)).await;
    register(&service, &body("json", 1, 7)).await;
    service.unregister(&body("json", 2, 0), &Sender::anyone(PEER)).await.unwrap();
    service.unregister(&body("json", 2, 0), &Sender::anyone(PEER)).await.unwrap();
    for expected in ["registered 2", "updated 1", "unregistered 2"] {
        assert_eq!(next_text(&mut watcher).await, expected);
    }
    assert!(is_silent(&mut watcher).await);
    let expired = within(Duration::from_secs(16), next_text(&mut watcher)).await;
    assert_eq!(expired, "expired 1");
}

#[tokio::test(start_paused = true)]
async fn a_watcher_of_one_protocol_gets_no_others() {
    let service = service(RegistryOptions::default());
    register(&service, &body("other", 1, 0)).await;
    let mut watcher = watch(&service, Some("json"), None);
    assert_eq!(next_text(&mut watcher).await, "snapshot ");
    register(&service, &body("other", 2, 0)).await;
    register(&service, &body("json", 3, 0)).await;
    assert_eq!(next_text(&mut watcher).await, "registered 3");
    assert!(is_silent(&mut watcher).await);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_resumes_after_its_last_event_unless_the_registry_restarted() {
    let service = service(RegistryOptions::default());
    register(&service, &body("json", 1, 0)).await;
    let mut first = watch(&service, None, None);
    let (_, id) = next(&mut first).await;
    register(&service, &body("json", 2, 0)).await;
    let mut resumed = watch(&service, None, id.as_deref());
    assert_eq!(next_text(&mut resumed).await, "registered 2");
    assert!(is_silent(&mut resumed).await);
    for unknown in ["0123456789abcdef.1", "", "nonsense", &service.name_of(99)] {
        let mut watcher = watch(&service, None, Some(unknown));
        assert_eq!(next_text(&mut watcher).await, "snapshot 1,2", "{unknown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_event_has_current_ages() {
    let service = service(RegistryOptions::default());
    let (_, id) = next(&mut watch(&service, None, None)).await;
    let body = body("json", 1, 0);
    register(&service, &body).await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(4)).await;
        register(&service, &body).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (event, _) = next(&mut watch(&service, None, id.as_deref())).await;
    let WatchEvent::Registered(record) = event else { panic!("{event:?}") };
    assert_eq!(
        (record.age_ms, record.registered_ms_ago, record.heartbeats),
        (Some(3000), 43_000, Some(11))
    );
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_falls_behind_gets_a_fresh_snapshot() {
    let service = service(RegistryOptions { max_history: 4, ..Default::default() });
    let mut watcher = watch(&service, None, None);
    assert_eq!(next_text(&mut watcher).await, "snapshot ");
    for port in 1..=4 {
        register(&service, &body("json", port, 0)).await;
    }
    assert_eq!(next_text(&mut watcher).await, "registered 1");
    for port in 5..=9 {
        register(&service, &body("json", port, 0)).await;
    }
    // The events it had already taken from the history come first.
    for expected in ["registered 2", "registered 3", "registered 4"] {
        assert_eq!(next_text(&mut watcher).await, expected);
    }
    assert_eq!(next_text(&mut watcher).await, "snapshot 1,2,3,4,5,6,7,8,9");
    register(&service, &body("json", 10, 0)).await;
    assert_eq!(next_text(&mut watcher).await, "registered 10");
}

#[tokio::test(start_paused = true)]
async fn slow_watchers_share_a_snapshot_and_new_ones_get_the_latest() {
    let service = service(RegistryOptions { max_history: 4, ..Default::default() });
    let ids: Vec<_> = (0..2).map(|_| service.name_of(0)).collect();
    for port in 1..=6 {
        register(&service, &body("json", port, 0)).await;
    }
    let mut first = watch(&service, None, Some(&ids[0]));
    assert_eq!(next_text(&mut first).await, "snapshot 1,2,3,4,5,6");
    register(&service, &body("json", 7, 0)).await;
    let mut second = watch(&service, None, Some(&ids[1]));
    assert_eq!(next_text(&mut second).await, "snapshot 1,2,3,4,5,6");
    assert_eq!(next_text(&mut second).await, "registered 7");
    let mut newcomer = watch(&service, None, None);
    assert_eq!(next_text(&mut newcomer).await, "snapshot 1,2,3,4,5,6,7");
}

#[tokio::test(start_paused = true)]
async fn ages_come_at_most_once_a_second_with_each_instance_once() {
    let service = service(RegistryOptions::default());
    for port in [1, 2, 3] {
        register(&service, &body("json", port, 0)).await;
    }
    let mut watcher =
        Watcher::new(Arc::clone(&service), (Scope::protocol("json"), Reader::Ages), None, true);
    assert_eq!(next_text(&mut watcher).await, "snapshot 1,2,3");
    tokio::time::sleep(Duration::from_millis(2500)).await;
    while !is_silent(&mut watcher).await {}
    let beating = tokio::spawn({
        let service = Arc::clone(&service);
        async move {
            loop {
                for port in [1, 2] {
                    register(&service, &body("json", port, 0)).await;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    });
    let start = now();
    for _ in 0..3 {
        assert_eq!(next_text(&mut watcher).await, "beats 1,2");
    }
    let elapsed = now() - start;
    assert!((2000..=3000).contains(&elapsed.as_millis()), "{elapsed:?}");
    beating.abort();
}

/// An instance of 3.5 KB.
fn large(port: u16) -> Vec<u8> {
    let text = "x".repeat(3500);
    format!(
        r#"{{"protocol":"json","host":"127.0.0.1","port":{port},"parameters":{{"text":"{text}"}}}}"#
    )
    .into()
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_is_late_keeps_few_events_at_a_time_and_gets_all() {
    let service = service(RegistryOptions::default());
    let id = service.name_of(0);
    for port in 1..=100 {
        register(&service, &large(port)).await;
    }
    // From now on each watcher's events have ages of its own.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut watcher = watch(&service, None, Some(&id));
    for port in 1..=100 {
        assert_eq!(next_text(&mut watcher).await, format!("registered {port}"));
        let ready: usize = watcher.ready.iter().map(Bytes::len).sum();
        assert!(ready <= 20 * 1024, "{ready} bytes are kept for it");
    }
}

#[tokio::test(start_paused = true)]
async fn ages_that_nobody_reads_are_bounded_and_come_again_when_there_is_room() {
    const MAX: usize = 400 * 1024;
    let service = service(RegistryOptions { max_pinned_bytes: MAX, ..Default::default() });
    let scope = (Scope::default(), Reader::Ages);
    let mut watcher = Watcher::new(Arc::clone(&service), scope, None, true);
    let mut round = async || {
        for port in 1..=500 {
            register(&service, &body("json", port, 0)).await;
        }
        let until = tokio::time::Instant::now() + Duration::from_secs(1);
        let mut frames = Vec::new();
        while let Ok(frame) = tokio::time::timeout_at(until, watcher.next()).await {
            frames.push(frame.unwrap());
        }
        frames.retain(|frame| frame.starts_with(b"event: beats"));
        frames
    };
    let mut unread = Vec::new();
    for _ in 0..40 {
        unread.extend(round().await);
    }
    let bytes: usize = unread.iter().map(Bytes::len).sum();
    assert!((MAX / 2..=MAX).contains(&bytes), "{} rounds take {bytes} bytes", unread.len());
    drop(unread);
    assert_eq!(round().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_the_process_expires_nobody() {
    let service = service(RegistryOptions::default());
    let body = body("json", 1, 0);
    register(&service, &body).await;
    tokio::task::yield_now().await;
    // Every timer is late by this, as after SIGSTOP.
    tokio::time::advance(Duration::from_secs(1000)).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(service.len(), 1);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(service.len(), 0);
}

#[tokio::test]
async fn a_list_is_built_once_per_burst_of_changes() {
    let service = service(RegistryOptions::default());
    for port in 1..=100 {
        register(&service, &body("json", port, 0)).await;
    }
    for _ in 0..50 {
        assert_eq!(
            service
                .list(&Scope::protocol("json"))
                .await
                .unwrap()
                .body
                .iter()
                .filter(|byte| **byte == b'{')
                .count(),
            200
        );
        register(&service, &body("json", 1, 0)).await;
    }
    assert_eq!(service.metrics.lists_built.get(), 1);
    register(&service, &body("json", 1, 7)).await;
    let list = service.list(&Scope::protocol("json")).await.unwrap().body;
    assert!(list.windows(10).any(|part| part == b"\"weight\":7"));
    assert_eq!(service.metrics.lists_built.get(), 2);
}

#[tokio::test]
async fn a_stopped_server_that_sends_heartbeats_is_not_listed() {
    let service = service(RegistryOptions::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let body = body("json", address.port(), 0);
    register(&service, &body).await;
    drop(listener);
    service.unregister(&body, &Sender::anyone(PEER)).await.unwrap();
    for _ in 0..3 {
        assert!(register(&service, &body).await.contains(r#""status":false"#));
    }
    assert_eq!((service.len(), service.metrics.held_back.get()), (0, 3));

    let _back = tokio::net::TcpListener::bind(address).await.unwrap();
    assert!(register(&service, &body).await.contains(r#""status":true"#));
    assert_eq!(service.len(), 1);
}

#[tokio::test]
async fn an_instance_that_cannot_be_probed_is_listed_at_once() {
    let service = service(RegistryOptions::default());
    for body in [
        r#"{"protocol":"json","host":"a-name","port":1}"#,
        r#"{"protocol":"json","host":"192.0.2.1","port":1}"#,
    ] {
        register(&service, body.as_bytes()).await;
        service.unregister(body.as_bytes(), &Sender::anyone(PEER)).await.unwrap();
        let answer = register(&service, body.as_bytes()).await;
        assert!(answer.contains(r#""status":true"#), "{body}");
    }
    assert_eq!(service.len(), 2);
}

/// The parts from a page on, as one array; the ports of its instances.
async fn ports_from(
    service: &Service,
    scope: &Scope,
    mut start: Vec<u8>,
    mut page: Page,
) -> Vec<u16> {
    while let Some(part) = service.page(scope, &mut page).await {
        start.extend(part);
    }
    let records: Vec<InstanceRecord> = serde_json::from_slice(&start).unwrap();
    records.iter().map(|record| record.instance.port).collect()
}

#[tokio::test]
async fn pages_are_one_array_whatever_their_number() {
    let service = service(RegistryOptions::default());
    let mut registered = 0;
    for number in [0, 1, 300, 900] {
        while registered < number {
            registered += 1;
            register(&service, &body("json", registered, 0)).await;
        }
        let ports = ports_from(&service, &Scope::default(), Vec::new(), Page::default()).await;
        assert_eq!(ports, (1..=number).collect::<Vec<_>>());
    }
    let mut parts = 0;
    let mut page = Page::default();
    while service.page(&Scope::default(), &mut page).await.is_some() {
        parts += 1;
    }
    assert!((3..10).contains(&parts), "{parts} parts");
}

#[tokio::test]
async fn between_two_pages_others_have_their_turn() {
    let service = service(RegistryOptions::default());
    for port in 1..=900 {
        register(&service, &body("json", port, 0)).await;
    }
    let turns = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let others = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let (mut parts, mut page) = (0, Page::default());
    while service.page(&Scope::default(), &mut page).await.is_some() {
        parts += 1;
    }
    others.abort();
    assert!(turns.load(std::sync::atomic::Ordering::Relaxed) >= parts, "{parts} parts");
}

#[tokio::test]
async fn those_who_wait_for_a_build_share_the_next_one() {
    let service = service(RegistryOptions::default());
    register(&service, &body("json", 1, 0)).await;
    let built = async || {
        let scope = Scope::default();
        service.snapshot((&scope, Reader::default()), false).await.unwrap().frame.as_ptr()
    };
    let turn = service.building.lock().await;
    let mut waiting = std::pin::pin!(futures_util::future::join(built(), built()));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    // What has been built since they asked would do, too.
    register(&service, &body("json", 2, 0)).await;
    drop(turn);
    let (first, second) = waiting.await;
    assert_eq!(first, second);
    register(&service, &body("json", 3, 0)).await;
    assert_ne!(built().await, first, "a change that was acknowledged before is in it");
}

#[tokio::test]
async fn no_instance_is_on_two_pages_and_one_that_stays_is_on_one() {
    let service = service(RegistryOptions::default());
    for port in 1..=900 {
        let protocol = if port <= 450 { "a" } else { "b" };
        register(&service, &body(protocol, port, 0)).await;
    }
    let mut page = Page::default();
    let start = service.page(&Scope::default(), &mut page).await.unwrap();
    // One of the first page comes back, two of the following ones leave, another protocol comes.
    for port in [1, 440, 800] {
        let body = body(if port <= 450 { "a" } else { "b" }, port, 0);
        service.unregister(&body, &Sender::anyone(PEER)).await.unwrap();
        if port == 1 {
            register(&service, &body).await;
        }
    }
    register(&service, &body("aa", 1000, 0)).await;
    let ports = ports_from(&service, &Scope::default(), start, page).await;
    let expected: Vec<_> = (1..=900).filter(|port| ![440, 800].contains(port)).collect();
    assert_eq!(ports, expected);
}

/// A registry's service, and a listener that an instance registered.
async fn with_instance(options: RegistryOptions) -> (Arc<Service>, tokio::net::TcpListener, u16) {
    let service = service(options);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    register(&service, &body("json", port, 0)).await;
    (service, listener, port)
}

#[tokio::test]
async fn an_instance_that_is_asked_about_is_removed_at_once_if_it_refuses_and_only_then() {
    let (service, listener, port) = with_instance(RegistryOptions::default()).await;
    let mut watcher = watch(&service, None, None);
    assert_eq!(next_text(&mut watcher).await, format!("snapshot {port}"));
    let key = rpc_wire::instance::Instance::new("127.0.0.1", port).key();
    let ask = || {
        let claims = service.claims([key.clone()], PEER);
        service.probe_now(&claims.iter().map(|(_, ticket)| *ticket).collect::<Vec<_>>());
    };
    ask();
    // It was connected to, and stays.
    within(Duration::from_secs(20), listener.accept()).await.unwrap();
    assert!(is_silent(&mut watcher).await);
    drop(listener);
    ask();
    let removed = within(Duration::from_secs(20), next_text(&mut watcher)).await;
    assert_eq!((removed, service.len()), (format!("expired {port}"), 0));
    ask();
}

mod figures;
mod saving;
