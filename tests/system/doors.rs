//! Who may do what, on real processes: the table of docs/security.md, tokens that change, older programs.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rpc_registry::security::Digest;
use rpc_registry::security::Permission;
use rpc_registry::security::secret::{self, ExposeSecret, SecretString};
use rpc_tests::daemon::{Daemon, path, run_rpcd_with};
use rpc_tests::etcd::Cluster;
use rpc_tests::eventually::{eventually, soon};
use rpc_tests::http_reply::HttpReply;
use rpc_tests::pki::{Authority, Subject};
use rpc_tests::python::{has_python, old_client_results, old_registry, old_server};
use rpc_tests::queries::lists;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::shared_registries::registry_with;
use crate::ways::Way;

/// Names, and what the file of tokens says of them.
const IDENTITIES: [(&str, &str); 10] = [
    ("nobody", "none"),
    ("call", "call"),
    ("observe", "observe"),
    ("register", "register"),
    ("second", "register"),
    ("operate", "operate"),
    ("all", "call,observe,register,operate"),
    ("other-service", "call,observe,register,operate services=b"),
    ("other-host", "call,observe,register,operate hosts=10.2.0.0/16"),
    ("former", "call,observe,register,operate expires=2020-01-01"),
];

/// A file of tokens, with its secrets.
struct Tokens {
    folder: tempfile::TempDir,
    secrets: Vec<(String, SecretString)>,
}

impl Tokens {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let secrets = IDENTITIES.iter().map(|(name, _)| ((*name).to_owned(), secret::generate()));
        let tokens = Self { folder, secrets: secrets.collect() };
        tokens.write(&tokens.secrets);
        tokens
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("tokens")
    }

    /// Replaces the file by one with these.
    fn write(&self, secrets: &[(String, SecretString)]) {
        let rights = |name: &str| IDENTITIES.iter().find(|known| known.0 == name).unwrap().1;
        let line = |(name, secret): &(String, SecretString)| {
            let (roles, limits) = rights(name).split_once(' ').unwrap_or((rights(name), ""));
            format!("{name} {roles} {} {limits}\n", Digest::of(secret))
        };
        let text: String = secrets.iter().map(line).collect();
        private(&self.folder.path().join("next"), &text);
        std::fs::rename(self.folder.path().join("next"), self.path()).unwrap();
    }

    fn of(&self, name: &str) -> &str {
        let found = self.secrets.iter().find(|known| known.0 == name);
        found.map(|(_, secret)| secret.expose_secret()).unwrap()
    }

    async fn registry(&self, settings: &[(&str, &str)]) -> (Daemon, SocketAddr) {
        let path = self.path();
        let tokens = [("SECURITY_TOKENS", path.to_str().unwrap())];
        Daemon::registry_with(&[&tokens, settings].concat(), 0, &[]).await
    }

    /// One that speaks TLS and plain text.
    async fn registry_by_tls(&self, authority: &Authority) -> (Daemon, SocketAddr) {
        let issued = authority.issue("registry", &Subject::server(&[]));
        self.registry(&[("TLS_CERT", path(&issued.cert)), ("TLS_KEY", path(&issued.key))]).await
    }
}

fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

const INSTANCE: &str =
    r#"{"protocol":"json","host":"10.1.0.1","port":1,"parameters":{"service":"a"}}"#;

/// A request as `METHOD PATH` of the table; the reply, or the head of one that goes on.
async fn ask(address: SocketAddr, route: &str, token: Option<&str>) -> HttpReply {
    ask_by(&Way::PLAIN, address, route, token).await
}

async fn ask_by(way: &Way, address: SocketAddr, route: &str, token: Option<&str>) -> HttpReply {
    let (method, path) = route.split_once(' ').unwrap();
    let path = path.replace("PROTO/HOST/PORT", "json/10.1.0.1/1");
    let body = match (method, path.as_str()) {
        ("PUT", _) => r#"{"state":"draining"}"#,
        ("POST", "/v1/heartbeats") => r#"[{"protocol":"json","host":"10.1.0.1","port":1}]"#,
        ("POST", _) => INSTANCE,
        _ => "",
    };
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\n{token}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    soon("a reply", async {
        let mut stream = way.connect(address).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        loop {
            if let Some(reply) = HttpReply::read(&bytes)
                && (reply.is_complete || reply.is_stream())
            {
                return reply;
            }
            assert!(stream.read_buf(&mut bytes).await.unwrap() > 0, "{route}: no whole reply");
        }
    })
    .await
}

