//! Notifications by `POST /rpc`: nobody waits for their end.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use rpc_server::{Limits, Method, Server, ServerHandle};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::harness::{JSON, TIMEOUT, kept};

/// A server whose method `work` counts that it began, waits until it is let go, and counts that it is done.
struct Works {
    at: SocketAddr,
    handle: ServerHandle,
    serving: JoinHandle<()>,
    begun: watch::Receiver<usize>,
    let_go: Arc<Semaphore>,
    done: watch::Receiver<usize>,
    cancelled: Arc<AtomicUsize>,
}

impl Works {
    async fn with(limits: Limits) -> Self {
        let (begin, begun) = watch::channel(0);
        let (end, done) = watch::channel(0);
        let (let_go, cancelled) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
        let (going, dropped, ends) = (let_go.clone(), cancelled.clone(), Arc::new((begin, end)));
        let work = Method::named("work").parameters([]).asynchronous(move || {
            let (going, ends) = (going.clone(), Arc::clone(&ends));
            let unended = Unended(dropped.clone());
            async move {
                ends.0.send_modify(|begun| *begun += 1);
                going.acquire().await.unwrap().forget();
                std::mem::forget(unended);
                ends.1.send_modify(|done| *done += 1);
            }
        });
        let add = Method::named("add").parameters(["a", "b"]).sync(|a: i64, b: i64| a + b);
        let server = Server::builder().methods([work, add]).limits(limits);
        let server = server.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (at, handle) = (server.local_addr(), server.handle());
        let serving = tokio::spawn(async move {
            server.serve(std::future::pending()).await.unwrap();
        });
        Self { at, handle, serving, begun, let_go, done, cancelled }
    }

    async fn begun(&mut self, calls: usize) {
        let begun = self.begun.wait_for(|begun| *begun == calls);
        timeout(TIMEOUT, begun).await.expect("they begin").unwrap();
    }

    async fn done(&mut self, calls: usize) {
        timeout(TIMEOUT, self.done.wait_for(|done| *done == calls)).await.expect("done").unwrap();
    }

    async fn cancelled(&self, calls: usize) {
        let cancelled = async {
            while self.cancelled.load(SeqCst) < calls {
                tokio::task::yield_now().await;
            }
        };
        timeout(TIMEOUT, cancelled).await.expect("they are cancelled");
    }

    async fn connect(&self) -> Connection {
        Connection(TcpStream::connect(self.at).await.unwrap())
    }
}

/// A call that is dropped before its end.
struct Unended(Arc<AtomicUsize>);

impl Drop for Unended {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

struct Connection(TcpStream);

impl Connection {
    async fn send(&mut self, body: &Value) {
        let request = kept("POST /rpc", JSON, &body.to_string());
        self.0.write_all(request.as_bytes()).await.unwrap();
    }

    /// The status and the body of the reply.
    async fn ask(&mut self, body: &Value) -> (u16, Value) {
        self.send(body).await;
        let mut reply = Vec::new();
        let read = async {
            while !reply.ends_with(b"\r\n\r\n") {
                reply.push(self.0.read_u8().await.unwrap());
            }
            let head = String::from_utf8(reply).unwrap().to_ascii_lowercase();
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            let length =
                head.split("content-length: ").nth(1).map(|it| it.split('\r').next().unwrap());
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            self.0.read_exact(&mut body).await.unwrap();
            (status, serde_json::from_slice(&body).unwrap_or_default())
        };
        timeout(TIMEOUT, read).await.expect("a reply")
    }
}

fn work() -> Value {
    json!({"jsonrpc": "2.0", "method": "work"})
}

/// The same with an id.
fn call() -> Value {
    json!({"jsonrpc": "2.0", "method": "work", "id": 1})
}

fn add(id: u64) -> Value {
    json!({"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": id})
}

fn sum(id: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": 3})
}

#[tokio::test]
async fn a_notification_has_its_204_at_once_and_goes_on_when_the_connection_closes() {
    let mut works = Works::with(Limits::default()).await;
    let mut connection = works.connect().await;
    assert_eq!(connection.ask(&work()).await, (204, Value::Null));
    assert_eq!(connection.ask(&json!([work(), work()])).await, (204, Value::Null));
    assert_eq!(connection.ask(&json!([work(), add(1)])).await, (200, json!([sum(1)])));
    works.begun(4).await;
    drop(connection);
    assert_eq!(works.connect().await.ask(&add(2)).await, (200, sum(2)));
    works.let_go.add_permits(4);
    works.done(4).await;
}

#[tokio::test]
async fn of_a_request_whose_connection_closes_only_the_calls_are_cancelled() {
    let mut works = Works::with(Limits::default()).await;
    let mut connection = works.connect().await;
    connection.send(&json!([call(), work()])).await;
    works.begun(2).await;
    drop(connection);
    works.cancelled(1).await;
    works.let_go.add_permits(2);
    works.done(1).await;
    assert_eq!(works.cancelled.load(SeqCst), 1);
}

#[tokio::test]
async fn the_notifications_that_a_batch_has_left_run_though_its_connection_is_closed() {
    let mut works = Works::with(Limits::default().max_calls_per_connection(2)).await;
    let mut connection = works.connect().await;
    connection.send(&json!([call(), work(), work(), call(), 5, work()])).await;
    works.begun(2).await;
    drop(connection);
    works.cancelled(1).await;
    works.let_go.add_permits(3);
    works.done(3).await;
    assert_eq!(works.connect().await.ask(&add(1)).await.1, sum(1));
    assert_eq!(*works.begun.borrow(), 4, "the other call is nobody's");
}

#[tokio::test]
async fn notifications_count_among_the_calls_of_their_connection_until_they_are_done() {
    let mut works = Works::with(Limits::default().max_calls_per_connection(2)).await;
    let mut connection = works.connect().await;
    for begun in 1..=2 {
        assert_eq!(connection.ask(&work()).await.0, 204);
        works.begun(begun).await;
    }
    let (_, refused) = connection.ask(&call()).await;
    assert_eq!(refused["error"]["code"], -32002, "{refused}");
    assert_eq!(connection.ask(&work()).await.0, 204);
    works.let_go.add_permits(2);
    works.done(2).await;
    works.let_go.add_permits(1);
    let executed = async {
        while connection.ask(&call()).await.1["result"] != json!(null) || *works.done.borrow() < 3 {
        }
    };
    timeout(TIMEOUT, executed).await.expect("there is room again");
    assert_eq!(*works.begun.borrow(), 3, "the third notification was refused");
}

#[tokio::test]
async fn a_server_that_stops_waits_for_notifications_as_long_as_it_drains() {
    for (drain, ends) in [(TIMEOUT, true), (Duration::from_millis(50), false)] {
        let mut works = Works::with(Limits::default().drain_timeout(drain)).await;
        let mut connection = works.connect().await;
        assert_eq!(connection.ask(&work()).await.0, 204);
        works.begun(1).await;
        drop(connection);
        works.handle.stop();
        // Its listener is closed by the time that it waits.
        while TcpStream::connect(works.at).await.is_ok() {}
        if ends {
            assert!(!works.serving.is_finished());
            works.let_go.add_permits(1);
        }
        timeout(TIMEOUT, works.serving).await.expect("it stops").unwrap();
        assert_eq!(
            (*works.done.borrow(), works.cancelled.load(SeqCst)),
            match ends {
                true => (1, 0),
                false => (0, 1),
            }
        );
    }
}
