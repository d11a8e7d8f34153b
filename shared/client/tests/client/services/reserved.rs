//! Reserved methods, which older servers and some newer ones do not have.

use super::*;
use crate::offering::no_such_method;

async fn with_health(has_stats: bool) -> crate::fakes::Peer {
    extended(move |request| {
        let name = request["method_name"].as_str().unwrap();
        Do::Write(match name {
            "rpc.stats" if has_stats => result(request, "7"),
            _ => no_such_method(request, name),
        })
    })
    .await
}

#[tokio::test]
async fn they_go_to_newer_servers_where_there_are_any() {
    let (newer, older) = (with_health(true).await, Offering::classic(&["add"]).await);
    let newer = entry(newer.address, json!({"wire": 1}));
    let registry = registry_of(vec![older.plain_entry(), newer]).await;
    assert_eq!(failures(&client_of(&registry), "rpc.stats", 30).await, []);
    assert_eq!(older.count("rpc.stats"), 0);
}

#[tokio::test]
async fn an_instance_without_them_sends_the_call_to_another() {
    let peers = [with_health(true).await, with_health(false).await, with_health(false).await];
    let entries = peers.each_ref().map(|it| entry(it.address, json!({"wire": 1})));
    let registry = registry_of(entries.to_vec()).await;
    let client = client_of(&registry);
    assert_eq!(failures(&client, "rpc.stats", 30).await, []);
    let error = client.call("rpc.logs", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Remote { .. }), "the last one's own word: {error}");
    assert_eq!(
        peers
            .iter()
            .filter(|it| it.seen.calls().iter().any(|call| call["method_name"] == "rpc.logs"))
            .count(),
        3
    );
}

#[tokio::test]
async fn one_whose_connection_is_lost_is_called_on_another_instance() {
    let lossy = extended(|request| match request["method_name"].as_str() {
        Some("rpc.stats") => Do::Close,
        _ => Do::Write(result(request, "1")),
    })
    .await;
    let peers = [lossy, with_health(true).await];
    let entries = peers.each_ref().map(|it| entry(it.address, json!({"wire": 1})));
    let registry = registry_of(entries.to_vec()).await;
    for _ in 0..6 {
        assert_eq!(client_of(&registry).call("rpc.stats", ()).await.unwrap(), 7);
    }
}