/// The section of the registry.
const REGISTRY: &str = "The registry";

/// The rows of the table in a section of docs/security.md: a method or a route, and what it needs.
pub(crate) fn table(section: &str) -> Vec<(String, String)> {
    let page = include_str!("../../docs/security.md");
    let (_, section) = page.split_once(&format!("## {section}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let row = |row: &str| {
        let (route, needs) = row.split_once("` | ").unwrap();
        (route.to_owned(), needs.replace('`', ""))
    };
    rows.map(row).collect()
}

/// What a permission needs, in the words of the tables.
pub(crate) fn needs(permission: Permission) -> String {
    match permission {
        Permission::Open => "nothing".to_owned(),
        Permission::Needs(role) => role.to_string(),
        Permission::Either(role, other) => format!("{role} or {other}"),
    }
}

#[test]
fn docs_security_md_has_every_route_of_the_registry_with_what_it_needs() {
    let in_code: Vec<_> = rpc_registry::routes()
        .into_iter()
        .map(|(route, permission)| (route, needs(permission)))
        .collect();
    assert_eq!(table(REGISTRY), in_code);
}

#[tokio::test]
async fn every_route_of_the_table_is_for_its_role_only() {
    let tokens = Tokens::new();
    let authority = Authority::new("walk");
    let (_registry, address) = tokens.registry_by_tls(&authority).await;
    let wrong = secret::generate();
    let ways = [Way::PLAIN, Way::tls(authority.ca(), None)];
    for (way, (route, needs)) in
        ways.iter().flat_map(|way| table(REGISTRY).into_iter().map(move |row| (way, row)))
    {
        let ask = async |address, route: &str, token: Option<&str>| {
            ask_by(way, address, route, token).await
        };
        for name in ["call", "observe", "register", "operate"] {
            let status = ask(address, &route, Some(tokens.of(name))).await.status;
            let is_served = needs == "nothing" || needs.split(" or ").any(|role| role == name);
            let expected = if is_served { 200 } else { 403 };
            assert_eq!(status, expected, "{route} for {name} in {}", way.name());
        }
        // Strangers are told nothing of themselves either.
        let is_open = needs == "nothing" && route != "GET /v1/whoami";
        for (what, token) in [("no token", None), ("a wrong one", Some(wrong.expose_secret()))] {
            let status = ask(address, &route, token).await.status;
            let expected = if is_open { 200 } else { 401 };
            assert_eq!(status, expected, "{route} with {what}");
        }
        let status = ask(address, &route, Some(tokens.of("former"))).await.status;
        assert_eq!(status == 200, is_open, "{route}: an expired token");
        let near = format!("{route}/");
        assert_eq!(ask(address, &near, Some(tokens.of("all"))).await.status, 404, "{near}");
    }
}

#[tokio::test]
async fn every_route_about_instances_keeps_to_the_services_and_hosts_of_a_token() {
    let tokens = Tokens::new();
    let authority = Authority::new("walk");
    let (_registry, address) = tokens.registry_by_tls(&authority).await;
    let ways = [Way::PLAIN, Way::tls(authority.ca(), None)];
    for (way, (route, needs)) in
        ways.iter().flat_map(|way| table(REGISTRY).into_iter().map(move |row| (way, row)))
    {
        let ask = async |address, route: &str, token: Option<&str>| {
            ask_by(way, address, route, token).await
        };
        let registered = ask(address, "POST /myRegistry/register", Some(tokens.of("all"))).await;
        assert_eq!(registered.status, 200, "{}", registered.body);
        for name in ["other-service", "other-host"] {
            let reply = ask(address, &route, Some(tokens.of(name))).await;
            let shows_none = match route.as_str() {
                "GET /healthz" | "GET /readyz" | "GET /metrics" | "GET /v1/whoami" => true,
                "POST /v1/heartbeats" => reply.body.contains(r#""renewed":0"#),
                _ if needs == "observe" && reply.status == 200 => !reply.body.contains("10.1.0.1"),
                _ => reply.status == 403,
            };
            assert!(shows_none, "{route} for {name}: {} {}", reply.status, reply.body);
        }
    }
}

#[tokio::test]
async fn a_server_registers_with_its_token_and_clients_find_it_with_theirs_and_no_output_has_one() {
    let tokens = Tokens::new();
    let (registry, address) = tokens.registry(&[("LOG_LEVEL", "trace")]).await;
    let url = format!("http://{address}");
    let file = tokens.folder.path().join("own");
    private(&file, tokens.of("register"));
    let own = [("REGISTRY_TOKEN_FILE", file.to_str().unwrap()), ("LOG_LEVEL", "trace")];
    let (server, listening) = Daemon::server_with(&own, &["--registry", &url]).await;
    let observer = [("TOKEN", tokens.of("observe"))];
    eventually("the server is listed", async || {
        let (code, stdout, _) = run_rpcd_with(&observer, ["instances", "--registry", &url]).await;
        code == 0 && stdout.contains(&listening.to_string())
    })
    .await;
    let (code, _, stderr) = run_rpcd_with(&[], ["instances", "--registry", &url]).await;
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("needs a token with the role observe"), "{stderr}");
    let caller = [("TOKEN", tokens.of("call"))];
    let (code, _, stderr) =
        run_rpcd_with(&caller, ["drain", "10.1.0.1:1", "--registry", &url]).await;
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("lacks the role operate"), "{stderr}");

    let metrics = ask(address, "GET /metrics", Some(tokens.of("observe"))).await.body;
    let line = |daemon: &Daemon| {
        std::fs::read_to_string(format!("/proc/{}/cmdline", daemon.pid())).unwrap()
    };
    let lines = line(&server) + &line(&registry);
    let all = [metrics, lines, registry.transcript(), server.transcript()].concat();
    for (name, secret) in &tokens.secrets {
        assert!(!all.contains(secret.expose_secret()), "the token of {name} is somewhere");
    }
}

