//! The limits as a user configures them, and the reply at each.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rpc_tests::daemon::{Daemon, path, run_rpcd};
use rpc_tests::eventually::{SOON, eventually};
use rpc_tests::queries::{has_in_flight, http, stats};
use rpc_tests::raw::{Raw, classic, extended};
use serde_json::{Value, json};

#[tokio::test]
async fn a_request_over_the_limit_is_refused_in_both_dialects_and_the_connection_closes() {
    let (_server, address) = server(&[("SERVER_MAX_REQUEST_BYTES", "1KiB")]).await;
    let text = "x".repeat(2000);
    let mut raw = Raw::connect(address).await;
    let reply = raw.ask(classic("echo", &json!([text]))).await;
    assert!(reply["res"].as_str().unwrap().starts_with("Error calling method: "), "{reply}");
    assert!(raw.is_closed_within(SOON).await);
    // The limit applies before the message ends.
    let mut raw = Raw::connect(address).await;
    raw.send(format!(r#"{{"id":1,"method_name":"echo","method_args":["{text}"#)).await;
    let reply = raw.reply().await;
    assert!(reply["res"].as_str().unwrap().starts_with("Error calling method: "), "{reply}");
    assert!(raw.is_closed_within(SOON).await);
}

#[tokio::test]
async fn a_request_of_4_mib_is_served_and_one_of_more_is_not() {
    let (_server, address) = server(&[]).await;
    let mut raw = Raw::connect(address).await;
    let text = "x".repeat((4 << 20) - 200);
    let reply = raw.ask(classic("echo", &json!([text]))).await;
    assert_eq!(reply["res"].as_str().unwrap().len(), text.len());
    raw.send(classic("echo", &json!(["x".repeat(4 << 20)]))).await;
    let reply = raw.reply().await;
    assert!(reply["res"].as_str().unwrap().starts_with("Error calling method: "));
}

#[tokio::test]
async fn nesting_beyond_128_is_refused() {
    let (_server, address) = server(&[]).await;
    let mut raw = Raw::connect(address).await;
    // The request's own object and array are two of the 128 levels.
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let request = |depth| {
        format!(r#"{{"method_name":"echo","method_args":[{}],"method_kwargs":{{}}}}"#, deep(depth))
    };
    raw.send(request(126)).await;
    assert_eq!(raw.line().await.unwrap(), format!("{{\"res\":{}}}", deep(126)));
    let reply = raw.ask(request(127)).await;
    assert!(reply["res"].as_str().unwrap().starts_with("Error calling method: "), "{reply}");
    assert!(raw.is_closed_within(SOON).await);
    // A hundred thousand brackets overflow no stack.
    let mut raw = Raw::connect(address).await;
    raw.send("[".repeat(100_000)).await;
    assert!(raw.is_closed_within(SOON).await);
    assert_eq!(stats(address).await["in_flight"], 0);
}

#[tokio::test]
async fn calls_over_the_limit_of_a_connection_are_refused_as_overloaded() {
    let (_server, address) = server(&[("SERVER_MAX_CALLS_PER_CONNECTION", "2")]).await;
    let mut raw = Raw::connect(address).await;
    let sleep = |id: u64| extended(&json!(id), "sleep", &json!([1]));
    raw.send(sleep(1) + &sleep(2) + &sleep(3)).await;
    let refused = raw.reply().await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(3), &json!(-32002)));
    assert_eq!(refused["error"]["retryable"], true);
    for _ in 0..2 {
        assert_eq!(raw.reply().await["error"], Value::Null);
    }
    // The connection stays open.
    assert_eq!(raw.ask(extended(&json!(4), "add", &json!([1, 2]))).await["res"], 13);
}

#[tokio::test]
async fn calls_over_the_limit_of_the_server_are_refused_as_overloaded() {
    let (_server, address) = server(&[("SERVER_MAX_CALLS", "2")]).await;
    let mut raw = Raw::connect(address).await;
    let sleep = |id: u64| extended(&json!(id), "sleep", &json!([600]));
    let refused = raw.ask(sleep(1) + &sleep(2) + &sleep(3)).await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(3), &json!(-32002)));
    // Its two calls leave no room for another connection.
    let mut other = Raw::connect(address).await;
    let refused = other.ask(sleep(4)).await;
    assert_eq!((&refused["id"], &refused["error"]["retryable"]), (&json!(4), &json!(true)));
    let older = other.ask(classic("sleep", &json!([0]))).await;
    assert!(older["res"].as_str().unwrap().starts_with("Error calling method: "), "{older}");
}

