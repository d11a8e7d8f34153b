//! JSON-RPC servers that nobody here wrote, called by our client and by `rpcd`: made with jayson (npm, TCP and HTTP)
//! and with pjrpc (PyPI, HTTP).

use std::time::{Duration, Instant};

use rpc_client::registry::{RegistryClient, RegistryClientOptions};
use rpc_client::{CallError, Client, ClientOptions, Code, Dialect, Request, Target};
use rpc_tests::daemon::{Daemon, run_rpcd};
use rpc_tests::eventually::eventually;
use rpc_tests::home::Home;
use rpc_tests::peers::{self, Server};
use rpc_wire::instance::Instance;
use serde_json::json;

/// The servers, and where each of them is called.
async fn all(argument: &str) -> Option<(Vec<Server>, Vec<Target>)> {
    let arguments: &[&str] = if argument.is_empty() { &[] } else { &[argument] };
    let jayson = peers::server("json_rpc_server.mjs", arguments, 2).await?;
    let pjrpc = peers::server("json_rpc_server.py", arguments, 1).await?;
    let url = |port: u16| Target::JsonRpc { url: format!("http://127.0.0.1:{port}/") };
    let targets = vec![
        Target::direct(&format!("127.0.0.1:{}", jayson.ports[0])).unwrap(),
        url(jayson.ports[1]),
        url(pjrpc.ports[0]),
    ];
    Some((vec![jayson, pjrpc], targets))
}

/// The flags of `rpcd` that choose it.
fn flags(target: &Target) -> Vec<String> {
    match target {
        Target::Direct { host, port } => {
            ["-i", host, "-p", &port.to_string()].map(str::to_owned).to_vec()
        }
        other => vec!["-i".to_owned(), other.to_string()],
    }
}

async fn rpcd(command: &str, target: &Target, further: &[&str]) -> (i32, String, String) {
    let mut line = vec![command.to_owned()];
    line.extend(flags(target));
    line.extend(further.iter().map(ToString::to_string));
    run_rpcd(line).await
}

#[tokio::test]
async fn our_client_calls_them_without_being_told_what_they_are() {
    let Some((_servers, targets)) = all("").await else { return };
    for target in targets {
        let began = Instant::now();
        let client = Client::new(target.clone(), ClientOptions::default()).unwrap();
        let response = client.request(Request::new("add", (1, 2)).unwrap()).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(2), "{target}: {:?}", began.elapsed());
        assert_eq!(response.dialect, Dialect::JsonRpc, "{target}");
        assert_eq!(client.call("add", json!({"a": 1, "b": 2})).await.unwrap(), 3);
        let fault = async |method: &str, args: serde_json::Value| match client
            .call(method, args)
            .await
            .unwrap_err()
        {
            CallError::Remote { fault, .. } => *fault,
            other => panic!("{target}: {other}"),
        };
        let failed = fault("fail", json!([])).await;
        assert_eq!((failed.code, failed.message.as_str()), (Code::Other(17), "It failed"));
        assert_eq!(failed.data, Some(json!({"why": "asked"})));
        assert_eq!(fault("nope", json!([])).await.code, Code::MethodNotFound);
        assert_eq!(fault("add", json!([1])).await.code, Code::BadArguments);
        let error = client.methods().await.unwrap_err();
        assert!(matches!(error, CallError::NotInJsonRpc { .. }), "{target}: {error}");
        client.close().await;
    }
}

#[tokio::test]
async fn our_client_and_rpcd_send_them_notifications() {
    let Some((_servers, targets)) = all("").await else { return };
    for target in targets {
        let client = Client::new(target.clone(), ClientOptions::default()).unwrap();
        let before = client.call("notes", ()).await.unwrap().as_array().unwrap().len();
        client.notify("note", ("full", 7)).await.unwrap();
        let (code, out, said) = rpcd("call", &target, &["note", "empty", "--notify"]).await;
        assert_eq!((code, out.as_str(), said.as_str()), (0, "", ""), "{target}");
        let notes = async || {
            let notes = client.call("notes", ()).await.unwrap();
            notes.as_array().unwrap()[before..].to_vec()
        };
        eventually("the server has both", async || notes().await.len() == 2).await;
        assert_eq!(notes().await, [json!(["full", 7]), json!(["empty"])], "{target}");
    }
}