#[tokio::test]
async fn a_server_without_the_role_is_told_once_what_to_do_and_serves_on() {
    let tokens = Tokens::new();
    let (_registry, address) = tokens.registry(&[]).await;
    let own = [("TOKEN", tokens.of("observe")), ("SERVER_HEARTBEAT_INTERVAL", "100ms")];
    let (server, listening) =
        Daemon::server_with(&own, &["--registry", &format!("http://{address}")]).await;
    server
        .line("it says what is missing", |line| {
            line.contains("lacks the role register").then_some(())
        })
        .await;
    let port = listening.port().to_string();
    let (code, stdout, stderr) =
        run_rpcd_with(&[], ["call", "add", "1", "2", "-i", "127.0.0.1", "-p", &port]).await;
    assert_eq!((code, stdout.trim()), (0, "13"), "{stderr}");
    let said = server.transcript().matches("lacks the role register").count();
    assert_eq!(said, 1, "{}", server.transcript());
}

#[tokio::test]
async fn a_token_that_is_replaced_is_refused_within_two_seconds_and_a_broken_file_changes_nothing()
{
    let tokens = Tokens::new();
    let (registry, address) = tokens.registry(&[]).await;
    let status =
        async || ask(address, "GET /v1/instances", Some(tokens.of("observe"))).await.status;
    private(&tokens.path(), "observe nonsense");
    registry
        .line("the broken file is an error", |line| {
            line.contains("those read before hold on").then_some(())
        })
        .await;
    assert_eq!(status().await, 200);
    let others: Vec<_> =
        tokens.secrets.iter().filter(|(name, _)| name != "observe").cloned().collect();
    tokens.write(&others);
    let refused = async {
        while status().await == 200 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(2), refused).await.unwrap();
    assert_eq!(ask(address, "GET /v1/instances", Some(tokens.of("all"))).await.status, 200);
}

