//! A caller who has a connection to itself writes and reads by itself: whatever comes between.

use std::future::Future;
use std::io::{Read, Write};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rpc_client::{CallError, Client, ClientOptions};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::fakes::{adder, result};
use crate::{eventually, options};

const PATIENCE: Duration = Duration::from_secs(20);
/// How long an inline caller may read, see `connection/inline_call.rs`.
const INLINE_READ_LEASE: Duration = Duration::from_millis(100);

/// A peer whose end of each connection is the test's, and a client that does nothing by time alone for
/// ten minutes.
struct Hand {
    listener: TcpListener,
    client: Client,
}

impl Hand {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut ClientOptions)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = Duration::from_secs(600);
        let mut options = ClientOptions { timeout: far, idle_timeout: far, ..options() };
        change(&mut options);
        let address = listener.local_addr().unwrap().to_string();
        Self { client: Client::direct(address, options).unwrap(), listener }
    }

    async fn accepted(&self) -> BufReader<TcpStream> {
        let accepted = timeout(PATIENCE, self.listener.accept()).await;
        BufReader::new(accepted.expect("a new connection").unwrap().0)
    }

    /// What becomes of a call when the peer says `reply` of it.
    async fn call(
        &self,
        peer: &mut BufReader<TcpStream>,
        reply: impl FnOnce(&Value) -> String,
    ) -> Result<Value, CallError> {
        let answering = async {
            let message = heard(peer).await;
            say(peer, &reply(&message)).await;
        };
        tokio::join!(self.client.call("m", ()), answering).0
    }

    /// Answers the probe of the next connection and two calls, so that it is there, nothing is on its
    /// way, and the last to read from it was a caller.
    async fn connected(&self) -> BufReader<TcpStream> {
        let calls = async {
            for answer in [1, 2] {
                assert_eq!(self.client.call("m", ()).await, Ok(json!(answer)));
            }
        };
        let peer = async {
            let mut peer = self.accepted().await;
            for answer in ["0", "1", "2"] {
                let message = heard(&mut peer).await;
                say(&mut peer, &result(&message, answer)).await;
            }
            peer
        };
        let ((), peer) = tokio::join!(calls, peer);
        // The connection's task looks whether all is well; then callers are on their own.
        turns().await;
        peer
    }
}

/// Gives every other task turns, and the runtime time to see what has arrived.
async fn turns() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

