//! Who may do what at a server whose guard asks for tokens.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect"
)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::stream;
use rpc_server::security::secret::{ExposeSecret, SecretString, generate, line};
use rpc_server::security::{Access, Auth, Guard, Role, TokenFile};
use rpc_server::{Call, Limits, LogRing, Method, Server, ServerBuilder, Share};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

const TIMEOUT: Duration = Duration::from_secs(20);

/// A server with a guard, and the file of its tokens.
struct Guarded {
    address: SocketAddr,
    guard: Guard,
    tokens: PathBuf,
    _folder: tempfile::TempDir,
}

/// A token of each role, and of some limits.
struct Tokens {
    lines: Vec<String>,
}

impl Tokens {
    fn new() -> Self {
        Self { lines: Vec::new() }
    }

    fn add(&mut self, name: &str, roles: &[Role], limits: &str) -> SecretString {
        let secret = generate();
        self.lines.push(format!("{} {limits}", line(name, roles, &secret)));
        secret
    }
}

impl Guarded {
    async fn start(tokens: &Tokens, access: Access, limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        write(&path, tokens);
        let guard = Guard::new(access, Some(TokenFile::load(&path).unwrap()));
        let builder = builder().limits(limits).guard(guard.clone());
        let server = builder.bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = server.local_addr();
        tokio::spawn(server.serve(std::future::pending()));
        Self { address, guard, tokens: path, _folder: folder }
    }

    async fn with(tokens: &Tokens) -> Self {
        Self::start(tokens, required(), Limits::default()).await
    }

    fn replace_tokens(&self, tokens: &Tokens) {
        write(&self.tokens, tokens);
        self.guard.reload();
    }

    async fn connect(&self) -> Peer {
        Peer { stream: TcpStream::connect(self.address).await.unwrap(), seen: Vec::new() }
    }

    /// A connection from 127.0.0.`host`: each is another peer.
    async fn connect_from(&self, host: u8) -> Peer {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((IpAddr::from([127, 0, 0, host]), 0).into()).unwrap();
        Peer { stream: socket.connect(self.address).await.unwrap(), seen: Vec::new() }
    }

    /// The code of the reply to a call on a connection of its own; 0 for a result.
    async fn code(&self, token: Option<&SecretString>, method: &str) -> i64 {
        self.connect().await.call(method, token).await["error"]["code"].as_i64().unwrap_or(0)
    }

    async fn http(&self, path: &str, token: Option<&SecretString>) -> (u16, String) {
        self.request("GET", path, "", token).await
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        body: &str,
        token: Option<&SecretString>,
    ) -> (u16, String) {
        let mut peer = self.connect().await;
        let authorization =
            token.map(|token| format!("Authorization: Bearer {}\r\n", token.expose_secret()));
        let authorization = authorization.unwrap_or_default();
        peer.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}Connection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
        let mut text = String::new();
        timeout(TIMEOUT, peer.stream.read_to_string(&mut text)).await.unwrap().unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        let body = text.split_once("\r\n\r\n").unwrap().1.to_owned();
        (status, body)
    }
}

fn write(path: &std::path::Path, tokens: &Tokens) {
    let next = path.with_extension("new");
    std::fs::write(&next, format!("# tokens\n{}\n", tokens.lines.join("\n"))).unwrap();
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(&next, path).unwrap();
}

fn required() -> Access {
    Access { auth: Auth::Required, ..Access::default() }
}

fn builder() -> ServerBuilder {
    let whom = |call: Call| call.identity().map(|caller| caller.name.clone());
    Server::builder()
        .name("orders")
        .method(Method::named("plus").parameters(["a", "b"]).sync(|a: i64, b: i64| a + b))
        .method(Method::named("whom").sync(whom))
        .method(Method::named("length").parameters(["text"]).sync(|text: String| text.len()))
        .method(Method::named("reset").sync(|| "done").with_role(Role::Operate))
        .method(Method::named("forever").stream(stream::pending::<u8>))
        .log_ring(LogRing::new(100))
}

struct Peer {
    stream: TcpStream,
    seen: Vec<u8>,
}

