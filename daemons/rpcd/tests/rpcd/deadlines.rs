//! The timeout of a command is all the time it takes, and look-ups leave the most of it to the call.

use std::time::{Duration, Instant};

use rpc_tests::fakes::{self, Do};

use crate::process::rpcd;
use crate::site::runtime;

#[test]
fn a_registry_that_never_replies_takes_no_more_than_the_timeout() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    // Calls need no reply of the registry, only a list: without one it is unreachable.
    for (line, code) in [
        ("call add -d [1,2]", 3),
        ("call add -d [1,2] --stream", 3),
        ("methods", 3),
        ("stats", 4),
        ("logs", 4),
    ] {
        let start = Instant::now();
        let run = rpcd(&format!("{line} --timeout 2s --registry {url}"));
        let took = start.elapsed();
        assert_eq!(run.code, code, "{line}: {run:?}");
        // The rest is a start on a busy machine; a wait for each of two things would be 4 s.
        assert!(took < Duration::from_millis(3500), "{line}: {took:?}");
    }
}

#[test]
fn the_description_takes_at_most_a_quarter_of_the_time_of_a_call() {
    // It does not say what it offers, and is slow.
    let threads = runtime();
    let peer = threads.block_on(fakes::extended(|message| match message["method_name"].as_str() {
        Some("slow") => Do::WriteAfter(Duration::from_millis(1200), fakes::result(message, "7")),
        _ => Do::Nothing,
    }));
    let run = rpcd(&format!("call slow -p {} --timeout 2s", peer.address.port()));
    assert_eq!((run.code, run.stdout.as_str()), (0, "7\n"), "{run:?}");
}