#[tokio::test]
async fn a_slow_call_holds_up_no_other_on_its_connection_and_ends_at_its_deadline() {
    let Some((_servers, targets)) = all("").await else { return };
    for target in &targets[..2] {
        let client = Client::new(target.clone(), ClientOptions::default()).unwrap();
        let slow = Request::new("wait", (60_000,)).unwrap().timeout(Duration::from_secs(2));
        let slow = tokio::spawn({
            let client = client.clone();
            async move { client.request(slow).await }
        });
        let calls = (0..20).map(|number| client.call("add", (number, 1)));
        let sums = futures_util::future::join_all(calls).await;
        assert!(!slow.is_finished(), "{target}");
        assert!(sums.into_iter().enumerate().all(|(number, sum)| sum.unwrap() == number + 1));
        let error = slow.await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Timeout { .. }), "{target}: {error}");
    }
}

#[tokio::test]
async fn rpcd_calls_them_and_says_what_to_do_where_nobody_describes_their_methods() {
    let Some((_servers, targets)) = all("").await else { return };
    for target in targets {
        let (code, out, said) = rpcd("call", &target, &["add", "1", "2", "-v"]).await;
        assert_eq!((code, out.trim().trim_end_matches(".0")), (0, "3"), "{target}: {said}");
        assert!(said.contains("JSON-RPC dialect"), "{said}");
        let (code, _, said) = rpcd("call", &target, &["fail"]).await;
        assert!(code == 1 && said.contains("It failed"), "{target}: {said}");
        let (code, _, said) = rpcd("call", &target, &["nope"]).await;
        assert_eq!(code, 1, "{target}: {said}");
        let (code, _, said) = rpcd("call", &target, &["rpc.stats"]).await;
        assert!(code == 1 && said.contains("is a server of another make"), "{target}: {said}");
        if matches!(target, Target::Direct { .. }) {
            let (code, _, said) = rpcd("stats", &target, &[]).await;
            assert!(code == 1 && said.contains("it is a server of another make"), "{said}");
        }
        let (code, out, said) = rpcd("methods", &target, &[]).await;
        assert_eq!((code, out.as_str()), (2, ""), "{target}: {said}");
        assert!(said.contains("without rpc.discover") && said.contains("--openrpc FILE"), "{said}");
    }
}

#[tokio::test]
async fn rpcd_lists_describes_and_checks_what_rpc_discover_says() {
    let Some((_servers, targets)) = all("discover").await else { return };
    for target in targets {
        lists_add(&target, &[]).await;
    }
}