impl Peer {
    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// The next reply; `None` at the end.
    async fn reply(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.seen.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.seen.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let read = timeout(TIMEOUT, self.stream.read_buf(&mut self.seen)).await.unwrap();
            if !matches!(read, Ok(1..)) {
                return None;
            }
        }
    }

    async fn ask(&mut self, request: impl AsRef<[u8]>) -> Value {
        self.send(request).await;
        self.reply().await.expect("a reply, not the end")
    }

    async fn call(&mut self, method: &str, token: Option<&SecretString>) -> Value {
        self.ask(call(7, method, token)).await
    }
}

fn call(id: u32, method: &str, token: Option<&SecretString>) -> String {
    let args = match method {
        "plus" => json!([1, 2]),
        "length" => json!(["four"]),
        _ => json!([]),
    };
    let stream = method == "forever" || method == "rpc.logs";
    let meta = match token {
        Some(token) => json!({"token": token.expose_secret(), "stream": stream}),
        None => json!({"stream": stream}),
    };
    json!({"id": id, "method_name": method, "method_args": args, "meta": meta}).to_string()
}

fn classic(method: &str) -> String {
    json!({"method_name": method, "method_args": [], "method_kwargs": {}}).to_string()
}

const REFUSED: i64 = -32004;

#[tokio::test]
async fn each_method_needs_its_role_and_what_there_is_is_not_told() {
    let mut tokens = Tokens::new();
    let all = [
        None,
        Some(generate()),
        Some(tokens.add("caller", &[Role::Call], "")),
        Some(tokens.add("observer", &[Role::Observe], "")),
        Some(tokens.add("operator", &[Role::Operate], "")),
        Some(tokens.add("past", &Role::ALL, "expires=2020-01-01")),
        Some(tokens.add("elsewhere", &Role::ALL, "services=stock")),
        Some(tokens.add("here", &Role::ALL, "services=stock,orders")),
    ];
    let server = Guarded::with(&tokens).await;
    let (n, y, unknown) = (REFUSED, 0, -32601);
    for (method, expected) in [
        ("plus", [n, n, y, n, n, n, n, y]),
        ("reset", [n, n, n, n, y, n, n, y]),
        ("nope", [n, n, unknown, n, n, n, n, unknown]),
        ("rpc.discover", [n, n, n, y, n, n, n, y]),
        ("all_your_methods", [n, n, n, y, n, n, n, y]),
        ("rpc.stats", [n, n, n, y, n, n, n, y]),
        ("rpc.health", [n, n, n, y, n, n, n, y]),
        ("rpc.whoami", [n, n, y, y, y, n, y, y]),
    ] {
        let mut codes = [1; 8];
        for (code, token) in codes.iter_mut().zip(&all) {
            *code = server.code(token.as_ref(), method).await;
        }
        assert_eq!(codes, expected, "{method}");
    }
    for (path, expected) in [
        ("/metrics", [401, 401, 403, 200, 403, 401, 403, 200]),
        ("/openrpc.json", [401, 401, 403, 200, 403, 401, 403, 200]),
        ("/healthz", [200; 8]),
        ("/metrics/", [404; 8]),
    ] {
        let mut statuses = [0; 8];
        for (status, token) in statuses.iter_mut().zip(&all) {
            *status = server.http(path, token.as_ref()).await.0;
        }
        assert_eq!(statuses, expected, "{path}");
    }
    let (_, stranger) = server.http("/healthz", None).await;
    assert_eq!(serde_json::from_str::<Value>(&stranger).unwrap(), json!({"status": "ok"}));
    assert!(server.http("/healthz", all[3].as_ref()).await.1.contains("contract"));
}

#[tokio::test]
async fn calls_over_http_need_what_their_methods_do() {
    let mut tokens = Tokens::new();
    let caller = tokens.add("caller", &[Role::Call], "");
    let observer = tokens.add("observer", &[Role::Observe], "");
    let server = Guarded::with(&tokens).await;
    let post = async |path: &str, token| server.request("POST", path, "[]", token).await;
    for (path, expected) in [
        ("/call/whom", [401, 200, 403]),
        ("/call/reset", [401, 403, 403]),
        ("/call/nope", [401, 404, 403]),
        ("/call/rpc.stats", [401, 403, 200]),
    ] {
        let mut statuses = [0; 3];
        for (status, token) in statuses.iter_mut().zip([None, Some(&caller), Some(&observer)]) {
            *status = post(path, token).await.0;
        }
        assert_eq!(statuses, expected, "{path}");
    }
    let request = |id: u32, method: &str| json!({"jsonrpc": "2.0", "id": id, "method": method});
    let batch = json!([request(1, "whom"), request(2, "rpc.stats")]).to_string();
    let (status, replies) = server.request("POST", "/rpc", &batch, Some(&caller)).await;
    let replies: Vec<Value> = serde_json::from_str(&replies).unwrap();
    let refused = replies.iter().find(|reply| reply["id"] == 2).unwrap();
    assert_eq!((status, &refused["error"]["code"]), (200, &json!(REFUSED)));
    assert!(replies.iter().any(|reply| reply["result"] == "caller"), "{replies:?}");
}

