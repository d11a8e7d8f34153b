//! Instances that differ in a method, many methods, and a service that does not exist.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rpc_tests::fakes::{self, Do};
use serde_json::{Value, json};

use crate::process::{command, rpcd};
use crate::services::{charge, get, get_a_bill, register, services};
use crate::site::{Site, runtime};

const GET_BY_ID: &str = r#"{"name": "get", "params": [{"name": "id", "required": true, "schema": {"type": "integer"}}]}"#;
const GET_BY_NAME: &str = r#"{"name": "get", "params": [{"name": "name", "required": true, "schema": {"type": "string"}}]}"#;

/// A server without a service name, and the runtime it is on.
fn unnamed(site: &Site, method: &'static str) -> (fakes::Peer, tokio::runtime::Runtime) {
    let threads = runtime();
    let peer = threads.block_on(fakes::extended(move |message| {
        Do::Write(match message["method_name"].as_str() {
            Some("rpc.discover") => {
                fakes::result(message, &format!(r#"{{"openrpc": "1", "methods": [{method}]}}"#))
            }
            _ => fakes::result(message, "7"),
        })
    }));
    let port = peer.address.port();
    let body = format!(r#"{{"protocol":"json","host":"127.0.0.1","port":{port},"status":true}}"#);
    let status = register(&site.url, &body);
    assert!(status.contains("200"), "{status}");
    (peer, threads)
}

#[test]
fn a_service_without_instances_is_the_same_message_everywhere() {
    let (site, _) = services();
    let said = format!(
        "no instance of service oders; the registry at {} lists services billing, orders, site; did you \
         mean orders?",
        site.url
    );
    for line in [
        "call add 1 2",
        "call add -d [1,2]",
        "call add 1 2 --stream",
        "call add 1 2 --repeat 3",
        "bench add 1 2",
        "methods",
        "describe add",
        "logs",
    ] {
        let run = site.run(&format!("{line} --service oders"));
        assert_eq!((run.code, run.stderr), (3, format!("rpcd: {said}\n")), "{line}");
    }
    let run = site.run("call add 1 2 --service oders --json");
    let error: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(error["error"]["kind"], "no_instance");
    let data = json!({"services": ["billing", "orders", "site"], "nearest": ["orders"]});
    assert_eq!(error["error"]["data"], data);
    // Nothing is called here.
    for (line, stdout) in
        [("instances", ""), ("instances --json", "[]\n"), ("stats", ""), ("stats --json", "[]\n")]
    {
        let run = site.run(&format!("{line} --service oders"));
        assert_eq!((run.code, run.stdout.as_str()), (0, stdout), "{line}");
        assert_eq!(run.stderr, format!("rpcd: {said}\n"), "{line}");
    }
    let mut watch = command(&["watch", "--registry", &site.url, "--service", "oders"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let first = BufReader::new(watch.stderr.take().unwrap()).lines().next().unwrap().unwrap();
    watch.kill().unwrap();
    watch.wait().unwrap();
    assert_eq!(first, format!("rpcd: {said}"));
    // An empty registry was reached, too.
    let empty = Site::empty();
    for line in ["call add 1 2 --json", "bench add 1 2 --json"] {
        let run = empty.run(line);
        let error: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((run.code, &error["error"]["kind"]), (3, &json!("no_instance")), "{line}");
    }
}

#[test]
fn servers_without_a_name_that_differ_are_told_apart_by_address() {
    let site = Site::empty();
    let (first, second) = (unnamed(&site, GET_BY_ID), unnamed(&site, GET_BY_NAME));
    let mut addresses = [first.0.address.to_string(), second.0.address.to_string()];
    addresses.sort();
    for line in ["call get 7", "call get -d [7]", "describe get"] {
        let run = site.run(line);
        assert_eq!(run.code, 0, "{line}: {run:?}");
        let said =
            "rpcd: warning: instances without a service name offer get with different signatures (";
        assert!(run.stderr.starts_with(said), "{line}: {run:?}");
        assert!(addresses.iter().all(|it| run.stderr.contains(it)), "{line}: {run:?}");
        assert!(run.stderr.ends_with("); choose one by -i and -p\n"), "{line}: {run:?}");
    }
    let port = first.0.address.port();
    assert_eq!(rpcd(&format!("call get 7 -p {port}")).stderr, "");
    // Beside a service with a name, the data has them all.
    let named = site.serve("orders", [charge::method(), get_a_bill()]);
    let run = site.run("call get 7 --json");
    assert_eq!(run.code, 2, "{run:?}");
    let error: Value = serde_json::from_str(&run.stdout).unwrap();
    let expected = json!({
        "services": [null, "orders"],
        "offered_by": [
            {"service": null, "instances": addresses},
            {"service": "orders", "instances": [named]},
        ],
    });
    assert_eq!(error["error"]["data"], expected);
}

#[test]
fn a_description_shows_the_other_signature_within_a_service() {
    let site = Site::start();
    let two = [site.serve("orders", [get::method()]), site.serve("orders", [get::method()])];
    let other = site.serve("orders", [get_a_bill()]);
    let described = site.run("describe get").stdout;
    assert!(described.starts_with("get(id: integer) -> string\n"), "{described}");
    let expected = format!(
        "Other signatures (choose an instance by -i and -p)\n  get(number: string, year: integer) -> \
         string\n    orders  1 of 3 instances: {other}\n"
    );
    assert!(described.ends_with(&expected), "{described}");
    let document: Value = serde_json::from_str(&site.run("describe get --json").stdout).unwrap();
    assert_eq!(document["x-offered-by"][0]["instances"].as_array().unwrap().len(), two.len());
    let others = &document["x-other-signatures"];
    assert_eq!(others[0]["params"][0]["name"], "number");
    assert_eq!(others[0]["x-offered-by"][0]["instances"], json!([other]));
}

#[test]
fn many_methods_are_listed_in_linear_time() {
    let site = Site::empty();
    let methods: Vec<_> =
        (0..10_000).map(|at| format!("{{\"name\": \"method_number_{at}\"}}")).collect();
    let _server = unnamed(&site, methods.join(",").leak());
    let start = Instant::now();
    let run = site.run("methods --timeout 60 --json");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(start.elapsed() < Duration::from_secs(7), "{:?}", start.elapsed());
}
