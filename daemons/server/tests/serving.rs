//! A server over real sockets: bytes in, bytes out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream;
use rpc_server::{
    Call, Failure, Limits, Method, Server, ServerBuilder, ServerError, ServerHandle, builtin,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const TIMEOUT: Duration = Duration::from_secs(20);

struct Running {
    address: SocketAddr,
    handle: ServerHandle,
    task: JoinHandle<Result<(), ServerError>>,
}

impl Running {
    async fn start(builder: ServerBuilder) -> Self {
        let server = builder.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (address, handle) = (server.local_addr(), server.handle());
        let task = tokio::spawn(server.serve(std::future::pending()));
        Self { address, handle, task }
    }

    async fn connect(&self) -> Peer {
        Peer { stream: TcpStream::connect(self.address).await.unwrap(), seen: Vec::new() }
    }

    /// Sends everything, closes the sending half, reads to the end.
    async fn exchange(&self, request: impl AsRef<[u8]>) -> String {
        let mut peer = self.connect().await;
        peer.send(request).await;
        peer.stream.shutdown().await.unwrap();
        peer.rest().await
    }
}

struct Peer {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Peer {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next line, without its newline.
    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.seen.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.seen.drain(..=end).collect();
                return String::from_utf8(line).unwrap().trim_end().to_owned();
            }
            let read = timeout(TIMEOUT, self.stream.read_buf(&mut self.seen)).await.unwrap();
            assert_ne!(read.unwrap(), 0, "the connection ended instead of a reply");
        }
    }

    async fn rest(&mut self) -> String {
        let mut bytes = std::mem::take(&mut self.seen);
        timeout(TIMEOUT, self.stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
        String::from_utf8(bytes).unwrap()
    }
}

fn builtins() -> ServerBuilder {
    Server::builder().methods(builtin::methods())
}

fn with_limits(limits: Limits) -> ServerBuilder {
    builtins().limits(limits)
}

