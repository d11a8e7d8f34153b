//! `/metrics` of both daemons: its page in docs, and what the tools of monitoring make of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rpc_registry::{Registry, RegistryOptions};
use rpc_server::{Announce, Method, Server, ServerBuilder};
use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::eventually_within;
use rpc_tests::http_reply::HttpReply;
use rpc_tests::prometheus;
use rpc_tests::queries::{http, lists};
use rpc_tests::raw::Raw;
use rpc_tests::reserved_port::ReservedPort;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::Command;

/// Values of `Accept`.
const ANY: &str = "*/*";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

/// Names of methods that a page must survive.
const ODD: [&str; 6] =
    ["quote\"d", "two\nlines", "back\\slash\\", "größe·☃·\u{202e}", "}{,le=\"1\" # EOF", "_OTHER"];

/// A server with these methods that was called in every way, also for methods that it does not have.
async fn server(methods: &[&str]) -> SocketAddr {
    server_with(Server::builder().name("odd").version("1 \"odd\"\\"), methods).await
}

async fn server_with(builder: ServerBuilder, methods: &[&str]) -> SocketAddr {
    let methods = methods.iter();
    let builder = methods
        .clone()
        .map(|name| Method::named(*name).parameters(["x"]).sync(|x: u8| x))
        .fold(builder, ServerBuilder::method);
    let server = builder.bind(([127, 0, 0, 1], 0)).await.unwrap();
    let address = server.local_addr();
    tokio::spawn(server.serve(std::future::pending()));
    let mut raw = Raw::connect(address).await;
    for method in methods.chain(&["nobody's", "neither\"\n"]) {
        for arguments in ["[1]", "[\"one\"]"] {
            let method = serde_json::to_string(method).unwrap();
            raw.ask(format!(r#"{{"id":1,"method_name":{method},"method_args":{arguments}}}"#))
                .await;
        }
    }
    address
}

/// A registry that refused a request.
async fn registry() -> SocketAddr {
    let registry = Registry::bind(([127, 0, 0, 1], 0).into(), RegistryOptions::default());
    let registry = registry.await.unwrap();
    let address = registry.local_addr();
    tokio::spawn(registry.serve(std::future::pending()));
    assert_eq!(http(address, "GET /nowhere", b"").await.0, 404);
    address
}

/// The page in the format that `accept` asks for.
async fn page(daemon: SocketAddr, accept: &str) -> HttpReply {
    let reply = get(daemon, "/metrics", accept).await;
    let reply = reply.filter(|reply| reply.is_complete && reply.status == 200);
    reply.expect("a page")
}

/// The reply; `None` if nobody listens, or does not reply.
async fn get(address: SocketAddr, target: &str, accept: &str) -> Option<HttpReply> {
    TcpStream::connect(address).await.ok()?;
    let mut raw = Raw::connect(address).await;
    raw.send(format!(
        "GET {target} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    ))
    .await;
    HttpReply::read(&raw.rest().await)
}

#[tokio::test]
async fn promtool_has_nothing_to_say_about_either_daemon() {
    if !prometheus::is_installed() {
        return;
    }
    for daemon in [server(&ODD).await, registry().await] {
        let page = page(daemon, ANY).await;
        assert_eq!(page.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        assert_eq!(prometheus::promtool_says(&page.body), "", "{}", page.body);
    }
    assert_ne!(prometheus::promtool_says("x_ms{quantile=\"1\"} 1\n"), "", "it finds what is wrong");
}

#[tokio::test]
async fn openmetrics_is_what_its_strict_reader_reads() {
    let Some(python) = prometheus::python_with_openmetrics() else { return };
    for daemon in [server(&ODD).await, registry().await] {
        let page = page(daemon, OPEN_METRICS).await;
        let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(page.headers["content-type"], expected);
        assert_eq!(prometheus::strict_reader_says(python, &page.body), "", "{}", page.body);
    }
    assert_ne!(prometheus::strict_reader_says(python, "x 1\n"), "", "it finds what is wrong");
}

#[tokio::test]
async fn methods_that_a_server_does_not_have_are_counted_as_one() {
    let count = |page: &HttpReply, method: &str, error: &str| {
        let labels = format!("{{rpc_method=\"{method}\",error_type=\"{error}\"}} ");
        let name = format!("rpc_server_call_duration_seconds_count{labels}");
        let found = page.body.lines().find_map(|line| line.strip_prefix(&name));
        found.map(|count| count.parse::<u64>().unwrap())
    };
    let page = page(server(&["own"]).await, ANY).await;
    assert_eq!(count(&page, "own", ""), Some(1));
    assert_eq!(count(&page, "own", "bad_arguments"), Some(1));
    assert_eq!(count(&page, "_OTHER", "method_not_found"), Some(4));
    assert!(!page.body.contains("nobody"), "{}", page.body);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A row of docs/metrics.md.
#[derive(Debug, Default)]
struct Row {
    kind: String,
    labels: BTreeSet<String>,
    meaning: String,
}

/// What a page in the text format has, by name.
fn rows(page: &str) -> BTreeMap<String, Row> {
    let mut rows = BTreeMap::<String, Row>::new();
    let mut without_samples = BTreeSet::new();
    let mut family = String::new();
    for line in page.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name)) => {
                family = name.to_owned();
                without_samples.insert(family.clone());
                rows.entry(family.clone()).or_default().meaning = words.next().unwrap().to_owned();
            }
            (Some("#"), Some("TYPE"), Some(_)) => {
                rows.get_mut(&family).unwrap().kind = words.next().unwrap().to_owned();
            }
            _ => {
                without_samples.remove(&family);
                let labels = line.split("=\"").map(|before| before.rsplit(['{', ',']).next());
                let count = line.matches("=\"").count();
                let labels = labels.take(count).flatten().filter(|label| *label != "le");
                rows.get_mut(&family).unwrap().labels.extend(labels.map(str::to_owned));
            }
        }
    }
    assert!(without_samples.is_empty(), "nothing is known of the labels of {without_samples:?}");
    rows
}

fn table(page: &str) -> String {
    let mut table = String::from("\n| name | type | labels | meaning |\n|---|---|---|---|\n");
    for (name, Row { kind, labels, meaning }) in rows(page) {
        let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
        let _ = writeln!(table, "| `{name}` | {kind} | {} | {meaning} |", labels.join(", "));
    }
    table
}

#[tokio::test]
async fn docs_metrics_md_has_every_metric_of_both_daemons() {
    let path = root().join("docs/metrics.md");
    let mut document = std::fs::read_to_string(&path).unwrap();
    for (section, daemon) in [("Server", server(&["own"]).await), ("Registry", registry().await)] {
        let table = table(&page(daemon, ANY).await.body);
        let heading = format!("## {section}\n");
        let (before, rest) = document.split_once(&heading).unwrap();
        let (printed, after) = rest.split_once("\n## ").unwrap();
        if std::env::var_os("RPCD_UPDATE").is_some() {
            document = format!("{before}{heading}{table}\n## {after}");
            std::fs::write(&path, &document).unwrap();
        } else {
            let how = "RPCD_UPDATE=1 cargo test -p rpc-tests --test system metrics";
            assert!(printed == table, "docs/metrics.md: {how}\n{table}");
        }
    }
}

/// The configuration that is shipped, for a registry at this address.
fn configuration(registry: SocketAddr) -> String {
    let path = root().join("packaging/prometheus/prometheus.yml");
    let shipped = std::fs::read_to_string(path).unwrap();
    let (at, often) = ("127.0.0.1:9999", "15s");
    assert_eq!((shipped.matches(at).count(), shipped.matches(often).count()), (2, 2));
    shipped.replace(at, &registry.to_string()).replace(often, "1s")
}

/// What Prometheus replies to a query of its API.
async fn ask(prometheus: SocketAddr, query: &str) -> Value {
    let reply = get(prometheus, &format!("/api/v1/{query}"), ANY).await;
    let body = reply.map(|reply| reply.body).unwrap_or_default();
    serde_json::from_str(&body).unwrap_or_default()
}

/// Longer than anything here takes on a busy machine: it is a program of 100 MB.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn prometheus_discovers_two_servers_and_scrapes_them() {
    if !prometheus::is_installed() {
        return;
    }
    let registry = registry().await;
    let url = format!("http://{registry}");
    let orders = || Server::builder().name("orders").announce(Announce::to(&url).unwrap());
    let servers = [server_with(orders(), &["own"]).await, server_with(orders(), &["own"]).await];
    lists(registry, &servers).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, configuration(registry)).unwrap();
    let mut promtool = Command::new("promtool");
    let checked = promtool.args(["check", "config"]).arg(&file).output().await.unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let port = ReservedPort::new();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={}", port.address()));
    let prometheus = Daemon::start("prometheus", command);
    // An older server cannot be scraped.
    let older = r#"{"protocol":"json","host":"127.0.0.1","port":1,"parameters":{}}"#;
    eventually_within(
        LONG,
        "the registry and both servers are scraped, and no other",
        async || {
            http(registry, "POST /myRegistry/register", older.as_bytes()).await;
            let targets = ask(port.address(), "targets").await["data"].take();
            let list = |name: &str| targets[name].as_array().cloned().unwrap_or_default();
            let (active, dropped) = (list("activeTargets"), list("droppedTargets"));
            let dropped = dropped.iter().map(|target| &target["discoveredLabels"]["__address__"]);
            active.len() == 3
                && active.iter().all(|target| target["health"] == "up")
                && dropped.eq(["127.0.0.1:1"])
        },
    )
    .await;

    // Each has one call with a result, and one that failed.
    for (errors, expected) in [("=", "2"), ("!=", "2")] {
        let selector = format!(r#"{{rpc_method="own",service="orders",error_type{errors}""}}"#);
        let name = "rpc_server_call_duration_seconds_count";
        let query: String =
            format!("sum({name}{selector})").bytes().map(|byte| format!("%{byte:02x}")).collect();
        eventually_within(LONG, "the calls of both servers are summed", async || {
            let reply = ask(port.address(), &format!("query?query={query}")).await;
            reply["data"]["result"][0]["value"][1] == expected
        })
        .await;
    }
    drop(prometheus);
}
