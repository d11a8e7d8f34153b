//! What a registry acknowledged is there after `kill -9`; a damaged store is refused, and recovered.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rpc_client::registry::{RegistryClient, RegistryClientOptions};
use rpc_tests::daemon::{Daemon, path, run_rpcd};
use rpc_tests::eventually::{SOON, eventually};
use rpc_tests::queries::{find_all, http};
use rpc_tests::reserved_port::ReservedPort;
use rpc_wire::paths::PROTO_JSON;
use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

fn instance(port: u16) -> String {
    format!(r#"{{"protocol":"json","host":"127.0.0.1","port":{port},"parameters":{{}}}}"#)
}

fn addresses(ports: impl IntoIterator<Item = u16>) -> Vec<SocketAddr> {
    ports.into_iter().map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect()
}

/// Registers instances, all at once; returns when all are acknowledged.
async fn register(registry: SocketAddr, ports: impl IntoIterator<Item = u16>) {
    let mut requests = JoinSet::new();
    for port in ports {
        requests.spawn(async move {
            let body = instance(port);
            http(registry, "POST /myRegistry/register?proto=json", body.as_bytes()).await.0
        });
    }
    while let Some(status) = requests.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
}

/// A registry whose instances, which nobody listens for, stay for the length of a test.
async fn registry(port: &ReservedPort, folder: &Path) -> (Daemon, SocketAddr) {
    let settings = [("REGISTRY_SERVER_TTL", "60s")];
    Daemon::registry_with(&settings, port.number(), &["--data-dir", path(folder)]).await
}

async fn kill(mut daemon: Daemon) {
    daemon.signal(Signal::KILL);
    daemon.exits_within(SOON).await;
}

#[tokio::test]
async fn what_was_acknowledged_before_kill_9_is_in_the_first_list_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let port = ReservedPort::new();
    let mut expected = Vec::new();
    for round in 0..5 {
        let ports = 20_000 + round * 100..20_100 + round * 100;
        let (daemon, at) = registry(&port, folder.path()).await;
        assert_eq!(find_all(at).await, addresses(expected.iter().copied()), "round {round}");
        register(at, ports.clone()).await;
        expected.extend(ports);
        // One that left does not come back.
        let leaves = expected.remove(usize::from(round) * 90);
        let body = instance(leaves);
        let (status, _) = http(at, "POST /myRegistry/unregister?proto=json", body.as_bytes()).await;
        assert_eq!(status, 200);
        kill(daemon).await;
    }
    // Asked as soon as it accepts a connection.
    let ports = port.number().to_string();
    let arguments = ["registry", "-p", &ports, "-l", "127.0.0.1", "--data-dir"];
    let _daemon = Daemon::rpcd(arguments.into_iter().chain([path(folder.path())]));
    let listens = async {
        while TcpStream::connect(port.address()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(SOON, listens).await.unwrap();
    assert_eq!(find_all(port.address()).await, addresses(expected));
}

#[tokio::test]
async fn an_override_outlives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let port = ReservedPort::new();
    let (daemon, at) = registry(&port, folder.path()).await;
    register(at, [1001, 1002]).await;
    let drain = br#"{"state":"draining","reason":"deploy"}"#;
    let (status, _) = http(at, "PUT /v1/overrides/json/127.0.0.1/1001", drain).await;
    assert_eq!(status, 200);
    kill(daemon).await;
    let (_daemon, at) = registry(&port, folder.path()).await;
    assert_eq!(find_all(at).await, addresses([1002]));
    let (_, overrides) = http(at, "GET /v1/overrides", b"").await;
    assert!(overrides.contains("deploy"), "{overrides}");
}

#[tokio::test]
async fn a_store_in_use_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let port = ReservedPort::new();
    let (_daemon, _) = registry(&port, folder.path()).await;
    let arguments = ["registry", "-p", "0", "-l", "127.0.0.1", "--data-dir", path(folder.path())];
    let (code, _, stderr) = run_rpcd(arguments).await;
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains(path(&folder.path().join("registry.redb"))), "{stderr}");
    assert!(stderr.contains("another process") && stderr.contains("data_dir"), "{stderr}");
}

