//! `rpcd serve --worker`: a program's methods are those of a server, whatever the program does.

mod failing;
mod waiting;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rpc_settings::SECRET_VARIABLES;
use rpc_tests::daemon::{Daemon, path, run_rpcd};
use rpc_tests::eventually::{eventually, soon};
use rpc_tests::home::Home;
use rpc_tests::installed::has;
use rpc_tests::python::{has_python, script};
use rpc_tests::queries::http;
use rpc_tests::raw::{Raw, extended};
use serde_json::{Value, json};

/// The command of the fixture with these flags.
fn command(flags: &str) -> String {
    format!("python3 -B '{}' {flags}", path(&script("worker.py")))
}

/// A server with the fixture as its worker.
async fn serve(flags: &str, further: &[&str]) -> (Daemon, SocketAddr) {
    serve_with(&[], flags, further).await
}

async fn serve_with(
    settings: &[(&str, &str)],
    flags: &str,
    further: &[&str],
) -> (Daemon, SocketAddr) {
    let command = command(flags);
    let line = [&["--no-registry", "--worker", &command], further].concat();
    Daemon::server_with(settings, &line).await
}

/// One call on a connection of its own; the whole reply.
async fn ask(server: SocketAddr, method: &str, args: Value) -> Value {
    let mut peer = Raw::connect(server).await;
    peer.ask(extended(&json!(1), method, &args)).await
}

/// The result of one call.
async fn call(server: SocketAddr, method: &str, args: Value) -> Value {
    let reply = ask(server, method, args).await;
    assert!(reply.get("error").is_none(), "{method}: {reply}");
    reply["res"].clone()
}

/// A call with what a stream or a deadline needs.
fn with_meta(id: u64, method: &str, args: &Value, meta: &Value) -> String {
    let call = json!({"id": id, "method_name": method, "method_args": args, "meta": meta});
    format!("{call}\n")
}

#[tokio::test]
async fn a_programs_methods_are_those_of_the_server_in_every_dialect() {
    if !has_python() {
        return;
    }
    let (_server, at) = serve("", &[]).await;
    assert_eq!(call(at, "echo", json!([{"a": [1, "é"]}])).await, json!({"a": [1, "é"]}));
    let mut peer = Raw::connect(at).await;
    let classic = r#"{"method_name":"echo","method_args":[],"method_kwargs":{"value":5}}"#;
    assert_eq!(peer.ask(classic).await, json!({"res": 5}));
    assert_eq!(call(at, "square", json!([3])).await, 9, "the built-in ones are there, too");
    let (status, body) = http(at, "POST /call/arguments", b"[1,2]").await;
    assert_eq!((status, body.as_str()), (200, "[[1, 2, 3], {}]"));
    let (_, document) = http(at, "GET /openapi.json", b"").await;
    assert!(document.contains("/call/nap_again"), "{document}");

    let (code, listed, _) =
        run_rpcd(["methods", "-i", "127.0.0.1", "-p", &at.port().to_string()]).await;
    assert_eq!(code, 0);
    assert!(
        listed.contains("nap_again(seconds)") && listed.contains("arguments(a, b, c=3)"),
        "{listed}"
    );
}

#[tokio::test]
async fn arguments_arrive_by_position_with_defaults_and_wrong_ones_do_not_arrive() {
    if !has_python() {
        return;
    }
    let (_server, at) = serve("", &[]).await;
    assert_eq!(call(at, "arguments", json!([1, 2])).await, json!([[1, 2, 3], {}]));
    let by_name = r#"{"id":1,"method_name":"arguments","method_kwargs":{"b":2,"c":5,"a":1}}"#;
    let mut peer = Raw::connect(at).await;
    assert_eq!(peer.ask(by_name).await["res"], json!([[1, 2, 5], {}]));
    let reply = ask(at, "arguments", json!([1])).await;
    assert_eq!(reply["error"]["code"], -32602);
    assert!(reply["res"].as_str().unwrap().contains("missing 1 required"), "{reply}");
}

