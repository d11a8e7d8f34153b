//! Older servers, which have no log, no statistics and no health of their own.

use rpc_tests::python::{has_python, old_server};
use serde_json::{Value, json};

use crate::process::rpcd;
use crate::site::runtime;

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

#[test]
fn what_lists_no_methods_is_no_server_and_not_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = std::io::Write::write_all(&mut stream.unwrap(), b"SSH-2.0-x\r\n");
        }
    });
    let run = rpcd(&format!("health {at}"));
    let said = format!("rpcd: {at} is not an rpcd server or registry; check the address\n");
    assert_eq!((run.code, run.stdout.as_str(), run.stderr), (1, "", said));
}
