//! Commands and programs as the console copies them, run as pasted.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use rpc_client::Target;
use rpc_console_core::model::access::{Access, TokenPlace};
use rpc_console_core::model::load::LoadRequest;
use rpc_console_core::model::load::bench_command;
use rpc_console_core::model::service::Service;
use rpc_console_core::model::snippet::{Format, Snippet, Speaks};
use rpc_load::{Length, Mode};
use rpc_tests::binaries::binary;
use rpc_tests::daemon::Daemon;
use rpc_tests::home::Home;
use rpc_tests::installed::has;
use rpc_tests::pki::Authority;
use rpc_tests::python::has_python;
use rpc_tests::queries::lists;
use rpc_wire::call::Args;
use rpc_wire::instance::Instance;
use serde_json::{Value, json};

use crate::canary::Place;

/// A registry and a server that it lists.
async fn both() -> (Daemon, Daemon, SocketAddr, SocketAddr) {
    let (registry, registry_at) = Daemon::registry(&[]).await;
    let (server, server_at) =
        Daemon::server(&["--registry", &format!("http://{registry_at}")]).await;
    lists(registry_at, &[server_at]).await;
    (registry, server, registry_at, server_at)
}

/// A call of `echo` with every character that a shell or a language could misread.
fn snippet(registry: SocketAddr, server: SocketAddr) -> (Snippet, Value) {
    let value = json!({"it's": ["$HOME `id`", "\\ \"q\" #", "ünï 漢", -1.5, null, "c=3", "-x"]});
    let peer = Instance::new(server.ip().to_string(), server.port()).key();
    let snippet = Snippet {
        service: Service::default(),
        method: "echo".to_owned(),
        args: Args::from_values(std::slice::from_ref(&value), &serde_json::Map::new()),
        parameters: vec!["value".to_owned()],
        target: None,
        peer: Some(peer),
        registry: format!("http://{registry}"),
        timeout: Duration::from_secs(30),
        stream: false,
        speaks: Speaks::Ours,
        access: Access::default(),
    };
    (snippet, value)
}

/// The output of a shell that runs `script`, with our programs on its path.
fn shell(script: &str) -> String {
    shell_with(script, &[])
}

/// The same with further variables.
fn shell_with(script: &str, variables: &[(&str, &str)]) -> String {
    let folder = binary("rpcd").parent().unwrap().to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let home = Home::new();
    let mut command = Command::new("sh");
    home.enter(&mut command);
    let output = command
        .args(["-c", script])
        .env("PATH", path)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{error}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_call_copied_as_an_rpcd_command_is_that_call_through_the_registry_and_direct() {
    let (_registry, _server, registry_at, server_at) = both().await;
    let (mut snippet, value) = snippet(registry_at, server_at);
    for on in [None, snippet.peer.clone()] {
        snippet.target = on;
        let printed = shell(&snippet.write(Format::Rpcd).unwrap());
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), value);
    }
    // A keyword argument, and a string that looks like one.
    let keyword = json!({"c": 3}).as_object().unwrap().clone();
    snippet.args = Args::from_values(&[json!(1), json!(2)], &keyword);
    "add".clone_into(&mut snippet.method);
    assert_eq!(shell(&snippet.write(Format::Rpcd).unwrap()), "6\n");
}