#[tokio::test]
async fn a_connection_over_the_limit_is_refused_and_counted() {
    let (_server, address) = server(&[("SERVER_MAX_CONNECTIONS", "3")]).await;
    let mut inside = Vec::new();
    // This machine has 8 places beyond the limit.
    for _ in 0..11 {
        let mut raw = Raw::connect(address).await;
        raw.ask(classic("add", &json!([1, 2]))).await;
        inside.push(raw);
    }
    let mut outside = Raw::connect(address).await;
    let refused = outside.ask(extended(&json!(1), "add", &json!([1, 2]))).await;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1), &json!(-32002)));
    assert_eq!(outside.rest().await, b"");
    let reply = inside[0].ask(r#"{"id":1,"method_name":"rpc.stats"}"#).await;
    assert_eq!(reply["res"]["connections_refused"], 1, "{reply}");
    inside.pop();
    eventually("a connection is accepted again", async || {
        let mut raw = Raw::connect(address).await;
        raw.ask(classic("add", &json!([1, 2]))).await["res"] == 13
    })
    .await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_with_a_call_or_stream_is_not() {
    let (_server, address) = server(&[("SERVER_IDLE_TIMEOUT", "1s")]).await;
    let mut busy = Raw::connect(address).await;
    busy.send(extended(&json!(1), "sleep", &json!([3]))).await;
    let mut stream = Raw::connect(address).await;
    stream
        .send(r#"{"id":1,"method_name":"rpc.logs","method_kwargs":{"recent":0},"meta":{"stream":true}}"#)
        .await;
    let mut idle = Raw::connect(address).await;
    idle.ask(classic("add", &json!([1, 2]))).await;
    assert!(idle.is_closed_within(SOON).await);
    assert_eq!(busy.reply().await["error"], Value::Null);
    assert!(!stream.is_closed_within(Duration::from_millis(700)).await);
}

#[tokio::test]
async fn a_call_without_a_deadline_has_the_default_one() {
    let (_server, address) = server(&[("SERVER_DEFAULT_DEADLINE", "200ms")]).await;
    let mut raw = Raw::connect(address).await;
    let started = Instant::now();
    let newer = raw.ask(extended(&json!(1), "sleep", &json!([30]))).await;
    assert_eq!(newer["error"]["code"], -32000, "{newer}");
    let older = raw.ask(classic("sleep", &json!([30]))).await;
    assert!(older["res"].as_str().unwrap().starts_with("Error calling method: "), "{older}");
    assert!(started.elapsed() < Duration::from_secs(10));
    has_in_flight(address, "sleep", 0).await;
}

#[tokio::test]
async fn a_callers_deadline_is_kept_and_one_already_past_is_refused() {
    let (_server, address) = server(&[]).await;
    let mut raw = Raw::connect(address).await;
    for (deadline, seconds) in [(100, 30), (0, 0)] {
        let reply = raw
            .ask(format!(
                r#"{{"id":1,"method_name":"sleep","method_args":[{seconds}],"meta":{{"deadline_ms":{deadline}}}}}"#
            ))
            .await;
        assert_eq!(reply["error"]["code"], -32000, "{reply}");
    }
    has_in_flight(address, "sleep", 0).await;
}

#[tokio::test]
async fn a_limit_comes_from_a_flag_before_the_environment_before_the_file() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("own.ini");
    std::fs::write(&file, "[server]\nmax_request_bytes = 1KiB\nlisten = 127.0.0.2\n").unwrap();
    let arguments = ["serve", "-p", "0", "--no-registry", "--config", path(&file)];
    let big = classic("echo", &json!(["x".repeat(3000)]));

    let by_file = Daemon::rpcd(arguments);
    let address = by_file.announced_address().await;
    assert_eq!(address.ip().to_string(), "127.0.0.2");
    assert!(Raw::connect(address).await.ask(&big).await.to_string().contains("Error"));

    let settings = [("SERVER_MAX_REQUEST_BYTES", "1MiB"), ("SERVER_LISTEN", "127.0.0.3")];
    let by_environment = Daemon::rpcd_with(&settings, arguments);
    let address = by_environment.announced_address().await;
    assert_eq!(address.ip().to_string(), "127.0.0.3");
    assert!(!Raw::connect(address).await.ask(&big).await.to_string().contains("Error"));

    let flagged = [&arguments[..], &["-l", "127.0.0.4"]].concat();
    let by_flag = Daemon::rpcd_with(&settings, flagged);
    assert_eq!(by_flag.announced_address().await.ip().to_string(), "127.0.0.4");
}

#[tokio::test]
async fn invalid_settings_and_arguments_exit_2_and_a_port_in_use_exits_3_with_one_line() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("own.ini");
    std::fs::write(&file, "[server]\n\nmax_reqest_bytes = 1KiB\n").unwrap();
    let (_server, taken) = server(&[]).await;
    let taken = taken.port().to_string();
    for (arguments, code, says) in [
        (vec!["serve", "-p", "0", "--config", path(&file)], 2, "max_request_bytes"),
        (vec!["serve", "-p", "0", "--config", "/nonexistent.ini"], 2, "/nonexistent.ini"),
        (vec!["serve"], 2, "-p"),
        (vec!["serve", "-p", "70000"], 2, "70000"),
        (vec!["serve", "-p", "0", "-l", "300.1.1.1", "--no-registry"], 2, "300.1.1.1"),
        (vec!["serve", "-p", &taken, "-l", "127.0.0.1", "--no-registry"], 3, &taken),
        (vec!["registry", "-p", &taken, "-l", "127.0.0.1"], 3, &taken),
        (vec!["call", "-m", "registry", "-i", "127.0.0.1", "-p", "1", "add"], 2, "-m"),
        (vec!["call", "-i", "127.0.0.1", "-p", "1", "add", "1", "2"], 3, "127.0.0.1:1"),
    ] {
        let (got, stdout, stderr) = run_rpcd(&arguments).await;
        assert_eq!(got, code, "{arguments:?}: {stdout}{stderr}");
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("panicked") && !stderr.contains("backtrace"), "{stderr}");
        assert_eq!(stdout, "", "{arguments:?}");
    }
}

