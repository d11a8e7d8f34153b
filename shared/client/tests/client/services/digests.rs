//! Digests that mislead, and instances of a digest that do not reply.

use super::*;

fn entry_showing(digest: &str, address: SocketAddr) -> Value {
    entry(address, json!({"contract": digest, "wire": 1}))
}

#[tokio::test]
async fn an_instance_that_shows_the_digest_of_another_is_asked_itself() {
    for _ in 0..4 {
        let (a, b) = (Offering::new(&["alpha"]).await, Offering::new(&["beta"]).await);
        let digest = a.contract();
        let entries = [&a, &b].map(|it| entry_showing(&digest, it.address()));
        let registry = registry_of(entries.to_vec()).await;
        let client = client_of(&registry);
        assert_eq!(failures(&client, "beta", 20).await, []);
        assert_eq!(failures(&client, "alpha", 20).await, []);
        let names = client.methods().await.unwrap().into_iter().map(|it| it.name);
        assert_eq!(names.collect::<Vec<_>>(), ["alpha", "beta"]);
        let error = client_of(&registry).call("gamma", ()).await.unwrap_err().to_string();
        assert!(error.contains("asked 2 of 2"), "{error}");
    }
}

#[tokio::test]
async fn a_server_restarted_in_place_whose_digest_is_outdated_is_called_rightly() {
    let replicas = [Offering::new(&["old"]).await, Offering::new(&["old"]).await];
    let registry = registry_of(replicas.iter().map(|it| it.entry("s")).collect()).await;
    let client = client_of(&registry);
    client.call("new", ()).await.unwrap_err();
    replicas[0].offer(&["new"]);
    eventually("the list is older than a refresh", || registry.not_modified() > 3).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(failures(&client, "new", 20).await, []);
    assert_eq!(failures(&client, "old", 20).await, []);
}

#[tokio::test]
async fn refused_instances_of_a_digest_do_not_make_it_unknown() {
    let dead: Vec<_> = (0..40).map(|_| ReservedPort::new()).collect();
    let (a, b) = (Offering::new(&["alpha"]).await, Offering::new(&["beta"]).await);
    let digest = b.contract();
    let mut entries = vec![a.entry("a"), entry_showing(&digest, b.address())];
    entries.extend(dead.iter().map(|it| entry_showing(&digest, it.address())));
    let registry = registry_of(entries).await;
    for _ in 0..5 {
        let client = client_of(&registry);
        client.call("beta", ()).await.unwrap();
        assert_eq!(failures(&client, "beta", 50).await, [], "a retry goes to the one that is up");
    }
    let catalog = client_of(&registry).catalog().await.unwrap();
    assert_eq!(catalog.unknown.len(), 0);
}

#[tokio::test]
async fn owners_that_cannot_be_reached_are_not_said_to_lack_the_method() {
    let dead = [ReservedPort::new(), ReservedPort::new()];
    let (a, b) = (Offering::new(&["alpha"]).await, Offering::new(&["beta"]).await);
    let mut entries = vec![a.entry("a")];
    entries.extend(dead.iter().map(|it| entry_showing(&b.contract(), it.address())));
    let registry = registry_of(entries).await;
    let error = client_of(&registry).call("beta", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    let catalog = client_of(&registry).catalog().await.unwrap();
    let reasons = catalog.unknown.iter().map(|it| it.reason.to_string());
    for (reason, unknown) in reasons.zip(&catalog.unknown) {
        assert!(reason.contains(&unknown.instance.to_string()), "{reason} of {}", unknown.instance);
    }
}

#[tokio::test]
async fn a_silent_instance_of_a_digest_is_not_waited_for() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (a, b) = (Offering::new(&["alpha"]).await, Offering::new(&["beta"]).await);
    let digest = b.contract();
    let silent = entry_showing(&digest, silent.local_addr().unwrap());
    let registry =
        registry_of(vec![a.entry("a"), entry_showing(&digest, b.address()), silent]).await;
    for _ in 0..6 {
        let client = client_of(&registry);
        let start = Instant::now();
        client.catalog_within(Duration::from_secs(5)).await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(1500), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_call_does_not_spend_its_time_on_asking() {
    let (a, b) = (Offering::new(&["alpha"]).await, Offering::new(&["beta"]).await);
    b.discover_after(Duration::from_secs(20));
    let registry = registry_of(vec![a.entry("a"), b.entry("b")]).await;
    let request = Request::new("beta", ()).unwrap().timeout(Duration::from_secs(1));
    client_of(&registry).request(request).await.unwrap();
}

#[tokio::test]
async fn an_instance_to_which_no_connection_was_made_for_asking_gets_no_calls() {
    // Its queue of connections is full: no more are accepted.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    socket.listen(0).unwrap();
    let full = socket.local_addr().unwrap().as_socket().unwrap();
    let connect =
        || tokio::time::timeout(Duration::from_millis(500), tokio::net::TcpStream::connect(full));
    let mut queued = Vec::new();
    while let Ok(connected) = connect().await {
        queued.push(connected.unwrap());
        assert!(queued.len() < 100);
    }
    let (a, b) = (Offering::new(&["alpha"]).await, Offering::new(&["beta"]).await);
    let entries = vec![
        a.entry("a"),
        entry_showing(&b.contract(), b.address()),
        entry_showing(&b.contract(), full),
    ];
    let registry = registry_of(entries).await;
    let options = ClientOptions { failover_after: Duration::from_millis(600), ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    client.catalog().await.unwrap();
    let ejected = client.instances().into_iter().find(|it| it.instance.port == full.port());
    assert!(!ejected.unwrap().health.state.gets_calls());
    for _ in 0..100 {
        let start = Instant::now();
        client.call("beta", ()).await.unwrap();
        // One that goes there takes `failover_after`.
        assert!(start.elapsed() < Duration::from_millis(600), "{:?}", start.elapsed());
    }
}