async fn heard(peer: &mut BufReader<TcpStream>) -> Value {
    let mut line = String::new();
    timeout(PATIENCE, peer.read_line(&mut line)).await.expect("a message in time").unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

async fn say(peer: &mut BufReader<TcpStream>, text: &str) {
    peer.write_all(text.as_bytes()).await.unwrap();
}

/// Lets a call begin, and gives nobody else a turn. Another thread may have answered it by then.
fn begin<T>(call: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    pin!(call).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_call_is_on_its_way_before_any_other_task_has_had_a_turn() {
    let hand = Hand::new().await;
    let mut peer = hand.connected().await.into_inner().into_std().unwrap();
    peer.set_nonblocking(false).unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut call = Box::pin(hand.client.call("m", ()));
    assert!(begin(&mut call).is_pending());
    // This blocks the only thread of the runtime.
    let mut bytes = [0; 1024];
    let count = peer.read(&mut bytes).expect("it was written by its caller");
    let message: Value = serde_json::from_slice(&bytes[..count]).unwrap();
    assert_eq!(message["method_name"], "m");
}

#[tokio::test]
async fn the_end_of_a_connection_nobody_uses_is_seen_long_before_it_is_idle() {
    let hand = Hand::new().await;
    let mut peer = hand.connected().await;
    peer.shutdown().await.unwrap();
    let mut rest = String::new();
    let end = timeout(PATIENCE, peer.read_line(&mut rest)).await;
    assert_eq!(end.expect("the client closes its side, too").unwrap(), 0, "{rest}");
}

#[tokio::test]
async fn after_the_peers_end_the_next_call_is_made_on_a_new_connection() {
    let hand = Hand::new().await;
    drop(hand.connected().await);
    turns().await;
    drop(hand.connected().await);
}

#[tokio::test]
async fn so_is_the_call_of_a_task_that_has_used_up_its_turn() {
    let hand = Hand::new().await;
    drop(hand.connected().await);
    turns().await;
    let (sender, mut words) = tokio::sync::mpsc::unbounded_channel();
    while tokio::task::coop::has_budget_remaining() {
        sender.send(()).unwrap();
        words.recv().await.unwrap();
    }
    drop(hand.connected().await);
}

#[tokio::test]
async fn an_answer_over_the_limit_is_an_error_at_once() {
    for behind_another in [false, true] {
        let hand = Hand::with(|options| options.max_reply_bytes = 1000).await;
        let mut peer = hand.connected().await;
        let reply = |message: &Value| {
            let large = result(message, &format!("\"{}\"", "x".repeat(2000)));
            if behind_another { result(message, "1") + &large } else { large }
        };
        match hand.call(&mut peer, reply).await {
            Ok(value) => assert!(behind_another && value == json!(1)),
            Err(CallError::ReplyTooLarge { limit, .. }) => {
                assert!(!behind_another && limit == 1000)
            }
            Err(other) => panic!("{other}"),
        }
        // It can be read no further.
        drop(hand.connected().await);
    }
}

#[tokio::test]
async fn what_came_with_the_probe_is_heard_before_a_call_is_made() {
    let hand = Hand::new().await;
    let call = tokio::spawn({
        let client = hand.client.clone();
        async move { client.call("m", ()).await }
    });
    let mut draining = hand.accepted().await;
    let probe = heard(&mut draining).await;
    say(&mut draining, &format!("{}{{\"draining\":true}}\n", result(&probe, "0"))).await;
    let mut next = hand.accepted().await;
    for answer in ["0", "1"] {
        let message = heard(&mut next).await;
        say(&mut next, &result(&message, answer)).await;
    }
    assert_eq!(timeout(PATIENCE, call).await.unwrap().unwrap(), Ok(json!(1)));
    let mut rest = String::new();
    assert_eq!(draining.read_line(&mut rest).await.unwrap(), 0, "{rest}");
}

#[tokio::test]
async fn a_caller_who_does_not_look_for_its_answer_holds_nobody_up() {
    let hand = Hand::new().await;
    let mut peer = hand.connected().await;
    let mut slow = Box::pin(hand.client.call("slow", ()));
    assert!(begin(&mut slow).is_pending());
    let to_slow = heard(&mut peer).await;
    // So long that the connection's task has looked, which it does not by time alone again.
    tokio::time::sleep(2 * INLINE_READ_LEASE).await;
    let (client, other) = (hand.client.clone(), "other");
    let other = tokio::spawn(async move { client.call(other, ()).await });
    let to_other = heard(&mut peer).await;
    assert!(begin(&mut slow).is_pending(), "it looks once more, and not again");
    say(&mut peer, &result(&to_other, "2")).await;
    assert_eq!(timeout(PATIENCE, other).await.unwrap().unwrap(), Ok(json!(2)));
    say(&mut peer, &result(&to_slow, "1")).await;
    assert_eq!(slow.await, Ok(json!(1)), "it has its answer when it looks");
}

#[tokio::test]
async fn what_comes_with_the_answer_is_heard() {
    let hand = Hand::new().await;
    let mut peer = hand.connected().await;
    let reply = |message: &Value| {
        let (nobodys, draining) = (r#"{"id":4242,"res":1}"#, r#"{"draining":true}"#);
        format!("{}{nobodys}\n{draining}\n", result(message, "7"))
    };
    assert_eq!(hand.call(&mut peer, reply).await, Ok(json!(7)));
    eventually("the draining peer's connection is closed", || {
        peer.get_ref().try_read(&mut [0; 16]).is_ok_and(|count| count == 0)
    })
    .await;
    assert_eq!(hand.client.stats().unmatched_replies, 1);
    drop(hand.connected().await);
}

#[tokio::test]
async fn what_comes_before_the_answer_is_heard() {
    let hand = Hand::new().await;
    let mut peer = hand.connected().await;
    let reply = |message: &Value| format!("{{\"id\":4242,\"res\":1}}\n{}", result(message, "7"));
    assert_eq!(hand.call(&mut peer, reply).await, Ok(json!(7)));
    assert_eq!(hand.client.stats().unmatched_replies, 1);
}

#[tokio::test]
async fn garbage_right_behind_an_answer_ends_the_connection_and_not_the_call() {
    let hand = Hand::new().await;
    let mut peer = hand.connected().await;
    let reply = |message: &Value| format!("{}garbage", result(message, "7"));
    assert_eq!(hand.call(&mut peer, reply).await, Ok(json!(7)));
    drop(hand.connected().await);
}

#[tokio::test]
async fn a_large_answer_is_read_by_whoever_is_there() {
    const LENGTH: usize = 32 << 20;
    let hand = Hand::new().await;
    let mut peer = hand.connected().await;
    let answering = async {
        let message = heard(&mut peer).await;
        let mut socket = peer.into_inner().into_std().unwrap();
        socket.set_nonblocking(false).unwrap();
        let answer = result(&message, &format!("\"{}\"", "x".repeat(LENGTH)));
        // A thread of its own, which is always ahead of the reader.
        std::thread::spawn(move || socket.write_all(answer.as_bytes()))
    };
    let (answer, writing) = tokio::join!(hand.client.call_as::<String>("m", ()), answering);
    assert_eq!(answer.map(|text| text.len()), Ok(LENGTH));
    writing.join().unwrap().unwrap();
}

/// One after another, together, given up: the connection passes from hand to hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_come_and_go_all_have_their_answers() {
    let peer = adder().await;
    let options = ClientOptions { timeout: 2 * PATIENCE, ..options() };
    let client = Client::direct(peer.name(), options).unwrap();
    let callers = (0..3).map(|caller| {
        let client = client.clone();
        tokio::spawn(async move {
            for turn in 0..1500 {
                let call = client.call_as::<i64>("add", (caller, turn));
                if (turn + caller) % 7 == 0 {
                    drop(begin(&mut Box::pin(call)));
                    continue;
                }
                assert_eq!(call.await, Ok::<_, CallError>(caller + turn));
                if turn % 50 == caller {
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        timeout(3 * PATIENCE, caller).await.expect("nobody waits for ever").unwrap();
    }
    assert_eq!(peer.seen.accepted(), 1);
}
