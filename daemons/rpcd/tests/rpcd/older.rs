//! Older servers and those of JSON-RPC, which have no log, no statistics and no health of their own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use rpc_tests::fakes::{self, Do, result};
use rpc_tests::python::{has_python, old_registry, old_server};
use serde_json::{Value, json};

use crate::process::rpcd;
use crate::services::register;
use crate::site::{Site, runtime};

#[test]
fn an_older_server_has_no_log_and_no_statistics_in_the_same_words() {
    if !has_python() {
        return;
    }
    let threads = runtime();
    let (_server, at) = threads.block_on(old_server(&[]));
    let port = at.port();
    for (line, what, method) in [
        ("stats", "no statistics", "rpc.stats"),
        ("logs", "no log", "rpc.logs"),
        ("logs --no-follow", "no log", "rpc.logs"),
    ] {
        let run = rpcd(&format!("{line} -p {port}"));
        let said = format!("{what} from {at}: it is an older server without {method}; upgrade it");
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{line}: {run:?}");
        assert_eq!(run.stderr, format!("rpcd: {said}\n"), "{line}");
        let run = rpcd(&format!("{line} -p {port} --json"));
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        let expected = json!({"error": {"code": -32601, "kind": "remote", "message": said}});
        assert_eq!((run.code, document), (1, expected), "{line}");
    }
    let run = rpcd(&format!("call rpc.stats -p {port}"));
    let said = format!("rpcd: {at} is an older server without rpc.stats; upgrade it\n");
    assert_eq!((run.code, run.stdout.as_str(), run.stderr), (1, "", said));
    let run = rpcd(&format!("call rpc.logs -p {port}"));
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stderr.contains("is an older server without streams"), "{}", run.stderr);
}

#[test]
fn a_json_rpc_server_of_another_make_is_no_older_one() {
    let threads = runtime();
    let server = threads.block_on(fakes::extended(|message| {
        let id = message["id"].clone();
        let error = json!({"code": -32601, "message": "Method not found"});
        Do::Write(json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string() + "\n")
    }));
    let at = server.address;
    for (line, what, method) in
        [("stats", "no statistics", "rpc.stats"), ("logs", "no log", "rpc.logs")]
    {
        let run = rpcd(&format!("{line} -p {}", at.port()));
        let said = format!(
            "rpcd: {what} from {at}: it is a server of another make: only servers of rpcd have {method}\n"
        );
        assert_eq!((run.code, run.stdout.as_str(), run.stderr), (1, "", said), "{line}");
    }
}

#[test]
fn a_json_rpc_server_that_a_registry_lists_is_no_older_one_either() {
    let site = Site::empty();
    let invalid =
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid Request"}}"#;
    let at = json_rpc_of_lines(invalid, false);
    let body = format!(
        r#"{{"protocol":"json","host":"127.0.0.1","port":{},"status":true,"parameters":{{"service":"jay"}}}}"#,
        at.port()
    );
    let status = register(&site.url, &body);
    assert!(status.contains("200"), "{status}");
    let says = |line: &str, method: &str| {
        let run = site.run(line);
        let said = format!("is a server of another make: only servers of rpcd have {method}\n");
        assert!(run.code == 1 && run.stderr.ends_with(&said), "{line}: {run:?}");
    };
    says("stats --service jay", "rpc.stats");
    says("logs --service jay --no-follow", "rpc.logs");
    says("call rpc.stats", "rpc.stats");
}

#[test]
fn a_json_rpc_server_of_another_make_has_no_openapi_document() {
    let document = json!({
        "openrpc": "1.3.2", "info": {"title": "t", "version": "1"},
        "methods": [{"name": "add", "params": [], "result": {"name": "r", "schema": true}}]
    });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, document) = (stream.unwrap(), document.clone());
            std::thread::spawn(move || {
                for line in BufReader::new(&stream).lines() {
                    let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
                    let reply = match message["method"] == "rpc.discover" {
                        true => json!({"jsonrpc": "2.0", "id": message["id"], "result": document}),
                        false => json!({
                            "jsonrpc": "2.0", "id": null,
                            "error": {"code": -32600, "message": "Invalid Request"}
                        }),
                    };
                    writeln!(&stream, "{reply}").unwrap();
                }
            });
        }
    });
    let run = rpcd(&format!("methods -p {}", at.port()));
    assert!(run.code == 0 && run.stdout.contains("add()"), "{run:?}");
    let run = rpcd(&format!("methods --openapi -p {}", at.port()));
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
    let said = format!("{at} is a JSON-RPC server of another make, without the POST /call ");
    assert!(run.stderr.contains(&said), "{}", run.stderr);
}

