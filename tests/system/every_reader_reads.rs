//! What a registry accepts, every reader reads: no registration hides others, or itself.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::SocketAddr;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rpc_client::registry::{RegistryClient, RegistryClientOptions, Watch};
use rpc_registry::{Registry, RegistryOptions};
use rpc_tests::eventually::soon;
use rpc_tests::queries::http;
use rpc_wire::instance::{Instance, InstanceKey, WatchEvent};
use rpc_wire::paths::{PROTO_JSON, REGISTER};

#[tokio::test]
async fn what_the_registry_accepts_every_reader_reads() {
    let local = "127.0.0.1:0".parse().unwrap();
    let registry = Registry::bind(local, RegistryOptions::default()).await.unwrap();
    let at = registry.local_addr();
    let _serving = tokio::spawn(registry.serve(std::future::pending()));
    let client = || {
        let options = RegistryClientOptions::default();
        RegistryClient::new(&format!("http://{at}"), options).unwrap()
    };
    let mut watch = client().watch(PROTO_JSON, false, None).await.unwrap();

    let mut accepted = BTreeSet::new();
    for body in near_the_corpus().into_iter().chain(generated()) {
        accepted.extend(register(at, &body).await);
    }
    let last = Instance::new("the-last", 1);
    client().register(&last).await.unwrap();
    accepted.insert(last.key());

    let of = |protocol: &str| -> BTreeSet<_> {
        accepted.iter().filter(|key| key.protocol == protocol).cloned().collect()
    };
    assert!(of(PROTO_JSON).len() > 100, "{} are accepted", accepted.len());
    assert_eq!(seen_until(&mut watch, &last.key()).await, of(PROTO_JSON));
    assert_eq!(watch.invalid(), 0, "events");

    let protocols: BTreeSet<_> = accepted.iter().map(|key| &key.protocol).collect();
    for protocol in protocols {
        let client = client();
        let listed = client.find_all(protocol).await.unwrap();
        assert_eq!(listed.iter().map(Instance::key).collect::<BTreeSet<_>>(), of(protocol));
        assert_eq!(client.invalid(), 0, "findAllInstances");
        let records = client.instances(protocol).await.unwrap();
        let listed: BTreeSet<_> = records.iter().map(|record| record.instance.key()).collect();
        assert_eq!((listed, client.invalid()), (of(protocol), 0), "/v1/instances");
        let mut fresh = client.watch(protocol, false, None).await.unwrap();
        let (_, event) = soon("a snapshot", fresh.next()).await.unwrap().unwrap();
        let WatchEvent::Snapshot(records) = event else { panic!("{event:?}") };
        let listed: BTreeSet<_> = records.iter().map(|record| record.instance.key()).collect();
        assert_eq!((listed, fresh.invalid()), (of(protocol), 0), "a snapshot");
    }
}

/// Registers it; the instance, if it was accepted.
async fn register(at: SocketAddr, body: &[u8]) -> Option<InstanceKey> {
    let (status, reply) = http(at, &format!("POST {REGISTER}"), body).await;
    assert!([200, 400, 413].contains(&status), "{status}: {}", String::from_utf8_lossy(body));
    (status == 200).then(|| serde_json::from_str::<InstanceKey>(&reply).unwrap())
}

async fn seen_until(watch: &mut Watch, last: &InstanceKey) -> BTreeSet<InstanceKey> {
    let mut seen = BTreeSet::new();
    while !seen.contains(last) {
        match soon("an event", watch.next()).await.unwrap().unwrap().1 {
            WatchEvent::Snapshot(records) => assert!(records.is_empty(), "nothing is listed yet"),
            WatchEvent::Registered(record) | WatchEvent::Updated(record) => {
                seen.insert(record.instance.key());
            }
            other => panic!("{other:?}"),
        }
    }
    seen
}

/// The fuzz corpus of registrations, and inputs near it.
fn near_the_corpus() -> Vec<Vec<u8>> {
    let bodies = RefCell::default();
    rpc_fuzz::bytes("registration", |body| {
        let bodies: &RefCell<Vec<_>> = &bodies;
        bodies.borrow_mut().push(body.to_vec());
    });
    bodies.into_inner()
}

/// Registrations of odd hosts, with odd parameters, nested up to 130 deep.
fn generated() -> Vec<Vec<u8>> {
    let host = prop_oneof![
        "[a-z0-9_.-]{1,12}",
        "[0-9a-f:]{2,12}",
        any::<std::net::IpAddr>().prop_map(|ip| ip.to_string()),
        (200_usize..260).prop_map(|length| "h.".repeat(length / 2)),
        any::<String>(),
    ];
    let key =
        prop_oneof!["wire|weight|incarnation|service|age_ms|state|host|port", any::<String>()];
    let odd = prop_oneof![
        Just("null".to_owned()),
        any::<u64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        any::<String>().prop_map(|text| serde_json::json!(text).to_string()),
        "\"\\\\\\\\u[0-9a-f]{4}\"",
        (0_usize..9000).prop_map(|length| format!("\"{}\"", "x".repeat(length))),
    ];
    let nested = (odd, 0_usize..130, any::<bool>()).prop_map(|(value, depth, lists)| {
        let (open, close) = if lists { ("[", "]") } else { (r#"{"k":"#, "}") };
        format!("{}{value}{}", open.repeat(depth), close.repeat(depth))
    });
    let shallow = "[0-9]{1,3}".prop_map(|number| format!("[{{\"n\":{number}}}]"));
    let value = prop_oneof![nested, shallow];
    let parameters = prop::collection::vec((key, value), 0..4).prop_map(|members| {
        let members =
            members.iter().map(|(key, value)| format!("{}:{value}", serde_json::json!(key)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    });
    let body = (host, 1..=u16::MAX, parameters).prop_map(|(host, port, parameters)| {
        let host = serde_json::json!(host);
        format!(r#"{{"protocol":"json","host":{host},"port":{port},"parameters":{parameters}}}"#)
    });
    let mut runner = TestRunner::default();
    (0..400).map(|_| body.new_tree(&mut runner).unwrap().current().into_bytes()).collect()
}
