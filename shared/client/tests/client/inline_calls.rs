//! Inline calls, see `connection/inline_call.rs`: anything between the call and its reply.

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

const TIMEOUT: Duration = Duration::from_secs(20);
/// How long an inline caller may read, see `connection/inline_call.rs`.
const INLINE_READ_LEASE: Duration = Duration::from_millis(100);

/// A peer whose connections the test controls, and a client whose own timers are ten minutes away.
struct Fixture {
    listener: TcpListener,
    client: Client,
}

impl Fixture {
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
        let accepted = timeout(TIMEOUT, self.listener.accept()).await;
        BufReader::new(accepted.expect("a new connection").unwrap().0)
    }

    /// The outcome of a call to which the peer sends `reply`.
    async fn call(
        &self,
        peer: &mut BufReader<TcpStream>,
        reply: impl FnOnce(&Value) -> String,
    ) -> Result<Value, CallError> {
        let replying = async {
            let message = received(peer).await;
            send(peer, &reply(&message)).await;
        };
        tokio::join!(self.client.call("m", ()), replying).0
    }

    /// Replies to the probe of the next connection and to two calls: then it is open, nothing is in
    /// flight, and the last reader was a caller.
    async fn connected(&self) -> BufReader<TcpStream> {
        let calls = async {
            for reply in [1, 2] {
                assert_eq!(self.client.call("m", ()).await, Ok(json!(reply)));
            }
        };
        let peer = async {
            let mut peer = self.accepted().await;
            for reply in ["0", "1", "2"] {
                let message = received(&mut peer).await;
                send(&mut peer, &result(&message, reply)).await;
            }
            peer
        };
        let ((), peer) = tokio::join!(calls, peer);
        // The driver takes its turn; after that calls are inline.
        turns().await;
        peer
    }
}

/// Yields to every other task, and lets the runtime see what has arrived.
async fn turns() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}

