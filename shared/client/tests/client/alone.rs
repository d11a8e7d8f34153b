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
use crate::{direct, eventually, options};

const PATIENCE: Duration = Duration::from_secs(20);
/// The end of a connection may be unseen for so long, see `connection/inbound.rs`.
const UNWATCHED: Duration = Duration::from_millis(100);

/// A peer whose end of each connection is the test's, and a client that does nothing by time alone for
/// ten minutes.
struct Hand {
    listener: TcpListener,
    client: Client,
}

impl Hand {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = Duration::from_secs(600);
        let options = ClientOptions { timeout: far, idle: far, ..options() };
        let address = listener.local_addr().unwrap().to_string();
        Self { client: Client::direct(address, options).unwrap(), listener }
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
            let accepted = timeout(PATIENCE, self.listener.accept()).await;
            let (socket, _) = accepted.expect("a new connection").unwrap();
            let mut peer = BufReader::new(socket);
            for answer in ["0", "1", "2"] {
                let message = heard(&mut peer).await;
                say(&mut peer, &result(&message, answer)).await;
            }
            peer
        };
        let ((), peer) = tokio::join!(calls, peer);
        // The connection's task looks whether all is well; then callers are on their own.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        peer
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
    // The end arrives; whether anybody has looked by now is open.
    tokio::task::yield_now().await;
    drop(hand.connected().await);
}

#[tokio::test]
async fn a_caller_who_does_not_look_for_its_answer_holds_nobody_up() {
    let hand = Hand::new().await;
    let mut peer = hand.connected().await;
    // So long that the connection's task has nothing to do by time alone.
    tokio::time::sleep(2 * UNWATCHED).await;
    let mut slow = Box::pin(hand.client.call("slow", ()));
    assert!(begin(&mut slow).is_pending());
    let to_slow = heard(&mut peer).await;
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
    let answering = async {
        let message = heard(&mut peer).await;
        let (nobodys, draining) = (r#"{"id":4242,"res":1}"#, r#"{"draining":true}"#);
        say(&mut peer, &format!("{}{nobodys}\n{draining}\n", result(&message, "7"))).await;
    };
    let (answer, ()) = tokio::join!(hand.client.call("m", ()), answering);
    assert_eq!(answer, Ok(json!(7)));
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
    let answering = async {
        let message = heard(&mut peer).await;
        say(&mut peer, &format!("{{\"id\":4242,\"res\":1}}\n{}", result(&message, "7"))).await;
    };
    let (answer, ()) = tokio::join!(hand.client.call("m", ()), answering);
    assert_eq!(answer, Ok(json!(7)));
    assert_eq!(hand.client.stats().unmatched_replies, 1);
}

#[tokio::test]
async fn garbage_right_behind_an_answer_ends_the_connection_and_not_the_call() {
    let hand = Hand::new().await;
    let mut peer = hand.connected().await;
    let answering = async {
        let message = heard(&mut peer).await;
        say(&mut peer, &format!("{}garbage", result(&message, "7"))).await;
    };
    let (answer, ()) = tokio::join!(hand.client.call("m", ()), answering);
    assert_eq!(answer, Ok(json!(7)));
    drop(hand.connected().await);
}

#[tokio::test]
async fn a_large_answer_is_read_by_its_caller_too() {
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
    let client = direct(peer.address);
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