#[tokio::test]
async fn a_refusal_says_what_is_missing() {
    let mut tokens = Tokens::new();
    let caller = tokens.add("caller", &[Role::Call], "");
    let past = tokens.add("past", &[Role::Call], "expires=2020-01-01");
    let other = tokens.add("other", &[Role::Call], "services=stock");
    let server = Guarded::with(&tokens).await;
    let wrong = generate();
    for (token, method, text) in [
        (None, "plus", "needs a token with the role call"),
        (Some(&wrong), "plus", "is not known here"),
        (Some(&past), "plus", "has expired"),
        (Some(&caller), "rpc.stats", "lacks the role observe"),
        (Some(&other), "plus", "limited to other services"),
    ] {
        let reply = server.connect().await.call(method, token).await;
        let message = reply["error"]["message"].as_str().unwrap();
        assert!(message.contains(text), "{message}");
        assert_eq!(reply["error"]["retryable"], false);
    }
}

#[tokio::test]
async fn the_first_token_that_is_somebodys_counts_for_the_connection() {
    let mut tokens = Tokens::new();
    let caller = tokens.add("caller", &[Role::Call], "");
    let observer = tokens.add("observer", &[Role::Observe], "");
    let server = Guarded::with(&tokens).await;
    let mut peer = server.connect().await;
    let wrong = peer.call("plus", Some(&generate())).await;
    assert_eq!(wrong["error"]["code"], REFUSED);
    assert_eq!(peer.call("plus", Some(&caller)).await["res"], 3);
    assert_eq!(peer.call("whom", None).await["res"], "caller");
    assert_eq!(peer.call("plus", Some(&caller)).await["res"], 3, "the same again");
    let other = peer.call("rpc.stats", Some(&observer)).await;
    assert_eq!(other["error"]["code"], REFUSED);
    assert!(other["error"]["message"].as_str().unwrap().contains("another token"), "{other}");
    assert_eq!(peer.call("plus", None).await["res"], 3);
}

#[tokio::test]
async fn a_client_introduces_itself_in_a_message_without_a_reply() {
    let mut tokens = Tokens::new();
    let caller = tokens.add("caller", &[Role::Call], "");
    let server = Guarded::with(&tokens).await;
    let mut peer = server.connect().await;
    let mut introduction = Vec::new();
    rpc_wire_introduction(&mut introduction, &caller);
    peer.send(introduction).await;
    assert_eq!(peer.call("whom", None).await["res"], "caller");
    let whoami = peer.call("rpc.whoami", None).await;
    assert_eq!(whoami["res"], json!({"auth": "required", "name": "caller", "roles": ["call"]}));
}

fn rpc_wire_introduction(out: &mut Vec<u8>, secret: &SecretString) {
    let meta = json!({"oneway": true, "token": secret.expose_secret()});
    let message = json!({"id": 0, "method_name": "rpc.whoami", "meta": meta});
    out.extend_from_slice(message.to_string().as_bytes());
}

#[tokio::test]
async fn a_batch_is_decided_item_by_item_and_may_show_the_token_itself() {
    let mut tokens = Tokens::new();
    let caller = tokens.add("caller", &[Role::Call], "");
    let server = Guarded::with(&tokens).await;
    let request = |id: u32, method: &str| json!({"jsonrpc": "2.0", "id": id, "method": method});
    let mut shows = request(2, "whom");
    shows["meta"] = json!({"token": caller.expose_secret()});
    let batch = [
        request(1, "whom"),
        shows,
        request(3, "rpc.stats"),
        request(4, "reset"),
        request(5, "whom"),
    ];
    let mut peer = server.connect().await;
    let mut replies = peer.ask(json!(batch).to_string()).await;
    let replies = replies.as_array_mut().unwrap();
    replies.sort_by_key(|reply| reply["id"].as_u64());
    let seen: Vec<_> = replies
        .iter()
        .map(|reply| (reply["result"].as_str(), reply["error"]["code"].as_i64()))
        .collect();
    let (whom, refused) = ((Some("caller"), None), (None, Some(REFUSED)));
    assert_eq!(seen, [refused, whom, refused, refused, whom]);
}

