//! Who may do what: roles, limits, ownership, and tokens that change while something goes on.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rpc_registry::security::secret::{self, ExposeSecret, SecretString};
use rpc_registry::security::{Access, AuditLog, Auth, Digest, Guard, TokenFile};
use rpc_registry::{RegistryOptions, StoreOptions};

use crate::harness::{Events, Peer, Reply, Running, get, post, within};

/// The identities of these tests: name, roles and limits.
const IDENTITIES: [(&str, &str); 10] = [
    ("nobody", "none"),
    ("caller", "call"),
    ("observer", "observe"),
    ("registrar", "register"),
    ("operator", "operate"),
    ("other", "register"),
    ("of-a", "register,observe,operate services=a"),
    ("of-net", "register,observe,operate hosts=10.1.0.0/16"),
    ("former", "observe,register,operate expires=2020-01-01"),
    ("stranger", "observe"),
];

/// A registry that asks for tokens, and the tokens.
struct Doors {
    registry: Running,
    folder: tempfile::TempDir,
    secrets: Vec<(&'static str, SecretString)>,
}

impl Doors {
    async fn start(auth: Auth, anonymous: &str) -> Self {
        Self::start_with(auth, anonymous, RegistryOptions::default()).await
    }

    async fn start_with(auth: Auth, anonymous: &str, options: RegistryOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secrets: Vec<_> =
            IDENTITIES.iter().map(|(name, _)| (*name, secret::generate())).collect();
        // It is not known there.
        write(&folder, &secrets, &["stranger"]);
        let tokens = TokenFile::load(folder.path().join("tokens")).unwrap();
        let access = Access { auth, anonymous: anonymous.parse().unwrap(), ..Access::default() };
        let guard = Guard::new(access, Some(tokens));
        let registry = Running::start(RegistryOptions { guard, ..options }).await;
        Self { registry, folder, secrets }
    }

    /// The tokens of all but these.
    fn revoke(&self, names: &[&str]) {
        write(&self.folder, &self.secrets, names);
    }

    /// The header of an identity; that of `-` shows nothing.
    fn header(&self, name: &str) -> String {
        let Some((_, secret)) = self.secrets.iter().find(|(known, _)| *known == name) else {
            return String::new();
        };
        format!("Authorization: Bearer {}\r\n", secret.expose_secret())
    }

    async fn get(&self, name: &str, target: &str) -> Reply {
        self.registry.ask(&get(target, &self.header(name))).await
    }

    async fn post(&self, name: &str, target: &str, body: &str) -> Reply {
        self.registry.ask(&post(target, &self.header(name), body)).await
    }

    async fn register(&self, name: &str, instance: &str) -> Reply {
        self.post(name, "/myRegistry/register", instance).await
    }