#[tokio::test]
async fn a_call_copied_of_a_service_goes_there_although_another_one_has_the_method() {
    let (_registry, _server, registry_at, server_at) = both().await;
    let registry = format!("http://{registry_at}");
    let (_orders, orders_at) =
        Daemon::server(&["--registry", &registry, "--service", "orders"]).await;
    lists(registry_at, &[server_at, orders_at]).await;
    let (snippet, _) = snippet(registry_at, server_at);
    let args = Args::from_values(&[json!(1), json!(2)], &serde_json::Map::new());
    let (service, method) = (Service::named("orders"), "add".to_owned());
    let call =
        Snippet { service: service.clone(), method: method.clone(), args: args.clone(), ..snippet };
    let command = call.write(Format::Rpcd).unwrap().replace("rpcd call", "rpcd call -v");
    for _ in 0..5 {
        let said = shell(&format!("{command} 2>&1"));
        assert!(said.contains(&format!("{orders_at} replied")), "{said}");
    }
    let load = LoadRequest {
        service,
        id: 1,
        method,
        args,
        target: Target::Registry { url: registry },
        timeout: Duration::from_secs(30),
        mode: Mode::ClosedLoop { concurrency: 1 },
        connections: 1,
        length: Length::Calls(20),
        warm_up: Duration::ZERO,
    };
    let printed = shell(&bench_command(&load, &Access::default()).unwrap());
    assert!(printed.contains(&format!("\n{orders_at} ")), "{printed}");
    assert!(!printed.contains(&format!("\n{server_at} ")), "{printed}");
}

/// Whether there is `nc` with `-N`: other versions close before the reply arrives.
fn has_nc() -> bool {
    let has_nc = Command::new("nc").arg("-h").output().is_ok_and(|help| {
        [help.stdout, help.stderr].iter().any(|text| String::from_utf8_lossy(text).contains("-N"))
    });
    if !has_nc {
        println!("skipped: nc is missing or has no -N");
    }
    has_nc
}

#[tokio::test]
async fn a_call_copied_for_nc_gets_its_reply() {
    if !has_nc() {
        return;
    }
    let (_registry, _server, registry_at, server_at) = both().await;
    let (snippet, value) = snippet(registry_at, server_at);
    let printed = shell(&snippet.write(Format::Netcat).unwrap());
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), json!({"res": value}));
}

#[tokio::test]
async fn a_call_copied_for_curl_gets_its_reply() {
    if !has("curl", "curl") {
        return;
    }
    let (_registry, _server, registry_at, server_at) = both().await;
    let (snippet, value) = snippet(registry_at, server_at);
    let printed = shell(&snippet.write(Format::Curl).unwrap());
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap()["result"], value);
    // The same as that of a JSON-RPC server that was opened by its URL.
    let speaks = Speaks::JsonRpcAt(format!("http://{server_at}/rpc"));
    let snippet = Snippet { target: snippet.peer.clone(), speaks, ..snippet };
    for format in [Format::Curl, Format::Rpcd] {
        let printed: Value = serde_json::from_str(&shell(&snippet.write(format).unwrap())).unwrap();
        assert_eq!(printed.get("result").unwrap_or(&printed), &value, "{format:?}");
    }
}

#[tokio::test]
async fn a_call_copied_for_agents_is_a_tool_that_answers_through_the_registry_and_direct() {
    let (_registry, _server, registry_at, server_at) = both().await;
    let (mut snippet, value) = snippet(registry_at, server_at);
    let answer = |snippet: &Snippet| {
        let printed = shell(&snippet.write(Format::Mcp).unwrap());
        let mut answer: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(answer["result"]["isError"], false, "{printed}");
        answer["result"]["structuredContent"].take()
    };
    for on in [None, snippet.peer.clone()] {
        snippet.target = on;
        assert_eq!(answer(&snippet), value);
    }
    // One that does not say that it only reads.
    "sleep".clone_into(&mut snippet.method);
    snippet.parameters = vec!["seconds".to_owned()];
    snippet.args = Args::from_values(&[json!(0.0)], &serde_json::Map::new());
    assert_eq!(answer(&snippet), json!({"result": 0.0}));
}

