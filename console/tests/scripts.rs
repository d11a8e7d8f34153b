//! Commands for scripts: output, exit codes, an older registry.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests say what they expect"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rpc_tests::reserved_port::ReservedPort;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rpc-console");
/// Generous: the machine may be busy with other tests.
const DEADLINE: Duration = Duration::from_secs(60);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// Counts down to one.
#[rpc_server::rpc_method(stream)]
fn countdown(from: i64) -> impl futures_util::Stream<Item = i64> {
    futures_util::stream::iter((1..=from).rev())
}

/// A registry and a registered server.
struct Site {
    url: String,
    server: String,
    _runtime: tokio::runtime::Runtime,
    registry: Option<tokio::runtime::Runtime>,
    port: ReservedPort,
}

impl Site {
    fn start() -> Self {
        let (runtime, registry, port) = (runtime(), runtime(), ReservedPort::new());
        start_registry(&registry, &port);
        let url = port.url();
        let server = runtime.block_on(
            rpc_server::Server::builder()
                .methods(rpc_server::builtin::methods())
                .method(countdown::method())
                .announce(rpc_server::Announce::to(&url).unwrap())
                .bind((Ipv4Addr::LOCALHOST, 0)),
        );
        let server = server.unwrap();
        let address = server.local_addr().to_string();
        runtime.spawn(server.serve(std::future::pending()));
        let site = Self { url, server: address, _runtime: runtime, registry: Some(registry), port };
        let end = Instant::now() + DEADLINE;
        while site.run(&["ls"]).out.is_empty() {
            assert!(Instant::now() < end, "the server does not register");
        }
        site
    }

    fn run(&self, arguments: &[&str]) -> Done {
        run(&[arguments, &["--registry", &self.url]].concat())
    }
}

fn start_registry(runtime: &tokio::runtime::Runtime, port: &ReservedPort) {
    let address = port.address();
    let bound = rpc_registry::Registry::bind(address, rpc_registry::RegistryOptions::default());
    runtime.spawn(runtime.block_on(bound).unwrap().serve(std::future::pending()));
}