#[tokio::test]
async fn older_clients_may_do_what_anonymous_says() {
    let tokens = Tokens::new();
    for (anonymous, answered) in [("none", false), ("observe", false), ("call", true)] {
        let access = Access { anonymous: anonymous.parse().unwrap(), ..required() };
        let server = Guarded::start(&tokens, access, Limits::default()).await;
        let mut peer = server.connect().await;
        let reply = peer.ask(classic("whom")).await;
        assert_eq!(reply["res"].is_null(), answered, "{reply}");
        if !answered {
            let text = reply["res"].as_str().unwrap();
            assert!(text.starts_with("Error calling method: this needs a token"), "{text}");
            // Who runs such a client cannot do anything else about it.
            assert!(text.ends_with("see [security] anonymous"), "{text}");
        }
        let methods = peer.ask(classic("all_your_methods")).await;
        let is_listed = methods["res"].to_string().contains("plus");
        assert_eq!(is_listed, anonymous == "observe", "{methods}");
        assert_eq!(peer.call("plus", None).await["res"].is_number(), answered);
    }
    let elsewhere = Access {
        anonymous: "call".parse().unwrap(),
        anonymous_networks: vec!["10.0.0.0/8".parse().unwrap()],
        ..required()
    };
    let server = Guarded::start(&tokens, elsewhere, Limits::default()).await;
    assert_eq!(server.code(None, "plus").await, REFUSED);
}

#[tokio::test]
async fn classic_replies_stay_in_order_when_some_are_refused() {
    let access = Access { anonymous: "call".parse().unwrap(), ..required() };
    let server = Guarded::start(&Tokens::new(), access, Limits::default()).await;
    let mut peer = server.connect().await;
    peer.send([classic("all_your_methods"), classic("whom")].concat()).await;
    assert!(peer.reply().await.unwrap()["res"].as_str().unwrap().contains("role observe"));
    assert_eq!(peer.reply().await.unwrap(), json!({"res": null}));
}

#[tokio::test]
async fn a_probe_without_a_token_is_refused_at_once_however_often() {
    let server = Guarded::with(&Tokens::new()).await;
    let started = Instant::now();
    let mut peer = server.connect().await;
    for id in 0..200 {
        let reply = peer.ask(call(id, "rpc.health", None)).await;
        assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(id), &json!(REFUSED)));
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn refusals_are_held_back_and_of_one_peer_only_so_many_are_explained() {
    let server = Guarded::with(&Tokens::new()).await;
    let mut peer = server.connect().await;
    let started = Instant::now();
    assert_eq!(peer.call("plus", None).await["error"]["code"], REFUSED);
    assert!(started.elapsed() >= Duration::from_millis(100));
    let many: String = (0..100).map(|id| call(id, "plus", None)).collect();
    peer.send(many).await;
    let mut codes = Vec::new();
    for _ in 0..100 {
        codes.push(peer.reply().await.unwrap()["error"]["code"].as_i64().unwrap());
    }
    let explained = codes.iter().filter(|code| **code == REFUSED).count();
    let too_many = codes.iter().filter(|code| **code == -32002).count();
    assert!(explained >= 40 && too_many >= 30 && explained + too_many == 100, "{codes:?}");
    let requests = (0..10).map(|_| server.http("/metrics", None));
    let statuses = futures_util::future::join_all(requests).await;
    let too_many = statuses.iter().filter(|(status, _)| *status == 429).count();
    assert!(too_many >= 5, "{statuses:?}");
}

#[tokio::test]
async fn no_more_refusals_of_one_peer_are_explained_in_a_batch() {
    let server = Guarded::with(&Tokens::new()).await;
    let mut peer = server.connect().await;
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"plus","params":[1,2]}"#;
    let replies = peer.ask(format!("[{}]", [request; 600].join(","))).await;
    let codes: Vec<_> = replies.as_array().unwrap().iter().map(|it| &it["error"]["code"]).collect();
    let explained = codes.iter().filter(|code| **code == REFUSED).count();
    let too_many = codes.iter().filter(|code| **code == -32002).count();
    assert!(explained < 100 && explained + too_many == 600, "{explained} {too_many}");
}

