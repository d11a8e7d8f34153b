//! Peers that break the protocol cause a typed error, and nothing worse.

use std::time::Duration;

use rpc_client::{CallError, Client, ClientOptions, Code, ErrorKind, Fault};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fakes::{Do, classic, extended, result, scripted};
use crate::{direct, options};

/// The error of a call whose reply is `reply` on a connection that then closes or stays open.
async fn reply_of(reply: Do) -> CallError {
    let reply = std::sync::Mutex::new(Some(reply));
    let peer = extended(move |_| reply.lock().unwrap().take().unwrap_or(Do::Nothing)).await;
    direct(peer.address).call("m", ()).await.unwrap_err()
}

#[tokio::test]
async fn a_connection_closed_instead_of_a_reply_may_have_executed_the_call() {
    let error = reply_of(Do::Close).await;
    assert!(matches!(error, CallError::ConnectionLost { executed: true, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unreachable);
}

#[tokio::test]
async fn a_reply_cut_off_in_the_middle_is_a_lost_connection() {
    let error = reply_of(Do::WriteAndClose(r#"{"id":1,"res":[1,2"#.to_owned())).await;
    assert!(matches!(error, CallError::ConnectionLost { executed: true, .. }), "{error}");
}

#[tokio::test]
async fn invalid_bytes_are_a_bad_reply() {
    for garbage in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "{\"id\":1,\"res\":}\n",
        "{\"id\":1,\"res\":1]\n",
        "[1]\n",
        "{\"id\":1,\"res\":NaN}\n",
    ] {
        let error = reply_of(Do::Write(garbage.to_owned())).await;
        assert!(matches!(error, CallError::BadReply { .. }), "{garbage}: {error}");
        assert_eq!(error.kind(), ErrorKind::Remote);
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_reply_with_neither_result_nor_error_is_a_bad_one_at_once_and_the_connection_goes_on() {
    let peer = extended(|request| {
        let id = &request["id"];
        Do::Write(match request["method_name"].as_str() {
            Some("empty") => format!("{{\"id\":{id},\"later\":true}}\n"),
            _ => result(request, "1"),
        })
    })
    .await;
    let client = direct(peer.address);
    let calls = futures_util::future::join_all((0..3).map(|_| client.call("empty", ()))).await;
    for outcome in calls {
        let error = outcome.unwrap_err();
        assert!(matches!(error, CallError::BadReply { .. }), "{error}");
    }
    assert_eq!(client.call("m", ()).await.unwrap(), json!(1));
    assert_eq!(peer.seen.accepted(), 1);
}

#[tokio::test]
async fn an_error_without_an_id_is_the_servers_and_ends_the_calls_in_flight() {
    for (text, code) in [
        ("request is larger than 100 bytes", Code::TooLarge),
        ("request is nested deeper than 128", Code::TooLarge),
        ("request is not JSON: unexpected byte", Code::NotJson),
    ] {
        let sent = format!("{{\"res\":\"Error calling method: {text}\"}}\n");
        let peer = extended(move |_| Do::WriteAndClose(sent.clone())).await;
        let client = direct(peer.address);
        let calls = futures_util::future::join_all((0..3).map(|_| client.call("m", ()))).await;
        for outcome in calls {
            let error = outcome.unwrap_err();
            assert_eq!(error.peer(), Some(peer.name().as_str()));
            assert_eq!(error.kind(), ErrorKind::Remote);
            let CallError::Remote { fault, .. } = error else { panic!("{error}") };
            assert_eq!(*fault, Fault::new(code, text));
        }
    }
}

#[tokio::test]
async fn a_timeout_that_the_server_reports_says_so() {
    let peer = extended(|request| Do::Write(crate::fakes::failure(request, -32000))).await;
    let error = direct(peer.address).call("m", ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.to_string(), format!("{} reports a timeout (-32000): x", peer.name()));
}

#[tokio::test]
async fn after_garbage_the_next_call_has_a_new_connection() {
    let peer = extended(|request| {
        Do::Write(match request["method_name"].as_str() {
            Some("bad") => "garbage\n".to_owned(),
            _ => result(request, "1"),
        })
    })
    .await;
    let client = direct(peer.address);
    client.call("bad", ()).await.unwrap_err();
    assert_eq!(client.call("good", ()).await, Ok(json!(1)));
}

#[tokio::test]
async fn unmatched_replies_are_counted_and_dropped() {
    let peer = extended(|request| {
        let strange = "{\"id\":999,\"res\":1}\n{\"id\":\"x\",\"res\":1}\n{\"id\":998,\"item\":1}\n\
                       {\"id\":997,\"end\":true}\n{\"later\":true}\n";
        Do::Write(format!("{strange}{}", result(request, "5")))
    })
    .await;
    let client = direct(peer.address);
    assert_eq!(client.call("m", ()).await, Ok(json!(5)));
    assert_eq!(client.stats().unmatched_replies, 5);
    assert_eq!(peer.seen.accepted(), 1);
}

#[tokio::test]
async fn a_second_reply_to_a_call_is_dropped() {
    let peer =
        extended(|request| Do::Write(format!("{}{}", result(request, "1"), result(request, "2"))))
            .await;
    let client = direct(peer.address);
    assert_eq!(client.call("m", ()).await, Ok(json!(1)));
    crate::eventually("it is counted", || client.stats().unmatched_replies == 1).await;
}

#[tokio::test]
async fn a_reply_over_the_limit_is_an_error_and_not_memory() {
    for dialect in ["extended", "classic"] {
        let peer = scripted(move |_, mut socket, _| async move {
            let _ = socket.read(&mut [0; 1024]).await;
            let probe = if dialect == "extended" { "{\"id\":0,\"res\":1}" } else { "{\"res\":1}" };
            let _ = socket.write_all(probe.as_bytes()).await;
            let _ = socket.read(&mut [0; 1024]).await;
            let _ = socket.write_all(b"{\"id\":1,\"res\":\"").await;
            let piece = vec![b'x'; 1 << 20];
            for _ in 0..65 {
                if socket.write_all(&piece).await.is_err() {
                    return;
                }
            }
            let _ = socket.write_all(b"\"}\n").await;
        })
        .await;
        let client = Client::direct(
            peer.name(),
            ClientOptions { timeout: Duration::from_secs(60), ..options() },
        )
        .unwrap();
        let error = client.call("m", ()).await.unwrap_err();
        let limit = 64 << 20;
        assert_eq!(error, CallError::ReplyTooLarge { peer: peer.name(), limit }, "{dialect}");
    }
}

#[tokio::test]
async fn a_reply_that_dribbles_in_byte_by_byte_is_read() {
    let peer = scripted(|_, mut socket, _| async move {
        socket.set_nodelay(true).unwrap();
        let _ = socket.read(&mut [0; 1024]).await;
        let _ = socket.write_all(b"{\"id\":0,\"res\":1}").await;
        let _ = socket.read(&mut [0; 1024]).await;
        for byte in b" \n {\"id\":1,\"res\":[\"a\\\"}\",{}]}" {
            let _ = socket.write_all(&[*byte]).await;
            tokio::task::yield_now().await;
        }
        let _ = socket.read(&mut [0; 1024]).await;
    })
    .await;
    assert_eq!(direct(peer.address).call("m", ()).await, Ok(json!(["a\"}", {}])));
}

#[tokio::test]
async fn a_peer_that_closes_before_the_probes_reply_executed_nothing() {
    let peer = scripted(|_, _, _| async {}).await;
    let error = direct(peer.address).call("m", ()).await.unwrap_err();
    assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn a_peer_that_replies_to_the_probe_with_garbage_is_not_a_server() {
    for reply in ["HTTP/1.1 400 Bad Request\r\n\r\n", "{\"id\":5,\"res\":1}", "220 smtp ready\r\n"]
    {
        let peer = scripted(move |_, mut socket, _| async move {
            let _ = socket.write_all(reply.as_bytes()).await;
            let _ = socket.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let error = direct(peer.address).call("m", ()).await.unwrap_err();
        assert!(matches!(error, CallError::BadReply { .. }), "{reply}: {error}");
    }
}

#[tokio::test]
async fn a_peer_that_replies_to_the_probe_without_end_is_not_a_server() {
    for endless in [" \n", "{\"id\":0,\"res\":\"", "{\"res\":["] {
        let peer = scripted(move |_, mut socket, _| async move {
            let mut piece = endless.to_owned();
            while socket.write_all(piece.as_bytes()).await.is_ok() {
                piece = " ".repeat(10_000);
            }
        })
        .await;
        let error = direct(peer.address).call("m", ()).await.unwrap_err();
        assert!(matches!(error, CallError::BadReply { .. }), "{endless}: {error}");
        assert!(error.to_string().contains("it is not a server of this protocol"), "{error}");
    }
}

#[tokio::test]
async fn an_older_peer_that_sends_surplus_bytes_loses_its_socket() {
    let peer = classic(|_| Do::Write("{\"res\": 1}{\"res\": 2}".to_owned())).await;
    let client = direct(peer.address);
    for _ in 0..3 {
        assert_eq!(client.call("m", ()).await, Ok(json!(1)));
    }
}

#[tokio::test]
async fn unexpected_bytes_between_calls_close_the_socket() {
    let peer = scripted(|_, mut socket, _| async move {
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = socket.read(&mut buffer).await {
            let is_probe = buffer[..count].windows(10).any(|part| part == b"rpc.health");
            let _ = socket.write_all(b"{\"res\": \"right\"}").await;
            if !is_probe {
                // A surplus reply, late: it must not become the next call's.
                tokio::time::sleep(Duration::from_millis(2)).await;
                let _ = socket.write_all(b"{\"res\": \"wrong\"}").await;
            }
        }
    })
    .await;
    let client = direct(peer.address);
    for _ in 0..5 {
        assert_eq!(client.call("m", ()).await, Ok(json!("right")));
        crate::eventually("the socket is closed", || peer.seen.open() == 0).await;
    }
}