#[tokio::test]
async fn errors_of_a_method_keep_their_code_and_data() {
    if !has_python() {
        return;
    }
    let (_server, at) = serve("", &[]).await;
    let reply = ask(at, "fail", json!([])).await;
    assert_eq!(reply["error"]["code"], 7);
    assert_eq!(
        (&reply["error"]["message"], &reply["error"]["data"]),
        (&json!("it failed"), &json!("fail"))
    );
    let reply = ask(at, "not_a_number", json!([])).await;
    assert!(reply["res"].as_str().unwrap().contains("NaN"), "{reply}");
    assert!(call(at, "pid", json!([])).await.is_number());
}

#[tokio::test]
async fn without_the_built_in_methods_there_are_only_the_programs() {
    if !has_python() {
        return;
    }
    let (_server, at) = serve("--lists hello", &["--no-builtin"]).await;
    assert_eq!(ask(at, "square", json!([3])).await["error"]["code"], -32601);
    assert!(call(at, "hello", json!([])).await.is_number());
}

#[tokio::test]
async fn a_method_of_the_program_takes_the_place_of_a_built_in_one() {
    if !has_python() {
        return;
    }
    let (_server, at) = serve("--lists hello", &[]).await;
    assert!(call(at, "hello", json!([])).await.is_number(), "not a greeting");
    assert_eq!(call(at, "square", json!([3])).await, 9);
}

#[tokio::test]
async fn a_stream_arrives_item_by_item_and_its_deadline_is_told() {
    if !has_python() {
        return;
    }
    let (_server, at) = serve("", &[]).await;
    let mut peer = Raw::connect(at).await;
    peer.send(with_meta(7, "count", &json!([3]), &json!({"stream": true}))).await;
    for item in 0..3 {
        assert_eq!(peer.reply().await, json!({"id": 7, "item": item}));
    }
    assert_eq!(peer.reply().await, json!({"id": 7, "end": true}));
    peer.send(with_meta(8, "time_left", &json!([]), &json!({"deadline_ms": 5000}))).await;
    let left = peer.reply().await["res"].as_u64().unwrap();
    assert!((1..=5000).contains(&left), "{left}");
}