#[tokio::test]
async fn a_registry_whose_tokens_or_audit_log_cannot_be_used_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    let hex = "ab".repeat(32);
    private(&tokens, &format!("ci admin sha256:{hex}\n"));
    let path = tokens.to_str().unwrap();
    for (settings, why) in [
        (&[("SECURITY_TOKENS", path)][..], "the roles must be call, observe, register or operate"),
        (&[("SECURITY_TOKENS", "/nowhere/tokens")], "cannot read /nowhere/tokens"),
        (&[("SECURITY_AUDIT", "/nowhere/audit")], "cannot write /nowhere/audit"),
        (&[("SECURITY_AUTH", "required")], "auth = required needs"),
    ] {
        let mut registry = Daemon::rpcd_with(settings, ["registry", "-p", "0", "-l", "127.0.0.1"]);
        assert_eq!(registry.exit_code().await, 2, "{}", registry.transcript());
        assert!(registry.transcript().contains(why), "{}", registry.transcript());
    }
}

#[tokio::test]
async fn a_server_whose_tokens_cannot_be_used_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let (unknown, open) = (folder.path().join("unknown"), folder.path().join("open"));
    let hex = "ab".repeat(32);
    private(&unknown, &format!("ci admin sha256:{hex}\n"));
    private(&open, &format!("ci call sha256:{hex}"));
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o622)).unwrap();
    let [unknown, open] = [&unknown, &open].map(|path| path.to_str().unwrap());
    for (settings, why) in [
        (
            &[("SECURITY_TOKENS", unknown)][..],
            "the roles must be call, observe, register or operate",
        ),
        (&[("SECURITY_TOKENS", open)], "others can write"),
        (&[("SECURITY_TOKENS", "/nowhere/tokens")], "cannot read /nowhere/tokens"),
        (&[("SECURITY_AUTH", "required")], "auth = required needs"),
        (&[("SECURITY_ANONYMOUS", "admin")], "RPCD_SECURITY_ANONYMOUS"),
        (&[("REGISTRY_TOKEN_FILE", "/nowhere/token")], "[registry] token_file"),
    ] {
        let mut server = Daemon::rpcd_with(settings, ["serve", "-p", "0", "-l", "127.0.0.1"]);
        assert_eq!(server.exit_code().await, 2, "{}", server.transcript());
        assert!(server.transcript().contains(why), "{}", server.transcript());
    }
}

#[tokio::test]
async fn older_programs_do_what_anonymous_says() {
    if !has_python() {
        return;
    }
    let tokens = Tokens::new();
    let all = ("SECURITY_ANONYMOUS", "register,observe,call");
    for (settings, is_listed) in [
        (&[("SECURITY_ANONYMOUS", "none")][..], false),
        (&[("SECURITY_ANONYMOUS", "observe,call")], false),
        (&[all], true),
        (&[all, ("SECURITY_ANONYMOUS_NETWORKS", "10.0.0.0/8")], false),
        (&[all, ("SECURITY_ANONYMOUS_NETWORKS", "127.0.0.0/8")], true),
        (&[("SECURITY_AUTH", "warn")], true),
    ] {
        let (registry, address) = tokens.registry(settings).await;
        let (_old, old) = old_server(&["--registry", &address.to_string()]).await;
        let of_all = async || ask(address, "GET /v1/instances", Some(tokens.of("all"))).await.body;
        let port = format!("\"port\":{}", old.port());
        if is_listed {
            eventually("the older server is listed", async || of_all().await.contains(&port)).await;
            let target = address.to_string();
            let results = old_client_results(&["--registry", &target, "sync"]).await;
            assert_eq!(results.len(), 3);
        } else {
            registry
                .line("its registration is refused", |line| {
                    (line.contains("refused") && line.contains("register")).then_some(())
                })
                .await;
            assert!(!of_all().await.contains(&port));
        }
    }
}

#[tokio::test]
async fn an_older_server_is_told_that_a_registry_takes_tls_only() {
    if !has_python() {
        return;
    }
    let authority = Authority::new("a");
    let issued = authority.issue("registry", &Subject::server(&[]));
    let settings = [
        ("TLS_CERT", issued.cert.to_str().unwrap()),
        ("TLS_KEY", issued.key.to_str().unwrap()),
        ("TLS_REQUIRE", "tls"),
    ];
    let (_registry, address) = Daemon::registry_with(&settings, 0, &[]).await;
    let (old, _) = old_server(&["--registry", &address.to_string()]).await;
    old.line("its registration is refused", |line| line.contains("403").then_some(())).await;
}

