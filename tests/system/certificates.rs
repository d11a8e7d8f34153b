//! Certificates as identities, on real processes: what their lines in the file of tokens allow, and what becomes of what
//! is open when that ends.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rpc_registry::security::Role;
use rpc_registry::security::secret::{self, ExposeSecret};
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::{eventually, soon};
use rpc_tests::pki::{Authority, Issued, Subject};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::ways::Way;

/// An authority, and a file of tokens.
struct House {
    authority: Authority,
    of_daemons: Issued,
    crl: PathBuf,
}

impl House {
    fn new(lines: &str) -> Self {
        let authority = Authority::new("house");
        let of_daemons = authority.issue("daemon", &Subject::server(&["orders"]));
        let crl = authority.revoke(&[]);
        let house = Self { authority, of_daemons, crl };
        house.write(lines);
        house
    }

    fn tokens(&self) -> PathBuf {
        self.authority.folder().join("tokens")
    }

    fn write(&self, lines: &str) {
        let next = self.authority.folder().join("next");
        std::fs::write(&next, lines).unwrap();
        std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(&next, self.tokens()).unwrap();
    }

    /// The certificate of a client.
    fn issue(&self, host: &str) -> Issued {
        self.authority.issue(host, &Subject::of(&[host]))
    }

    /// That of a service, as a client.
    fn of_service(&self, name: &str) -> Issued {
        self.authority.issue(name, &Subject { services: &[name], ..Subject::of(&[]) })
    }

    async fn registry(&self, further: &[(&str, &str)]) -> (Daemon, SocketAddr) {
        Daemon::registry_with(&[&self.settings().each_ref().map(pair), further].concat(), 0, &[])
            .await
    }

    async fn server(&self, further: &[(&str, &str)], flags: &[&str]) -> (Daemon, SocketAddr) {
        Daemon::server_with(&[&self.settings().each_ref().map(pair), further].concat(), flags).await
    }

