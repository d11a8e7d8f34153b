//! Recorded bytes of earlier builds of rpcd, replayed against the one of the day in both directions:
//! a deployment is never updated all at once.

use std::net::SocketAddr;
use std::time::Duration;

use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::{SOON, eventually, soon};
use rpc_tests::http_reply::HttpReply;
use rpc_tests::queries::{http, lists};
use rpc_tests::raw::Raw;
use rpc_tests::recordings::{
    Conversation, REGISTRY, Recording, SERVER, Side, VISITOR, builds, bytes_with_ports, with_ports,
};
use rpc_tests::replayed::{Replayed, is_json, messages};
use rpc_tests::understood::{New, differences};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn the_server_replies_to_an_earlier_client_as_it_did() {
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    let mut compared = 0;
    for recording in builds().iter().flatten() {
        for conversation in &recording.server {
            let found = if is_json(conversation) {
                replay_calls(conversation, address).await
            } else {
                replay_pages(conversation, address, &[(SERVER, address)], address).await
            };
            assert_eq!(found, Vec::<String>::new(), "{}", recording.name);
            compared += 1;
        }
    }
    assert!(compared >= 20, "{compared}");
}

#[tokio::test]
async fn the_registry_replies_to_earlier_servers_and_clients_as_it_did() {
    for recordings in builds() {
        let (_registry, address) = Daemon::registry(&[]).await;
        let announced = &named(&recordings, "announce").registry[0];
        let (unregister, beats) = announced
            .rchunks_exact(2)
            .next()
            .map(|last| (last.to_vec(), announced[..announced.len() - 2].to_vec()))
            .unwrap();
        let ports = [(REGISTRY, address)];
        let others = recordings.iter().filter(|recording| recording.name != "announce");
        for recording in others {
            // The instance of the recordings registers, or sends another heartbeat.
            let found = replay_pages(&beats[..2].to_vec(), address, &ports, address).await;
            assert_eq!(found, Vec::<String>::new(), "register, before {}", recording.name);
            for conversation in &recording.registry {
                let found = replay_pages(conversation, address, &ports, address).await;
                assert_eq!(found, Vec::<String>::new(), "{}", recording.name);
            }
        }
        for exchange in [beats, unregister] {
            let found = replay_pages(&exchange, address, &ports, address).await;
            assert_eq!(found, Vec::<String>::new(), "announce");
        }
        lists(address, &[]).await;
    }
}

#[tokio::test]
async fn an_earlier_server_and_registry_understand_the_client_and_it_them() {
    for recordings in builds() {
        let daemons = Replayed::start(&recordings).await;
        // A call with an argument too few is not sent any more.
        let is_made = |recording: &&Recording| {
            !recording.arguments.is_empty() && recording.name != "call_wrong"
        };
        for recording in recordings.iter().filter(is_made) {
            let placed = |text: &String| with_ports(text, &daemons.ports());
            let arguments: Vec<_> = recording.arguments.iter().map(placed).collect();
            let expected = placed(&recording.output);
            let expected = expected.trim_end();
            let mut rpcd = Daemon::rpcd(&arguments);
            if let Some(code) = recording.code {
                let got = rpcd.exit_code().await;
                assert_eq!(got, code, "{}\n{:?}", rpcd.transcript(), daemons.complaints());
            } else {
                // It runs until it is stopped.
                rpcd.stdout().at_least(expected.lines().count()).await;
            }
            let missing = missing_output(expected, &rpcd.stdout().text());
            assert_eq!(missing, Vec::<String>::new(), "{}\n{}", recording.name, rpcd.transcript());
            assert_eq!(daemons.complaints(), Vec::<String>::new(), "{}", recording.name);
        }
    }
}