    async fn unregister(&self, name: &str, instance: &str) -> Reply {
        self.post(name, "/myRegistry/unregister", instance).await
    }
}

fn write(folder: &tempfile::TempDir, secrets: &[(&str, SecretString)], without: &[&str]) {
    let lines = IDENTITIES.iter().zip(secrets).filter(|((name, _), _)| !without.contains(name));
    let lines = lines.map(|((name, rights), (_, secret))| {
        let (roles, limits) = rights.split_once(' ').unwrap_or((rights, ""));
        format!("{name} {roles} {} {limits}\n", Digest::of(secret))
    });
    let text: String = lines.collect();
    let (path, next) = (folder.path().join("tokens"), folder.path().join("next"));
    std::fs::write(&next, text).unwrap();
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(next, path).unwrap();
}

fn instance(host: &str, port: u16, service: &str) -> String {
    format!(
        r#"{{"protocol":"json","host":"{host}","port":{port},"parameters":{{"service":"{service}"}}}}"#
    )
}

fn ports(reply: &Reply) -> Vec<u64> {
    let list: Vec<serde_json::Value> = serde_json::from_str(&reply.body).unwrap();
    list.iter().map(|instance| instance["port"].as_u64().unwrap()).collect()
}

const OVERRIDE: &str = "/v1/overrides/json/10.1.0.1/1";
const DRAINING: &str = r#"{"state":"draining"}"#;

/// A request of each route.
fn requests(header: &str) -> Vec<(&'static str, String)> {
    let get = |target: &str| get(target, header);
    let with = |method: &str, target: &str, body: &str| {
        post(target, header, body).replacen("POST", method, 1)
    };
    let one = instance("10.1.0.1", 1, "a");
    vec![
        ("open", get("/healthz")),
        ("observe", get("/readyz")),
        ("observe", get("/metrics")),
        ("observe", get("/myRegistry/findAllInstances?proto=json")),
        ("observe", get("/v1/instances")),
        ("observe", get("/v1/catalog")),
        ("observe", get("/sd/prometheus")),
        ("observe", get("/v1/overrides")),
        ("register", with("POST", "/myRegistry/register", &one)),
        ("register", with("POST", "/v1/heartbeats", "[]")),
        ("register or operate", with("POST", "/myRegistry/unregister", &one)),
        ("operate", with("PUT", OVERRIDE, DRAINING)),
        ("operate", with("DELETE", OVERRIDE, "")),
        ("operate", with("DELETE", "/v1/brake", "")),
    ]
}

#[tokio::test]
async fn each_route_needs_its_role_and_an_unknown_path_tells_nothing() {
    let doors = Doors::start(Auth::Required, "none").await;
    let mut from = 0;
    for name in ["-", "stranger", "former", "nobody", "caller", "observer", "registrar", "operator"]
    {
        let role = match name {
            "observer" => "observe",
            "registrar" => "register",
            "operator" => "operate",
            _ => "-",
        };
        for (needed, request) in requests(&doors.header(name)) {
            // None of these addresses is refused too often.
            from += 1;
            let mut peer = Peer::connect_from([127, 0, 1, from], doors.registry.address).await;
            peer.send(&request).await;
            let reply = peer.reply().await;
            let is_known = !["-", "stranger", "former"].contains(&name);
            let expected = match needed {
                "open" => 200,
                _ if needed.contains(role) => 200,
                _ if is_known => 403,
                _ => 401,
            };
            assert_eq!(reply.status, expected, "{name}: {request}\n{}", reply.body);
            if expected != 200 {
                let first = needed.split(' ').next().unwrap();
                assert!(reply.body.contains(&format!("role {first}")), "{}", reply.body);
                let challenge = reply.header("www-authenticate").unwrap();
                assert!(challenge.starts_with("Bearer realm=\"rpcd\""), "{challenge}");
                assert!(challenge.ends_with(&format!("scope=\"{first}\"")), "{challenge}");
            }
        }
        assert_eq!(doors.get(name, "/v1/instances/").await.status, 404);
        assert_eq!(doors.get(name, "/v1/nothing").await.status, 404);
    }
}

#[tokio::test]
async fn the_refusal_of_a_wrong_token_says_whether_it_has_expired() {
    let doors = Doors::start(Auth::Required, "none").await;
    let wrong = doors.get("stranger", "/v1/instances").await.body;
    assert!(wrong.contains("this token is not known here"), "{wrong}");
    let former = doors.get("former", "/v1/instances").await.body;
    assert!(former.contains("this token has expired"), "{former}");
    // Two tokens are none.
    let twice = doors.header("observer").repeat(2);
    assert_eq!(doors.registry.ask(&get("/v1/instances", &twice)).await.status, 401);
}

#[tokio::test]
async fn who_shows_no_token_may_do_what_anyone_may_and_warn_refuses_nothing() {
    let doors = Doors::start(Auth::Required, "observe,register").await;
    for name in ["-", "stranger", "caller"] {
        assert_eq!(doors.get(name, "/v1/instances").await.status, 200, "{name}");
    }
    assert_eq!(doors.register("-", &instance("10.1.0.1", 1, "a")).await.status, 200);
    let doors = Doors::start(Auth::Warn, "none").await;
    for (_, request) in requests("") {
        assert_eq!(doors.registry.ask(&request).await.status, 200, "{request}");
    }
    let metric = r#"rpc_registry_denied_total{outcome="warned",reason="unknown"}"#;
    assert!(doors.registry.metric(metric).await > 10.0);
}

#[tokio::test]
async fn limits_to_services_and_hosts_hold_for_registering_and_operating() {
    let doors = Doors::start(Auth::Required, "none").await;
    let [a, b] = ["a", "b"].map(|service| instance("10.1.0.1", 1, service));
    let elsewhere = instance("10.2.0.1", 1, "a");
    let named = instance("db.example", 1, "a");
    for (name, body, is_allowed) in [
        ("of-a", &b, false),
        ("of-a", &a, true),
        ("of-net", &elsewhere, false),
        ("of-net", &named, false),
        // Registered by another, of whom it may operate all.
        ("of-net", &b, true),
        // What is listed there is of another service by now.
        ("of-a", &a, false),
    ] {
        let status = doors.register(name, body).await.status;
        assert_eq!(status, if is_allowed { 200 } else { 403 }, "{name} {body}");
    }
    let put = async |name: &str, path: &str| {
        let request = post(path, &doors.header(name), DRAINING).replacen("POST", "PUT", 1);
        doors.registry.ask(&request).await.status
    };
    assert_eq!(put("of-net", OVERRIDE).await, 200);
    assert_eq!(put("of-net", "/v1/overrides/json/10.2.0.1/1").await, 403);
    assert_eq!(put("of-a", OVERRIDE).await, 403);
    assert_eq!(put("of-a", "/v1/overrides/json/10.1.0.9/9").await, 403, "of no known service");
    for (path, status) in [("/v1/logs", 403), ("/metrics", 403), ("/v1/brake", 404)] {
        assert_eq!(doors.get("of-a", path).await.status, status, "{path}");
    }
    let release = get("/v1/brake", &doors.header("of-a")).replacen("GET", "DELETE", 1);
    assert_eq!(doors.registry.ask(&release).await.status, 403, "it concerns all instances");
}

#[tokio::test]
async fn nobody_beats_replaces_or_unregisters_what_another_has_registered_except_an_operator() {
    let doors = Doors::start(Auth::Required, "none").await;
    let (mine, changed) = (instance("10.1.0.1", 1, "a"), instance("10.1.0.1", 1, "b"));
    assert_eq!(doors.register("registrar", &mine).await.status, 200);
    for body in [&mine, &changed] {
        let refused = doors.register("other", body).await;
        assert_eq!(refused.status, 403);
        assert!(refused.body.contains("another identity"), "{}", refused.body);
        assert!(!refused.body.contains("registrar"), "it names nobody");
        assert_eq!(doors.unregister("other", body).await.status, 403);
    }
    let beat = r#"[{"protocol":"json","host":"10.1.0.1","port":1}]"#;
    let beats = async |name: &str| doors.post(name, "/v1/heartbeats", beat).await.body;
    assert!(beats("other").await.contains(r#""renewed":0"#));
    assert!(beats("registrar").await.contains(r#""renewed":1"#));
    assert_eq!(doors.register("registrar", &changed).await.status, 200);
    assert_eq!(ports(&doors.get("observer", "/v1/instances").await), [1]);
    assert_eq!(doors.unregister("operator", &changed).await.status, 200);
    assert_eq!(ports(&doors.get("observer", "/v1/instances").await), [0u64; 0]);
}

#[tokio::test]
async fn what_was_registered_without_a_name_is_taken_by_the_first_who_shows_one() {
    let doors = Doors::start(Auth::Required, "register").await;
    let body = instance("10.1.0.1", 1, "a");
    for (name, status) in [("-", 200), ("registrar", 200), ("-", 403), ("other", 403)] {
        assert_eq!(doors.register(name, &body).await.status, status, "{name}");
    }
}

#[tokio::test]
async fn whose_an_instance_is_outlives_the_registry() {
    let data = tempfile::tempdir().unwrap();
    let options = || RegistryOptions {
        store: StoreOptions::Redb { data_dir: data.path().to_owned() },
        ..RegistryOptions::default()
    };
    let body = instance("10.1.0.1", 1, "a");
    let doors = Doors::start_with(Auth::Required, "none", options()).await;
    assert_eq!(doors.register("registrar", &body).await.status, 200);
    doors.registry.end().await;
    let doors = Doors::start_with(Auth::Required, "none", options()).await;
    assert_eq!(doors.register("other", &body).await.status, 403);
    assert_eq!(doors.register("registrar", &body).await.status, 200);
}

#[tokio::test]
async fn a_reader_sees_only_what_it_may_in_lists_and_everybody_who_may_sees_all() {
    let doors = Doors::start(Auth::Required, "register").await;
    for (host, port, service) in
        [("10.1.0.1", 1, "a"), ("10.1.0.1", 2, "b"), ("10.2.0.1", 3, "a"), ("10.2.0.1", 4, "b")]
    {
        assert_eq!(doors.register("-", &instance(host, port, service)).await.status, 200);
        let path = format!("/v1/overrides/json/{host}/{port}");
        let request = post(&path, &doors.header("operator"), DRAINING).replacen("POST", "PUT", 1);
        if port % 3 == 1 {
            assert_eq!(doors.registry.ask(&request).await.status, 200);
        }
    }
    for (name, all, usable, drained) in [
        ("observer", &[1, 2, 3, 4][..], &[2, 3][..], &[1, 4][..]),
        ("of-a", &[1, 3], &[3], &[1]),
        ("of-net", &[1, 2], &[2], &[1]),
    ] {
        let of = async |target: &str| doors.get(name, target).await;
        // Twice: the second time from what was prepared.
        for _ in 0..2 {
            let list = of("/myRegistry/findAllInstances?proto=json").await;
            assert_eq!(ports(&list), usable, "{name}");
            let tag = format!(
                "{}If-None-Match: {}\r\n",
                doors.header(name),
                list.header("etag").unwrap()
            );
            let again = get("/myRegistry/findAllInstances?proto=json", &tag);
            assert_eq!(doors.registry.ask(&again).await.status, 304);
        }
        assert_eq!(ports(&of("/v1/instances").await), all, "{name}");
        assert_eq!(ports(&of("/v1/overrides").await), drained, "{name}");
        let shown = of("/sd/prometheus").await.body.matches("\"targets\"").count();
        assert_eq!(shown, all.len(), "{name}");
        let catalog = of("/v1/catalog").await.body;
        assert_eq!(catalog.contains(r#""name":"b""#), name != "of-a", "{name}: {catalog}");
    }
    let of_all = doors.get("observer", "/myRegistry/findAllInstances?proto=json").await;
    let tag =
        format!("{}If-None-Match: {}\r\n", doors.header("of-a"), of_all.header("etag").unwrap());
    let other = doors.registry.ask(&get("/myRegistry/findAllInstances?proto=json", &tag)).await;
    assert_eq!(other.status, 200, "the list of another is another");
}

#[tokio::test]
async fn a_watch_has_only_what_its_reader_may_see() {
    let doors = Doors::start(Auth::Required, "register").await;
    let [a, b] = ["a", "b"].map(|service| instance("10.1.0.1", 1, service));
    let mut events = Events::open(&doors.registry, "/v1/watch", &doors.header("of-a")).await;
    assert_eq!(events.next().await.unwrap().data, "[]");
    doors.register("-", &instance("10.1.0.1", 2, "b")).await;
    doors.register("-", &a).await;
    let mut next = async || {
        let event = events.next().await.unwrap();
        (event.json()["port"].as_u64().unwrap(), event.name)
    };
    assert_eq!(next().await, (1, "registered".to_owned()));
    // To its reader an instance that moves to another service has left.
    doors.register("-", &b).await;
    assert_eq!(next().await, (1, "unregistered".to_owned()));
}

#[tokio::test]
async fn what_goes_on_ends_within_two_seconds_of_the_end_of_its_token() {
    let options = RegistryOptions {
        // They end although nothing is sent on them.
        keep_alive: Duration::from_secs(3600),
        log_ring: Some(rpc_host::logging::LogRing::new(10)),
        ..RegistryOptions::default()
    };
    let doors = Doors::start_with(Auth::Required, "register", options).await;
    let header = doors.header("observer");
    let mut streams = Vec::new();
    for target in ["/v1/watch", "/v1/logs"] {
        streams.push(Events::open(&doors.registry, target, &header).await);
    }
    let list = doors.get("observer", "/myRegistry/findAllInstances?proto=json").await;
    let tag = format!("{header}If-None-Match: {}\r\n", list.header("etag").unwrap());
    let mut poll: Peer = doors.registry.peer().await;
    poll.send(&get("/myRegistry/findAllInstances?proto=json&wait=30s", &tag)).await;
    // One connection goes on after its request is refused.
    let mut kept = doors.registry.peer().await;
    kept.send(&get("/v1/instances", &header)).await;
    assert_eq!(kept.reply().await.status, 200);

    doors.revoke(&["stranger", "observer"]);
    let ended = async {
        loop {
            kept.send(&get("/v1/instances", &header)).await;
            if kept.reply().await.status == 401 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for stream in &mut streams {
            while stream.next().await.is_some() {}
        }
        assert_eq!(poll.reply().await.status, 401);
    };
    tokio::time::timeout(Duration::from_secs(2), ended).await.unwrap();
    within(doors.registry.end()).await;
}

#[tokio::test]
async fn who_is_refused_too_often_is_told_to_wait_and_nobody_else() {
    let doors = Doors::start(Auth::Required, "none").await;
    let mut peers = Vec::new();
    for _ in 0..80 {
        let mut peer = Peer::connect_from([127, 0, 0, 9], doors.registry.address).await;
        peer.send(&get("/v1/instances", &doors.header("stranger"))).await;
        peers.push(peer);
    }
    let mut statuses = Vec::new();
    for mut peer in peers {
        let reply = peer.reply().await;
        if reply.status == 429 {
            reply.refuses(429, "too many refused requests");
            assert_eq!(reply.header("retry-after"), Some("1"));
        }
        statuses.push(reply.status);
    }
    let refused = statuses.iter().filter(|status| **status == 401).count();
    assert!((50..75).contains(&refused), "{statuses:?}");
    // Its own good token still works, and so does another address.
    let mut peer = Peer::connect_from([127, 0, 0, 9], doors.registry.address).await;
    peer.send(&get("/v1/instances", &doors.header("observer"))).await;
    assert_eq!(peer.reply().await.status, 200);
    assert_eq!(doors.get("-", "/v1/instances").await.status, 401);
}

#[tokio::test]
async fn strangers_of_one_address_keep_nobody_out_and_close_no_known_connection() {
    let options = RegistryOptions {
        max_connections: 30,
        max_unidentified_connections: rpc_host::shares::Share::AtMost(4),
        max_unidentified_connections_per_peer: rpc_host::shares::Share::AtMost(3),
        unidentified_timeout: Duration::from_secs(3600),
        ..RegistryOptions::default()
    };
    let doors = Doors::start_with(Auth::Required, "none", options.clone()).await;
    let connect = async |host| Peer::connect_from([127, 0, 0, host], doors.registry.address).await;
    let asks = get("/v1/instances", &doors.header("observer"));
    let (mut known, mut flood) = (Vec::new(), Vec::new());
    for round in 0..15 {
        for first in ["", "G", "GET /healthz HTTP/1.1\r\nHo"] {
            let mut peer = connect(66).await;
            peer.send(first).await;
            flood.push(peer);
        }
        let mut peer = connect(7).await;
        peer.send(&asks).await;
        assert_eq!(peer.reply().await.status, 200, "{round}");
        known.push(peer);
    }
    for mut peer in known {
        peer.send(&asks).await;
        assert_eq!(peer.reply().await.status, 200);
    }
    for mut peer in flood.drain(..40) {
        assert_eq!(peer.end().await, "", "it was closed to make room");
    }
    // Who may do something without is no stranger.
    let doors = Doors::start_with(Auth::Required, "observe", options).await;
    let mut others = Vec::new();
    for _ in 0..20 {
        let mut peer = doors.registry.peer().await;
        peer.send(&get("/healthz", "")).await;
        assert_eq!(peer.reply().await.status, 200);
        others.push(peer);
    }
    for mut peer in others {
        peer.send(&get("/healthz", "")).await;
        assert_eq!(peer.reply().await.status, 200);
    }
}

#[tokio::test]
async fn a_connection_on_which_nobody_shows_who_it_is_is_closed_soon_and_others_stay() {
    let options = RegistryOptions {
        unidentified_timeout: Duration::from_secs(1),
        header_timeout: Duration::from_secs(3600),
        ..RegistryOptions::default()
    };
    let doors = Doors::start_with(Auth::Required, "none", options).await;
    let asks = get("/v1/instances", &doors.header("observer"));
    let mut known = doors.registry.peer().await;
    known.send(&asks).await;
    assert_eq!(known.reply().await.status, 200);
    let silent = doors.registry.peer().await;
    let mut healthy = doors.registry.peer().await;
    healthy.send(&get("/healthz", "")).await;
    assert_eq!(healthy.reply().await.status, 200);
    let mut slow = doors.registry.peer().await;
    slow.send("GET /v1/instances HTTP/1.1\r\nAuthor").await;
    let started = std::time::Instant::now();
    for mut stranger in [silent, healthy, slow] {
        assert_eq!(stranger.end().await, "");
    }
    assert!(started.elapsed() < Duration::from_millis(1900), "a head is no request yet");
    // Several times as long as they had.
    let again = doors.registry.peer().await.end().await;
    assert_eq!(again, "");
    known.send(&asks).await;
    assert_eq!(known.reply().await.status, 200);
}

#[tokio::test]
async fn of_a_request_that_is_refused_for_its_sender_little_is_read() {
    let hour = Duration::from_secs(3600);
    let options = RegistryOptions {
        max_unidentified_bytes: 1000,
        unidentified_timeout: hour,
        body_timeout: hour,
        ..RegistryOptions::default()
    };
    let doors = Doors::start_with(Auth::Required, "none", options).await;
    let head =
        "POST /myRegistry/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n";
    let mut peer = doors.registry.peer().await;
    peer.send(&format!("{head}{}", "x".repeat(2000))).await;
    assert_eq!(peer.reply().await.status, 401);
}

#[tokio::test]
async fn the_audit_log_says_who_did_what_and_what_was_refused_and_never_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inner/audit");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    let options = RegistryOptions {
        audit: Some(AuditLog::open(&path).unwrap()),
        ..RegistryOptions::default()
    };
    let doors = Doors::start_with(Auth::Required, "none", options).await;
    let (mine, changed) = (instance("10.1.0.1", 1, "a"), instance("10.1.0.1", 1, "b"));
    for body in [&mine, &mine, &changed] {
        assert_eq!(doors.register("registrar", body).await.status, 200);
    }
    doors.register("other", &mine).await;
    let put = post(OVERRIDE, &doors.header("operator"), DRAINING).replacen("POST", "PUT", 1);
    assert_eq!(doors.registry.ask(&put).await.status, 200);
    doors.unregister("operator", &mine).await;
    doors.get("stranger", "/v1/logs").await;
    doors.get("stranger", &format!("/v1/instances?{}", "a".repeat(7_000))).await;
    let long = format!("/v1/overrides/json/{}/1", "a".repeat(7_000));
    let put = post(&long, &doors.header("stranger"), DRAINING).replacen("POST", "PUT", 1);
    doors.registry.ask(&put).await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.lines().all(|line| line.len() < 1_000), "a stranger fills no disk: {text}");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<_> = lines
        .iter()
        .map(|line| (line["deed"].as_str().unwrap(), line["who"].as_str().unwrap_or("-")))
        .collect();
    assert_eq!(
        said,
        [
            ("registered", "registrar"),
            ("replaced", "registrar"),
            ("refused", "other"),
            ("overridden", "operator"),
            ("unregistered", "operator"),
            ("refused", "-"),
            ("refused", "-"),
            ("refused", "-"),
        ]
    );
    assert_eq!(lines[0]["instance"]["host"], "10.1.0.1");
    assert!(lines[2]["what"].as_str().unwrap().contains("another identity"), "{text}");
    for (_, secret) in &doors.secrets {
        assert!(!text.contains(secret.expose_secret()));
    }

    // While it cannot be written, what needs a line is refused, and heartbeats go on.
    assert_eq!(doors.register("registrar", &mine).await.status, 200);
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    doors.get("stranger", "/v1/logs").await;
    doors.register("registrar", &changed).await.refuses(503, "audit: the log cannot be written");
    doors.unregister("registrar", &mine).await.refuses(503, "audit: ");
    assert_eq!(doors.register("registrar", &mine).await.status, 200);
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    assert_eq!(doors.register("registrar", &changed).await.status, 200);
    let text = std::fs::read_to_string(&path).unwrap();
    let deeds: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["deed"].clone())
        .collect();
    assert_eq!(deeds, ["refused", "replaced"], "the refusal was kept");
}

/// This machine's address in a network, if it is in one: to a peer on loopback it is elsewhere.
async fn own_address() -> Option<std::net::IpAddr> {
    let socket = tokio::net::UdpSocket::bind("0.0.0.0:0").await.ok()?;
    // Sends nothing; it only selects the route.
    socket.connect("192.0.2.1:9").await.ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

/// A stranger could make the registry reach into networks that only the registry reaches.
#[tokio::test]
async fn a_registry_connects_nowhere_but_where_a_registration_came_from() {
    let Some(elsewhere) = own_address().await else {
        return println!("skipped: this machine is in no network");
    };
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let options = RegistryOptions {
        ttl: Duration::from_millis(200),
        check_interval: Duration::from_millis(50),
        ..RegistryOptions::default()
    };
    let registry = Running::start(options).await;
    let url = format!("http://{elsewhere}:{port}/");
    let body = |host: &str| {
        serde_json::json!({
            "protocol": "json", "host": host, "port": port,
            "parameters": { "wire": 1, "contract": url, "health": url, "check": { "http": url } },
        })
        .to_string()
    };
    // It unregisters as well: then its return could be proven by a connection.
    for path in ["register", "unregister", "register"] {
        let body = body(&elsewhere.to_string());
        assert_eq!(registry.post(&format!("/myRegistry/{path}"), &body).await.status, 200);
    }
    let gone = async {
        while registry.get("/v1/instances").await.body != "[]" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = within(gone) => {}
        connected = listener.accept() => panic!("it connects to {:?}", connected.unwrap().1),
    }
    // Where a registration came from it asks whether the instance lives: that is heard.
    registry.post("/myRegistry/register", &body("127.0.0.1")).await;
    within(listener.accept()).await.unwrap();
}