async fn ready(registry: SocketAddr) -> Value {
    let (status, body) = http(registry, "GET /readyz", b"").await;
    assert_eq!(status, 200);
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn at_the_limit_of_a_files_size_the_registry_goes_on_and_a_drain_says_that_it_is_not_durable()
{
    let folder = tempfile::tempdir().unwrap();
    let port = ReservedPort::new();
    let (daemon, at) = registry(&port, folder.path()).await;
    register(at, [1001, 1002]).await;
    assert_eq!(ready(at).await, json!({ "status": "ready", "store_kind": "redb" }));
    let url = format!("http://{at}");
    let drain = ["drain", "127.0.0.1:1001", "--registry", &url, "--json"];
    let (code, stdout, stderr) = run_rpcd(drain).await;
    assert_eq!((code, stderr.as_str(), stdout.contains("durable")), (0, "", false), "{stdout}");

    let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
    let limit = |current| Rlimit { current, maximum: None };
    prlimit(pid, Resource::Fsize, limit(Some(4096))).unwrap();
    let (code, stdout, stderr) = run_rpcd(drain).await;
    assert_eq!((code, stderr.lines().count()), (0, 1), "{stderr}");
    assert!(stderr.contains("127.0.0.1:1001 is not durable") && stderr.contains(&url), "{stderr}");
    let entry: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&entry["durable"], &entry["state"]), (&json!(false), &json!("draining")));
    let client = RegistryClient::new(&url, RegistryClientOptions::default()).unwrap();
    let records = client.instances(PROTO_JSON).await.unwrap();
    // They registered at the same time.
    let durable = records.iter().map(|record| (record.instance.port, record.durable));
    assert_eq!(durable.collect::<BTreeMap<_, _>>(), BTreeMap::from([(1001, false), (1002, true)]));
    let said = ready(at).await;
    assert_eq!((&said["status"], &said["store_kind"]), (&json!("degraded"), &json!("redb")));

    prlimit(pid, Resource::Fsize, limit(None)).unwrap();
    eventually("the store works again", async || ready(at).await["status"] == "ready").await;
}

#[tokio::test]
async fn a_registry_that_keeps_nothing_says_so() {
    let (daemon, at) = Daemon::registry(&[]).await;
    let what = "nothing is kept";
    daemon.line(what, |line| line.contains(what).then_some(())).await;
    assert_eq!(ready(at).await["store_kind"], "none");
}

#[tokio::test]
async fn a_recovery_where_there_is_no_database_says_so() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("mistyped");
    let arguments = ["registry", "-p", "0", "--recover", "--data-dir", path(&folder)];
    let (code, _, stderr) = run_rpcd(arguments).await;
    assert_eq!(code, 1, "{stderr}");
    assert!(stderr.contains("there is no database there; check the port and data_dir"), "{stderr}");
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_damaged_store_is_refused_and_what_is_readable_is_recovered() {
    let folder = tempfile::tempdir().unwrap();
    let port = ReservedPort::new();
    let (daemon, at) = registry(&port, folder.path()).await;
    register(at, 3000..3400).await;
    kill(daemon).await;
    let file = folder.path().join("registry.redb");
    let mut content = std::fs::read(&file).unwrap();
    for at in (4096..content.len()).step_by(10_007) {
        content[at] ^= 0xff;
    }
    std::fs::write(&file, &content).unwrap();

    let arguments = ["registry", "-p", "0", "-l", "127.0.0.1", "--data-dir", path(folder.path())];
    let (code, _, stderr) = run_rpcd(arguments).await;
    assert_eq!(code, 1, "{stderr}");
    let advice = format!("`rpcd registry -p 0 --data-dir '{}' --recover`", path(folder.path()));
    assert!(stderr.contains("damaged") && stderr.contains(&advice), "{stderr}");
    assert!(std::fs::read(&file).unwrap() == content, "it is left as it was");

    let (code, stdout, stderr) = run_rpcd(arguments.into_iter().chain(["--recover"])).await;
    assert_eq!(code, 0, "{stderr}");
    let kept: usize = stdout.split(' ').next().unwrap().parse().unwrap();
    assert!((300..=400).contains(&kept) && stdout.contains("not readable"), "{stdout}");
    let (_daemon, at) = registry(&port, folder.path()).await;
    assert_eq!(find_all(at).await.len(), kept);
    let aside = std::fs::read_dir(folder.path()).unwrap();
    let mut names = aside.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.any(|name| name.starts_with("registry.redb.damaged-")));
}

#[tokio::test]
async fn a_registry_that_started_with_nothing_says_so_with_every_list() {
    let settings = [("REGISTRY_SERVER_WARMING", "1m"), ("REGISTRY_SERVER_STORE", "none")];
    let (_registry, at) = Daemon::registry_with(&settings, 0, &[]).await;
    let (code, _, stderr) = run_rpcd(["instances", "--registry", &format!("http://{at}")]).await;
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("has just started"), "{stderr}");
}
