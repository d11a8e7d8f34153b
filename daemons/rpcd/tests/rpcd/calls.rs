//! Client commands against real daemons.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process::{Daemon, command, read_all, rpcd, rpcd_args};

#[test]
fn results_are_on_standard_output_and_exit_is_0() {
    let (_server, port) = Daemon::serve("--no-registry");
    for (arguments, result) in [
        (vec!["add", "1", "2", "c=3"], "6"),
        (vec!["add", "1", "2"], "13"),
        (vec!["subtract", "1", "-5"], "6"),
        (vec!["divide", "6", "2"], "3.0"),
        (vec!["divide", "1", "0"], "Division by zero error!"),
        (vec!["hi", "Ada"], "hi Ada, welcome"),
        (vec!["hi", "0"], "hi 0, welcome"),
        (vec!["hello", "name=--json"], "Hello, --json!"),
        (vec!["hello", "--json", "Ada"], "\"Hello, Ada!\""),
        (vec!["echo", "--", "--json"], "--json"),
        (vec!["echo", "[1, {\"a\": null}]"], "[1,{\"a\":null}]"),
        (vec!["echo", "18446744073709551615"], "18446744073709551615"),
    ] {
        let port = port.to_string();
        let run = rpcd_args(&[&["call", "-p", &port][..], &arguments].concat());
        let said = (run.code, run.stdout.trim_end(), run.stderr.as_str());
        assert_eq!(said, (0, result, ""), "{arguments:?}");
    }
}

#[test]
fn an_error_from_the_server_exits_1_with_its_text() {
    let (_server, port) = Daemon::serve("--no-registry");
    let run = rpcd(&format!("call -p {port} nope"));
    assert_eq!((run.code, run.stdout.as_str()), (1, ""));
    assert!(run.stderr.contains("nope"), "{}", run.stderr);
    let run = rpcd(&format!("call -p {port} add 1 true"));
    assert_eq!(run.code, 1);
    assert!(run.stderr.contains("'b'"), "{}", run.stderr);
}