#[tokio::test]
async fn a_server_registers_with_an_earlier_registry() {
    for recordings in builds() {
        let daemons = Replayed::start(&recordings).await;
        let settings = [("SERVER_HEARTBEAT_INTERVAL", "100ms")];
        let registry = format!("http://{}", daemons.registry);
        let (mut server, address) =
            Daemon::server_with(&settings, &["--registry", &registry]).await;
        let count =
            |action: &str| daemons.posts().iter().filter(|(posted, _)| posted == action).count();
        eventually("three heartbeats", async || count("register") >= 3).await;
        server.line("it says so", |line| line.contains("registered").then_some(())).await;
        server.signal(Signal::TERM);
        assert_eq!(server.exits_within(SOON).await.code(), Some(0), "{}", server.transcript());
        assert_eq!(count("unregister"), 1, "{:?}", daemons.posts());
        assert_eq!(daemons.complaints(), Vec::<String>::new());

        let (_, recorded) = named(&recordings, "announce").registry[0]
            .first()
            .map(|(_, bytes)| split_request(bytes))
            .unwrap();
        let recorded = with_ports(&recorded, &[(SERVER, address)]);
        let recorded: Value = serde_json::from_str(&recorded).unwrap();
        for (action, body) in daemons.posts() {
            let mut expected = recorded.clone();
            expected["status"] = body["status"].clone();
            let found = differences(&expected, &body, New::Listed);
            assert_eq!(found, Vec::<String>::new(), "{action} {body}");
        }
    }
}

fn named<'a>(recordings: &'a [Recording], name: &str) -> &'a Recording {
    recordings.iter().find(|recording| recording.name == name).unwrap()
}

/// Sends what the client sent over TCP; returns how the replies differ from the recorded ones.
async fn replay_calls(conversation: &Conversation, address: SocketAddr) -> Vec<String> {
    let mut raw = Raw::connect(address).await;
    let mut found = Vec::new();
    for (side, bytes) in conversation {
        if *side == Side::Client {
            raw.send(bytes).await;
            continue;
        }
        // Replies to different calls come in any order; how many lines a log has differs.
        let mut expected: Vec<Value> = Vec::new();
        for (_, message) in messages(bytes) {
            if !expected.iter().any(|other| key(other) == key(&message)) {
                expected.push(message);
            }
        }
        let mut is_closed = false;
        while !expected.is_empty() {
            if !is_closed && expected.iter().all(is_given_up) {
                // The client had seen enough, and closed.
                raw.half_close().await;
                is_closed = true;
            }
            let ours = raw.reply().await;
            if let Some(place) = expected.iter().position(|message| key(message) == key(&ours)) {
                let recorded = expected.remove(place);
                if !(is_given_up(&recorded) && is_given_up(&ours)) {
                    found.extend(differences(&recorded, &ours, New::Listed));
                }
            } else if ours.get("item").is_none() {
                found.push(format!("{ours} was not expected, but {expected:?}"));
                break;
            }
        }
    }
    found
}

/// Which call a reply is for, and whether it is an item or the last one.
fn key(message: &Value) -> (String, bool) {
    (message["id"].to_string(), message.get("item").is_some())
}

/// A client that gives up at the deadline also cancels: either may reach the call first.
fn is_given_up(reply: &Value) -> bool {
    matches!(reply["error"]["code"].as_i64(), Some(-32000 | -32001))
}

/// The same over HTTP. An instance comes and goes while events are read.
async fn replay_pages(
    conversation: &Conversation,
    address: SocketAddr,
    ports: &[(u16, SocketAddr)],
    registry: SocketAddr,
) -> Vec<String> {
    let mut raw = Raw::connect(address).await;
    let mut found = Vec::new();
    for (side, bytes) in conversation {
        let bytes = bytes_with_ports(bytes, ports);
        if *side == Side::Client {
            raw.send(bytes).await;
            continue;
        }
        let recorded = HttpReply::read(&bytes).expect("a recorded reply");
        assert!(recorded.is_complete || recorded.is_stream(), "{recorded:?}");
        let ours = if recorded.is_stream() {
            read_events(&mut raw, &recorded, registry).await
        } else {
            read_until(&mut raw, |reply| reply.is_complete).await
        };
        // No program of ours reads a page of metrics; what is renamed on it is in the changelog.
        let kind = recorded.headers.get("content-type");
        if kind.is_some_and(|kind| kind.starts_with("application/openmetrics-text")) {
            assert_eq!(ours.status, 200, "{}", ours.body);
            continue;
        }
        let what = format!("{} and {}", recorded.body, ours.body);
        if recorded.status != ours.status {
            found.push(format!("status {} is now {}: {what}", recorded.status, ours.status));
        }
        for name in recorded.headers.keys() {
            let varies = ["date", "etag", "content-length"].contains(&name.as_str());
            let is_same = match ours.headers.get(name) {
                Some(_) if varies => true,
                other => other == recorded.headers.get(name),
            };
            if !is_same {
                found.push(format!("the header {name} differs: {what}"));
            }
        }
        found.extend(different_bodies(&recorded, &ours));
    }
    found
}

