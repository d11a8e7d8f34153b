//! The wire log: the bytes that went and came, whatever becomes of the call.

use std::time::Duration;

use rpc_client::{Request, WireLog};
use serde_json::Value;

use crate::fakes::{Do, classic, extended, failure, result};
use crate::{direct, eventually};

/// A call whose messages are kept up to a limit nobody reaches.
fn logged(method: &str) -> (Request, WireLog) {
    let wire = WireLog::new(1 << 20);
    (Request { wire: Some(wire.clone()), ..Request::new(method, (1,)).unwrap() }, wire)
}

/// The messages since the last time: `>` was sent, `<` was received.
fn lines(wire: &WireLog) -> Vec<String> {
    let line = |message: rpc_client::WireMessage| {
        assert_eq!(message.size, message.bytes.len());
        let text = String::from_utf8(message.bytes).unwrap();
        format!("{} {}", if message.is_sent { '>' } else { '<' }, text.trim_end())
    };
    wire.take().into_iter().map(line).collect()
}

fn parsed(line: &str) -> Value {
    serde_json::from_str(line.get(2..).unwrap()).unwrap()
}

#[tokio::test]
async fn a_result_is_logged_with_its_frame() {
    let peer = extended(|request| Do::Write(result(request, "[1.50]"))).await;
    let (request, wire) = logged("m");
    direct(peer.address).request(request).await.unwrap();
    let lines = lines(&wire);
    assert_eq!(parsed(&lines[0]), peer.seen.calls()[0]);
    assert_eq!(lines[1..], [r#"< {"id":1,"res":[1.50]}"#]);
}

#[tokio::test]
async fn an_error_is_logged_as_it_came() {
    let peer = extended(|request| Do::Write(failure(request, -32002))).await;
    let (request, wire) = logged("m");
    direct(peer.address).request(request).await.unwrap_err();
    let (lines, sent) = (lines(&wire), peer.seen.calls());
    assert_eq!(parsed(&lines[0]), sent[0]);
    assert_eq!(lines[1], format!("< {}", failure(&sent[0], -32002).trim_end()));
}

#[tokio::test]
async fn calls_side_by_side_are_logged_apart() {
    let peer = extended(|request| {
        Do::WriteAfter(Duration::from_millis(20), result(request, &request["id"].to_string()))
    })
    .await;
    let client = direct(peer.address);
    let one = async || {
        let (request, wire) = logged("m");
        let value = client.request(request).await.unwrap().value;
        (value.get().to_owned(), lines(&wire))
    };
    let calls = futures_util::future::join_all((0..8).map(|_| one())).await;
    for (id, lines) in calls {
        assert_eq!(parsed(&lines[0])["id"].to_string(), id);
        assert_eq!(lines[1..], [format!(r#"< {{"id":{id},"res":{id}}}"#)]);
    }
}

#[tokio::test]
async fn an_expired_call_is_logged_with_its_cancellation() {
    let peer = extended(|_| Do::Nothing).await;
    let (request, wire) = logged("m");
    // Time enough to connect and to send it.
    let timeout = Some(Duration::from_millis(500));
    let client = direct(peer.address);
    client.request(Request { timeout, ..request }).await.unwrap_err();
    let lines = lines(&wire);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[1], r#"> {"cancel":1}"#);
    eventually("the cancellation arrives", || peer.seen.cancels() == 1).await;
}

#[tokio::test]
async fn a_dropped_call_is_logged_with_its_cancellation() {
    let peer = extended(|_| Do::Nothing).await;
    let (request, wire) = logged("m");
    let client = direct(peer.address);
    let caller = client.clone();
    let call = tokio::spawn(async move { caller.request(request).await });
    eventually("it is sent", || peer.seen.calls().len() == 1).await;
    call.abort();
    eventually("the cancellation arrives", || peer.seen.cancels() == 1).await;
    assert_eq!(lines(&wire)[1..], [r#"> {"cancel":1}"#]);
}

#[tokio::test]
async fn a_message_that_is_no_reply_is_logged() {
    let peer = extended(|_| Do::Write("{\"id\":1,\"res\":nonsense}\n".to_owned())).await;
    let (request, wire) = logged("m");
    let error = direct(peer.address).request(request).await.unwrap_err();
    assert_eq!(lines(&wire)[1..], [r#"< {"id":1,"res":nonsense}"#], "{error}");
}

#[tokio::test]
async fn the_start_of_a_reply_is_logged_when_the_connection_is_lost() {
    for classic_peer in [false, true] {
        let half = "{\"res\": \"half".to_owned();
        let peer = match classic_peer {
            true => classic(move |_| Do::WriteAndClose(half.clone())).await,
            false => extended(move |_| Do::WriteAndClose(half.clone())).await,
        };
        let (request, wire) = logged("m");
        direct(peer.address).request(request).await.unwrap_err();
        assert_eq!(lines(&wire)[1..], [r#"< {"res": "half"#], "{classic_peer}");
    }
}

#[tokio::test]
async fn a_stream_is_logged_item_by_item() {
    let peer = extended(|request| {
        let id = &request["id"];
        let items = (0..3).map(|item| format!("{{\"id\":{id},\"item\":{item}}}\n"));
        Do::Write(format!("{}{{\"id\":{id},\"end\":true}}\n", items.collect::<String>()))
    })
    .await;
    let (request, wire) = logged("m");
    let client = direct(peer.address);
    let mut items = client.stream_request(request).await.unwrap();
    while items.next().await.is_some() {}
    let lines = lines(&wire);
    assert_eq!(parsed(&lines[0]), peer.seen.calls()[0]);
    let received = [0, 1, 2].map(|item| format!(r#"< {{"id":1,"item":{item}}}"#));
    assert_eq!(lines[1..4], received);
    assert_eq!(lines[4..], [r#"< {"id":1,"end":true}"#]);
}

#[tokio::test]
async fn the_classic_dialect_is_logged_too() {
    let peer = classic(|_| Do::Write("{\"res\": \"Error calling method: x\"}".to_owned())).await;
    let (request, wire) = logged("m");
    direct(peer.address).request(request).await.unwrap_err();
    let sent = r#"> {"method_name":"m","method_args":[1],"method_kwargs":{}}"#;
    assert_eq!(lines(&wire), [sent, r#"< {"res": "Error calling method: x"}"#]);
}