#[tokio::test]
async fn calls_run_side_by_side_in_several_processes_or_in_one_that_can() {
    if !has_python() {
        return;
    }
    for (flags, further, processes) in
        [("", ["--workers", "3"], 3), ("--threads", ["--worker-concurrency", "3"], 1)]
    {
        let (server, at) = serve(flags, &further).await;
        eventually("all processes", async || {
            server.stderr().lines().iter().filter(|line| line.contains("worker started")).count()
                == processes
        })
        .await;
        let mut peer = Raw::connect(at).await;
        let began = std::time::Instant::now();
        for id in 0..3 {
            peer.send(with_meta(id, "nap", &json!([0.5]), &json!({}))).await;
        }
        let mut pids = Vec::new();
        for _ in 0..3 {
            pids.push(peer.reply().await["res"].as_u64().unwrap());
        }
        pids.sort_unstable();
        pids.dedup();
        assert_eq!(pids.len(), processes, "{flags}");
        // One after the other they take 1.5 s.
        assert!(began.elapsed() < Duration::from_millis(1400), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn by_default_a_process_gets_one_call_at_a_time_and_a_full_queue_refuses() {
    if !has_python() {
        return;
    }
    let settings = [("WORKER_MAX_QUEUED_CALLS", "2")];
    let (_server, at) = serve_with(&settings, "", &[]).await;
    let mut peer = Raw::connect(at).await;
    for id in 1..=4 {
        peer.send(with_meta(id, "nap", &json!([0.2]), &json!({}))).await;
    }
    let refused = peer.reply().await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(4), &json!(-32002)));
    assert_eq!(refused["error"]["retryable"], true);
    for id in 1..=3 {
        assert_eq!(peer.reply().await["id"], id);
    }
}

#[tokio::test]
async fn a_cancel_reaches_the_program() {
    if !has_python() {
        return;
    }
    let (_server, at) = serve("--threads", &["--worker-concurrency", "4"]).await;
    let mut peer = Raw::connect(at).await;
    peer.send(with_meta(1, "nap", &json!([1000]), &json!({}))).await;
    peer.send(with_meta(2, "pid", &json!([]), &json!({}))).await;
    let pid = peer.reply().await["res"].clone();
    peer.send("{\"cancel\":1}\n").await;
    assert_eq!(peer.reply().await["error"]["code"], -32001);
    eventually("the program knows", async || call(at, "cancelled", json!([])).await == 1).await;
    // So does it of a deadline.
    peer.send(with_meta(3, "nap", &json!([1000]), &json!({"deadline_ms": 50}))).await;
    assert_eq!(peer.reply().await["error"]["code"], -32000);
    eventually("the program knows", async || call(at, "cancelled", json!([])).await == 2).await;
    assert_eq!(call(at, "pid", json!([])).await, pid, "it goes on");
}

#[tokio::test]
async fn lines_of_standard_error_are_log_lines_of_that_worker() {
    if !has_python() {
        return;
    }
    let (server, at) = serve("", &[]).await;
    for (said, level) in
        [("hello there", " INFO "), ("WARNING: odd", " WARN "), ("ValueError: x", "ERROR ")]
    {
        call(at, "log", json!([said])).await;
        let is_it = |line: &str| (line.contains(said) && line.contains(level)).then_some(());
        server.line(&format!("{said} as {level}"), is_it).await;
    }
}

#[tokio::test]
async fn the_secrets_of_the_environment_are_none_of_the_programs() {
    if !has_python() {
        return;
    }
    let secret = "0123456789abcdef0123456789abcdef";
    let mut settings = vec![("WORKER_MAX_DEATHS", "3")];
    settings.extend(SECRET_VARIABLES.map(|name| (name.trim_start_matches("RPCD_"), secret)));
    let (_server, at) = serve_with(&settings, "", &[]).await;
    assert_eq!(call(at, "variable", json!(["RPCD_WORKER_MAX_DEATHS"])).await, "3");
    for name in SECRET_VARIABLES {
        assert_eq!(call(at, "variable", json!([name])).await, Value::Null, "{name}");
    }
}

/// A copy of the fixture that can be edited.
fn editable() -> (Home, PathBuf) {
    let home = Home::new();
    let copy = home.path().join("methods.py");
    std::fs::copy(script("worker.py"), &copy).unwrap();
    (home, copy)
}

#[tokio::test]
async fn an_edited_program_is_served_without_a_lost_call_and_a_broken_one_is_not() {
    if !has_python() {
        return;
    }
    let (_registry, registry) = Daemon::registry(&["--store", "none"]).await;
    let (home, copy) = editable();
    let registry = format!("http://{registry}");
    let command = format!("python3 -B {}", copy.display());
    let line = ["--registry", &registry, "--watch-files", "--worker", &command];
    let (server, at) = Daemon::server(&line).await;
    let listed = async |expected: bool| {
        eventually("the registry's clients know it", async || {
            let (code, out, _) = run_rpcd(["call", "fresh", "--registry", &registry]).await;
            (code == 0 && !out.is_empty()) == expected
        })
        .await;
    };
    listed(false).await;
    let old = std::fs::read_to_string(&copy).unwrap();
    let before = call(at, "pid", json!([])).await;
    let mut slow = Raw::connect(at).await;
    slow.send(with_meta(1, "nap", &json!([1]), &json!({}))).await;

    std::fs::write(
        &copy,
        old.replace("def pid(call)", "def fresh(call):\n    return 1\n\n\ndef pid(call)")
            .replace("for f in (pid,", "for f in (fresh, pid,"),
    )
    .unwrap();
    listed(true).await;
    assert_ne!(call(at, "pid", json!([])).await, before);
    assert_eq!(slow.reply().await["res"], before, "the one before finishes its calls");

    std::fs::write(&copy, "this is no Python").unwrap();
    server
        .line("what is wrong", |line| line.contains("the one before goes on").then_some(()))
        .await;
    assert!(server.stderr().text().contains("SyntaxError"), "{}", server.transcript());
    assert_eq!(call(at, "fresh", json!([])).await, 1);
    drop(home);
}

#[tokio::test]
async fn a_program_that_hangs_at_its_start_is_replaced_as_soon_as_it_is_edited() {
    if !has_python() {
        return;
    }
    let (home, copy) = editable();
    let command = format!("python3 -B {}", copy.display());
    let line = ["--no-registry", "--watch-files", "--worker", &command];
    let settings = [("WORKER_START_TIMEOUT", "1h")];
    let (server, at) = Daemon::server_with(&settings, &line).await;
    let pid = call(at, "pid", json!([])).await;
    let works = std::fs::read_to_string(&copy).unwrap();
    std::fs::write(
        &copy,
        "import time\nprint('info it hangs', file=__import__('sys').stderr)\ntime.sleep(1000)\n",
    )
    .unwrap();
    server.line("that it hangs", |line| line.contains("it hangs").then_some(())).await;
    std::fs::write(&copy, format!("{works}\n")).unwrap();
    eventually("the next one serves", async || call(at, "pid", json!([])).await != pid).await;
    drop(home);
}

/// The programs of examples/workers, the program that each needs with its package, a call and its result.
#[tokio::test]
async fn every_example_is_short_and_serves() {
    for (name, interpreter, package, method, args, expected) in [
        ("methods.py", "python3", "python3", "discount", json!([200]), json!(180.0)),
        ("methods.mjs", "node", "nodejs", "add", json!([1, 2]), json!(3)),
        ("methods.mjs", "node", "nodejs", "later", json!([0.01]), json!("done")),
        ("methods.sh", "jq", "jq", "uptime", json!([]), Value::Null),
    ] {
        if !has(interpreter, package) {
            continue;
        }
        let example = script(name).parent().unwrap().join("../../examples/workers").join(name);
        let text = std::fs::read_to_string(&example).unwrap();
        assert!(text.lines().count() <= 20, "{name}");
        let interpreter = if name.ends_with(".sh") { "sh" } else { interpreter };
        let command = format!("{interpreter} '{}'", path(&example));
        let line = ["--no-registry", "--no-builtin", "--worker", &command];
        let (mut server, at) = Daemon::server(&line).await;
        let result = call(at, method, args).await;
        match expected {
            Value::Null => assert!(result.as_f64().is_some_and(|it| it > 0.0), "{name}: {result}"),
            expected => assert_eq!(result, expected, "{name}"),
        }
        server.signal(rustix::process::Signal::TERM);
        assert_eq!(server.exit_code().await, 0, "{}", server.transcript());
        let said = server.stderr().text();
        assert!(!said.contains(" WARN ") && !said.contains("ERROR"), "{name}: {said}");
    }
}

#[tokio::test]
async fn at_the_end_the_program_is_told_and_ends_by_itself() {
    if !has_python() {
        return;
    }
    let (mut server, at) = serve("", &[]).await;
    call(at, "pid", json!([])).await;
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(soon("its end", server.exit_code()).await, 0);
    let said = server.stderr().text();
    assert!(said.contains("told to drain") && said.contains("input ended"), "{said}");
}

#[tokio::test]
async fn at_the_end_a_program_that_hangs_is_killed_after_its_time_to_end_and_that_for_sigterm() {
    if !has_python() {
        return;
    }
    let settings = [
        ("SERVER_DRAIN_TIMEOUT", "100ms"),
        ("WORKER_EXIT_TIMEOUT", "100ms"),
        ("WORKER_CANCEL_TIMEOUT", "1h"),
        ("WORKER_DRAIN_TIMEOUT", "1h"),
    ];
    let (mut server, at) = serve_with(&settings, "--stubborn", &[]).await;
    call(at, "pid", json!([])).await;
    let mut peer = Raw::connect(at).await;
    peer.send(with_meta(1, "sleep", &json!([1000]), &json!({}))).await;
    let runs = async || {
        let stats = call(at, "rpc.stats", json!([])).await;
        stats["methods"]
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["name"] == "sleep" && it["in_flight"] == 1)
    };
    eventually("the call runs", runs).await;
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(soon("its end", server.exit_code()).await, 0);
    let said = server.stderr().text();
    assert!(said.contains("the worker does not end; killing it"), "{said}");
}
