//! The log of a call's attempts: where it went, why, and how each ended.

use std::time::Duration;

use rpc_client::{
    AttemptEnd, AttemptLog, AttemptReason, Balance, CallError, Client, ClientOptions, Request,
};

use crate::fake_registry::FakeRegistry;
use crate::fakes::{Do, Peer, adder, extended, failure, result};
use crate::{direct, options};

fn logged(method: &str) -> (Request, AttemptLog) {
    let log = AttemptLog::new();
    (Request::new(method, ()).unwrap().attempts(log.clone()), log)
}

fn reasons(log: &AttemptLog) -> Vec<AttemptReason> {
    log.attempts().iter().map(|attempt| attempt.reason).collect()
}

/// Peers that are called in turn, with their client.
async fn in_turn(peers: &[&Peer]) -> (Client, FakeRegistry) {
    let registry = FakeRegistry::new_style().await;
    registry.list(&peers.iter().map(|peer| peer.address).collect::<Vec<_>>());
    let options = ClientOptions { balance: Balance::RoundRobin, ..options() };
    (Client::through_registry(&registry.url(), options).unwrap(), registry)
}

#[tokio::test]
async fn a_call_of_one_server_is_one_attempt() {
    let peer = adder().await;
    let (request, log) = logged("add");
    let client = direct(peer.address);
    client.request(request).await.unwrap();
    let attempts = log.attempts();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].instance, peer.name());
    assert_eq!(attempts[0].reason, AttemptReason::OnlyServer);
    assert_eq!(attempts[0].end, AttemptEnd::Replied);
    assert!(attempts[0].took.is_some());
    let other = adder().await;
    let (request, log) = logged("add");
    client.request(request.on(other.name())).await.unwrap();
    assert_eq!(reasons(&log), [AttemptReason::Named]);
}

#[tokio::test]
async fn each_instance_that_refused_is_an_attempt_with_its_error() {
    let full = extended(|request| Do::Write(failure(request, -32002))).await;
    let free = extended(|request| Do::Write(result(request, "1"))).await;
    let (client, _registry) = in_turn(&[&full, &free]).await;
    let (request, log) = logged("m");
    client.request(request).await.unwrap();
    let attempts = log.attempts();
    let names: Vec<_> = attempts.iter().map(|attempt| &*attempt.instance).collect();
    assert_eq!(names, [full.name(), free.name()]);
    let first = AttemptReason::Balanced(Balance::RoundRobin);
    assert_eq!(reasons(&log), [first, AttemptReason::Retry]);
    assert!(matches!(&attempts[0].end, AttemptEnd::Failed(CallError::Remote { .. })));
    assert_eq!(attempts[1].end, AttemptEnd::Replied);
    let took = attempts[0].took.unwrap();
    assert!(attempts[1].began >= attempts[0].began + took, "{attempts:?}");
}

#[tokio::test]
async fn a_failed_call_shows_its_attempts_too() {
    let silent = extended(|_| Do::Nothing).await;
    let client = direct(silent.address);
    let (request, log) = logged("m");
    // Time enough to connect and to send it.
    let timeout = Duration::from_millis(500);
    let error = client.request(request.timeout(timeout)).await.unwrap_err();
    let attempts = log.attempts();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].end, AttemptEnd::Failed(error));
    // Of which a little was spent before it began.
    assert!(attempts[0].took.unwrap() >= timeout / 2);
}

#[tokio::test]
async fn a_call_in_progress_shows_a_pending_attempt() {
    let silent = extended(|_| Do::Nothing).await;
    let client = direct(silent.address);
    let (request, log) = logged("m");
    let call = tokio::spawn(async move { client.request(request).await });
    crate::eventually("it is sent", || silent.seen.calls().len() == 1).await;
    assert_eq!(log.attempts()[0].end, AttemptEnd::Pending);
    assert_eq!(log.attempts()[0].took, None);
    call.abort();
}

#[tokio::test]
async fn a_stream_that_was_refused_shows_both_instances() {
    let draining = extended(|request| Do::Write(failure(request, -32003))).await;
    let serving = extended(|request| {
        let id = &request["id"];
        Do::Write(format!("{{\"id\":{id},\"item\":1}}\n{{\"id\":{id},\"end\":true}}"))
    })
    .await;
    let (client, _registry) = in_turn(&[&draining, &serving]).await;
    let (request, log) = logged("m");
    let mut stream = client.stream_request(request).await.unwrap();
    stream.next().await.unwrap().unwrap();
    let attempts = log.attempts();
    assert_eq!(attempts.len(), 2, "{attempts:?}");
    assert!(matches!(attempts[0].end, AttemptEnd::Failed(_)), "{attempts:?}");
    assert_eq!(attempts[1].end, AttemptEnd::Replied);
}