#[tokio::test]
async fn of_a_peer_that_guesses_no_token_is_looked_at_whether_it_wants_a_reply_or_not() {
    let mut tokens = Tokens::new();
    let caller = tokens.add("caller", &[Role::Call], "");
    let server = Guarded::with(&tokens).await;
    let oneway = |guess: &str| json!({"id": 1, "method_name": "rpc.whoami", "method_args": [], "meta": {"oneway": true, "token": guess}});
    let notification = |guess: &str| json!({"jsonrpc": "2.0", "method": "plus", "params": [1, 2], "meta": {"token": guess}});
    let probe = |guess: &str| json!({"id": 1, "method_name": "rpc.health", "method_args": [], "meta": {"token": guess}});
    let guesses: [&dyn Fn(&str) -> Value; 3] = [&oneway, &notification, &probe];
    for (host, guess) in (2..).zip(guesses) {
        let mut peer = server.connect_from(host).await;
        let many: String = (0..200).map(|n| guess(&format!("rpcd_{n:040}")).to_string()).collect();
        peer.send(many).await;
        peer.send(call(9, "plus", Some(&caller))).await;
        let reply = loop {
            let reply = peer.reply().await.unwrap();
            if reply["id"] == 9 {
                break reply;
            }
        };
        assert_eq!(reply["error"]["code"], -32002, "{host}: {reply}");
        let mut other = server.connect_from(host).await;
        assert_eq!(
            other.call("plus", Some(&caller)).await["res"],
            3,
            "of one that did not guess it is"
        );
    }
}

#[tokio::test]
async fn a_token_that_is_taken_out_of_the_file_ends_calls_and_streams() {
    let mut tokens = Tokens::new();
    let all = tokens.add("all", &Role::ALL, "");
    let server = Guarded::with(&tokens).await;
    let mut peer = server.connect().await;
    assert_eq!(peer.call("whom", Some(&all)).await["res"], "all");
    peer.send([call(1, "forever", None), call(2, "rpc.logs", None)].concat()).await;
    // Both have begun when this has its reply.
    assert_eq!(peer.call("plus", None).await["res"], 3);
    let mut new = Tokens::new();
    let caller = new.add("caller", &[Role::Call], "");
    server.replace_tokens(&new);
    let mut ended = Vec::new();
    let taken = Instant::now();
    while ended.len() < 2 {
        let message = peer.reply().await.unwrap();
        if message["item"].is_null() {
            assert_eq!(message["error"]["code"], REFUSED, "{message}");
            ended.push(message["id"].as_u64().unwrap());
        }
    }
    assert!(taken.elapsed() < Duration::from_secs(1), "{:?}", taken.elapsed());
    ended.sort_unstable();
    assert_eq!(ended, [1, 2]);
    assert_eq!(peer.call("plus", None).await["error"]["code"], REFUSED);
    assert_eq!(peer.call("plus", Some(&caller)).await["res"], 3, "nobody was known any more");
}

#[tokio::test]
async fn a_stream_that_the_new_tokens_allow_goes_on() {
    let mut tokens = Tokens::new();
    let all = tokens.add("all", &Role::ALL, "");
    let server = Guarded::with(&tokens).await;
    let mut peer = server.connect().await;
    peer.send(call(1, "forever", Some(&all))).await;
    assert_eq!(peer.call("plus", None).await["res"], 3);
    tokens.add("another", &[Role::Call], "");
    server.replace_tokens(&tokens);
    assert!(timeout(Duration::from_millis(1200), peer.reply()).await.is_err());
}

#[tokio::test]
async fn a_connection_is_small_until_it_has_shown_a_token() {
    let mut tokens = Tokens::new();
    let caller = tokens.add("caller", &[Role::Call], "");
    let server = Guarded::with(&tokens).await;
    let large = |id: u32| {
        json!({"id": id, "method_name": "length", "method_args": ["x".repeat(300_000)]}).to_string()
    };
    let mut peer = server.connect().await;
    let reply = peer.ask(large(1)).await;
    assert!(reply["res"].as_str().unwrap().contains("rpc.whoami"), "{reply}");
    assert_eq!(peer.reply().await, None);
    let mut peer = server.connect().await;
    let mut both = call(1, "rpc.whoami", Some(&caller));
    both.push_str(&large(2));
    assert_eq!(peer.ask(both).await["res"]["name"], "caller");
    assert_eq!(peer.reply().await.unwrap()["res"], 300_000);
}

