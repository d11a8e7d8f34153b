//! Attacks on a registry.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use super::ground::Targets;
use super::stranger::{Piece, Replies, Stranger, piece};

/// Unread lists of 1,000 instances of 4 KB, each of another revision (M3).
pub(super) async fn unread_lists(at: Targets, by: Stranger) {
    let mut tasks = JoinSet::<()>::new();
    tasks.spawn(async move {
        loop {
            let all = (0..1_000).map(|number| register(&instance(number, &json!(1))));
            send_all(at, by, all.collect()).await;
            sleep(Duration::from_secs(3)).await;
        }
    });
    let mut changes = interval(Duration::from_millis(20));
    for change in 0..150 {
        changes.tick().await;
        send_all(at, by, vec![register(&instance(0, &json!(change)))]).await;
        for path in ["/myRegistry/findAllInstances?proto=json", "/v1/watch?proto=json"] {
            let request = [get(path)];
            tasks.spawn(async move { by.persist(at.registry, &request, Replies::Unread).await });
        }
    }
    tasks.join_all().await;
}

/// 30,000 instances of 4 KB, registered again and again (M4).
pub(super) async fn many_instances(at: Targets, by: Stranger) {
    let mut tasks = JoinSet::<()>::new();
    for share in 0..16 {
        tasks.spawn(async move {
            loop {
                let all = (share * 2_000..(share + 1) * 2_000)
                    .map(|number| register(&instance(number, &json!(2))));
                send_all(at, by, all.collect()).await;
            }
        });
    }
    tasks.join_all().await;
}

/// As many instances of 4 KB as the table takes.
pub(super) async fn fill(at: Targets, by: Stranger) {
    for share in 0..26 {
        let all = (share * 1_000..(share + 1) * 1_000).map(|it| register(&instance(it, &json!(3))));
        send_all(at, by, all.collect()).await;
    }
}

/// 2,000 watchers, and searches through the log (M6).
pub(super) async fn watchers(at: Targets, by: Stranger) {
    let watch = get("/v1/watch?proto=json&beats=1");
    let search =
        piece("GET /v1/logs?contains=z HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let requests = [vec![vec![watch]; 2_000], vec![vec![search]; 20]].concat();
    by.hold(at.registry, requests, Replies::Read).await;
}

/// 2,400 requests that never end: half of their heads, or all but the end of their bodies.
pub(super) async fn unfinished(at: Targets, by: Stranger) {
    let head = piece(format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(60_000)));
    let body = piece(format!(
        "POST /v1/heartbeats HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: 65000\r\n\r\n[{}",
        " ".repeat(64_000)
    ));
    let requests = [vec![vec![head]; 1_200], vec![vec![body]; 1_200]].concat();
    by.hold(at.registry, requests, Replies::Unread).await;
}

/// Pages of 1,000 instances of 4 KB for 600 readers that read none.
pub(super) async fn pages(at: Targets, by: Stranger) {
    let all = (50_000..51_000).map(|number| register(&instance(number, &json!(4))));
    send_all(at, by, all.collect()).await;
    let pages = ["/v1/instances?proto=json", "/sd/prometheus"].map(|path| vec![get(path)]);
    by.hold(at.registry, pages.into_iter().cycle().take(600), Replies::Unread).await;
}

/// An instance whose parameters are 125 deep, which beats (H6).
pub(super) async fn deep(at: Targets, by: Stranger) {
    let deep = (0..124).fold(json!([]), |inside, _| json!([inside]));
    loop {
        let mut instance = instance(77_777, &json!(0));
        instance["parameters"] = json!({ "a": deep });
        send_all(at, by, vec![register(&instance)]).await;
        sleep(Duration::from_secs(2)).await;
    }
}

/// The request that registers `instance`.
pub(super) fn register(instance: &Value) -> Piece {
    let body = instance.to_string();
    piece(format!(
        "POST /myRegistry/register?proto=json HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// Sends these requests on one connection and reads the replies. Errors are the other side's defence.
pub(super) async fn send_all(at: Targets, by: Stranger, requests: Vec<Piece>) {
    let Ok(stream) = by.connect(at.registry).await else {
        return sleep(Duration::from_millis(100)).await;
    };
    let (mut reader, mut writer) = stream.into_split();
    let count = requests.len();
    let write = async {
        for request in requests {
            if writer.write_all(&request).await.is_err() {
                break;
            }
        }
        // Whoever is refused is closed; what is not read is not waited for long.
        sleep(Duration::from_secs(5)).await;
    };
    let read = async {
        const BEGIN: &[u8] = b"HTTP/1.1 ";
        let (mut input, mut replies) = (Vec::new(), 0);
        while let Ok(1..) = reader.read_buf(&mut input).await {
            replies += input.windows(BEGIN.len()).filter(|bytes| *bytes == BEGIN).count();
            if replies >= count {
                break;
            }
            // Perhaps half of the next one's begin.
            input.drain(..input.len().saturating_sub(BEGIN.len() - 1));
        }
    };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
}

/// An instance of 4 KB, with an address that nobody has.
fn instance(number: usize, change: &Value) -> Value {
    let host = format!("10.{}.{}.{}", number >> 16, (number >> 8) & 255, number & 255);
    json!({
        "protocol": "json", "host": host, "port": 9, "status": true,
        "parameters": {"change": change, "text": "x".repeat(3_500)},
    })
}

fn get(path: &str) -> Piece {
    piece(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
}
