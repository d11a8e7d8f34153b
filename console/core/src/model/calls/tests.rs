//! Limits of the history, outcomes and quantiles.

use super::*;
use rpc_wire::call::{Args, IntoArgs};

fn request(id: CallId, args: Args) -> CallRequest {
    CallRequest {
        service: Default::default(),
        id,
        method: "add".to_owned(),
        written: args.clone(),
        args,
        candidates: Vec::new(),
        timeout: Duration::from_secs(1),
        stream: false,
    }
}

fn outcome(body: &str) -> Outcome {
    Outcome {
        result: Ok(Arc::new(Document::of_text(body))),
        peer: None,
        reply_bytes: body.len(),
        timing: None,
        elapsed: Duration::from_millis(1),
        attempts: Vec::new(),
        classic: false,
    }
}

#[test]
fn the_history_is_bounded_in_calls_and_in_bytes() {
    let mut calls = Calls { limit: 50, ..Calls::default() };
    for _ in 0..55 {
        let id = calls.next_id();
        calls.start(request(id, Args::none()), Instant::now(), 0);
    }
    assert_eq!(calls.len(), 50);
    let big = format!("\"{}\"", "x".repeat(MAX_BODY_BYTES / 2));
    let ids: Vec<_> = calls.visible().iter().take(3).map(|call| call.request.id).collect();
    for id in ids {
        calls.finish(id, outcome(&big));
    }
    assert!(calls.body_bytes <= MAX_BODY_BYTES || calls.len() == 1);
    assert!(calls.shown.is_none_or(|id| calls.get(id).is_some()));
}

#[test]
fn a_second_outcome_is_ignored() {
    let mut calls = Calls::default();
    let id = calls.next_id();
    calls.start(request(id, (1,).into_args().unwrap()), Instant::now(), 0);
    calls.finish(id, outcome("1"));
    calls.finish(id, outcome("2"));
    assert_eq!(calls.shown_call().unwrap().summary(), ("1".to_owned(), Some(true)));
    assert_eq!(calls.latencies("add", 9).len(), 1);
}

#[test]
fn quantiles_need_two_calls_of_the_method() {
    let mut calls = Calls::default();
    let one = |calls: &mut Calls, ms| {
        let id = calls.next_id();
        calls.start(request(id, Args::none()), Instant::now(), 0);
        calls.finish(id, Outcome { elapsed: Duration::from_millis(ms), ..outcome("1") });
    };
    one(&mut calls, 1);
    assert_eq!(calls.quantiles(None), None);
    for ms in 2..=100 {
        one(&mut calls, ms);
    }
    let all = calls.quantiles(None).unwrap();
    assert_eq!([all.p50, all.p95, all.p99].map(|q| q.as_millis()), [50, 95, 99]);
    assert_eq!(calls.quantiles(Some("add")), Some(all));
    assert_eq!(calls.quantiles(Some("other")), None);
}

#[test]
fn arguments_are_shown_on_one_line() {
    let both = Args::from_values(
        &[serde_json::json!(1)],
        serde_json::json!({"c": 2}).as_object().unwrap(),
    );
    let call = |args| {
        let mut calls = Calls::default();
        calls.start(request(1, args), Instant::now(), 0);
        calls.shown_call().unwrap().arguments()
    };
    assert_eq!(call(Args::none()), "");
    assert_eq!(call(both), r#"1 {"c":2}"#);
}