    fn settings(&self) -> [(&'static str, String); 5] {
        [
            ("TLS_CERT", text(&self.of_daemons.cert)),
            ("TLS_KEY", text(&self.of_daemons.key)),
            ("TLS_CLIENT_CA", text(&self.authority.ca())),
            ("TLS_CRL", text(&self.crl)),
            ("SECURITY_TOKENS", text(&self.tokens())),
        ]
    }

    fn way(&self, own: &Issued) -> Way {
        Way::tls(self.authority.ca(), Some(own))
    }

    /// Runs a client command with that certificate.
    async fn rpcd(&self, own: &Issued, further: &[(&str, &str)], line: &str) -> (i32, String) {
        let (cert, key) = (text(&own.cert), text(&own.key));
        let settings = [("CLIENT_TLS_CERT", cert.as_str()), ("CLIENT_TLS_KEY", key.as_str())];
        let settings = [&settings[..], further].concat();
        let ca = text(&self.authority.ca());
        let line = line.split_whitespace().chain(["--tls", "--tls-ca", &ca]);
        let mut rpcd = Daemon::rpcd_with(&settings, line);
        let code = rpcd.exit_code().await;
        (code, rpcd.stdout().text() + &rpcd.stderr().text())
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn pair<'a>((name, value): &'a (&'static str, String)) -> (&'a str, &'a str) {
    (name, value)
}

#[tokio::test]
async fn a_certificate_may_do_what_its_line_says_at_server_and_registry() {
    let observer = secret::generate();
    let house = House::new(&format!(
        "orders register,observe certificate:rpcd://service/orders services=orders\n\
         stock register certificate:rpcd://service/stock services=stock\n\
         ci call certificate:CI.example\n\
         former call certificate:former.example expires=2020-01-01\n\
         {}\n",
        secret::line("observer", &[Role::Observe], &observer)
    ));
    let (orders, stock) = (house.of_service("orders"), house.of_service("stock"));
    let (_registry, registry_at) = house.registry(&[]).await;
    let url = format!("https://localhost:{}", registry_at.port());
    let ca = text(&house.authority.ca());
    let registers = |own: &Issued| {
        [
            ("CLIENT_TLS_CA", ca.clone()),
            ("CLIENT_TLS_CERT", text(&own.cert)),
            ("CLIENT_TLS_KEY", text(&own.key)),
        ]
    };
    let flags = ["--registry", url.as_str(), "--service", "orders"];
    // It has no token.
    let (_server, at) = house.server(&registers(&orders).each_ref().map(pair), &flags).await;
    eventually("the server is listed", async || {
        let line = format!("instances --registry {url}");
        house.rpcd(&orders, &[], &line).await.1.contains(&at.port().to_string())
    })
    .await;
    let (impostor, _) = house.server(&registers(&stock).each_ref().map(pair), &flags).await;
    impostor
        .line("a service cannot register as another", |line| {
            line.contains("limited to other services").then_some(())
        })
        .await;

    let call = format!("call add 1 2 -p {}", at.port());
    let whoami = format!("call rpc.whoami -p {}", at.port());
    let methods = format!("methods -p {}", at.port());
    let instances = format!("instances --registry {url}");
    let ci = house.issue("ci.example");
    assert_eq!(house.rpcd(&ci, &[], &call).await, (0, "13".to_owned()));
    let (code, said) = house.rpcd(&ci, &[], &whoami).await;
    assert!(code == 0 && said.contains("ci") && said.contains("call"), "{said}");
    for (own, line, why) in [
        (&ci, &methods, "lacks the role observe"),
        (&ci, &instances, "lacks the role observe"),
        (&orders, &call, "lacks the role call"),
        (&house.issue("nobody.example"), &call, "this certificate has no role here"),
        (&house.issue("nobody.example"), &instances, "this certificate has no role here"),
        (&house.issue("former.example"), &call, "this certificate has no role here"),
        (
            &house
                .authority
                .issue("cn", &Subject { common_name: "ci.example", ..Subject::of(&["x.example"]) }),
            &call,
            "this certificate has no role here",
        ),
    ] {
        let (code, said) = house.rpcd(own, &[], line).await;
        assert!(code == 1 && said.contains(why), "{line}: {code} {said} is not {why}");
    }
    // A token counts more, also one that is nobody's.
    let own = [("TOKEN", observer.expose_secret())];
    assert_eq!(house.rpcd(&ci, &own, &methods).await.0, 0);
    let (code, said) = house.rpcd(&ci, &own, &call).await;
    assert!(code == 1 && said.contains("lacks the role call"), "{said}");
    let wrong = secret::generate();
    let (code, said) = house.rpcd(&ci, &[("TOKEN", wrong.expose_secret())], &call).await;
    assert!(code == 1 && said.contains("this token is not known here"), "{said}");

    // As soon as its line is gone, so are its roles.
    house.write("# nobody\n");
    let gone = Instant::now();
    eventually("its roles are gone", async || house.rpcd(&ci, &[], &call).await.0 == 1).await;
    assert!(gone.elapsed() < Duration::from_secs(5), "{:?}", gone.elapsed());
}

/// What is open on a server and on a registry for who shows this certificate: a stream, a watch, a connection of each
/// that has just been answered.
struct Open {
    connections: Vec<(&'static str, rpc_socket::Socket)>,
}

impl Open {
    async fn by(way: &Way, server: SocketAddr, registry: SocketAddr) -> Self {
        let logs = r#"{"id":1,"method_name":"rpc.logs","method_kwargs":{"recent":1},"meta":{"stream":true}}"#;
        let call = r#"{"id":1,"method_name":"add","method_args":[1,2]}"#;
        let classic = r#"{"method_name":"add","method_args":[1,2],"method_kwargs":{}}"#;
        let json_rpc = r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#;
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut connections = Vec::new();
        for (what, to, request) in [
            ("a stream", server, logs.to_owned()),
            ("a connection", server, call.to_owned()),
            ("a connection of the older dialect", server, classic.to_owned()),
            ("a connection of JSON-RPC", server, json_rpc.to_owned()),
            ("a connection of HTTP", server, get("/metrics")),
            ("a watch", registry, get("/v1/watch")),
            ("a connection to the registry", registry, get("/v1/instances")),
        ] {
            let mut connection = way.connect(to).await;
            connection.write_all(request.as_bytes()).await.unwrap();
            let mut bytes = Vec::new();
            soon(what, connection.read_buf(&mut bytes)).await.unwrap();
            let said = String::from_utf8_lossy(&bytes).into_owned();
            let is_served = match request.starts_with("GET") {
                true => said.starts_with("HTTP/1.1 200 "),
                false => !said.contains("error") && !said.is_empty(),
            };
            assert!(is_served, "{what}: {said}");
            connections.push((what, connection));
        }
        Self { connections }
    }

    /// Sends a call on the connection of that kind, which does not end by itself.
    async fn begin(&mut self, kind: &str, call: &str) {
        let (_, connection) = self.connections.iter_mut().find(|(what, _)| *what == kind).unwrap();
        connection.write_all(call.as_bytes()).await.unwrap();
    }

    /// Waits until all have ended, each by the other side; what each was told before.
    async fn end_within(self, time: Duration) -> Vec<(&'static str, String)> {
        let began = Instant::now();
        let mut told = Vec::new();
        for (what, mut connection) in self.connections {
            let mut bytes = Vec::new();
            let ended = async { while matches!(connection.read_buf(&mut bytes).await, Ok(1..)) {} };
            let left = time.saturating_sub(began.elapsed());
            let ended = tokio::time::timeout(left, ended).await;
            assert!(ended.is_ok(), "{what} is open after {time:?}");
            told.push((what, String::from_utf8_lossy(&bytes).into_owned()));
        }
        told
    }
}

const ALL: &str =
    "ci call,observe certificate:ci.example\nshort call,observe certificate:short.example\n";

#[tokio::test]
async fn what_is_open_ends_when_its_certificate_is_revoked_and_nobody_elses_does() {
    let house = House::new(ALL);
    let (_server, server) = house.server(&[], &["--no-registry"]).await;
    let (_registry, registry) = house.registry(&[]).await;
    let (ci, other) = (house.issue("ci.example"), house.issue("short.example"));
    let revoked = Open::by(&house.way(&ci), server, registry).await;
    let mut kept = house.way(&other).connect(server).await;
    let call = br#"{"id":1,"method_name":"add","method_args":[1,2]}"#;
    let mut reply = Vec::new();

    house.authority.revoke(&[&ci]);
    revoked.end_within(Duration::from_secs(4)).await;
    kept.write_all(call).await.unwrap();
    soon("another's connection goes on", kept.read_buf(&mut reply)).await.unwrap();
    assert!(String::from_utf8_lossy(&reply).contains("13"));
}

#[tokio::test]
async fn what_is_open_ends_when_its_certificate_expires() {
    let house = House::new(ALL);
    let (server, server_at) = house.server(&[], &["--no-registry"]).await;
    let (_registry, registry) = house.registry(&[]).await;
    let until = SystemTime::now() + Duration::from_secs(5);
    let short = Subject { until, ..Subject::of(&["short.example"]) };
    let short = house.authority.issue("short", &short);
    let mut open = Open::by(&house.way(&short), server_at, registry).await;
    let sleep = r#"{"id":2,"method_name":"sleep","method_args":[60]}"#;
    open.begin("a connection", sleep).await;
    open.begin("a connection of JSON-RPC", r#"{"jsonrpc":"2.0","id":2,"method":"add"#).await;
    let left = until.duration_since(SystemTime::now()).expect("it is open before it expires");
    let told = open.end_within(left + Duration::from_secs(3)).await;
    assert!(SystemTime::now() >= until - Duration::from_secs(1), "it was not ended before");
    server.line("it says why", |line| line.contains("it has expired").then_some(())).await;
    for (what, told) in told {
        let mut lines = told.lines().rev();
        let last: Value =
            serde_json::from_str(lines.next().unwrap_or_default()).unwrap_or_default();
        let last_but_one = lines.next().unwrap_or_default();
        if ["a watch", "a connection of HTTP", "a connection to the registry"].contains(&what) {
            // HTTP has no place for it.
            continue;
        }
        assert_eq!(last["error"]["code"], -32004, "{what} was told {told}");
        let text = last["error"]["message"].as_str().unwrap();
        assert!(text.contains("certificate is refused from now on: it has expired"), "{text}");
        match what {
            "a stream" => assert!(
                last_but_one.contains(r#""id":1"#) && last_but_one.contains("-32004"),
                "{told}"
            ),
            "a connection" => assert!(
                last_but_one.contains(r#""id":2"#) && last_but_one.contains("-32006"),
                "{told}"
            ),
            "a connection of JSON-RPC" => assert_eq!(last["id"], Value::Null, "{told}"),
            _ => assert!(
                last["res"].as_str().unwrap().starts_with("Error calling method: "),
                "{told}"
            ),
        }
    }
}

#[tokio::test]
async fn streams_and_watches_end_when_the_line_of_their_certificate_is_taken_away() {
    let house = House::new(ALL);
    let (_server, server) = house.server(&[], &["--no-registry"]).await;
    let (_registry, registry) = house.registry(&[]).await;
    let way = house.way(&house.issue("ci.example"));
    let mut watch = way.connect(registry).await;
    watch.write_all(b"GET /v1/watch HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut stream = way.connect(server).await;
    let logs = br#"{"id":1,"method_name":"rpc.logs","meta":{"stream":true}}"#;
    stream.write_all(logs).await.unwrap();

    house.write("# nobody\n");
    for (mut open, end) in [(stream, "-32004"), (watch, "\r\n0\r\n\r\n")] {
        let mut said = String::new();
        soon("it ends", async {
            let mut bytes = [0; 4096];
            while !said.contains(end) {
                let read = open.read(&mut bytes).await.unwrap();
                assert!(read > 0, "{said}");
                said.push_str(&String::from_utf8_lossy(&bytes[..read]));
            }
        })
        .await;
    }
}

#[tokio::test]
async fn the_command_line_says_whose_a_certificate_is() {
    let house = House::new("orders register certificate:rpcd://service/orders services=orders\n");
    let file = text(&house.tokens());
    let ca = [("TLS_CLIENT_CA", text(&house.authority.ca()))];
    let rpcd = async |line: &[&str]| {
        let settings = ca.each_ref().map(pair);
        let mut rpcd = Daemon::rpcd_with(&settings, [&["token"][..], line].concat());
        let code = rpcd.exit_code().await;
        (code, rpcd.stdout().text() + &rpcd.stderr().text())
    };
    let (code, said) = rpcd(&["list", &file]).await;
    assert!(code == 0 && said.contains("rpcd://service/orders"), "{said}");
    let (orders, other) = (house.of_service("orders"), house.issue("ci.example"));
    let checked = rpcd(&["check", &file, "--certificate", &text(&orders.cert)]).await;
    assert_eq!(checked, (0, "orders: register; services orders".to_owned()));
    let (code, said) = rpcd(&["check", &file, "--certificate", &text(&other.cert)]).await;
    assert!(code == 1 && said.contains("this certificate has no role here"), "{said}");
    let (code, said) = rpcd(&["check", &file, "--certificate", &file]).await;
    assert!(code == 2 && said.contains("holds no certificate"), "{said}");
}

#[tokio::test]
async fn lines_of_certificates_that_no_client_is_asked_for_are_a_warning() {
    let house = House::new("orders call certificate:rpcd://service/orders\n");
    let tokens = text(&house.tokens());
    let (config, ca) = (house.tokens().with_extension("ini"), text(&house.authority.ca()));
    std::fs::write(&config, format!("[tls]\nclient_ca = {ca}\n")).unwrap();
    let said = "(rpcd://service/orders) never count";
    for daemon in [&["serve", "--no-registry"][..], &["registry", "--store", "none"]] {
        let (address, tokens) = (["-p", "0", "-l", "127.0.0.1"], [("SECURITY_TOKENS", &*tokens)]);
        let without = Daemon::rpcd_with(&tokens, [daemon, &address].concat());
        let line = without.line("a warning", |line| line.contains(said).then(|| line.to_owned()));
        let line = line.await;
        assert!(
            line.contains("WARN") && line.contains("[tls] client_ca is not set; set"),
            "{line}"
        );
    }
    let (server, _) = house.server(&[], &["--no-registry"]).await;
    assert!(!server.transcript().contains(said), "{}", server.transcript());

    let config = text(&config);
    for (further, warns) in [(&[][..], true), (&["--config", &config], false)] {
        let pem = text(&house.of_service("orders").cert);
        let line = [&["token", "check", &tokens, "--certificate", &pem], further].concat();
        let mut rpcd = Daemon::rpcd_with(&[], line);
        assert_eq!(rpcd.exit_code().await, 0, "{}", rpcd.transcript());
        assert_eq!(rpcd.stderr().text().contains(said), warns, "{}", rpcd.transcript());
    }
}

#[tokio::test]
async fn who_is_known_by_a_certificate_takes_no_place_of_strangers() {
    let house = House::new(ALL);
    // This machine has 8 beyond.
    let limit = [
        ("SERVER_MAX_UNIDENTIFIED_CONNECTIONS", "1"),
        ("REGISTRY_SERVER_MAX_UNIDENTIFIED_CONNECTIONS", "1"),
    ];
    let (_server, server) = house.server(&limit, &["--no-registry"]).await;
    let (_registry, registry) = house.registry(&limit).await;
    let way = house.way(&house.issue("ci.example"));
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(Open::by(&way, server, registry).await);
    }
}