/// The result of a command.
struct Done {
    code: i32,
    out: String,
    error: String,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    // Ignore the settings of the user who runs the test.
    command.args(arguments).current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.env("XDG_CONFIG_HOME", concat!(env!("CARGO_TARGET_TMPDIR"), "/no-settings"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RPCD_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Done {
    let output = command(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, error) = (text(output.stdout), text(output.stderr));
    Done { code: output.status.code().unwrap(), out, error }
}

fn json_of(done: &Done) -> Value {
    assert_eq!(done.code, 0, "{}", done.error);
    assert_eq!(done.out.lines().count(), 1, "{}", done.out);
    serde_json::from_str(&done.out).unwrap()
}

/// A running watch; killed when dropped.
struct Watching(Child, BufReader<ChildStdout>);

impl Watching {
    fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self(child, out)
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    /// Reads until an event of that name.
    fn until(&mut self, name: &str) -> Value {
        loop {
            let event = self.next();
            assert!(event["at_ms"].as_u64().unwrap() > 1_600_000_000_000, "{event}");
            if event["event"] == name {
                return event;
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn ls_and_methods_print_text_or_one_json_document() {
    let site = Site::start();
    let done = site.run(&["ls"]);
    assert!(done.out.starts_with(&site.server) && done.out.contains("  up  "), "{}", done.out);
    let list = json_of(&site.run(&["ls", "--json"]));
    let server = &list[0];
    let key = format!("{}:{}", server["host"].as_str().unwrap(), server["port"]);
    assert_eq!((list.as_array().unwrap().len(), key), (1, site.server.clone()));

    let done = site.run(&["methods"]);
    assert!(done.out.contains("add(a, b, c=10)") && done.out.contains("(stream)"), "{}", done.out);
    let document = json_of(&site.run(&["methods", "--json", "--on", &site.server]));
    let methods = document["methods"].as_array().unwrap();
    assert!(methods.iter().any(|method| method["name"] == "add"), "{document}");
}

#[test]
fn call_prints_the_result_and_exits_with_a_code_for_scripts() {
    let site = Site::start();
    let done = site.run(&["call", "add", "1", "2", "c=-3"]);
    assert_eq!((done.code, done.out.as_str()), (0, "0\n"), "{}", done.error);
    let done = site.run(&["call", "hello", "Ann"]);
    assert!(done.out.contains("Ann") && !done.out.contains('"'), "{}", done.out);
    assert!(json_of(&site.run(&["call", "hello", "Ann", "--json"])).is_string());
    let done = site.run(&["call", "countdown", "3", "--stream", "--json"]);
    assert_eq!((done.code, done.out.as_str()), (0, "3\n2\n1\n"), "{}", done.error);

    let unused = ReservedPort::new();
    let unreachable = unused.url();
    let server = site.server.clone();
    for (code, arguments) in [
        (1, vec!["call", "no_such_method"]),
        (1, vec!["call", "add", "one"]),
        (2, vec!["call"]),
        (2, vec!["call", "add", "a=1", "a=2"]),
        (2, vec!["ls", "--no-such-flag"]),
        (2, vec!["call", "add", "1", "2", "--timeout", "soon"]),
        (4, vec!["call", "sleep", "30", "--timeout", "200ms", "--on", &server]),
    ] {
        let done = site.run(&arguments);
        assert_eq!(done.code, code, "{arguments:?}: {} {}", done.out, done.error);
        assert!(done.out.is_empty() && !done.error.is_empty(), "{arguments:?}");
    }
    for arguments in [vec!["call", "add", "1", "2"], vec!["ls"], vec!["methods"], vec!["watch"]] {
        let done = run(&[arguments.as_slice(), &["--registry", &unreachable]].concat());
        assert_eq!(done.code, 3, "{arguments:?}: {} {}", done.out, done.error);
        assert_eq!(done.error.lines().count(), 1, "{}", done.error);
    }
}

#[test]
fn a_silent_registry_is_a_timeout() {
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut settings = tempfile::NamedTempFile::new().unwrap();
    settings.write_all(b"[client]\nregistry_timeout = 300ms").unwrap();
    let path = settings.path().to_str().unwrap();
    let done = run(&["ls", "--registry", &url, "--config", path]);
    assert_eq!(done.code, 4, "{} {}", done.out, done.error);
}

#[test]
fn a_registry_can_be_given_by_its_name_in_the_settings() {
    let site = Site::start();
    let mut settings = tempfile::NamedTempFile::new().unwrap();
    write!(settings, "[registry]\nport = 1\n[registry.east]\nport = {}", site.port.number())
        .unwrap();
    let path = settings.path().to_str().unwrap();
    assert_eq!(run(&["ls", "--config", path, "--registry", "east"]).code, 0);
    assert_eq!(run(&["ls", "--config", path]).code, 3);
    let done = run(&["ls", "--config", path, "--registry", "eats"]);
    assert!(done.code == 2 && done.error.contains("did you mean east?"), "{}", done.error);
}

#[test]
fn watch_prints_a_line_for_each_event_and_survives_a_lost_registry() {
    let mut site = Site::start();
    let mut watching = Watching::start(&["watch", "--json", "--registry", &site.url]);
    let first = watching.next();
    assert_eq!(first["event"], "snapshot");
    assert_eq!(first["instances"].as_array().unwrap().len(), 1);

    let instance = rpc_wire::instance::Instance::new("10.9.8.7", 1);
    let options = rpc_client::registry::RegistryClientOptions::default();
    let client = rpc_client::registry::RegistryClient::new(&site.url, options).unwrap();
    let threads = runtime();
    threads.block_on(client.register(&instance)).unwrap();
    let registered = watching.until("registered");
    assert_eq!(registered["instance"]["host"], "10.9.8.7", "{registered}");
    threads.block_on(client.unregister(&instance)).unwrap();
    watching.until("unregistered");

    site.registry.take().unwrap().shutdown_timeout(Duration::from_secs(1));
    let lost = watching.until("lost");
    assert!(lost["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{lost}");
    let restarted = runtime();
    start_registry(&restarted, &site.port);
    watching.until("snapshot");
}

/// A registry of the older system, which only lists.
fn older_registry() -> (String, Arc<Mutex<Value>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let list = Arc::new(Mutex::new(json!([])));
    let shared = Arc::clone(&list);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let read = stream.read(&mut request).unwrap_or(0);
            let path = String::from_utf8_lossy(&request[..read]).into_owned();
            let reply = if path.starts_with("GET /myRegistry/findAllInstances") {
                format!("HTTP/1.0 200 OK\r\n\r\n{}", shared.lock().unwrap())
            } else {
                "HTTP/1.0 404 Not Found\r\n\r\n".to_owned()
            };
            let _ = stream.write_all(reply.as_bytes());
        }
    });
    (url, list)
}

#[test]
fn an_older_registry_is_polled() {
    let (url, list) = older_registry();
    let mut watching = Watching::start(&["watch", "--json", "--registry", &url]);
    assert_eq!(watching.next()["event"], "snapshot");
    let instance = |host: &str| json!({"protocol": "json", "host": host, "port": 1, "parameters": {}, "status": true});
    *list.lock().unwrap() = json!([instance("a"), instance("b")]);
    assert_eq!(watching.until("registered")["instance"]["host"], "a");
    assert_eq!(watching.until("registered")["instance"]["host"], "b");
    *list.lock().unwrap() = json!([instance("b")]);
    assert_eq!(watching.until("gone")["instance"]["host"], "a");
    assert_eq!(run(&["ls", "--registry", &url]).out, "b:1\n");
}

#[test]
fn a_closed_pipe_stops_a_watch_quietly() {
    let site = Site::start();
    let mut child = command(&["watch", "--beats", "--registry", &site.url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