#[tokio::test]
async fn a_call_copied_for_python_prints_the_result() {
    if !has_python() {
        return;
    }
    let (_registry, _server, registry_at, server_at) = both().await;
    let (mut snippet, _) = snippet(registry_at, server_at);
    let keyword = json!({"c": 3}).as_object().unwrap().clone();
    snippet.args = Args::from_values(&[json!("it's ünï \\ \" 漢")], &serde_json::Map::new());
    let output = |snippet: &Snippet| python(snippet, &[]);
    // As Python writes a string with an apostrophe and a quote.
    assert_eq!(output(&snippet), "{'res': 'it\\'s ünï \\\\ \" 漢'}\n");
    snippet.args = Args::from_values(&[json!(1), json!(2)], &keyword);
    "add".clone_into(&mut snippet.method);
    assert_eq!(output(&snippet), "{'res': 6}\n");
}

#[tokio::test]
async fn a_load_test_copied_as_an_rpcd_command_is_that_load_test() {
    let (_registry, _server, registry_at, server_at) = both().await;
    let closed = LoadRequest {
        service: Default::default(),
        id: 1,
        method: "echo".to_owned(),
        args: Args::from_values(&[json!("it's $HOME")], &serde_json::Map::new()),
        target: Target::Registry { url: format!("http://{registry_at}") },
        timeout: Duration::from_secs(30),
        mode: Mode::ClosedLoop { concurrency: 3 },
        connections: 2,
        length: Length::Calls(60),
        warm_up: Duration::ZERO,
    };
    let printed = shell(&bench_command(&closed, &Access::default()).unwrap());
    assert!(
        printed.contains("echo at") && printed.contains("3 calls at a time on 2 conn"),
        "{printed}"
    );
    let calls = printed.lines().find(|line| line.starts_with("calls")).unwrap();
    assert_eq!(calls.split_whitespace().nth(1), Some("60"), "{printed}");

    let open = LoadRequest {
        target: Target::direct(&server_at.to_string()).unwrap(),
        mode: Mode::OpenLoop { rate: 50.0, max_in_flight: 10 },
        length: Length::Time(Duration::from_millis(400)),
        warm_up: Duration::from_millis(100),
        ..closed
    };
    let printed = shell(&bench_command(&open, &Access::default()).unwrap());
    assert!(printed.contains("50 calls/s on 2 conn"), "{printed}");
    assert!(printed.contains("measured for 0.40s"), "{printed}");
    let failed = printed.lines().find(|line| line.starts_with("failed")).unwrap();
    assert_eq!(failed.split_whitespace().nth(1), Some("0"), "{printed}");
}

/// A worker whose one method streams two items.
const STREAMS: &str = r#"while read -r call; do
  id=${call#*\"id\":}; id=${id%%,*}
  case $call in
    *rpc.discover*) res='{"methods":[{"name":"tick tock","x-stream":true,"params":[{"name":"word"}]}]}'
      printf '{"id":%s,"res":%s}\n' "$id" "$res" ;;
    *) printf '{"id":%s,"item":1}\n{"id":%s,"item":"two"}\n{"id":%s,"end":true}\n' "$id" "$id" "$id" ;;
  esac
done
"#;

#[tokio::test]
async fn a_stream_copied_prints_its_items_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let worker = folder.path().join("worker.sh");
    std::fs::write(&worker, STREAMS).unwrap();
    let program = format!("sh {}", worker.display());
    let (_server, at) = Daemon::server(&["--no-registry", "--worker", &program]).await;
    let (snippet, _) = snippet(at, at);
    let target = snippet.peer.clone();
    let method = "tick tock".to_owned();
    let snippet = Snippet { method, target, stream: true, ..snippet };
    assert_eq!(shell(&snippet.write(Format::Rpcd).unwrap()), "1\ntwo\n");
    if has("curl", "curl") {
        assert_eq!(shell(&snippet.write(Format::Curl).unwrap()), "1\n\"two\"\n");
    }
    if has_python() {
        assert_eq!(python(&snippet, &[]), "1\ntwo\n");
    }
    assert!(snippet.write(Format::Netcat).is_err(), "it would end the stream");
    let replies = std::thread::spawn(move || {
        let mut server = std::net::TcpStream::connect(at).unwrap();
        server.write_all(snippet.write(Format::Wire).unwrap().as_bytes()).unwrap();
        BufReader::new(server).lines().take(3).collect::<Result<Vec<_>, _>>().unwrap()
    });
    let items = [r#"{"id":1,"item":1}"#, r#"{"id":1,"item":"two"}"#, r#"{"id":1,"end":true}"#];
    assert_eq!(replies.join().unwrap(), items);
}