#[tokio::test]
async fn the_exit_codes_of_the_command_line_tell_who_must_act() {
    let (_server, address) = server(&[]).await;
    let port = address.port().to_string();
    for (arguments, code, output) in [
        (vec!["add", "1", "-2", "c=3"], 0, "2"),
        (vec!["hello", "Ada"], 0, "Hello, Ada!"),
        (vec!["--json", "hello", "Ada"], 0, "\"Hello, Ada!\""),
        (vec!["hi", "0"], 0, "hi 0, welcome"),
        (vec!["divide", "1", "0"], 0, "Division by zero error!"),
        (vec!["echo", r#"{"a":[1,null]}"#], 0, r#"{"a":[1,null]}"#),
        (vec!["nope"], 1, ""),
        (vec!["add", "1"], 2, ""),
        (vec!["add", "1", "true"], 1, ""),
        (vec!["--timeout", "300ms", "sleep", "9"], 4, ""),
    ] {
        let line = [&["call", "-i", "127.0.0.1", "-p", &port], &arguments[..]].concat();
        let (got, stdout, stderr) = run_rpcd(&line).await;
        assert_eq!((got, stdout.as_str()), (code, output), "{line:?}: {stderr}");
        assert_eq!(stderr.is_empty(), code == 0, "{line:?}: {stderr}");
    }
}

#[tokio::test]
async fn the_registry_refuses_invalid_requests_with_json_and_goes_on() {
    let (_registry, address) = Daemon::registry(&[]).await;
    let register = "POST /myRegistry/register?proto=json";
    let huge = vec![b' '; 10 << 20];
    let long = format!(r#"{{"protocol":"json","host":"{}","port":1}}"#, "x".repeat(300));
    let stuffed = format!(
        r#"{{"protocol":"json","host":"127.0.0.1","port":1,"parameters":{{"a":"{}"}}}}"#,
        "x".repeat(5000)
    );
    for (head, body, expected) in [
        (register, &b"junk"[..], 400),
        (register, b"[]", 400),
        (register, b"{}", 400),
        (register, br#"{"protocol":"json","host":"h","port":70000}"#, 400),
        (register, br#"{"protocol":"json","host":"h","port":"8089"}"#, 400),
        (register, br#"{"protocol":"js on","host":"h","port":1}"#, 400),
        (register, br#"{"protocol":"json","host":"h","port":0}"#, 400),
        (register, long.as_bytes(), 400),
        (register, stuffed.as_bytes(), 400),
        (register, &huge, 413),
        ("POST /myRegistry/unregister?proto=json", b"{", 400),
        ("GET /myRegistry/register?proto=json", b"", 404),
        ("GET /nowhere", b"", 404),
        ("DELETE /myRegistry/findAllInstances", b"", 404),
    ] {
        let (status, reply) = http(address, head, body).await;
        assert_eq!(status, expected, "{head}: {reply}");
        let reply: Value = serde_json::from_str(&reply).unwrap_or_else(|e| panic!("{reply}: {e}"));
        assert!(reply["error"].is_string(), "{head}: {reply}");
    }
    assert_eq!(http(address, "GET /nowhere", b"").await.1, r#"{"error":"Not Found"}"#);
    assert_eq!(http(address, "GET /healthz", b"").await.0, 200);
    assert_eq!(http(address, "GET /readyz", b"").await.0, 200);
    let (status, metrics) = http(address, "GET /metrics", b"").await;
    assert!(status == 200 && metrics.starts_with("# HELP "), "{metrics}");
}

#[tokio::test]
async fn a_web_page_cannot_use_a_daemon_on_localhost() {
    let (_server, server) = server(&[]).await;
    let (_registry, registry) = Daemon::registry(&[]).await;
    for (address, head) in [
        (server, "GET /metrics HTTP/1.1"),
        (server, "GET /openrpc.json HTTP/1.1"),
        (registry, "GET /v1/instances?proto=json HTTP/1.1"),
        (registry, "GET /myRegistry/findAllInstances?proto=json HTTP/1.1"),
    ] {
        for (origin, expected) in [("Origin: http://evil.example\r\n", "403"), ("", "200")] {
            let mut raw = Raw::connect(address).await;
            raw.send(format!("{head}\r\nHost: x\r\n{origin}Connection: close\r\n\r\n")).await;
            let reply = String::from_utf8(raw.rest().await).unwrap();
            assert_eq!(reply.split(' ').nth(1), Some(expected), "{head} {origin}: {reply}");
        }
    }
    // A page's form can POST, but not as application/json.
    let mut raw = Raw::connect(registry).await;
    let body = r#"{"protocol":"json","host":"127.0.0.1","port":1}"#;
    raw.send(format!(
        "POST /myRegistry/register?proto=json HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ))
    .await;
    let reply = String::from_utf8(raw.rest().await).unwrap();
    assert_eq!(reply.split(' ').nth(1).map(|status| &status[..1]), Some("4"), "{reply}");
}

#[tokio::test]
async fn http_on_the_servers_port_has_metrics_health_and_methods() {
    let (_server, address) = server(&[]).await;
    let (status, metrics) = http(address, "GET /metrics", b"").await;
    assert!(status == 200 && metrics.starts_with("# HELP "), "{metrics}");
    assert_eq!(http(address, "GET /healthz", b"").await.0, 200);
    let (status, document) = http(address, "GET /openrpc.json", b"").await;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(status, 200);
    let methods = document["methods"].as_array().unwrap();
    assert!(methods.iter().any(|method| method["name"] == "area_of_circle"), "{document}");
    assert_eq!(http(address, "GET /nowhere", b"").await.0, 404);
    for target in [address.to_string(), format!("127.0.0.1:{}", address.port())] {
        let (code, _, stderr) = run_rpcd(["health", &target]).await;
        assert_eq!(code, 0, "{stderr}");
    }
}

#[tokio::test]
async fn discovery_of_the_builtin_methods_fits_an_older_clients_single_read() {
    let (_server, address) = server(&[]).await;
    let mut raw = Raw::connect(address).await;
    raw.send(classic("all_your_methods", &json!([]))).await;
    let line = raw.line().await.unwrap();
    assert!(line.len() < 1024, "{} bytes: {line}", line.len());
}

async fn server(settings: &[(&str, &str)]) -> (Daemon, SocketAddr) {
    Daemon::server_with(settings, &["--no-registry"]).await
}