#[test]
fn an_older_server_that_lists_its_methods_is_up() {
    if !has_python() {
        return;
    }
    let threads = runtime();
    let (_server, at) = threads.block_on(old_server(&[]));
    let run = rpcd(&format!("health {at}"));
    let said = "up (speaks the older dialect; no health of its own)\n";
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, said, ""));
    let run = rpcd(&format!("health {at} --json"));
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let expected = json!({
        "address": at.to_string(), "healthy": true, "status": "up", "dialect": "classic"
    });
    assert_eq!((run.code, document), (0, expected));
}

/// Serves lines of JSON-RPC, with the method `three`; to a line that is none it says `otherwise`, and to a call of
/// another method an error, unless it is `silent`.
fn json_rpc_of_lines(otherwise: &'static str, silent: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let serve = move |mut stream: TcpStream| {
        for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
            let said = match serde_json::from_str::<Value>(&line) {
                Ok(message) if message["method"] == "three" => {
                    json!({"jsonrpc": "2.0", "id": message["id"], "result": 3}).to_string() + "\n"
                }
                Ok(message) if message["jsonrpc"] == "2.0" && !silent => {
                    let error = json!({"code": -32601, "message": "no such method"});
                    json!({"jsonrpc": "2.0", "id": message["id"], "error": error}).to_string()
                        + "\n"
                }
                _ => otherwise.to_owned(),
            };
            let _ = stream.write_all(said.as_bytes());
        }
    };
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(stream));
        }
    });
    at
}

#[test]
fn a_json_rpc_server_of_another_make_is_up_whether_or_not_it_answers_what_is_none() {
    let invalid =
        "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32700,\"message\":\"?\"},\"id\":null}\n";
    for at in [json_rpc_of_lines(invalid, false), json_rpc_of_lines("", false)] {
        let run = rpcd(&format!("health {at} --timeout 4s"));
        let said = "up (speaks JSON-RPC 2.0; no health of its own)\n";
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, said, ""));
        let run = rpcd(&format!("health {at} --json --timeout 4s"));
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        let expected = json!({
            "address": at.to_string(), "healthy": true, "status": "up", "dialect": "JSON-RPC"
        });
        assert_eq!((run.code, document), (0, expected));
    }
}

#[test]
fn a_json_rpc_server_that_answers_no_unknown_methods_is_called_by_a_url_that_says_what_it_is() {
    let at = json_rpc_of_lines("", true);
    let run = rpcd(&format!("call -p {} --timeout 1s three", at.port()));
    assert!(run.code == 4 && run.stderr.contains("write -i jsonrpc+tcp://"), "{run:?}");
    let run = rpcd(&format!("call -i jsonrpc+tcp://{at} --timeout 4s three"));
    assert_eq!((run.code, run.stdout.as_str()), (0, "3\n"), "{run:?}");
    let run = rpcd(&format!("call -i jsonrpc+tcp://{at}/rpc three"));
    assert!(run.code == 2 && run.stderr.contains("the port must be a number"), "{run:?}");
}

#[test]
fn what_lists_no_methods_is_no_server_and_not_up() {
    let says = |text: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(text);
            }
        });
        at
    };
    let ssh = says(b"SSH-2.0-x\r\n");
    let run = rpcd(&format!("health {ssh}"));
    let said = format!("rpcd: {ssh} is not an rpcd server or registry; check the address\n");
    assert_eq!((run.code, run.stdout.as_str(), run.stderr), (1, "", said));
    let web = says(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    let run = rpcd(&format!("health {web}"));
    let said =
        format!("{web} has no /healthz (HTTP 404), so that it is no rpcd server or registry");
    assert!(run.code == 1 && run.stderr.contains(&said), "{run:?}");
}