/// What the copied program prints.
fn python(snippet: &Snippet, variables: &[(&str, &str)]) -> String {
    let script = snippet.write(Format::Python).unwrap();
    let mut python = Command::new("python3");
    let output = python.args(["-c", &script]).envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{script}{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The result in what a copied command prints.
type ResultOf = fn(Value) -> Value;

/// Runs every form of a call where servers ask for tokens; with an authority inside TLS only.
async fn copies_work_with_tokens(authority: Option<Authority>) {
    let place = Place::new(authority).await;
    let (snippet, value) = snippet(place.server_at(), place.server_at());
    let (registry, service) = (place.registry(), Service::named("sums"));
    let in_variable = [("RPCD_TOKEN", place.canary())];
    for (token, variables) in
        [(TokenPlace::Environment, &in_variable[..]), (TokenPlace::File(place.token_file()), &[])]
    {
        let (access, registry, service) = (place.access(token), registry.clone(), service.clone());
        let call = Snippet { access, registry, service, ..snippet.clone() };
        let ways: [(Format, ResultOf); 4] = [
            (Format::Rpcd, |printed| printed),
            (Format::Curl, |mut printed| printed["result"].take()),
            (Format::Netcat, |mut printed| printed["res"].take()),
            (Format::Mcp, |mut printed| printed["result"]["structuredContent"].take()),
        ];
        for (format, result) in ways {
            let is_there = match format {
                Format::Curl => has("curl", "curl"),
                Format::Netcat => !place.is_secure() && has_nc(),
                _ => true,
            };
            for target in [None, call.peer.clone()] {
                let copied = Snippet { target, ..call.clone() }.write(format);
                if !is_there {
                    assert_eq!(copied.is_ok(), format == Format::Curl || !place.is_secure());
                    continue;
                }
                let copied = copied.unwrap();
                place.is_in_none_of("what is copied", std::slice::from_ref(&copied));
                let printed = shell_with(&copied, variables);
                let printed: Value = serde_json::from_str(printed.trim()).unwrap();
                assert_eq!(result(printed), value, "{copied}");
            }
        }
        if has_python() {
            let args = Args::from_values(&[json!(1), json!(2)], &serde_json::Map::new());
            let add = Snippet { method: "add".to_owned(), args, ..call.clone() };
            assert_eq!(python(&add, variables), "{'id': 1, 'res': 13}\n");
        }
        let load = LoadRequest {
            service: call.service.clone(),
            id: 1,
            method: "echo".to_owned(),
            args: call.args.clone(),
            target: Target::Registry { url: call.registry.clone() },
            timeout: Duration::from_secs(30),
            mode: Mode::ClosedLoop { concurrency: 1 },
            connections: 1,
            length: Length::Calls(5),
            warm_up: Duration::ZERO,
        };
        let printed = shell_with(&bench_command(&load, &call.access).unwrap(), variables);
        let failed = printed.lines().find(|line| line.starts_with("failed")).unwrap();
        assert_eq!(failed.split_whitespace().nth(1), Some("0"), "{printed}");
    }
}

#[tokio::test]
async fn a_call_copied_where_there_is_tls_and_a_token_is_that_call_and_has_no_secret() {
    copies_work_with_tokens(Some(Authority::new("ours"))).await;
}

#[tokio::test]
async fn a_call_copied_where_there_is_a_token_and_no_tls_is_that_call_and_has_no_secret() {
    copies_work_with_tokens(None).await;
}
