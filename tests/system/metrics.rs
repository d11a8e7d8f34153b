//! `/metrics` of both daemons: its page in docs, and what the tools of monitoring make of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use rpc_registry::{Registry, RegistryOptions};
use rpc_server::{Method, Server, ServerBuilder};
use rpc_tests::http_reply::HttpReply;
use rpc_tests::prometheus;
use rpc_tests::queries::http;
use rpc_tests::raw::Raw;

/// Values of `Accept`.
const ANY: &str = "*/*";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

/// Names of methods that a page must survive.
const ODD: [&str; 5] =
    ["quote\"d", "two\nlines", "back\\slash\\", "größe·☃·\u{202e}", "}{,le=\"1\" # EOF"];

/// A server with these methods that was called in every way, also for methods that it does not have.
async fn server(methods: &[&str]) -> SocketAddr {
    let methods = methods.iter();
    let builder = methods
        .clone()
        .map(|name| Method::named(*name).parameters(["x"]).sync(|x: u8| x))
        .fold(Server::builder().name("odd").version("1 \"odd\"\\"), ServerBuilder::method);
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
    let mut raw = Raw::connect(daemon).await;
    raw.send(format!(
        "GET /metrics HTTP/1.1\r\nHost: {daemon}\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
    ))
    .await;
    let reply = HttpReply::read(&raw.rest().await).unwrap();
    assert!(reply.is_complete && reply.status == 200, "{reply:?}");
    reply
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
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/metrics.md");
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
