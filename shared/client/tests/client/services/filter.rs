//! Calls that name a service.

use serde_json::json;

use super::*;

#[tokio::test]
async fn a_client_of_one_service_asks_for_no_other_and_filters_what_an_older_registry_lists() {
    for registry in [FakeRegistry::old_style().await, FakeRegistry::new_style().await] {
        let (a, b) = (Offering::new(&["get"]).await, Offering::new(&["get"]).await);
        registry.list_json(&json!([a.entry("orders"), b.entry("users"), b.plain_entry()]));
        let options = ClientOptions { service: Some("orders".to_owned()), ..options() };
        let client = Client::through_registry(&registry.url(), options).unwrap();
        assert_eq!(failures(&client, "get", 50).await, []);
        assert_eq!((a.count("get"), b.count("get"), client.instances().len()), (50, 0, 1));
        assert!(registry.requests()[0].contains("?proto=json&service=orders "));
    }
}

#[tokio::test]
async fn a_handle_or_a_request_names_a_service_and_shares_the_connections() {
    let (a, b) = (Offering::new(&["get"]).await, Offering::new(&["get", "put"]).await);
    let registry = registry_of(vec![a.entry("orders"), b.entry("users")]).await;
    let client = client_of(&registry);
    let (orders, users) = (client.service("orders"), client.service("users"));
    assert_eq!(failures(&orders, "get", 50).await, []);
    assert_eq!((a.count("get"), b.count("get")), (50, 0));
    assert_eq!(failures(&users, "get", 50).await, []);
    assert_eq!((a.count("get"), b.count("get")), (50, 50));
    let service = Some("users".to_owned());
    let request = Request { service, ..Request::new("get", ()).unwrap() };
    assert_eq!(orders.request(request).await.unwrap().peer, b.peer.name());
    assert_eq!(failures(&client, "put", 10).await, []);
    assert_eq!((a.peer.seen.accepted(), b.peer.seen.accepted()), (1, 1));
    let error = orders.call("put", ()).await.unwrap_err();
    let said = r#"no instance of service orders offers "put": asked 1 of 1; what is offered has no similar name"#;
    assert_eq!(error.to_string(), said);
}

#[tokio::test]
async fn a_service_without_instances_is_named() {
    let a = Offering::new(&["get"]).await;
    let registry = registry_of(vec![a.entry("orders")]).await;
    let client = client_of(&registry);
    let error = client.service("users").call("get", ()).await.unwrap_err().to_string();
    assert!(error.contains("lists none of service users; start a server"), "{error}");
    let options = ClientOptions { service: Some("users".to_owned()), ..options() };
    let client = Client::through_registry(&registry.url(), options).unwrap();
    let error = client.call("get", ()).await.unwrap_err().to_string();
    assert!(error.contains("lists none of service users; start a server"), "{error}");
}

#[tokio::test]
async fn what_is_no_name_of_a_service_is_said_to_be_none() {
    let a = Offering::new(&["get"]).await;
    let registry = registry_of(vec![a.entry("orders")]).await;
    let client = client_of(&registry);
    for name in ["a b", "", "ä", &"x".repeat(65)] {
        let error = client.service(name).call("get", ()).await.unwrap_err();
        assert!(matches!(error, CallError::BadArguments(_)), "{error}");
        assert!(
            error.to_string().contains("is not the name of a service; write 1 to 64"),
            "{error}"
        );
        let error = client.service(name).catalog().await.unwrap_err();
        assert!(matches!(error, CallError::BadArguments(_)), "{error}");
    }
}