#[tokio::test]
async fn with_a_token_set_our_server_and_client_use_an_older_registry_as_before() {
    if !has_python() {
        return;
    }
    let (_registry, address) = old_registry(&[]).await;
    let url = format!("http://{address}");
    let secret = secret::generate();
    let own = [("TOKEN", secret.expose_secret()), ("SERVER_HEARTBEAT_INTERVAL", "100ms")];
    let (_server, listening) = Daemon::server_with(&own, &["--registry", &url]).await;
    lists(address, &[listening]).await;
    let call = ["call", "add", "1", "2", "--registry", &url];
    let (code, stdout, stderr) = run_rpcd_with(&own, call).await;
    assert_eq!((code, stdout.trim()), (0, "13"), "{stderr}");
}

#[tokio::test]
async fn the_command_line_makes_lists_and_checks_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let new = ["token", "new", "--name", "ci", "--roles", "call,observe", "--services", "a"];
    let (code, stdout, stderr) = run_rpcd_with(&[], new).await;
    assert_eq!((code, stderr.as_str()), (0, ""));
    let [secret, line] = stdout.lines().collect::<Vec<_>>()[..] else { panic!("{stdout}") };
    private(&path, &format!("{line}\n"));
    let file = path.to_str().unwrap();
    let (code, stdout, _) = run_rpcd_with(&[], ["token", "list", file]).await;
    assert_eq!(code, 0);
    assert!(stdout.starts_with("ci") && stdout.contains("call,observe"), "{stdout}");
    let (code, stdout, _) = run_rpcd_with(&[("TOKEN", secret)], ["token", "check", file]).await;
    assert_eq!((code, stdout.as_str()), (0, "ci: call,observe; services a"));
    let other = secret::generate();
    let other = [("TOKEN", other.expose_secret())];
    let (code, _, stderr) = run_rpcd_with(&other, ["token", "check", file]).await;
    assert_eq!(code, 1);
    assert!(stderr.contains("this token is not known here"), "{stderr}");
}

#[tokio::test]
async fn whose_an_instance_is_holds_at_every_registry_of_a_cluster_and_outlives_its_own() {
    let Some(cluster) = Cluster::start().await else { return };
    let tokens = Tokens::new();
    let file = tokens.path();
    let security = [("SECURITY_TOKENS", path(&file))];
    let (first, a) = registry_with(&cluster, 0, &security).await;
    let (_second, b) = registry_with(&cluster, 0, &security).await;
    let asks = async |at: SocketAddr, route: &str, name: &str| {
        let reply = ask(at, route, Some(tokens.of(name))).await;
        (reply.status, reply.body)
    };
    let (register, unregister) = ("POST /myRegistry/register", "POST /myRegistry/unregister");
    eventually("the other one lists it", async || {
        assert_eq!(asks(a, register, "register").await.0, 200);
        asks(b, "GET /v1/instances", "observe").await.1.contains("10.1.0.1")
    })
    .await;
    let is_refused_to_others = async |at: SocketAddr| {
        for route in [register, unregister] {
            let (status, said) = asks(at, route, "second").await;
            assert!(status == 403 && said.contains("another identity"), "{route}: {status} {said}");
        }
        let (_, said) = asks(at, "POST /v1/heartbeats", "second").await;
        assert!(said.contains(r#""renewed":0"#), "{said}");
    };
    is_refused_to_others(a).await;
    is_refused_to_others(b).await;
    // Its heartbeats move to the other one, also when its own is killed, and with them whose it is.
    first.signal(rustix::process::Signal::KILL);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while std::time::Instant::now() < end {
        assert_eq!(asks(b, register, "register").await.0, 200);
        is_refused_to_others(b).await;
    }
    assert_eq!(asks(b, unregister, "operate").await.0, 200);
    assert_eq!(asks(b, register, "second").await.0, 200);
}
