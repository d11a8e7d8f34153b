//! Any split of any sequence of requests into segments gives the same replies.

use std::net::SocketAddr;

use proptest::prelude::*;
use rpc_server::{Server, builtin};
use rpc_tests::raw::Raw;
use serde_json::Value;
use tokio::io::AsyncReadExt;

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn any_split_of_any_sequence_of_requests_gives_the_same_replies(
        requests in prop::collection::vec(request(), 1..12),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        close_early in any::<bool>(),
    ) {
        let whole = requests.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len())).collect();
        cuts.extend([0, whole.len()]);
        cuts.sort_unstable();
        cuts.dedup();
        let pieces: Vec<&[u8]> =
            cuts.windows(2).map(|cut| &whole.as_bytes()[cut[0]..cut[1]]).collect();
        // Server and client share one thread, so a yield lets the server read each piece
        // separately.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (at_once, in_pieces) = runtime.block_on(async {
            let address = serve().await;
            (
                replies(address, &[whole.as_bytes()], requests.len(), close_early).await,
                replies(address, &pieces, requests.len(), close_early).await,
            )
        });
        prop_assert_eq!(at_once.len(), requests.len());
        prop_assert_eq!(at_once, in_pieces);
    }
}

/// One request that gets one reply, classic or extended, valid or not, with any white space that
/// may separate values.
fn request() -> impl Strategy<Value = String> {
    let text = r#"[a-zA-Z0-9 {}\[\]:,äß😀]{0,12}"#;
    let value = prop_oneof![
        any::<i32>().prop_map(|number| number.to_string()),
        text.prop_map(|text| Value::String(text).to_string()),
        Just("null".to_owned()),
        Just(r#"{"a":[1,{"b":"}\"{\\"}]}"#.to_owned()),
    ];
    let method = prop_oneof![
        Just("add"),
        Just("subtract"),
        Just("echo"),
        Just("hello"),
        Just("hi"),
        Just("nope"),
        Just("reverse_string"),
        Just("all_your_methods"),
    ];
    let id = prop_oneof![
        3 => Just(String::new()),
        2 => (0..5).prop_map(|id| format!(r#""id":{id},"#)),
        1 => Just(r#""id":"é\"}","#.to_owned()),
    ];
    let wrong = prop_oneof![
        Just("{}".to_owned()),
        Just("[1,[2]]".to_owned()),
        Just(r#"{"id":3}"#.to_owned()),
        Just(r#"{"jsonrpc":"2.0","id":1,"method":"add"}"#.to_owned()),
        Just(r#"{"method_name":5,"method_args":[],"method_kwargs":{}}"#.to_owned()),
    ];
    let call = (id, method, prop::collection::vec(value, 0..4)).prop_map(|(id, method, args)| {
        let args = args.join(", ");
        format!(
            r#"{{{id}"method_name": "{method}", "method_args": [{args}], "method_kwargs": {{}}}}"#
        )
    });
    let between = prop_oneof![Just(""), Just("\n"), Just("\r\n\t "), Just("  ")];
    (prop_oneof![6 => call, 1 => wrong], between).prop_map(|(request, between)| request + between)
}

async fn serve() -> SocketAddr {
    let server = Server::builder().methods(builtin::methods()).bind(([127, 0, 0, 1], 0));
    let server = server.await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serve(std::future::pending()));
    address
}

/// Classic replies in order, then extended ones, whose order is free, sorted.
async fn replies(
    address: SocketAddr,
    pieces: &[&[u8]],
    expected: usize,
    close_early: bool,
) -> Vec<String> {
    let mut raw = Raw::connect(address).await;
    send_apart(&mut raw, pieces).await;
    let mut lines = Vec::new();
    if close_early {
        raw.half_close().await;
        let rest = String::from_utf8(raw.rest().await).unwrap();
        lines.extend(rest.lines().map(str::to_owned));
    } else {
        while lines.len() < expected {
            lines.push(raw.line().await.expect("one reply per request"));
        }
    }
    let (mut extended, mut classic): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| line.starts_with(r#"{"id":"#));
    extended.sort();
    classic.append(&mut extended);
    classic
}

/// On a runtime of one thread the other side reads each piece before the next one is sent.
async fn send_apart(raw: &mut Raw, pieces: &[&[u8]]) {
    for piece in pieces {
        raw.send(piece).await;
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "current_thread")]
async fn pieces_are_read_one_by_one() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let reads = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut reads, mut bytes) = (0, [0; 64]);
        while stream.read(&mut bytes).await.unwrap() > 0 {
            reads += 1;
        }
        reads
    });
    let mut raw = Raw::connect(address).await;
    send_apart(&mut raw, &[b"{".as_slice(); 50]).await;
    drop(raw);
    let reads = reads.await.unwrap();
    // The first few may be read together, before the accept.
    assert!(reads >= 45, "{reads} reads of 50 pieces");
}
