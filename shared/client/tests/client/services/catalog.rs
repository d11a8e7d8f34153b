//! The methods of all instances, for people.

use std::collections::HashSet;

use rpc_client::Catalog;

use super::*;

fn text(catalog: &Catalog) -> String {
    let who = |catalog: &Catalog| -> Vec<String> {
        let methods = catalog.methods();
        let lines = methods.iter().flat_map(|method| {
            method.variants.iter().map(|variant| {
                let services = variant.offered_by.iter().map(|replicas| {
                    let service = replicas.service.as_deref().unwrap_or("unnamed");
                    format!("{service} x{}", replicas.instances.len())
                });
                format!("{}: {}", method.name, services.collect::<Vec<_>>().join(", "))
            })
        });
        lines.collect()
    };
    who(catalog).join("\n")
}

#[tokio::test]
async fn the_union_with_who_has_what_is_ten_times_the_same() {
    let orders = [Offering::new(&["add", "get"]).await, Offering::new(&["add", "get"]).await];
    let users = Offering::new(&["get", "put"]).await;
    let older = Offering::classic(&["add", "legacy"]).await;
    let dead = ReservedPort::new();
    let [a, b] = orders.each_ref().map(|it| it.entry("orders"));
    let gone = entry(dead.address(), json!({"service": "gone"}));
    let entries = vec![a, older.plain_entry(), b, gone, users.entry("users")];
    let registry = registry_of(entries).await;
    // An older list says nothing of types, and so nothing else than the others.
    let expected =
        "add: unnamed x1, orders x2\nget: orders x2, users x1\nlegacy: unnamed x1\nput: users x1";
    for _ in 0..10 {
        let client = client_of(&registry);
        let catalog = client.catalog().await.unwrap();
        assert_eq!(text(&catalog), expected);
        let [unknown] = &catalog.unknown[..] else { panic!("{:?}", catalog.unknown) };
        assert_eq!(unknown.service.as_deref(), Some("gone"));
        assert!(matches!(unknown.reason, CallError::Unreachable { .. }), "{}", unknown.reason);
        let names: Vec<_> = client.methods().await.unwrap().into_iter().map(|it| it.name).collect();
        assert_eq!(names, ["add", "get", "legacy", "put"]);
        let users = client.service("users").catalog().await.unwrap();
        assert_eq!(text(&users), "get: users x1\nput: users x1");
    }
    for it in &orders {
        assert_eq!(it.count("rpc.discover"), 10, "each is asked itself, once per client");
    }
}

#[tokio::test]
async fn a_catalog_that_may_not_wait_has_those_that_have_replied() {
    let users = Offering::new(&["get"]).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = entry(silent.local_addr().unwrap(), json!({"service": "silent"}));
    let registry = registry_of(vec![users.entry("users"), silent]).await;
    let client = client_of(&registry);
    let within = Duration::from_millis(500);
    let start = std::time::Instant::now();
    let catalog = client.catalog_within(within).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(text(&catalog), "get: users x1");
    let [unknown] = &catalog.unknown[..] else { panic!("{:?}", catalog.unknown) };
    let is_late = matches!(unknown.reason, CallError::Timeout { after, .. } if after == within);
    assert!(unknown.service.as_deref() == Some("silent") && is_late, "{}", unknown.reason);
}

#[tokio::test]
async fn a_direct_client_has_a_catalog_of_one() {
    let older = Offering::classic(&["add", "legacy"]).await;
    let catalog = crate::direct(older.address()).catalog().await.unwrap();
    assert_eq!(text(&catalog), "add: unnamed x1\nlegacy: unnamed x1");
    assert_eq!(catalog.replicas[0].instances[0].to_string(), older.peer.name());
}

#[tokio::test]
async fn without_instances_or_replies_methods_are_an_error() {
    let registry = registry_of(Vec::new()).await;
    let error = client_of(&registry).methods().await.unwrap_err();
    assert!(matches!(error, CallError::NoInstance { .. }), "{error}");
    let dead = ReservedPort::new();
    let registry = registry_of(vec![entry(dead.address(), json!({}))]).await;
    let client = client_of(&registry);
    let error = client.methods().await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
    assert_eq!(client.catalog().await.unwrap().unknown.len(), 1);
}

/// The instances of a contract have one port and different addresses of the loopback network.
#[tokio::test]
async fn ten_thousand_instances_of_twenty_contracts_cost_twenty_requests() {
    const CONTRACTS: usize = 20;
    let mut peers = Vec::new();
    for n in 0..CONTRACTS {
        let methods = crate::offering::signatures(&["common", &format!("m{n}")]);
        peers.push(Offering::of("0.0.0.0:0", methods).await);
    }
    let entries = (0..10_000).map(|n| {
        let peer = &peers[n % CONTRACTS];
        let host = format!("127.1.{}.{}", n / 200, n % 200 + 1);
        let address = SocketAddr::new(host.parse().unwrap(), peer.address().port());
        entry(address, json!({"service": "s", "contract": peer.contract(), "wire": 1}))
    });
    let registry = registry_of(entries.collect()).await;
    let options = ClientOptions { refresh_interval: Duration::from_secs(3600), ..options() };
    let start = std::time::Instant::now();
    let client = Client::through_registry(&registry.url(), options).unwrap();
    let requests = || peers.iter().map(|it| it.count("rpc.discover")).sum::<usize>();
    client.call("m7", ()).await.unwrap();
    assert_eq!(failures(&client, "common", 100).await, []);
    let within = Duration::from_secs(5);
    let catalog = client.catalog_within(within).await.unwrap();
    // On a busy machine: for every quarter of a second without a reply, as many again of a contract are asked.
    let quarters = start.elapsed().as_millis() / 250;
    let asked = requests();
    assert!((CONTRACTS..=CONTRACTS << quarters.min(8)).contains(&asked), "{asked}");
    assert_eq!((catalog.replicas.len(), catalog.unknown.len()), (CONTRACTS, 0));
    assert!(catalog.replicas.iter().all(|replicas| replicas.instances.len() == 500));
    assert_eq!(catalog.methods().len(), CONTRACTS + 1);
    for (n, peer) in peers.iter().enumerate() {
        assert_eq!(failures(&client, &format!("m{n}"), 5).await, []);
        assert_eq!(peer.count(&format!("m{n}")), 5 + usize::from(n == 7));
    }
    assert_eq!(requests(), asked);
    let catalog = client.catalog().await.unwrap();
    let all = (catalog.replicas.len(), requests());
    assert_eq!(all, (CONTRACTS, asked + 64), "64 more confirm it");
    let peers: HashSet<_> = client.instances().into_iter().map(|it| it.instance.key()).collect();
    assert_eq!(peers.len(), 10_000);
}
