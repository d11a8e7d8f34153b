//! Clients that disappear, half-close, reset, trickle or never read affect only their own
//! connection.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::{SOON, eventually};
use rpc_tests::queries::{has_in_flight, http, stats};
use rpc_tests::raw::{Raw, classic, extended};
use serde_json::json;
use tokio::io::AsyncWriteExt;

/// Number of clients of each kind at once.
const CROWD: u64 = 30;

/// No long sleep call ends by its deadline within the time of these tests.
const LONG_DEADLINE: (&str, &str) = ("SERVER_DEFAULT_DEADLINE", "10m");

#[tokio::test]
async fn clients_that_disappear_during_a_call_leave_nothing_behind() {
    let (server, mut polite) = with_a_polite_client(&[LONG_DEADLINE]).await;
    for request in [
        // Cancelled with its connection.
        extended(&json!(1), "sleep", &json!([600])),
        // A classic client that disappeared looks like one that half-closed and waits.
        classic("sleep", &json!([1])),
        format!("{0}{0}{0}", classic("sleep", &json!([0.3]))),
    ] {
        let mut crowd = Vec::new();
        for _ in 0..CROWD {
            let mut rude = Raw::connect(server.address).await;
            rude.send(&request).await;
            crowd.push(rude);
        }
        eventually("the calls are in flight", async || {
            rpc_tests::queries::in_flight(server.address, "sleep").await > 0
        })
        .await;
        drop(crowd);
        server.is_as_before(&mut polite).await;
    }
}

#[tokio::test]
async fn clients_that_reset_during_a_call_or_request_leave_nothing_behind() {
    let (server, mut polite) = with_a_polite_client(&[LONG_DEADLINE]).await;
    for (request, calls) in [
        (extended(&json!(1), "sleep", &json!([600])), CROWD),
        (r#"{"id":1,"method_name":"add","meth"#.to_owned(), 0),
        (r#"{"id":1,"#.to_owned() + &" ".repeat(100_000), 0),
    ] {
        let mut crowd = Vec::new();
        for _ in 0..CROWD {
            let mut rude = Raw::connect(server.address).await;
            rude.send(&request).await;
            crowd.push(rude);
        }
        has_in_flight(server.address, "sleep", calls).await;
        crowd.into_iter().for_each(Raw::reset);
        server.is_as_before(&mut polite).await;
    }
}

#[tokio::test]
async fn a_client_that_half_closes_still_gets_its_classic_replies_in_order() {
    let (server, mut polite) = with_a_polite_client(&[]).await;
    let mut rude = Raw::connect(server.address).await;
    rude.send(classic("sleep", &json!([0.2])) + &classic("add", &json!([1, 2]))).await;
    rude.half_close().await;
    assert_eq!(rude.rest().await, b"{\"res\":0.2}\n{\"res\":13}\n");
    // Extended calls are cancelled by a half-close, and get a reply that says so.
    let mut rude = Raw::connect(server.address).await;
    rude.send(extended(&json!("x"), "sleep", &json!([9]))).await;
    has_in_flight(server.address, "sleep", 1).await;
    rude.half_close().await;
    let reply = rude.reply().await;
    assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!("x"), &json!(-32001)), "{reply}");
    assert_eq!(rude.rest().await, b"");
    server.is_as_before(&mut polite).await;
}

#[tokio::test]
async fn a_client_that_half_closes_inside_a_request_is_disconnected() {
    let (server, mut polite) = with_a_polite_client(&[]).await;
    for start in ["", "  ", "{", r#"{"method_name": "add""#, "GET", "GET /healthz HTTP/1.1\r\n"] {
        let mut rude = Raw::connect(server.address).await;
        rude.send(start).await;
        rude.half_close().await;
        assert!(rude.is_closed_within(SOON).await, "after {start:?}");
    }
    server.is_as_before(&mut polite).await;
}

#[tokio::test]
async fn a_request_that_arrives_byte_by_byte_gets_its_reply() {
    let (server, mut polite) = with_a_polite_client(&[]).await;
    let mut rude = Raw::connect(server.address).await;
    for byte in classic("hello", &json!(["Wörld"])).bytes() {
        rude.send([byte]).await;
        // Other tasks and a polite call run between the bytes.
        polite_call(&mut polite).await;
    }
    assert_eq!(rude.reply().await, json!({"res": "Hello, Wörld!"}));
}

