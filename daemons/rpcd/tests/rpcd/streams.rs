//! What is learned before a call, so that no item of a stream is lost, and what that costs.

use rpc_tests::fakes::{self, Do, Peer, result};
use rpc_wire::signature::{contract, from_openrpc};
use serde_json::Value;

use crate::process::{rpcd, rpcd_args};
use crate::services::register;
use crate::site::{Site, only_here, runtime};

const METHODS: &str = r#"{"openrpc": "1", "methods": [{"name": "counts", "x-stream": true}, {"name": "fails", "x-stream": true}, {"name": "plain"}]}"#;

/// A server of another make: its streams `fails` and `counts` run however they are called, and a call
/// without `meta.stream` gets what is no reply for it, or only the first item.
async fn foreign() -> Peer {
    fakes::extended(|message| {
        let id = &message["id"];
        let items = format!("{{\"id\":{id},\"item\":1}}\n{{\"id\":{id},\"item\":2}}\n");
        Do::Write(match message["method_name"].as_str() {
            Some("rpc.discover") => result(message, METHODS),
            Some("fails") => {
                let fault = r#"{"code":7,"message":"it broke"}"#;
                format!("{items}{{\"id\":{id},\"res\":\"it broke\",\"error\":{fault}}}\n")
            }
            Some("counts") if message["meta"]["stream"] == true => {
                format!("{items}{{\"id\":{id},\"end\":true}}\n")
            }
            Some("counts") => result(message, "1"),
            _ => result(message, "0"),
        })
    })
    .await
}

/// How often a peer was asked what it offers, and how often it was called.
fn asked_and_called(peer: &Peer) -> (usize, usize) {
    let is_question = |message: &&Value| message["method_name"] == "rpc.discover";
    let calls = peer.seen.calls();
    let asked = calls.iter().filter(is_question).count();
    (asked, calls.len() - asked)
}

#[test]
fn no_item_of_a_stream_is_lost_whatever_its_arguments_are() {
    let threads = runtime();
    for arguments in
        [&[][..], &["x"], &["\"x\""], &["-d", "[]"], &["-d", "{\"a\":1}"], &["--stream"]]
    {
        let peer = threads.block_on(foreign());
        let port = peer.address.port().to_string();
        let call = |name| rpcd_args(&[&["call", "-p", &port, name][..], arguments].concat());
        let run = call("fails");
        let said = (run.code, run.stdout.as_str(), run.stderr.as_str());
        assert_eq!(
            said,
            (1, "1\n2\n", "rpcd: Error calling method: it broke (code 7)\n"),
            "{arguments:?}"
        );
        let run = call("counts");
        assert_eq!((run.code, run.stdout.as_str()), (0, "1\n2\n"), "{arguments:?}: {run:?}");
    }
}

#[test]
fn a_stream_that_gave_items_may_have_run_whatever_ends_it() {
    let threads = runtime();
    for (count, expected) in [(0, false), (1, true)] {
        let peer = threads.block_on(fakes::extended(move |message| {
            let id = &message["id"];
            let fault = r#"{"code":-32004,"message":"the token has expired"}"#;
            let item = format!("{{\"id\":{id},\"item\":1}}\n").repeat(count);
            Do::Write(format!("{item}{{\"id\":{id},\"res\":\"\",\"error\":{fault}}}\n"))
        }));
        let run = rpcd(&format!("call any --stream --json -p {}", peer.address.port()));
        let error: Value = serde_json::from_str(run.stdout.lines().last().unwrap()).unwrap();
        assert_eq!(error["error"]["may_have_run"], expected, "{run:?}");
    }
}

#[test]
fn a_run_asks_once_however_many_calls_it_makes() {
    let threads = runtime();
    let peer = threads.block_on(foreign());
    let port = peer.address.port();
    let run = rpcd(&format!("call plain -p {port}"));
    assert_eq!((run.code, run.stdout.as_str()), (0, "0\n"), "{run:?}");
    assert_eq!(asked_and_called(&peer), (1, 1));
    let run = rpcd(&format!("call plain -p {port} --repeat 5 --concurrency 2"));
    assert_eq!((run.code, run.stdout.lines().count()), (0, 5), "{run:?}");
    assert_eq!(asked_and_called(&peer), (2, 6));
    // Nothing is to be learned of what every server has, and of what is a stream in any case.
    rpcd(&format!("call rpc.stats -p {port}"));
    rpcd(&format!("call counts --stream -p {port}"));
    assert_eq!(asked_and_called(&peer).0, 2);
}

#[test]
fn one_instance_speaks_for_a_service_and_another_one_for_what_it_does_not_have() {
    let (threads, site) = (runtime(), Site::empty());
    let contract = contract(&from_openrpc(METHODS).unwrap());
    let peers = [(); 3].map(|()| threads.block_on(foreign()));
    for peer in &peers {
        let body = format!(
            r#"{{"protocol":"json","host":"127.0.0.1","port":{},"status":true,"parameters":{{"service":"s","contract":"{contract}"}}}}"#,
            peer.address.port()
        );
        assert!(register(&site.url, &body).contains("200"));
    }
    let run = site.run("call counts");
    assert_eq!((run.code, run.stdout.as_str()), (0, "1\n2\n"), "{run:?}");
    assert_eq!(peers.iter().map(|peer| asked_and_called(peer).0).sum::<usize>(), 1);

    let site = Site::start();
    site.serve("site", [only_here::method()]);
    for _ in 0..8 {
        let run = site.run("call only_here");
        assert_eq!((run.code, run.stdout.as_str()), (0, "a\n"), "{run:?}");
    }
}