#[test]
fn a_call_that_times_out_exits_4_in_time() {
    let (_server, port) = Daemon::serve("--no-registry");
    let start = Instant::now();
    let run = rpcd(&format!("call -p {port} sleep 60 --timeout 300ms"));
    assert_eq!(run.code, 4, "{}", run.stderr);
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn many_calls_print_as_many_results_and_overlap_with_concurrency() {
    let (_server, port) = Daemon::serve("--no-registry");
    let run = rpcd(&format!("call -p {port} add 1 2 --repeat 3"));
    assert_eq!((run.code, run.stdout.as_str()), (0, "13\n13\n13\n"));
    let start = Instant::now();
    let run = rpcd(&format!("call -p {port} sleep 0.5 --concurrency 30"));
    assert_eq!((run.code, run.stdout.lines().count()), (0, 30), "{}", run.stderr);
    assert!(start.elapsed() < Duration::from_secs(10), "in sequence they would take 15 s");
    let run = rpcd(&format!("call -p {port} nope --repeat 20"));
    assert_eq!((run.code, run.stderr.lines().count()), (1, 11), "{}", run.stderr);
    assert!(run.stderr.ends_with("20 of 20 calls failed\n"), "{}", run.stderr);
}

#[test]
fn a_closed_output_pipe_stops_the_calls_quietly() {
    let (_server, port) = Daemon::serve("--no-registry");
    let port = port.to_string();
    let mut child = command(&["call", "-p", &port, "add", "1", "2", "--repeat", "1000000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_stream_prints_its_items_as_they_arrive() {
    let (_server, port) = Daemon::serve("--no-registry");
    let port = port.to_string();
    let line =
        ["call", "-p", &port, "--stream", "rpc.logs", "contains=listening", "--timeout", "1"];
    let mut child = command(&line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let text = read_all(&mut child);
    assert!(text.lines().next().unwrap().contains("listening"), "{text}");
    assert_eq!(child.wait().unwrap().code(), Some(4), "the timeout covers the whole stream");
}

#[test]
fn methods_are_listed_as_they_are_called() {
    let (_server, port) = Daemon::serve("--no-registry");
    let run = rpcd(&format!("methods -p {port}"));
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stdout.contains("add(a: number, b: number, c: number = 10) -> number  "),
        "{}",
        run.stdout
    );
    let run = rpcd(&format!("methods -p {port} --json"));
    let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(document["methods"].as_array().unwrap().len() >= 12);
}

#[test]
fn an_openapi_document_of_a_server_says_how_to_call_it_by_http() {
    let (_server, port) = Daemon::serve("--no-registry");
    let run = rpcd(&format!("methods add -p {port} --openapi"));
    assert_eq!(run.code, 0, "{}", run.stderr);
    let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let url = document["servers"][0]["url"].as_str().unwrap().to_owned();
    assert_eq!(url, format!("http://127.0.0.1:{port}"));
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["/call/add"]);
    for (line, said) in [
        (format!("methods -p {port} --openapi --json"), "cannot be used with"),
        ("methods --openapi".to_owned(), "--openapi is for one server; add -i HOST and -p PORT"),
        (
            "methods -i http://127.0.0.1:1/rpc --openapi".to_owned(),
            "--openapi takes no URL: what it describes is not there; for a server of rpcd write -i 127.0.0.1 -p 1\n",
        ),
        (
            "methods -i https://[::1]/rpc --openapi".to_owned(),
            "for a server of rpcd write -i ::1 -p 443 --tls\n",
        ),
    ] {
        let run = rpcd(&line);
        assert!(run.code == 2 && run.stderr.contains(said), "{line}: {run:?}");
    }
}

#[test]
fn daemons_of_both_kinds_are_healthy() {
    let (_server, port) = Daemon::serve("--no-registry");
    let mut registry = Daemon::start("registry -p 0 -l ::1");
    let registry = registry.address();
    for address in [format!("localhost:{port}"), registry.to_string()] {
        let run = rpcd(&format!("health {address}"));
        assert_eq!((run.code, run.stdout.as_str()), (0, "ok\n"), "{}", run.stderr);
    }
}

#[test]
fn a_listener_that_is_not_rpcd_is_unhealthy() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It accepts the connection and sends nothing.
    assert_eq!(rpcd(&format!("health {address} --timeout 200ms")).code, 4);
    let closing = std::thread::spawn(move || {
        listener.accept().unwrap();
        listener.accept().unwrap();
    });
    let run = rpcd(&format!("health {address}"));
    assert!([1, 3].contains(&run.code), "{run:?}");
    closing.join().unwrap();
}

#[test]
fn a_full_server_is_unreachable_and_says_that_it_is_full() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let refusal = b"{\"res\":\"Error calling method: 2 of 2 connections\",\"error\":\
                        {\"code\":-32002,\"message\":\"2 of 2 connections\",\"retryable\":true}}\n";
        for mut socket in listener.incoming().map(Result::unwrap) {
            let _ = socket.write_all(refusal);
            let _ = socket.read_to_end(&mut Vec::new());
        }
    });
    for line in [
        format!("health {address}"),
        format!("call -p {} add 1 2", address.port()),
        format!("methods -p {}", address.port()),
    ] {
        let run = rpcd(&line);
        assert_eq!(run.code, 3, "{line}: {run:?}");
        let text =
            format!("{address} takes no more connections: 2 of 2 connections; try again later");
        assert!(run.stderr.contains(&text), "{line}: {}", run.stderr);
    }
}

#[test]
fn calls_go_through_the_registry_and_instances_are_listed_until_they_unregister() {
    let mut registry = Daemon::start("registry -p 0 -l 127.0.0.1");
    let url = format!("http://{}", registry.address());
    let empty = rpcd(&format!("instances --registry {url}"));
    assert_eq!((empty.code, empty.stdout.as_str()), (0, ""));
    assert!(empty.stderr.contains("no instances registered at "), "{}", empty.stderr);
    assert_eq!(rpcd(&format!("instances --json --registry {url}")).stdout, "[]\n");

    let (mut server, port) = Daemon::serve(&format!("--registry {url}"));
    server.line("registered");
    let run = rpcd(&format!("call --registry {url} add 1 2 c=3 --balance round_robin"));
    assert_eq!((run.code, run.stdout.as_str()), (0, "6\n"), "{}", run.stderr);
    let listed = rpcd(&format!("instances --registry {url}")).stdout;
    assert!(listed.starts_with(&format!("127.0.0.1:{port} ")), "{listed}");

    server.signal(Signal::TERM);
    assert_eq!(server.exit_code(), 0);
    assert_eq!(rpcd(&format!("instances --registry {url}")).stdout, "");
    let run = rpcd(&format!("call --registry {url} add 1 2"));
    assert_eq!(run.code, 3, "{}", run.stderr);
}
