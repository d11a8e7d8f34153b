//! Connections over HTTP at a server whose guard asks for tokens: small until a request has shown one.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rpc_server::security::secret::{ExposeSecret, SecretString, generate, line};
use rpc_server::security::{Access, Auth, Guard, Role, TokenFile};
use rpc_server::{Limits, Method, Server, Share};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::harness::{JSON, Reply, TIMEOUT, kept, post, send, serve};

/// A server, the secret of who may call, and of who may observe.
async fn start(limits: Limits) -> (SocketAddr, [SecretString; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let secrets = [generate(), generate()];
    let lines = [
        line("caller", &[Role::Call], &secrets[0]),
        line("observer", &[Role::Observe], &secrets[1]),
    ];
    std::fs::write(&path, lines.map(|line| line + "\n").concat()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let access = Access { auth: Auth::Required, ..Access::default() };
    let guard = Guard::new(access, Some(TokenFile::load(&path).unwrap()));
    let length = Method::named("length").parameters(["text"]).sync(|text: String| text.len());
    let builder = Server::builder().method(length).limits(limits).guard(guard);
    (serve(builder).await, secrets)
}

fn bearer(token: &SecretString) -> String {
    format!("Authorization: Bearer {}\r\n", token.expose_secret())
}

/// Sends a request on an open connection; the status, or `None` at its end.
async fn ask(
    stream: &mut TcpStream,
    request: &str,
    body: &str,
    token: Option<&SecretString>,
) -> Option<u16> {
    let bearer = token.map(bearer).unwrap_or_default();
    let request = kept(request, &format!("{JSON}{bearer}"), body);
    // It may have been closed: the end is read.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut bytes = vec![0; 64 << 10];
    let read = timeout(TIMEOUT, stream.read(&mut bytes)).await.unwrap().unwrap_or(0);
    String::from_utf8_lossy(&bytes[..read]).split(' ').nth(1)?.parse().ok()
}

#[tokio::test]
async fn a_connection_over_http_that_has_shown_a_token_takes_no_place_of_strangers() {
    let limits = Limits::default().max_unidentified_connections(Share::AtMost(2));
    let (server, [caller, observer]) = start(limits).await;
    let mut known = Vec::new();
    for _ in 0..8 {
        for (request, body, token) in [
            ("GET /metrics", "", &observer),
            ("POST /call/length", r#"["four"]"#, &caller),
            (
                "POST /rpc",
                r#"{"jsonrpc":"2.0","id":1,"method":"length","params":["four"]}"#,
                &caller,
            ),
        ] {
            let mut stream = TcpStream::connect(server).await.unwrap();
            assert_eq!(ask(&mut stream, request, body, Some(token)).await, Some(200), "{request}");
            known.push(stream);
        }
    }
    let mut strangers = Vec::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(server).await.unwrap();
        assert_eq!(ask(&mut stream, "GET /healthz", "", None).await, Some(200));
        strangers.push(stream);
    }
    for (at, stream) in strangers.iter_mut().enumerate() {
        let expected = (at >= 8).then_some(200);
        assert_eq!(ask(stream, "GET /healthz", "", None).await, expected, "{at}");
    }
    for stream in &mut known {
        assert!(ask(stream, "GET /healthz", "", None).await.is_some());
    }
}

#[tokio::test]
async fn a_connection_over_http_is_closed_soon_unless_a_request_shows_a_token() {
    let patience = Duration::from_millis(400);
    let (server, [caller, _]) = start(Limits::default().unidentified_timeout(patience)).await;
    let mut known = TcpStream::connect(server).await.unwrap();
    let call = async |stream: &mut TcpStream, text: &str| {
        ask(stream, "POST /call/length", &format!("[{text:?}]"), Some(&caller)).await
    };
    assert_eq!(call(&mut known, "four").await, Some(200));
    let mut stranger = TcpStream::connect(server).await.unwrap();
    let began = tokio::time::Instant::now();
    // Whatever may be asked by everyone: it does not keep a connection open.
    while ask(&mut stranger, "GET /healthz", "", None).await.is_some() {
        assert!(began.elapsed() < TIMEOUT, "it may ask for ever");
        sleep(patience / 8).await;
    }
    assert!(began.elapsed() < 4 * patience, "{:?}", began.elapsed());
    sleep(patience).await;
    assert_eq!(call(&mut known, &"x".repeat(300_000)).await, Some(200));
}

#[tokio::test]
async fn who_guesses_tokens_is_soon_told_to_wait() {
    let limits = Limits::default().max_unidentified_connections_per_peer(Share::Whole);
    let (address, _) = start(limits).await;
    let guess = move |path: &'static str| async move {
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"length","params":["x"]}"#;
        let request = post(path, &format!("{JSON}{}", bearer(&generate())), body);
        send(address, &request).await
    };
    let guesses: Vec<_> = (0..70).map(|_| tokio::spawn(guess("/call/length"))).collect();
    let (mut unknown, mut too_many) = (0, 0);
    for reply in guesses {
        let Reply { status, head, body } = reply.await.unwrap();
        match status {
            401 => {
                assert!(head.contains("www-authenticate: bearer"), "{head}");
                unknown += 1;
            }
            429 => {
                assert!(head.contains("retry-after: 1"), "{head}");
                assert!(head.contains("problem+json") && body.contains("-32002"), "{head} {body}");
                too_many += 1;
            }
            _ => panic!("{head}"),
        }
    }
    assert!(unknown >= 50 && too_many >= 1, "{unknown} and {too_many}");
}