#[tokio::test]
async fn rpcd_lists_describes_and_checks_what_an_openrpc_file_says() {
    let Some((_servers, targets)) = all("").await else { return };
    let number = json!({"$ref": "#/components/schemas/Number"});
    let params = ["a", "b"].map(|name| json!({"name": name, "required": true, "schema": number}));
    let document = json!({
        "openrpc": "1.3.2",
        "info": {"title": "t", "version": "1"},
        "methods": [{"name": "add", "summary": "Adds two numbers.", "params": params}],
        "components": {"schemas": {"Number": {"type": "number"}}},
    });
    let home = Home::new();
    let file = home.path().join("openrpc.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let file = file.to_str().unwrap();
    for target in targets {
        lists_add(&target, &["--openrpc", file]).await;
    }
    let (code, _, said) = run_rpcd(["methods", "--openrpc", file]).await;
    assert_eq!(code, 2, "{said}");
    std::fs::write(file, "[1]").unwrap();
    let (code, _, said) = run_rpcd(["methods", "-p", "1", "--openrpc", file]).await;
    assert!(code == 2 && said.contains("takes an OpenRPC document"), "{said}");
}

/// pjrpc takes arguments as the Python function does, and one of those takes names only.
#[tokio::test]
async fn arguments_go_by_name_or_by_position_as_the_list_says() {
    let Some((_servers, targets)) = all("discover").await else { return };
    for (target, method) in targets.iter().zip(["by_position", "by_position", "by_name"]) {
        let expected = json!([method.replace('_', " "), 1, 2]).to_string();
        let ways: [&[&str]; 5] = [
            &["1", "2"],
            &["b=2", "a=1"],
            &["1", "b=2"],
            &["-d", "[1,2]"],
            &["-d", r#"{"b":2,"a":1}"#],
        ];
        for way in ways {
            let (code, out, said) =
                rpcd("call", target, &[&["--json", method], way].concat()).await;
            assert_eq!(
                (code, out.replace(' ', "").trim().to_owned()),
                (0, expected.replace(' ', "")),
                "{way:?}: {said}"
            );
        }
        let bench = [method, "1", "b=2", "--count", "3", "--yes", "--json"];
        let (code, _, said) = rpcd("bench", target, &bench).await;
        assert_eq!(code, 0, "{said}");
        let (_, described, _) = rpcd("describe", target, &[method]).await;
        let commands: Vec<&str> =
            described.lines().filter_map(|line| line.trim().strip_prefix("rpcd call ")).collect();
        assert_eq!(commands.len(), 3, "{described}");
        for command in commands {
            let words = ["-c", &format!("exec printf '%s\\n' {command}")];
            let words = std::process::Command::new("sh").args(words).output().unwrap();
            let words = String::from_utf8(words.stdout).unwrap();
            let line: Vec<String> =
                std::iter::once("call").chain(words.lines()).map(str::to_owned).collect();
            let (code, _, said) = run_rpcd(line).await;
            assert_eq!(code, 0, "{command}: {said}");
        }
    }
}

#[tokio::test]
async fn arguments_go_in_one_way_also_to_one_that_a_registry_lists() {
    let Some(jayson) = peers::server("json_rpc_server.mjs", &["discover"], 2).await else { return };
    let (_registry, at) = Daemon::registry(&[]).await;
    let url = format!("http://{at}");
    let registry = RegistryClient::new(&url, RegistryClientOptions::default()).unwrap();
    let mut instance = Instance::new("127.0.0.1", jayson.ports[0]);
    instance.parameters.insert("service".to_owned(), json!("jay"));
    registry.register(&instance).await.unwrap();
    for service in [&["--service", "jay"][..], &[]] {
        for way in [&["1", "2"][..], &["b=2", "a=1"], &["1", "b=2"]] {
            let words = [&["call", "add", "--registry", &url], service, way].concat();
            let (code, out, said) = run_rpcd(words).await;
            assert_eq!((code, out.trim()), (0, "3"), "{way:?} {service:?}: {said}");
        }
        let bench = ["bench", "add", "1", "b=2", "--count", "3", "--yes", "--registry", &url];
        let (code, _, said) = run_rpcd([&bench, service].concat()).await;
        assert_eq!(code, 0, "{service:?}: {said}");
    }
}

async fn lists_add(target: &Target, further: &[&str]) {
    let (code, out, said) = rpcd("methods", target, further).await;
    assert_eq!(code, 0, "{target}: {said}");
    assert!(out.contains("add") && out.contains("Adds two numbers."), "{out}");
    let (code, out, said) = rpcd("describe", target, &[further, &["add"]].concat()).await;
    assert_eq!(code, 0, "{target}: {said}");
    assert!(out.contains("number"), "{out}");
    let (code, out, _) = rpcd("call", target, &[further, &["add", "a=1", "b=2"]].concat()).await;
    assert_eq!((code, out.trim().trim_end_matches(".0")), (0, "3"), "{target}");
    let (code, out, said) = rpcd("call", target, &[further, &["add", "1", "b=2"]].concat()).await;
    assert_eq!((code, out.trim().trim_end_matches(".0")), (0, "3"), "{target}: {said}");
    let (code, _, said) = rpcd("call", target, &[further, &["add", "1", "x"]].concat()).await;
    assert!(code == 2 && said.contains('b'), "{target}: {said}");
}
