//! Streams: items in order, ends, failures, backpressure and cancellation.

use std::time::Duration;

use futures_util::StreamExt;
use rpc_client::{CallError, Code, ErrorKind, Request};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::fakes::{Do, extended, failure, result, scripted};
use crate::{direct, eventually};

fn item(request: &Value, value: &str) -> String {
    format!("{{\"id\":{},\"item\":{value}}}\n", request["id"])
}

fn end(request: &Value) -> String {
    format!("{{\"id\":{},\"end\":true}}\n", request["id"])
}

#[tokio::test]
async fn items_arrive_in_order_with_the_number_dropped_before_them() {
    let peer = extended(|request| {
        let dropped = format!("{{\"id\":{},\"item\":2,\"dropped\":3}}\n", request["id"]);
        Do::Write(format!("{}{dropped}{}", item(request, "1"), end(request)))
    })
    .await;
    let client = direct(peer.address);
    let stream = client.stream("count", (2,)).await.unwrap();
    assert_eq!(stream.peer(), peer.name());
    let items: Vec<_> = stream
        .map(|item| item.map(|item| (item.value.get().to_owned(), item.dropped)).unwrap())
        .collect()
        .await;
    assert_eq!(items, [("1".to_owned(), 0), ("2".to_owned(), 3)]);
    let meta = &peer.seen.calls()[0]["meta"];
    assert_eq!(*meta, json!({"stream": true}), "no deadline unless set");
    assert_eq!(peer.seen.cancels(), 0, "a finished stream needs no cancel");
}

#[tokio::test]
async fn a_plain_result_is_a_stream_of_one() {
    let peer = extended(|request| Do::Write(result(request, "7"))).await;
    let client = direct(peer.address);
    let mut stream = client.stream("m", ()).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().value.get(), "7");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_failure_is_the_last_item() {
    let peer = extended(|request| {
        Do::Write(format!("{}{}", item(request, "1"), failure(request, -32603)))
    })
    .await;
    let client = direct(peer.address);
    let mut stream = client.stream("m", ()).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Remote { fault, .. } if fault.code == Code::MethodFailed));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_failure_is_seen_however_full_the_stream_is() {
    let peer = extended(|request| {
        Do::Write(format!("{}{}", item(request, "1").repeat(100), failure(request, -32603)))
    })
    .await;
    let client = direct(peer.address);
    let stream = client.stream("m", ()).await.unwrap();
    // Time for everything to arrive while nothing is read.
    eventually("the request is seen", || peer.seen.calls().len() == 1).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let items: Vec<_> = stream.collect().await;
    assert_eq!(items.len(), 101);
    assert!(matches!(items.last(), Some(Err(CallError::Remote { .. }))));
}

#[tokio::test]
async fn a_broken_connection_is_not_an_ordinary_end() {
    let peer = extended(|request| Do::WriteAndClose(item(request, "1"))).await;
    let client = direct(peer.address);
    let mut stream = client.stream("m", ()).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::ConnectionLost { .. }), "{error}");
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn dropping_a_stream_cancels_it_and_closes_its_connection() {
    let peer = extended(|request| Do::Write(item(request, "1"))).await;
    let client = direct(peer.address);
    let mut stream = client.stream("m", ()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(peer.seen.open(), 2, "one for calls, one for the stream");
    drop(stream);
    eventually("it is cancelled", || peer.seen.cancels() == 1).await;
    eventually("its connection is closed", || peer.seen.open() == 1).await;
}

#[tokio::test]
async fn a_slow_reader_slows_the_server_and_loses_nothing() {
    let written = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&written);
    let peer = scripted(move |_, socket, _| {
        let counter = std::sync::Arc::clone(&counter);
        async move {
            let (reader, mut writer) = socket.into_split();
            let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(reader));
            while let Ok(Some(line)) = lines.next_line().await {
                let request: Value = serde_json::from_str(&line).unwrap();
                if request["method_name"] == "rpc.health" {
                    let _ = writer.write_all(result(&request, "1").as_bytes()).await;
                    continue;
                }
                let text = "z".repeat(64 << 10);
                for n in 0..1000 {
                    let value = format!("[{n},\"{text}\"]");
                    if writer.write_all(item(&request, &value).as_bytes()).await.is_err() {
                        return;
                    }
                    counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
                let _ = writer.write_all(end(&request).as_bytes()).await;
            }
        }
    })
    .await;
    let client = direct(peer.address);
    let mut stream = client.stream("m", ()).await.unwrap();
    let now = || written.load(std::sync::atomic::Ordering::SeqCst);
    let mut before = usize::MAX;
    while now() != before {
        before = now();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(before < 500, "{before} of 1,000 items were taken although nothing is read");
    let mut count = 0;
    while let Some(item) = stream.next().await {
        let value: Value = serde_json::from_str(item.unwrap().value.get()).unwrap();
        assert_eq!(value[0], count);
        count += 1;
    }
    assert_eq!(count, 1000);
}

#[tokio::test]
async fn a_stream_with_a_timeout_ends_with_it() {
    let peer = extended(|request| Do::Write(item(request, "1"))).await;
    let client = direct(peer.address);
    let timeout = Some(Duration::from_secs(1));
    let request = Request { timeout, ..Request::new("m", ()).unwrap() };
    let mut stream = client.stream_request(request).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    assert_eq!(stream.next().await.unwrap().unwrap_err().kind(), ErrorKind::Timeout);
    assert!(stream.next().await.is_none());
    let left = peer.seen.calls()[0]["meta"]["deadline_ms"].as_u64().unwrap();
    assert!((1..=1000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_stream_that_never_pauses_can_be_cancelled() {
    let peer = scripted(|_, socket, seen| async move {
        let (reader, mut writer) = socket.into_split();
        let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(reader));
        while let Ok(Some(line)) = lines.next_line().await {
            let request: Value = serde_json::from_str(&line).unwrap();
            if request["method_name"] == "rpc.health" {
                let _ = writer.write_all(result(&request, "1").as_bytes()).await;
                continue;
            }
            let items = item(&request, "1").repeat(1000);
            loop {
                tokio::select! {
                    biased;
                    line = lines.next_line() => {
                        let text = line.unwrap().unwrap_or_default();
                        assert!(text.contains("cancel"), "{text}");
                        seen.garbled.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        return;
                    }
                    written = writer.write_all(items.as_bytes()) => {
                        if written.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    })
    .await;
    let client = direct(peer.address);
    let mut stream = client.stream("m", ()).await.unwrap();
    for _ in 0..100 {
        stream.next().await.unwrap().unwrap();
    }
    drop(stream);
    let cancelled = || peer.seen.garbled.load(std::sync::atomic::Ordering::SeqCst) == 1;
    eventually("the cancel arrives", cancelled).await;
    eventually("its connection is closed", || peer.seen.open() == 1).await;
}

#[tokio::test]
async fn a_stream_that_ends_while_its_server_drains_ends_well() {
    let peer = extended(|request| {
        let items = item(request, "1").repeat(50);
        Do::Write(format!("{{\"draining\":true}}\n{items}{}", end(request)))
    })
    .await;
    let client = direct(peer.address);
    let stream = client.stream("m", ()).await.unwrap();
    eventually("the request is seen", || peer.seen.calls().len() == 1).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let items: Vec<_> = stream.map(Result::unwrap).collect().await;
    assert_eq!(items.len(), 50);
}