#[test]
fn an_older_registry_that_is_taken_for_a_server_is_called_what_it_is() {
    if !has_python() {
        return;
    }
    let threads = runtime();
    let (_registry, at) = threads.block_on(old_registry(&[]));
    for line in ["call add 1 2", "methods"] {
        let run = rpcd(&format!("{line} -p {}", at.port()));
        let said =
            format!("rpcd: {at} is a registry, not a server; write --registry http://{at}, ");
        assert!(run.code == 1 && run.stderr.starts_with(&said), "{line}: {run:?}");
    }
}

#[test]
fn an_older_method_is_described_with_commands_that_work_or_guess_nothing() {
    if !has_python() {
        return;
    }
    let threads = runtime();
    let (_server, at) = threads.block_on(old_server(&[]));
    let commands = |name: &str| -> Vec<String> {
        let described = rpcd(&format!("describe {name} -p {}", at.port())).stdout;
        let lines = described.lines().filter_map(|line| line.trim().strip_prefix("rpcd "));
        lines.map(|line| line.replace('\'', "")).collect()
    };
    let add = commands("add");
    assert_eq!(add.len(), 3, "{add:?}");
    for line in add {
        let run = rpcd(&line);
        assert_eq!((run.code, run.stdout.as_str()), (0, "12\n"), "{line}: {run:?}");
    }
    let expected = ["", "number="].map(|name| format!("call square {name}NUMBER -p {}", at.port()));
    assert_eq!(commands("square"), expected);
}

#[test]
fn the_methods_of_older_and_newer_instances_are_one_list_that_does_not_change() {
    if !has_python() {
        return;
    }
    let threads = runtime();
    let (_server, older) = threads.block_on(old_server(&[]));
    // Digests, which sort the instances, before and after that of the older one.
    let newer = ["Adds.", "Sums.", "Totals.", "Counts."].map(|doc| {
        let peer = fakes::extended(move |message| {
            let number = r#"{"type": "number"}"#;
            let [a, b, c] = [("a", ""), ("b", ""), ("c", r#", "default": 10"#)].map(|(name, default)| {
                let schema = number.replace('}', &format!("{default}}}"));
                format!(r#"{{"name": "{name}", "required": {}, "schema": {schema}}}"#, default.is_empty())
            });
            Do::Write(result(
                message,
                &format!(
                    r#"{{"openrpc": "1", "methods": [{{"name": "add", "description": "{doc}", "params": [{a}, {b}, {c}], "result": {{"name": "r", "schema": {number}}}}}]}}"#
                ),
            ))
        });
        threads.block_on(peer)
    });
    for newer in &newer {
        let ports = [older.port(), newer.address.port()];
        let mut lists = Vec::new();
        for ports in [ports, [ports[1], ports[0]]] {
            let site = Site::empty();
            for port in ports {
                let body = format!(
                    r#"{{"protocol":"json","host":"127.0.0.1","port":{port},"status":true}}"#
                );
                assert!(register(&site.url, &body).contains("200"));
            }
            for _ in 0..3 {
                let [methods, described] = ["methods", "describe add"].map(|line| site.run(line));
                assert_eq!((methods.stderr.as_str(), described.stderr.as_str()), ("", ""));
                lists.push((methods.stdout, described.stdout.replace(&site.url, "URL")));
            }
        }
        let (methods, described) = &lists[0];
        let add = "(unnamed) · add(a: number, b: number, c: number = 10) -> number";
        assert!(methods.lines().any(|line| line.starts_with(add)), "{methods}");
        assert!(methods.contains("(unnamed) · hello(name) "), "{methods}");
        assert!(described.starts_with("add(a: number, "), "{described}");
        assert!(described.contains("  (unnamed)  2 of 2 instances"), "{described}");
        assert!(lists.iter().all(|list| list == &lists[0]), "{lists:#?}");
    }
}
