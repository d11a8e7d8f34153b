//! Calls to an older peer: one at a time on a socket, few sockets, small requests.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rpc_client::{CallError, Client, ClientOptions, Code, Dialect, ErrorKind, Request};
use rpc_tests::reserved_port::ReservedPort;
use serde_json::{Value, json};

use crate::fakes::{self, Do, Peer, classic, classic_on, sum};
use crate::{direct, eventually, options, without_a_pause};

async fn old_adder() -> Peer {
    classic(|request| Do::Write(format!("{{\"res\": {}}}", sum(request)))).await
}

#[tokio::test]
async fn an_older_peer_is_recognised_and_called_in_the_classic_dialect() {
    let peer = old_adder().await;
    let client = direct(peer.address);
    let wire = rpc_client::WireLog::new(1 << 10);
    let request = Request { wire: Some(wire.clone()), ..Request::new("add", (1, 2)).unwrap() };
    let response = client.request(request).await.unwrap();
    assert_eq!((response.value.get(), response.dialect), ("3", Dialect::Classic));
    let sent = br#"{"method_name":"add","method_args":[1,2],"method_kwargs":{}}"#;
    assert_eq!(wire.take()[0].bytes, sent);
    assert_eq!(response.reply_bytes, r#"{"res": 3}"#.len());
    client.call("add", (3, 4)).await.unwrap();
    let probes = peer.seen.messages().len() - peer.seen.calls().len();
    assert_eq!((probes, peer.seen.accepted()), (1, 1), "one probe, one socket kept");
}

#[tokio::test]
async fn many_calls_at_once_are_never_pipelined_and_use_at_most_16_sockets() {
    let peer = classic(|request| {
        Do::WriteAfter(Duration::from_millis(3), format!("{{\"res\": {}}}", sum(request)))
    })
    .await;
    let client = direct(peer.address);
    let calls = (0..200).map(|n| client.call_as::<i64>("add", (n, 1)));
    let results = futures_util::future::join_all(calls).await;
    assert_eq!(results, (0..200).map(|n| Ok(n + 1)).collect::<Vec<_>>());
    assert_eq!(peer.seen.garbled.load(Ordering::SeqCst), 0);
    assert_eq!(peer.seen.most_open.load(Ordering::SeqCst), 16);
    assert_eq!(peer.seen.calls().len(), 200);
}

#[tokio::test]
async fn sockets_do_not_stay_open_for_long() {
    let peer = old_adder().await;
    let classic_idle_timeout = Duration::from_millis(30);
    let client =
        Client::direct(peer.name(), ClientOptions { classic_idle_timeout, ..options() }).unwrap();
    client.call("add", (1, 2)).await.unwrap();
    eventually("the socket is closed", || peer.seen.open() == 0).await;
    client.call("add", (1, 2)).await.unwrap();
    let probes = peer.seen.messages().len() - peer.seen.calls().len();
    assert_eq!((probes, peer.seen.accepted()), (1, 2), "the dialect is remembered");
}

#[tokio::test]
async fn the_dialect_is_probed_again_after_a_while() {
    let peer = old_adder().await;
    let client = Client::direct(
        peer.name(),
        ClientOptions {
            classic_idle_timeout: Duration::from_millis(5),
            dialect_ttl: Duration::from_millis(10),
            ..options()
        },
    )
    .unwrap();
    client.call("add", (1, 2)).await.unwrap();
    eventually("the socket is closed", || peer.seen.open() == 0).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    client.call("add", (1, 2)).await.unwrap();
    assert_eq!(peer.seen.messages().len() - peer.seen.calls().len(), 2);
}

#[tokio::test]
async fn a_peer_that_was_replaced_by_a_newer_one_is_noticed() {
    let place = ReservedPort::new();
    let peer = classic_on(&place.address().to_string(), |request| {
        Do::Write(format!("{{\"res\": {}}}", sum(request)))
    })
    .await;
    let classic_idle_timeout = Duration::from_millis(5);
    let client =
        Client::direct(peer.name(), ClientOptions { classic_idle_timeout, ..options() }).unwrap();
    client.call("add", (1, 2)).await.unwrap();
    let address = peer.name();
    eventually("the socket is closed", || peer.seen.open() == 0).await;
    drop(peer);
    eventually_refused(&address).await;
    assert_eq!(client.call("add", (1, 2)).await.unwrap_err().kind(), ErrorKind::Unreachable);
    let newer =
        fakes::extended_on(&address, |request| Do::Write(fakes::result(request, "7"))).await;
    let response = client.request(Request::new("add", (1, 2)).unwrap()).await.unwrap();
    assert_eq!((response.dialect, response.peer), (Dialect::Extended, newer.name()));
}

async fn eventually_refused(address: &str) {
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_request_it_could_not_read_is_refused_before_it_is_sent() {
    let peer = classic(|_| Do::Write(r#"{"res": 1}"#.to_owned())).await;
    let client = direct(peer.address);
    let fixed = r#"{"method_name":"m","method_args":[""],"method_kwargs":{}}"#.len();
    let fits = "x".repeat(1024 - fixed);
    assert_eq!(client.call("m", (&fits,)).await, Ok(json!(1)));
    let error = client.call("m", (format!("{fits}x"),)).await.unwrap_err();
    assert!(matches!(error, CallError::TooLarge { size: 1025, limit: 1024, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert_eq!(peer.seen.calls().len(), 1);
}

#[tokio::test]
async fn a_classic_error_is_recognised_by_its_text() {
    let peer = classic(|request| {
        Do::Write(match request["method_name"].as_str() {
            Some("nope") => r#"{"res": "No service found for: nope"}"#.to_owned(),
            _ => r#"{"res": "Division by zero error!"}"#.to_owned(),
        })
    })
    .await;
    let client = direct(peer.address);
    let error = client.call("nope", ()).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Remote { fault, .. } if fault.code == Code::MethodNotFound)
    );
    assert_eq!(client.call("divide", (1, 0)).await, Ok(json!("Division by zero error!")));
}

#[tokio::test]
async fn nan_and_infinity_are_a_typed_error() {
    let peer = classic(|request| {
        let value = request["method_name"].as_str().unwrap();
        Do::Write(format!("{{\"res\": {value}}}"))
    })
    .await;
    let client = direct(peer.address);
    for value in ["NaN", "-Infinity", "[1, NaN]", "123456789012345678901234567890"] {
        let error = client.call(value, ()).await.unwrap_err();
        assert!(matches!(error, CallError::NotExact { .. }), "{value}: {error}");
    }
    assert_eq!(client.call("3.0", ()).await, Ok(json!(3.0)));
    assert_eq!(peer.seen.accepted(), 1, "the socket stays usable");
}

#[tokio::test]
async fn a_reply_larger_than_what_older_clients_read_is_read_whole() {
    let text = "y".repeat(300_000);
    let reply = format!("{{\"res\": \"{text}\"}}");
    let peer = classic(move |_| Do::Write(reply.clone())).await;
    assert_eq!(direct(peer.address).call("m", ()).await, Ok(Value::String(text)));
}

#[tokio::test]
async fn a_call_that_times_out_closes_its_socket_and_harms_no_other() {
    let peer = classic(|request| match request["method_name"].as_str() {
        Some("slow") => Do::WriteAfter(Duration::from_millis(100), r#"{"res": "late"}"#.to_owned()),
        _ => Do::Write(r#"{"res": "quick"}"#.to_owned()),
    })
    .await;
    let client = direct(peer.address);
    let timeout = Some(Duration::from_millis(20));
    let slow = Request { timeout, ..Request::new("slow", ()).unwrap() };
    assert_eq!(client.request(slow).await.unwrap_err().kind(), ErrorKind::Timeout);
    for _ in 0..5 {
        assert_eq!(client.call("quick", ()).await, Ok(json!("quick")));
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

#[tokio::test]
async fn too_many_waiting_calls_are_refused() {
    let peer = classic(|_| Do::Nothing).await;
    let options = ClientOptions {
        max_classic_connections: 1,
        max_classic_queue: 1,
        timeout: Duration::from_secs(1),
        ..options()
    };
    let client = Client::direct(peer.name(), options).unwrap();
    let calls = (0..3).map(|_| client.call("m", ()));
    let results = futures_util::future::join_all(calls).await;
    let refused = results.iter().filter(|r| matches!(r, Err(CallError::QueueFull { .. }))).count();
    let late = results.iter().filter(|r| matches!(r, Err(CallError::Timeout { .. }))).count();
    assert_eq!((refused, late), (1, 2), "{results:?}");
    let texts = results.iter().filter_map(|r| r.as_ref().err()).map(ToString::to_string);
    let full = format!("queue full (max_classic_queue = 1) for {}; make fewer", peer.name());
    assert_eq!(texts.filter(|text| text.starts_with(&full)).count(), 1);
}

#[tokio::test]
async fn methods_are_discovered_the_old_way() {
    let peer = classic(|request| {
        Do::Write(match request["method_name"].as_str() {
            Some("all_your_methods") => {
                r#"{"res": [{"method_name": "add", "method_args": ["a", "b"], "method_kwargs": {"c": 10}}]}"#
                    .to_owned()
            }
            other => format!("{{\"res\": \"No service found for: {}\"}}", other.unwrap()),
        })
    })
    .await;
    let methods = direct(peer.address).methods().await.unwrap();
    assert_eq!((methods.len(), methods[0].parameters.len()), (1, 3));
    assert_eq!(methods[0].parameters[2].default, Some(json!(10)));
}

#[tokio::test]
async fn streams_need_a_newer_peer() {
    let peer = old_adder().await;
    let error = direct(peer.address).stream("rpc.logs", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Unsupported { .. }), "{error}");
}

#[tokio::test]
async fn a_peer_that_closes_after_every_reply_is_served_with_new_sockets() {
    let peer = classic(|request| Do::WriteAndClose(format!("{{\"res\": {}}}", sum(request)))).await;
    let client = direct(peer.address);
    for n in 0..20 {
        assert_eq!(client.call_as::<i64>("add", (n, 1)).await, Ok(n + 1));
        eventually("the peer has closed", || peer.seen.open() == 0).await;
        crate::let_notice().await;
    }
}

/// An older server accepts slowly and has a short backlog: the system drops connections beyond it,
/// which are retried only after a second.
#[tokio::test]
async fn sockets_are_opened_no_faster_than_an_older_server_accepts_them() {
    // A server that accepts nothing for a tenth of a second is not waited for; when the machine
    // pauses, this one is such a server.
    let took = without_a_pause(Duration::from_millis(40), sixty_calls_of_a_slow_accepter).await;
    assert!(took < Duration::from_millis(900), "{took:?}");
}

async fn sixty_calls_of_a_slow_accepter() -> Duration {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(5).unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            tokio::spawn(fakes::speak_classic(
                socket,
                std::sync::Arc::default(),
                std::sync::Arc::new(|_: &Value| {
                    Do::WriteAfter(Duration::from_millis(5), r#"{"res": 1}"#.to_owned())
                }),
            ));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    let client = direct(address);
    let began = std::time::Instant::now();
    let calls = (0..60).map(|_| client.call("m", ()));
    let results = futures_util::future::join_all(calls).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    accepting.abort();
    began.elapsed()
}

#[tokio::test]
async fn slow_calls_get_their_sockets_without_waiting_for_one_another() {
    // So slow that no call has its reply when the last one arrives.
    let peer = classic(|_| Do::Nothing).await;
    let timeout = Duration::from_secs(600);
    let client = Client::direct(peer.name(), ClientOptions { timeout, ..options() }).unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let client = client.clone();
        calls.spawn(async move { client.call("m", ()).await });
    }
    eventually("every call is there", || peer.seen.calls().len() == 16).await;
    assert!(calls.try_join_next().is_none(), "none has finished");
}

#[tokio::test]
async fn a_newline_after_the_reply_costs_nothing() {
    let peer = classic(|_| Do::Write("{\"res\":1}\n".to_owned())).await;
    let client = direct(peer.address);
    for _ in 0..5 {
        assert_eq!(client.call("m", ()).await, Ok(json!(1)));
    }
    assert_eq!(peer.seen.accepted(), 1);
}