#[tokio::test]
async fn an_unfinished_request_times_out_and_others_do_not() {
    let settings = [("SERVER_REQUEST_TIMEOUT", "300ms")];
    let (server, mut polite) = with_a_polite_client(&settings).await;
    for start in [r#"{"method_name": "add", "#, "[1", "GET /healthz HTTP/1.1\r\nHo", " {"] {
        let mut rude = Raw::connect(server.address).await;
        rude.send(start).await;
        let rest = String::from_utf8(rude.rest().await).unwrap();
        assert!(
            start.starts_with("GET") || rest.contains("Error calling method: "),
            "{start:?}: {rest:?}"
        );
    }
    // It trickles, but the limit is for the whole request.
    let mut rude = Raw::connect(server.address).await;
    rude.send("{").await;
    eventually("a trickling client is disconnected", async || {
        rude.stream().write_all(b" ").await.is_err() || rude.stream().try_read(&mut [0]).is_ok()
    })
    .await;
    server.is_as_before(&mut polite).await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_not_read_from_either() {
    const MOST: usize = 64 << 20;
    let (server, mut polite) = with_a_polite_client(&[]).await;
    let text = "x".repeat(1 << 20);
    for request in [classic("echo", &json!([text])), extended(&json!(1), "echo", &json!([text]))] {
        let mut rude = Raw::connect(server.address).await;
        let mut sent = 0;
        // Until the server reads nothing for half a second.
        while let Ok(result) = tokio::time::timeout(
            Duration::from_millis(500),
            rude.stream().write(&request.as_bytes()[sent % request.len()..]),
        )
        .await
        {
            sent += result.unwrap();
            assert!(sent < MOST, "it took {sent} bytes from a client that reads nothing");
        }
        polite_call(&mut polite).await;
        if cfg!(target_os = "linux") {
            let resident = resident_bytes(server.daemon.pid());
            assert!(resident < 200 << 20, "{resident} bytes resident");
        }
    }
    server.is_as_before(&mut polite).await;
}

#[tokio::test]
async fn first_bytes_of_no_dialect_get_one_error_and_a_close() {
    let (server, mut polite) = with_a_polite_client(&[]).await;
    for junk in ["hello\n", "\"text\"", "\u{0}\u{1}\u{2}", "GETTING {", "12"] {
        let mut rude = Raw::connect(server.address).await;
        rude.send(junk).await;
        let reply = rude.reply().await;
        assert!(reply["res"].as_str().unwrap().starts_with("Error calling method: "), "{junk:?}");
        assert_eq!(rude.rest().await, b"", "{junk:?}");
    }
    // The start of TLS, which is not supported yet.
    let mut rude = Raw::connect(server.address).await;
    rude.send([0x16, 0x03, 0x01, 0x02, 0x00]).await;
    assert!(rude.is_closed_within(SOON).await);
    server.is_as_before(&mut polite).await;
}

#[tokio::test]
async fn requests_before_junk_get_their_replies_before_the_connection_closes() {
    let (server, _polite) = with_a_polite_client(&[]).await;
    let mut rude = Raw::connect(server.address).await;
    let slow = extended(&json!(1), "sleep", &json!([0.3]));
    rude.send(slow + &classic("add", &json!([1, 2])) + "}junk").await;
    let mut replies = vec![rude.reply().await, rude.reply().await];
    assert!(replies.contains(&json!({"res": 13})), "{replies:?}");
    assert!(replies.iter().any(|reply| reply["id"] == 1), "{replies:?}");
    replies.push(rude.reply().await);
    let last = replies[2]["res"].as_str().unwrap();
    assert!(last.starts_with("Error calling method: "), "{replies:?}");
    assert_eq!(rude.rest().await, b"");
}

#[tokio::test]
async fn a_rude_client_of_the_registry_loses_only_its_own_connection() {
    let (_registry, address) = Daemon::registry(&[]).await;
    for bytes in [
        "\u{0}\u{1}",
        "GET",
        "BREW / HTTP/9\r\n\r\n",
        "POST /myRegistry/register HTTP/1.1\r\n\r\n{",
    ] {
        let mut rude = Raw::connect(address).await;
        rude.send(bytes).await;
        let mut halved = Raw::connect(address).await;
        halved.send(bytes).await;
        halved.half_close().await;
        let mut reset = Raw::connect(address).await;
        reset.send(bytes).await;
        reset.reset();
        let (status, body) = http(address, "GET /healthz", b"").await;
        assert_eq!(status, 200, "{body}");
    }
}

/// A server, and its state without rude clients.
struct Server {
    daemon: Daemon,
    address: SocketAddr,
}

async fn with_a_polite_client(settings: &[(&str, &str)]) -> (Server, Raw) {
    let (daemon, address) = Daemon::server_with(settings, &["--no-registry"]).await;
    let mut polite = Raw::connect(address).await;
    polite_call(&mut polite).await;
    (Server { daemon, address }, polite)
}

async fn polite_call(polite: &mut Raw) {
    assert_eq!(polite.ask(classic("add", &json!([1, 2]))).await, json!({"res": 13}));
}

impl Server {
    async fn is_as_before(&self, polite: &mut Raw) {
        polite_call(polite).await;
        let what = "only the polite client and this query are connected, nothing else is in flight";
        eventually(what, async || {
            let stats = stats(self.address).await;
            stats["connections"] == 2 && stats["in_flight"].as_u64().unwrap() <= 1
        })
        .await;
        let said = self.daemon.transcript();
        assert!(!said.contains("panicked"), "{said}");
    }
}

/// As reported by Linux.
fn resident_bytes(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}
