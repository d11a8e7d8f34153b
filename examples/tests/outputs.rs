//! Every example that ends by itself prints what it should.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use std::process::Command;

use rpc_tests::binaries::example;

fn prints(name: &str, expected: &[&str]) {
    let output = Command::new(example(name)).output().unwrap();
    let (printed, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{name}: {errors}");
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected, "{name}");
}

#[test]
fn state_and_call() {
    prints(
        "state_and_call",
        &[
            "deposit 100: 100",
            "deposit -30: 70",
            "patience: 60 s",
            "work in time: false",
            "- deposit by TCP",
            "- deposit by TCP",
            "- work was cancelled",
        ],
    );
}

const BUSY: &str = "wait failed: Error calling method: busy: \
                    a limit of the service is reached; call another instance";

#[test]
fn layers() {
    prints(
        "layers",
        &[
            "two calls at once, which the client sends one after the other:",
            "server: wait succeeded",
            "server: wait succeeded",
            "results: 20 0",
            "two calls at once, which the server limits:",
            &format!("server: {BUSY}"),
            &format!("client: {BUSY}"),
            "server: wait succeeded",
            "client: wait succeeded",
            "refused: true",
        ],
    );
}

#[test]
fn orders_served() {
    prints(
        "orders_served",
        &[
            "price: 1.5",
            "placed: 1 tea, sent by TCP",
            "placed: 3 tea, sent by TCP",
            "sold out: 1 left",
            "watched: order 0, 1 tea, sent by TCP",
            "watched: order 1, 3 tea, sent by TCP",
        ],
    );
}

#[test]
fn orders_in_process() {
    prints(
        "orders_in_process",
        &["placed: 2 tea, called in process", "placed: 2 tea, called in process", "orders: 3"],
    );
}

#[test]
fn secure_in_process() {
    prints("secure_in_process", &["1 + 2 = 3", "refused: true"]);
}