async fn read_until(raw: &mut Raw, is_enough: impl Fn(&HttpReply) -> bool) -> HttpReply {
    let mut bytes = Vec::new();
    soon("an HTTP reply", async {
        loop {
            if let Some(reply) = HttpReply::read(&bytes).filter(&is_enough) {
                return reply;
            }
            let read = raw.stream().read_buf(&mut bytes).await.unwrap();
            assert!(read > 0, "the reply ended: {}", String::from_utf8_lossy(&bytes));
        }
    })
    .await
}

/// Reads as many kinds of events as were recorded.
async fn read_events(raw: &mut Raw, recorded: &HttpReply, registry: SocketAddr) -> HttpReply {
    let kinds = |reply: &HttpReply| {
        let mut kinds: Vec<String> = reply.events().into_iter().map(|(kind, _)| kind).collect();
        kinds.dedup();
        kinds
    };
    let expected = kinds(recorded);
    let visits = expected.iter().any(|kind| kind == "unregistered");
    let visitor = json!({"protocol": "json", "host": "127.0.0.1", "port": VISITOR, "status": true,
                         "parameters": {}})
    .to_string();
    let visit = async {
        if visits {
            // After the snapshot, which comes at once.
            tokio::time::sleep(Duration::from_millis(300)).await;
            for action in ["register", "unregister"] {
                let head = format!("POST /myRegistry/{action}?proto=json");
                assert_eq!(http(registry, &head, visitor.as_bytes()).await.0, 200);
            }
        }
    };
    tokio::join!(read_until(raw, |reply| kinds(reply).len() >= expected.len()), visit).0
}

fn different_bodies(recorded: &HttpReply, ours: &HttpReply) -> Vec<String> {
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    if recorded.is_stream() {
        // Of each kind the first: how many lines a log has differs.
        let mut found = Vec::new();
        for (kind, data) in recorded.events() {
            let Some((_, same)) = ours.events().into_iter().find(|(other, _)| *other == kind)
            else {
                found.push(format!("no event {kind}"));
                continue;
            };
            let (data, same) = (json(&data).unwrap(), json(&same).unwrap());
            found.extend(differences(&data, &same, New::Listed));
        }
        return found;
    }
    if recorded.headers["content-type"] == "application/json" {
        let before = json(&recorded.body).expect("a recorded document");
        return json(&ours.body).map_or_else(
            || vec![format!("not JSON: {}", ours.body)],
            |now| differences(&before, &now, New::Listed),
        );
    }
    // Metrics: their names and types.
    let types: Vec<_> = recorded.body.lines().filter(|line| line.starts_with("# TYPE")).collect();
    assert!(!types.is_empty(), "{}", recorded.body);
    let missing = types.into_iter().filter(|line| !ours.body.contains(line));
    missing.map(|line| format!("{line} is missing")).collect()
}

/// What a script would miss in our output.
fn missing_output(expected: &str, ours: &str) -> Vec<String> {
    let lines = |text: &str| -> Option<Vec<Value>> {
        text.lines().map(|line| serde_json::from_str(line).ok()).collect()
    };
    if let (Ok(before), Ok(now)) = (serde_json::from_str(expected), serde_json::from_str(ours)) {
        return differences(&before, &now, New::Any);
    }
    match (lines(expected), lines(ours)) {
        (Some(before), Some(now)) => differences(&json!(before), &json!(now), New::Any),
        _ if expected == ours => Vec::new(),
        _ => vec![format!("it was {expected} and is {ours}")],
    }
}

fn split_request(bytes: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}