#[tokio::test]
async fn an_older_clients_calls_get_the_older_servers_replies() {
    let server = Running::start(builtins()).await;
    let cases = [
        (r#""add", "method_args": [1, 2], "method_kwargs": {}"#, "13"),
        (r#""add", "method_args": [1, 2], "method_kwargs": {"c": 5}"#, "8"),
        (r#""subtract", "method_args": [5, 2], "method_kwargs": {}"#, "3"),
        (r#""multiply", "method_args": [4, 2.5], "method_kwargs": {}"#, "10.0"),
        (r#""divide", "method_args": [6, 2], "method_kwargs": {}"#, "3.0"),
        (r#""divide", "method_args": [6, 0], "method_kwargs": {}"#, r#""Division by zero error!""#),
        (r#""area_of_circle", "method_args": [1], "method_kwargs": {}"#, "3.141592653589793"),
        (r#""square", "method_args": [7], "method_kwargs": {}"#, "49"),
        (r#""to_uppercase", "method_args": ["abc"], "method_kwargs": {}"#, r#""ABC""#),
        (r#""reverse_string", "method_args": ["abc"], "method_kwargs": {}"#, r#""cba""#),
        (
            r#""echo", "method_args": [ { "a b" : [ 1 , 1.50 ] } ], "method_kwargs": {}"#,
            r#"{"a b":[1,1.50]}"#,
        ),
        (r#""hi", "method_args": [0], "method_kwargs": {}"#, r#""hi 0, welcome""#),
        (r#""hello", "method_args": [], "method_kwargs": {"name": "X"}"#, r#""Hello, X!""#),
        (r#""nope", "method_args": [], "method_kwargs": {}"#, r#""No service found for: nope""#),
        (r#""add", "method_args": [1, 2]"#, r#""No service found for: add""#),
        (
            r#""add", "method_args": [1], "method_kwargs": {}"#,
            r#""Argument error: add() missing 1 required positional argument: 'b'""#,
        ),
        (
            r#""multiply", "method_args": [1e308, 10], "method_kwargs": {}"#,
            r#""Argument error: the result cannot be held (beyond about 1.8e308); give smaller numbers""#,
        ),
    ];
    for (call, expected) in cases {
        let reply = server.exchange(format!("{{\"method_name\": {call}}}")).await;
        assert_eq!(reply, format!("{{\"res\":{expected}}}\n"), "{call}");
    }
}

#[tokio::test]
async fn a_server_lists_its_methods_in_the_classic_form() {
    let method =
        Method::named("m").parameters(["a", "b"]).default("b", 1).sync(|a: i8, b: i8| a + b);
    let server = Running::start(Server::builder().method(method)).await;
    let reply = server.exchange(r#"{"method_name":"all_your_methods","x":1}"#).await;
    assert_eq!(
        reply,
        "{\"res\":[{\"method_name\":\"m\",\"method_args\":[\"a\"],\"method_kwargs\":{\"b\":1}}]}\n"
    );
}

#[tokio::test]
async fn many_requests_in_any_pieces_get_the_same_replies_in_order() {
    let server = Running::start(builtins()).await;
    let long = "x".repeat(3000);
    let requests: String = (0..40)
        .map(|n| match n % 3 {
            0 => format!(
                "{{\"method_name\":\"add\",\"method_args\":[{n},1],\"method_kwargs\":{{}}}}"
            ),
            1 => format!("{{\"id\":{n},\"method_name\":\"echo\",\"method_args\":[\"{long}\"]}}\n"),
            _ => format!("  {{\"id\":\"s{n}\",\"method_name\":\"square\",\"method_args\":[{n}]}}"),
        })
        .collect();
    let whole = server.exchange(&requests).await;
    assert_eq!(whole.lines().count(), 40);
    for size in [1, 7, 1000] {
        let mut peer = server.connect().await;
        peer.stream.set_nodelay(true).unwrap();
        let pieces =
            requests.as_bytes().chunks(size).take(if size == 1 { 5000 } else { usize::MAX });
        let mut sent = 0;
        for piece in pieces {
            peer.send(piece).await;
            sent += piece.len();
        }
        peer.send(&requests.as_bytes()[sent..]).await;
        peer.stream.shutdown().await.unwrap();
        assert_eq!(peer.rest().await, whole, "pieces of {size}");
    }
}

#[tokio::test]
async fn classic_calls_wait_for_one_another_and_extended_ones_do_not() {
    let server = Running::start(builtins()).await;
    let mut peer = server.connect().await;
    peer.send(
        r#"{"method_name":"sleep","method_args":[0.2],"method_kwargs":{}}
           {"method_name":"square","method_args":[3],"method_kwargs":{}}
           {"not":"a call"}
           {"id":1,"method_name":"square","method_args":[4]}
           {"id":2,"method_name":"sleep","method_args":[0.1]}"#,
    )
    .await;
    let mut lines = Vec::new();
    for _ in 0..5 {
        lines.push(peer.line().await);
    }
    assert_eq!(
        lines,
        [
            r#"{"id":1,"res":16}"#,
            r#"{"id":2,"res":0.1}"#,
            r#"{"res":0.2}"#,
            r#"{"res":9}"#,
            r#"{"res":"Error calling method: request has no method_name"}"#,
        ]
    );
}

#[tokio::test]
async fn a_failure_on_the_extended_dialect_has_a_code() {
    let server = Running::start(builtins()).await;
    let cases = [
        (r#"{"id":1,"method_name":"nope"}"#, -32601),
        (r#"{"id":1,"method_name":"add"}"#, -32602),
        (r#"{"id":1,"method_name":"add","method_args":["a","b"]}"#, -32602),
        (r#"{"id":1,"method_name":"add","method_args":[18446744073709551616,1]}"#, -32602),
        (r#"{"id":1,"method_name":"add","method_args":[18446744073709551615,1]}"#, -32602),
        (r#"{"id":1,"method_name":"add","method_args":[1,2],"meta":{"deadline_ms":0}}"#, -32000),
        (r#"{"id":1,"method_name":"sleep","method_args":[9],"meta":{"deadline_ms":1}}"#, -32000),
        (r#"{"id":1,"method_name":"rpc.logs"}"#, -32602),
        (r#"{"id":1,"method_name":"add","meta":7}"#, -32600),
    ];
    let mut peer = server.connect().await;
    for (request, code) in cases {
        peer.send(request).await;
        let reply = peer.line().await;
        assert!(reply.starts_with("{\"id\":1,\"res\":\""), "{reply}");
        assert!(reply.contains(&format!("\"error\":{{\"code\":{code},")), "{request}: {reply}");
    }
}

#[tokio::test]
async fn invalid_json_gets_an_error_after_all_earlier_replies_and_closes_the_connection() {
    let server = Running::start(builtins()).await;
    let mut peer = server.connect().await;
    peer.send(r#"{"id":1,"method_name":"sleep","method_args":[0.1]} oops {"id":2}"#).await;
    let replies = peer.rest().await;
    let lines: Vec<&str> = replies.lines().collect();
    assert_eq!(lines[0], r#"{"id":1,"res":0.1}"#);
    assert!(lines[1].starts_with(r#"{"res":"Error calling method: request is not JSON"#));
    assert_eq!(lines.len(), 2);
    let reply = server.exchange("hello there").await;
    assert!(reply.starts_with("{\"res\":\"Error calling method: request is not JSON"), "{reply}");
    let reply = server.exchange(r#"{"method_name":"add","#).await;
    assert!(reply.contains("ended inside it"), "{reply}");
}

#[tokio::test]
async fn a_cancel_stops_every_call_with_its_id_and_each_gets_one_reply() {
    let server = Running::start(builtins()).await;
    let mut peer = server.connect().await;
    peer.send(
        r#"{"id":7,"method_name":"sleep","method_args":[60]}
           {"id":"7","method_name":"sleep","method_args":[0.3]}
           {"id":7,"method_name":"sleep","method_args":[60]}
           {"cancel":7}{"cancel":99}"#,
    )
    .await;
    for _ in 0..2 {
        let reply = peer.line().await;
        assert!(reply.starts_with("{\"id\":7,") && reply.contains("-32001"), "{reply}");
    }
    assert_eq!(peer.line().await, r#"{"id":"7","res":0.3}"#);
}

#[tokio::test]
async fn closing_the_connection_stops_its_calls() {
    let server = Running::start(builtins()).await;
    let mut peer = server.connect().await;
    peer.send(r#"{"id":7,"method_name":"sleep","method_args":[60],"meta":{"deadline_ms":60000}}"#)
        .await;
    let in_flight = async |count: u64| {
        let mut watcher = server.connect().await;
        let deadline = Instant::now() + TIMEOUT;
        loop {
            watcher.send(r#"{"id":1,"method_name":"rpc.stats"}"#).await;
            if watcher.line().await.contains(&format!("\"in_flight\":{count},\"malformed\"")) {
                return;
            }
            assert!(Instant::now() < deadline, "never {count} in flight");
        }
    };
    in_flight(1).await;
    drop(peer);
    in_flight(0).await;
}

#[tokio::test]
async fn a_panic_is_an_error_reply_and_the_connection_goes_on() {
    fn boom(_: i32) -> i32 {
        panic!("boom")
    }
    let methods = [
        Method::named("now").parameters(["n"]).sync(boom),
        Method::named("later").parameters(["n"]).asynchronous(async |n: i32| boom(n)),
        Method::named("aside").parameters(["n"]).blocking(boom),
    ];
    let server = Running::start(Server::builder().methods(methods)).await;
    let mut peer = server.connect().await;
    for method in ["now", "later", "aside"] {
        peer.send(format!("{{\"id\":3,\"method_name\":\"{method}\",\"method_args\":[1]}}")).await;
        let reply = peer.line().await;
        assert!(reply.starts_with(r#"{"id":3,"res":"Error calling method: the method panicked","#));
        assert!(reply.contains("-32603"), "{reply}");
    }
}

#[tokio::test]
async fn a_method_may_fail_with_its_own_code_and_text() {
    let method = Method::named("m").parameters(["n"]).asynchronous(async |n: i32| {
        if n > 0 { Ok(n) } else { Err(Failure::new("too small").with_code(5)) }
    });
    let server = Running::start(Server::builder().method(method)).await;
    let reply =
        server.exchange(r#"{"method_name":"m","method_args":[0],"method_kwargs":{}}"#).await;
    assert_eq!(reply, "{\"res\":\"Error calling method: too small\"}\n");
}

#[tokio::test]
async fn a_stream_sends_its_items_and_its_end() {
    let count = Method::named("count").parameters(["to"]).stream(|to: u32| stream::iter(0..to));
    let server = Running::start(builtins().method(count)).await;
    let mut peer = server.connect().await;
    peer.send(r#"{"id":1,"method_name":"count","method_args":[2],"meta":{"stream":true}}"#).await;
    for expected in [r#"{"id":1,"item":0}"#, r#"{"id":1,"item":1}"#, r#"{"id":1,"end":true}"#] {
        assert_eq!(peer.line().await, expected);
    }
    peer.send(r#"{"id":2,"method_name":"square","method_args":[3],"meta":{"stream":true}}"#).await;
    assert_eq!(peer.line().await, r#"{"id":2,"item":9}"#);
    assert_eq!(peer.line().await, r#"{"id":2,"end":true}"#);
    peer.send(r#"{"id":3,"method_name":"count","method_args":[2]}"#).await;
    assert!(peer.line().await.contains("-32602"));
}

#[tokio::test]
async fn a_reader_that_stops_reading_stops_its_stream_and_nothing_grows() {
    let endless =
        Method::named("endless").parameters([]).stream(|| stream::repeat("x".repeat(10_000)));
    let limits = Limits::default().max_unwritten_bytes(100_000);
    let server = Running::start(with_limits(limits).method(endless)).await;
    let mut lazy = server.connect().await;
    lazy.send(r#"{"id":1,"method_name":"endless","meta":{"stream":true}}"#).await;
    // The server serves others, although this stream could fill any memory.
    let reply = server.exchange(r#"{"id":1,"method_name":"square","method_args":[3]}"#).await;
    assert_eq!(reply, "{\"id\":1,\"res\":9}\n");
    lazy.send(r#"{"cancel":1}"#).await;
    while !lazy.line().await.contains("-32001") {}
}

#[tokio::test]
async fn calls_wait_until_there_is_room_for_their_replies() {
    // More than the sockets' buffers hold, so that the server must stop in the middle of a read.
    let large = Method::named("large").parameters([]).sync(|| "x".repeat(1_000_000));
    let limits = Limits::default().max_unwritten_bytes(1000);
    let server = Running::start(with_limits(limits).method(large)).await;
    let mut peer = server.connect().await;
    let call = |id| format!("{{\"id\":{id},\"method_name\":\"large\",\"method_args\":[]}}");
    peer.send((0..40).map(call).collect::<String>()).await;
    for id in 0..40 {
        assert!(peer.line().await.starts_with(&format!("{{\"id\":{id},")));
    }
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_disconnected_and_its_other_calls_do_not_run() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let large = Method::named("large").parameters([]).sync(move || {
        count.fetch_add(1, Ordering::SeqCst);
        "x".repeat(1_000_000)
    });
    let idle = Duration::from_secs(1);
    let limits = Limits::default().max_unwritten_bytes(1000).idle_timeout(idle);
    let server = Running::start(with_limits(limits).method(large)).await;
    let mut peer = server.connect().await;
    peer.send(r#"{"id":1,"method_name":"large","method_args":[]}"#.repeat(80)).await;
    // Bytes sent from now on are not read; a failed write shows that the connection is gone.
    let left = async {
        while peer.stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(TIMEOUT, left).await.unwrap();
    assert!((1..80).contains(&made.load(Ordering::SeqCst)), "{made:?} calls made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn first_replies_are_sent_before_the_last_calls_of_a_read_run() {
    let (answered, wait) = std::sync::mpsc::channel();
    let wait = std::sync::Mutex::new(wait);
    // It blocks the server's only thread until the first reply has arrived.
    let last = Method::named("last")
        .parameters([])
        .sync(move || wait.lock().unwrap().recv_timeout(TIMEOUT).is_ok());
    let server = Running::start(builtins().method(last)).await;
    let address = server.address;
    let client = std::thread::spawn(move || {
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        let square = r#"{"id":1,"method_name":"square","method_args":[3]}"#.repeat(63);
        let last = r#"{"id":2,"method_name":"last","method_args":[]}"#;
        socket.write_all((square + last).as_bytes()).unwrap();
        let mut lines = BufReader::new(socket).lines().map(Result::unwrap);
        let first = lines.next();
        answered.send(()).unwrap();
        (first, lines.nth(62))
    });
    let answers = tokio::task::spawn_blocking(|| client.join().unwrap()).await.unwrap();
    assert_eq!(answers.0.as_deref(), Some(r#"{"id":1,"res":9}"#));
    assert_eq!(answers.1.as_deref(), Some(r#"{"id":2,"res":true}"#));
}

#[tokio::test]
async fn oneway_calls_get_no_reply_not_even_errors() {
    let server = Running::start(builtins()).await;
    let requests = r#"{"id":1,"method_name":"square","method_args":[3],"meta":{"oneway":true}}
        {"id":2,"method_name":"nope","meta":{"oneway":true}}
        {"id":3,"method_name":"rpc.health","meta":{"oneway":true}}
        {"id":4,"method_name":"square","method_args":[4]}"#;
    assert_eq!(server.exchange(requests).await, "{\"id\":4,\"res\":16}\n");
}

#[tokio::test]
async fn a_oneway_call_goes_on_when_its_caller_closes_and_a_stream_that_nobody_reads_ends() {
    let (let_go, going) = watch::channel(false);
    let (done, mut is_done) = watch::channel(false);
    let done = Arc::new(done);
    let work = Method::named("work").asynchronous(move || {
        let (mut going, done) = (going.clone(), Arc::clone(&done));
        async move { going.wait_for(|going| *going).await.is_ok() && done.send(true).is_ok() }
    });
    let forever = Method::named("forever").stream(stream::pending::<u8>);
    let server = Running::start(Server::builder().method(work).method(forever)).await;
    let items = r#"{"id":1,"method_name":"forever","meta":{"oneway":true,"stream":true}}"#;
    assert_eq!(timeout(TIMEOUT, server.exchange(items)).await.unwrap(), "");
    let call = r#"{"id":1,"method_name":"work","meta":{"oneway":true}}"#;
    let ended = async {
        let mut peer = server.connect().await;
        peer.send(call).await;
        peer.stream.shutdown().await.unwrap();
        // By then it has read the end as well.
        server.exchange(r#"{"id":1,"method_name":"rpc.health"}"#).await;
        let_go.send(true).unwrap();
        assert_eq!(peer.rest().await, "");
        is_done.wait_for(|done| *done).await.is_ok()
    };
    assert!(timeout(TIMEOUT, ended).await.unwrap());
}

#[tokio::test]
async fn behind_items_no_error_of_a_stream_says_that_the_call_was_not_executed() {
    let items = |first: Option<Result<u8, Failure>>, last: Failure| {
        stream::iter(first.into_iter().chain([Err(last)]))
    };
    let early = move || items(None, Failure::bad_arguments("no such file"));
    let late =
        move || items(Some(Ok(1)), Failure::bad_arguments("no such file").with_data(5.into()));
    let own = move || items(Some(Ok(1)), Failure::new("half of it").with_code(7));
    let server = Running::start(Server::builder().methods([
        Method::named("early").stream(early),
        Method::named("late").stream(late),
        Method::named("own").stream(own),
    ]));
    let server = server.await;
    for (method, code) in [("early", "-32602"), ("late", "-32603"), ("own", "7")] {
        let call = format!(r#"{{"id":1,"method_name":"{method}","meta":{{"stream":true}}}}"#);
        let mut peer = server.connect().await;
        peer.send(&call).await;
        let mut last = peer.line().await;
        if method != "early" {
            assert_eq!(last, "{\"id\":1,\"item\":1}");
            last = peer.line().await;
        }
        assert!(last.contains(&format!("\"code\":{code},")), "{last}");
        let tells = last.contains("no such file (code -32602") && last.contains("\"data\":5");
        assert_eq!(tells, method == "late", "{last}");
    }
}

#[tokio::test]
async fn requests_over_a_limit_get_an_error() {
    let limits = Limits::default().max_request_bytes(200).max_nesting(4);
    let server = Running::start(with_limits(limits)).await;
    let long = format!(r#"{{"id":1,"method_name":"echo","method_args":["{}"#, "x".repeat(100_000));
    assert!(server.exchange(long).await.contains("larger than 200 bytes"));
    let deep = r#"{"id":1,"method_name":"echo","method_args":[[[[1]]]]}"#;
    assert!(server.exchange(deep).await.contains("nested deeper than 4"));
}

#[tokio::test]
async fn a_call_over_the_limit_is_refused_as_retryable() {
    let limits = Limits::default().max_calls_per_connection(2).max_calls(3);
    let server = Running::start(with_limits(limits)).await;
    let sleep = |id| format!("{{\"id\":{id},\"method_name\":\"sleep\",\"method_args\":[30]}}");
    let mut first = server.connect().await;
    first.send(sleep(1) + &sleep(2) + &sleep(3)).await;
    let reply = first.line().await;
    assert!(reply.starts_with("{\"id\":3,") && reply.contains("-32002"), "{reply}");
    assert!(reply.contains("\"retryable\":true") && reply.contains("on this connection"));
    let mut second = server.connect().await;
    second.send(sleep(4) + &sleep(5)).await;
    let reply = second.line().await;
    assert!(reply.starts_with("{\"id\":5,") && reply.contains("another instance"), "{reply}");
}

#[tokio::test]
async fn after_a_full_queue_of_classic_calls_nothing_is_lost() {
    let limits = Limits::default().max_calls_per_connection(2);
    let server = Running::start(with_limits(limits)).await;
    let requests: String = (0..10)
        .map(|n| {
            format!("{{\"method_name\":\"sleep\",\"method_args\":[0.0{n}],\"method_kwargs\":{{}}}}")
        })
        .collect();
    let replies = server.exchange(requests).await;
    assert_eq!(replies.lines().count(), 10, "{replies}");
    assert_eq!(replies.lines().last(), Some("{\"res\":0.09}"));
}

#[tokio::test]
async fn an_incomplete_request_times_out() {
    let limits = Limits::default().request_timeout(Duration::from_millis(100));
    let server = Running::start(with_limits(limits)).await;
    let mut peer = server.connect().await;
    peer.send(r#"{"id":1,"method_name":"square","method_args":[3]}{"id":2,"#).await;
    let replies = peer.rest().await;
    assert!(replies.starts_with("{\"id\":1,\"res\":9}\n{\"res\":\"Error"), "{replies}");
    assert!(replies.contains("incomplete after 0.1 s"), "{replies}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_a_waiting_one_is_not() {
    let limits = Limits::default().idle_timeout(Duration::from_secs(1));
    let server = Running::start(with_limits(limits)).await;
    let mut waiting = server.connect().await;
    waiting.send(r#"{"id":1,"method_name":"sleep","method_args":[2.5]}"#).await;
    let mut idle = server.connect().await;
    idle.send(r#"{"id":1,"method_name":"square","method_args":[3]}"#).await;
    assert_eq!(idle.rest().await, "{\"id\":1,\"res\":9}\n");
    assert_eq!(server.connect().await.rest().await, "");
    assert_eq!(waiting.line().await, r#"{"id":1,"res":2.5}"#);
}

#[tokio::test]
async fn a_connection_over_the_limit_is_refused_in_its_dialect_and_counted() {
    let server = Running::start(with_limits(Limits::default().max_connections(1))).await;
    let square = r#"{"id":1,"method_name":"square","method_args":[3]}"#;
    // This machine has places beyond the limit.
    let mut inside = Vec::new();
    for _ in 0..9 {
        let mut peer = server.connect().await;
        peer.send(square).await;
        assert_eq!(peer.line().await, r#"{"id":1,"res":9}"#);
        inside.push(peer);
    }
    let why = "busy: limit of 1 connection open (max_connections); call another instance";
    let cases = [
        (
            square,
            format!(r#"{{"id":1,"res":"Error calling method: {why}","error":{{"code":-32002"#),
        ),
        (
            r#"{"method_name":"square","#,
            format!(r#"{{"res":"Error calling method: {why}","error":{{"code":-32002"#),
        ),
        ("GET /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 503 Service Unavailable".to_owned()),
    ];
    for (request, expected) in cases {
        let mut peer = server.connect().await;
        peer.send(request).await;
        let reply = peer.rest().await;
        assert!(reply.starts_with(&expected), "{request}: {reply}");
    }
    inside[0].send(r#"{"id":1,"method_name":"rpc.stats"}"#).await;
    assert!(inside[0].line().await.contains("\"connections_refused\":3"));
}

#[tokio::test]
async fn draining_replies_to_calls_in_flight_and_refuses_the_rest() {
    // Its calls are in flight until the test releases them.
    let (let_go, going) = watch::channel(false);
    let method = Method::named("wait").parameters([]).asynchronous(move || {
        let mut going = going.clone();
        async move { going.wait_for(|going| *going).await.is_ok() }
    });
    let server = Running::start(builtins().method(method)).await;
    let mut busy = server.connect().await;
    busy.send(r#"{"id":1,"method_name":"wait"}{"id":0,"method_name":"rpc.health"}"#).await;
    busy.line().await;
    let mut old = server.connect().await;
    old.send(r#"{"method_name":"wait","method_args":[],"method_kwargs":{}}"#).await;
    let mut idle = server.connect().await;
    idle.send(r#"{"id":1,"method_name":"square","method_args":[3]}"#).await;
    idle.line().await;
    server.handle.stop();
    assert_eq!(busy.line().await, r#"{"draining":true}"#);
    busy.send(r#"{"id":2,"method_name":"square","method_args":[3]}"#).await;
    assert!(busy.line().await.contains("-32003"));
    let_go.send(true).unwrap();
    assert_eq!(busy.rest().await, "{\"id\":1,\"res\":true}\n");
    assert_eq!(old.rest().await, "{\"res\":true}\n");
    assert_eq!(idle.rest().await, "{\"draining\":true}\n");
    timeout(TIMEOUT, server.task).await.unwrap().unwrap().unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn the_drain_has_a_limit_and_calls_in_flight_get_an_error() {
    let limits = Limits::default().drain_timeout(Duration::from_millis(100));
    let server = Running::start(with_limits(limits)).await;
    let mut peer = server.connect().await;
    peer.send(
        r#"{"id":1,"method_name":"sleep","method_args":[60]}{"id":0,"method_name":"rpc.health"}"#,
    )
    .await;
    peer.line().await;
    server.handle.fail("lost the database");
    let replies = peer.rest().await;
    assert!(replies.contains("-32006") && replies.contains("may have been executed"), "{replies}");
    let outcome = timeout(TIMEOUT, server.task).await.unwrap().unwrap();
    assert!(matches!(outcome, Err(ServerError::Failed(why)) if why == "lost the database"));
}

#[tokio::test]
async fn at_the_end_of_the_server_streams_are_told_whether_they_have_begun() {
    let begun = Method::named("begun").parameters([]).stream(stream::pending::<u32>);
    let queued = Method::named("queued").parameters([]).stream(|call: Call| {
        call.set_waiting(true);
        stream::pending::<u32>()
    });
    let server = Running::start(builtins().methods([begun, queued])).await;
    let mut peer = server.connect().await;
    let ask = |id: u8, method: &str| {
        format!(r#"{{"id":{id},"method_name":"{method}","meta":{{"stream":true}}}}"#)
    };
    peer.send(ask(1, "begun") + &ask(2, "queued") + r#"{"id":0,"method_name":"rpc.health"}"#).await;
    peer.line().await;
    server.handle.stop();
    let replies = peer.rest().await;
    let told = |id: u8, code: &str| {
        let id = format!("{{\"id\":{id},");
        replies.lines().any(|line| line.starts_with(&id) && line.contains(code))
    };
    assert!(told(1, "-32006") && told(2, "-32003"), "{replies}");
}

#[cfg(not(feature = "http"))]
#[tokio::test]
async fn without_http_a_request_is_refused_in_http() {
    let server = Running::start(builtins()).await;
    let reply = server.exchange("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(reply.starts_with("HTTP/1.1 501 Not Implemented\r\n"), "{reply}");
    let (_, body) = reply.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "this server was built without HTTP; send JSON messages\n");
    assert!(reply.contains(&format!("Content-Length: {}\r\n", body.len())), "{reply}");
}

#[cfg(feature = "http")]
#[tokio::test]
async fn http_on_the_same_port_shows_metrics_health_and_methods() {
    let server = Running::start(builtins()).await;
    server.exchange(r#"{"id":1,"method_name":"square","method_args":[3]}"#).await;
    let get = async |path: &str, headers: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        // The sending half stays open: hyper takes its end for the client's.
        let mut peer = server.connect().await;
        peer.send(request).await;
        peer.rest().await
    };
    let count = "rpc_server_call_duration_seconds_count{rpc_method=\"square\",error_type=\"\"} 1\n";
    let metrics = get("/metrics", "").await;
    assert!(metrics.contains(count) && metrics.contains("text/plain; version=0.0.4"), "{metrics}");
    let metrics = get("/metrics", "Accept: application/openmetrics-text\r\n").await;
    assert!(metrics.contains(count) && metrics.ends_with("# EOF\n"), "{metrics}");
    assert!(metrics.contains("application/openmetrics-text; version=1.0.0"), "{metrics}");
    assert!(get("/healthz", "").await.contains("\"status\":\"ok\""));
    server.handle.drain();
    let drained = get("/healthz", "").await;
    assert!(drained.starts_with("HTTP/1.1 503") && drained.contains("\"status\":\"draining\""));
    server.handle.resume();
    assert!(get("/healthz", "").await.starts_with("HTTP/1.1 200"));
    assert!(get("/openrpc.json", "").await.contains("\"name\":\"reverse_string\""));
    assert!(get("/nope", "").await.starts_with("HTTP/1.1 404"));
    assert!(get("/healthz", "Origin: http://evil.example\r\n").await.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn an_address_in_use_is_a_bind_error() {
    let server = Running::start(builtins()).await;
    let error = builtins().bind(server.address).await.err().unwrap();
    assert!(matches!(error, ServerError::Bind { .. }));
    assert!(error.to_string().contains("cannot listen on 127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn logs_are_streamed_from_the_ring_recent_ones_first() {
    use rpc_host::logging::LogRing;
    use rpc_wire::report::{Level, LogLine};
    let ring = LogRing::new(100);
    let line = |level, message: &str| LogLine {
        seq: 0,
        at_ms: 0,
        level,
        target: "t".to_owned(),
        message: message.to_owned(),
        fields: serde_json::Map::new(),
    };
    for n in 0..5 {
        ring.push(line(Level::Info, &format!("old {n}")));
    }
    let server = Running::start(builtins().log_ring(ring.clone())).await;
    let mut peer = server.connect().await;
    peer.send(
        r#"{"id":1,"method_name":"rpc.logs","method_kwargs":{"level":"warn","contains":"x","recent":2},"meta":{"stream":true}}
           {"id":2,"method_name":"rpc.logs","method_kwargs":{"recent":1},"meta":{"stream":true}}"#,
    )
    .await;
    assert!(peer.line().await.starts_with("{\"id\":2,\"item\":{\"seq\":4,"));
    ring.push(line(Level::Info, "x but not severe"));
    assert!(peer.line().await.contains("not severe"));
    ring.push(line(Level::Error, "x and severe"));
    let mut both = [peer.line().await, peer.line().await];
    both.sort();
    assert!(both[0].starts_with("{\"id\":1,") && both[0].contains("x and severe"), "{both:?}");
    assert!(both[1].starts_with("{\"id\":2,") && both[1].contains("x and severe"), "{both:?}");
    peer.send(r#"{"cancel":1}"#).await;
    assert!(peer.line().await.contains("-32001"));
}

#[tokio::test]
async fn a_drained_server_refuses_new_calls_and_takes_them_again() {
    let (finish, finished) = watch::channel(());
    let waits = Method::named("wait").asynchronous(move || {
        let mut finished = finished.clone();
        async move { finished.changed().await.map_or(0, |()| 7) }
    });
    let limits = Limits::default().drain_notice(Duration::ZERO);
    let server = Running::start(with_limits(limits).method(waits)).await;
    let mut peer = server.connect().await;
    let call = |id: u8, method: &str| {
        let args = if method == "square" { "3" } else { "" };
        format!(r#"{{"id":{id},"method_name":"{method}","method_args":[{args}]}}"#)
    };
    peer.send(call(1, "wait")).await;
    // Its reply shows that the call before it runs.
    peer.send(call(2, "rpc.health")).await;
    assert!(peer.line().await.contains(r#""status":"ok""#));

    server.handle.drain();
    server.handle.drain();
    assert!(server.handle.is_draining());
    peer.send(call(3, "square")).await;
    let refused = peer.line().await;
    assert!(refused.contains(r#""id":3,"#) && refused.contains(r#""code":-32003,"#), "{refused}");
    assert!(refused.contains(r#""retryable":true"#), "{refused}");
    let classic = r#"{"method_name":"square","method_args":[],"method_kwargs":{}}"#;
    assert!(server.exchange(classic).await.contains("the server is draining"));
    // It still says how it is.
    peer.send(call(4, "rpc.health")).await;
    assert!(peer.line().await.contains(r#""status":"draining""#));
    finish.send_replace(());
    assert_eq!(peer.line().await, r#"{"id":1,"res":7}"#);

    server.handle.resume();
    peer.send(call(5, "square")).await;
    let reply = peer.line().await;
    assert_eq!(reply, r#"{"id":5,"res":9}"#, "on the same connection");
    server.handle.stop();
    timeout(TIMEOUT, server.task).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn an_older_clients_calls_are_taken_by_a_drained_server_until_its_list_is_refreshed() {
    let server = Running::start(builtins()).await;
    server.handle.drain();
    let call = r#"{"method_name":"square","method_args":[3],"method_kwargs":{}}"#;
    assert_eq!(server.exchange(call).await, "{\"res\":9}\n");
    let refused = server.exchange(r#"{"id":1,"method_name":"square","method_args":[3]}"#).await;
    assert!(refused.contains("-32003"), "{refused}");
}