async fn received(peer: &mut BufReader<TcpStream>) -> Value {
    let mut line = String::new();
    timeout(TIMEOUT, peer.read_line(&mut line)).await.expect("a message in time").unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

async fn send(peer: &mut BufReader<TcpStream>, text: &str) {
    peer.write_all(text.as_bytes()).await.unwrap();
}

/// Polls a call once, without yielding. Another thread may have replied by then.
fn begin<T>(call: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    pin!(call).poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn a_call_is_written_before_any_other_task_has_a_turn() {
    let fixture = Fixture::new().await;
    let mut peer = fixture.connected().await.into_inner().into_std().unwrap();
    peer.set_nonblocking(false).unwrap();
    peer.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut call = Box::pin(fixture.client.call("m", ()));
    assert!(begin(&mut call).is_pending());
    // This blocks the only thread of the runtime.
    let mut bytes = [0; 1024];
    let count = peer.read(&mut bytes).expect("it was written by its caller");
    let message: Value = serde_json::from_slice(&bytes[..count]).unwrap();
    assert_eq!(message["method_name"], "m");
}

#[tokio::test]
async fn the_end_of_an_unused_connection_is_noticed_long_before_the_idle_timeout() {
    let fixture = Fixture::new().await;
    let mut peer = fixture.connected().await;
    peer.shutdown().await.unwrap();
    let mut rest = String::new();
    let end = timeout(TIMEOUT, peer.read_line(&mut rest)).await;
    assert_eq!(end.expect("the client closes its side, too").unwrap(), 0, "{rest}");
}

#[tokio::test]
async fn after_the_peers_end_the_next_call_is_made_on_a_new_connection() {
    let fixture = Fixture::new().await;
    drop(fixture.connected().await);
    turns().await;
    drop(fixture.connected().await);
}

#[tokio::test]
async fn a_task_that_has_used_up_its_budget_calls_on_a_new_connection_too() {
    let fixture = Fixture::new().await;
    drop(fixture.connected().await);
    turns().await;
    let (sender, mut words) = tokio::sync::mpsc::unbounded_channel();
    while tokio::task::coop::has_budget_remaining() {
        sender.send(()).unwrap();
        words.recv().await.unwrap();
    }
    drop(fixture.connected().await);
}

#[tokio::test]
async fn a_reply_over_the_limit_is_an_error_at_once() {
    for behind_another in [false, true] {
        let fixture = Fixture::with(|options| options.max_reply_bytes = 1000).await;
        let mut peer = fixture.connected().await;
        let reply = |message: &Value| {
            let large = result(message, &format!("\"{}\"", "x".repeat(2000)));
            if behind_another { result(message, "1") + &large } else { large }
        };
        match fixture.call(&mut peer, reply).await {
            Ok(value) => assert!(behind_another && value == json!(1)),
            Err(CallError::ReplyTooLarge { limit, .. }) => {
                assert!(!behind_another && limit == 1000)
            }
            Err(other) => panic!("{other}"),
        }
        // It can be read no further.
        drop(fixture.connected().await);
    }
}

#[tokio::test]
async fn messages_after_the_probes_reply_are_handled_before_a_call_is_made() {
    let fixture = Fixture::new().await;
    let call = tokio::spawn({
        let client = fixture.client.clone();
        async move { client.call("m", ()).await }
    });
    let mut draining = fixture.accepted().await;
    let probe = received(&mut draining).await;
    send(&mut draining, &format!("{}{{\"draining\":true}}\n", result(&probe, "0"))).await;
    let mut next = fixture.accepted().await;
    for reply in ["0", "1"] {
        let message = received(&mut next).await;
        send(&mut next, &result(&message, reply)).await;
    }
    assert_eq!(timeout(TIMEOUT, call).await.unwrap().unwrap(), Ok(json!(1)));
    let mut rest = String::new();
    assert_eq!(draining.read_line(&mut rest).await.unwrap(), 0, "{rest}");
}

#[tokio::test]
async fn a_caller_that_is_not_polled_delays_no_other() {
    let fixture = Fixture::new().await;
    let mut peer = fixture.connected().await;
    let mut slow = Box::pin(fixture.client.call("slow", ()));
    assert!(begin(&mut slow).is_pending());
    let to_slow = received(&mut peer).await;
    // Longer than the lease: the driver has taken over, and its timer does not fire again.
    tokio::time::sleep(2 * INLINE_READ_LEASE).await;
    let (client, other) = (fixture.client.clone(), "other");
    let other = tokio::spawn(async move { client.call(other, ()).await });
    let to_other = received(&mut peer).await;
    assert!(begin(&mut slow).is_pending(), "it is polled once more, and not again");
    send(&mut peer, &result(&to_other, "2")).await;
    assert_eq!(timeout(TIMEOUT, other).await.unwrap().unwrap(), Ok(json!(2)));
    send(&mut peer, &result(&to_slow, "1")).await;
    assert_eq!(slow.await, Ok(json!(1)), "it has its reply when it is polled");
}

#[tokio::test]
async fn messages_after_the_reply_are_handled() {
    let fixture = Fixture::new().await;
    let mut peer = fixture.connected().await;
    let reply = |message: &Value| {
        let (nobodys, draining) = (r#"{"id":4242,"res":1}"#, r#"{"draining":true}"#);
        format!("{}{nobodys}\n{draining}\n", result(message, "7"))
    };
    assert_eq!(fixture.call(&mut peer, reply).await, Ok(json!(7)));
    eventually("the draining peer's connection is closed", || {
        peer.get_ref().try_read(&mut [0; 16]).is_ok_and(|count| count == 0)
    })
    .await;
    assert_eq!(fixture.client.stats().unmatched_replies, 1);
    drop(fixture.connected().await);
}

#[tokio::test]
async fn messages_before_the_reply_are_handled() {
    let fixture = Fixture::new().await;
    let mut peer = fixture.connected().await;
    let reply = |message: &Value| format!("{{\"id\":4242,\"res\":1}}\n{}", result(message, "7"));
    assert_eq!(fixture.call(&mut peer, reply).await, Ok(json!(7)));
    assert_eq!(fixture.client.stats().unmatched_replies, 1);
}

#[tokio::test]
async fn garbage_right_after_a_reply_ends_the_connection_and_not_the_call() {
    let fixture = Fixture::new().await;
    let mut peer = fixture.connected().await;
    let reply = |message: &Value| format!("{}garbage", result(message, "7"));
    assert_eq!(fixture.call(&mut peer, reply).await, Ok(json!(7)));
    drop(fixture.connected().await);
}

#[tokio::test]
async fn a_large_reply_is_read_by_caller_and_driver() {
    const LENGTH: usize = 32 << 20;
    let fixture = Fixture::new().await;
    let mut peer = fixture.connected().await;
    let replying = async {
        let message = received(&mut peer).await;
        let mut socket = peer.into_inner().into_std().unwrap();
        socket.set_nonblocking(false).unwrap();
        let reply = result(&message, &format!("\"{}\"", "x".repeat(LENGTH)));
        // On its own thread, so that it is always ahead of the reader.
        std::thread::spawn(move || socket.write_all(reply.as_bytes()))
    };
    let (reply, writing) = tokio::join!(fixture.client.call_as::<String>("m", ()), replying);
    assert_eq!(reply.map(|text| text.len()), Ok(LENGTH));
    writing.join().unwrap().unwrap();
}

/// Sequential, concurrent and cancelled calls: caller and driver take turns at reading.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_come_and_go_all_get_their_replies() {
    let peer = adder().await;
    let options = ClientOptions { timeout: 2 * TIMEOUT, ..options() };
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
        timeout(3 * TIMEOUT, caller).await.expect("every call finishes").unwrap();
    }
    assert_eq!(peer.seen.accepted(), 1);
}