#[tokio::test]
async fn a_connection_that_shows_no_token_is_closed_soon_and_one_that_does_stays() {
    let mut tokens = Tokens::new();
    let caller = tokens.add("caller", &[Role::Call], "");
    let limits = Limits::default().unidentified_timeout(Duration::from_millis(400));
    let server = Guarded::start(&tokens, required(), limits).await;
    let mut known = server.connect().await;
    assert_eq!(known.call("plus", Some(&caller)).await["res"], 3);
    let (mut silent, mut asking) = (server.connect().await, server.connect().await);
    let mut keep_alive = server.connect().await;
    keep_alive.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let started = Instant::now();
    while asking.stream.write_all(call(1, "rpc.health", None).as_bytes()).await.is_ok() {
        if asking.reply().await.is_none() {
            break;
        }
        assert!(started.elapsed() < TIMEOUT, "it may ask for ever");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(silent.reply().await, None);
    let mut rest = Vec::new();
    timeout(TIMEOUT, keep_alive.stream.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(known.call("plus", None).await["res"], 3);
}

#[tokio::test]
async fn strangers_of_one_address_keep_nobody_out_and_close_no_known_connection() {
    let mut tokens = Tokens::new();
    let caller = tokens.add("caller", &[Role::Call], "");
    let limits = Limits::default()
        .unidentified_timeout(Duration::from_secs(3600))
        .max_connections(30)
        .max_unidentified_connections(Share::AtMost(4))
        .max_unidentified_connections_per_peer(Share::AtMost(3));
    let server = Guarded::start(&tokens, required(), limits).await;
    let mut known = Vec::new();
    let mut flood = Vec::new();
    for round in 0..15 {
        for first in ["", "{", "GET /healthz HT", "\x16\x03\x01"] {
            let mut peer = server.connect_from(66).await;
            peer.send(first).await;
            flood.push(peer);
        }
        let mut peer = server.connect_from(7).await;
        assert_eq!(peer.call("plus", Some(&caller)).await["res"], 3, "{round}");
        known.push(peer);
    }
    // Another stranger does not make room by closing one that is the only one of its address.
    let mut only = server.connect_from(8).await;
    assert_eq!(only.call("rpc.health", None).await["error"]["code"], REFUSED);
    for host in [66, 66, 66, 9, 9] {
        flood.push(server.connect_from(host).await);
    }
    assert_eq!(only.call("rpc.health", None).await["error"]["code"], REFUSED);
    for peer in &mut known {
        assert_eq!(peer.call("plus", None).await["res"], 3);
    }
    for peer in &mut flood[..50] {
        assert_eq!(peer.reply().await, None, "it was closed to make room");
    }
}

#[tokio::test]
async fn a_warning_guard_serves_everyone() {
    let access = Access { auth: Auth::Warn, ..Access::default() };
    let server = Guarded::start(&Tokens::new(), access, Limits::default()).await;
    for method in ["plus", "reset", "rpc.stats", "rpc.health", "rpc.whoami"] {
        assert_eq!(server.code(None, method).await, 0, "{method}");
    }
    assert_eq!(server.http("/metrics", None).await.0, 200);
    assert!(server.guard.figures().warned[0] >= 4);
}

#[tokio::test]
async fn without_a_guard_everyone_may_do_everything_and_a_token_is_nothing() {
    let mut server = builder().in_memory().unwrap();
    let whoami = server.answer(call(1, "rpc.whoami", Some(&generate())).as_bytes()).await;
    let whoami: Value = serde_json::from_slice(whoami).unwrap();
    let roles = json!(["call", "observe", "register", "operate"]);
    assert_eq!(whoami["res"], json!({"auth": "off", "roles": roles}));
    let reply = server.answer(call(2, "reset", None).as_bytes()).await;
    assert_eq!(reply, b"{\"id\":2,\"res\":\"done\"}\n");
}
