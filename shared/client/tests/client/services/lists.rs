//! Method lists that are long or repeat names.

use rpc_wire::signature::to_openrpc;

use super::*;

async fn peer_of(document: String) -> crate::fakes::Peer {
    extended(move |request| {
        let is_discovery = request["method_name"] == "rpc.discover";
        Do::Write(result(request, if is_discovery { &document } else { "1" }))
    })
    .await
}

fn document(names: &[String]) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    to_openrpc("t", "1", &crate::offering::signatures(&names)).to_string()
}

#[tokio::test]
async fn of_equal_names_the_last_counts() {
    let mut methods = crate::offering::signatures(&["get", "get"]);
    methods[1].stream = true;
    let peer = peer_of(to_openrpc("t", "1", &methods).to_string()).await;
    let methods = crate::direct(peer.address).methods().await.unwrap();
    assert_eq!(methods.iter().map(|it| it.stream).collect::<Vec<_>>(), [true]);
}

#[tokio::test]
async fn equal_names_hold_nobody_up() {
    let peer = peer_of(document(&vec!["get".to_owned(); 10_000])).await;
    let start = Instant::now();
    let catalog = crate::direct(peer.address).catalog().await.unwrap();
    assert_eq!(catalog.methods().len(), 1);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_list_over_a_limit_leaves_its_instance_unknown() {
    let names: Vec<String> = (0..10_001).map(|n| format!("m{n}")).collect();
    let long = peer_of(document(&names)).await;
    let wide = peer_of(document(&["m".repeat(5 << 20)])).await;
    let small = Offering::new(&["add"]).await;
    let entries = vec![
        small.entry("small"),
        entry(long.address, json!({"wire": 1, "service": "long"})),
        entry(wide.address, json!({"wire": 1, "service": "wide"})),
    ];
    let registry = registry_of(entries).await;
    let client = client_of(&registry);
    let catalog = client.catalog().await.unwrap();
    let reasons: Vec<_> = catalog.unknown.iter().map(|it| it.reason.to_string()).collect();
    assert!(reasons[0].contains("more methods than max_methods = 10000"), "{reasons:?}");
    assert!(reasons[1].contains("over max_method_list_bytes = 4194304"), "{reasons:?}");
    assert_eq!(client.call("add", ()).await.unwrap(), 1);
}
