//! `rpcd watch`: a line for each event, also when the registry is lost or an older one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::{Daemon, command, rpcd};
use crate::site::{Site, runtime, start_registry};

/// A watch under way; killed when dropped.
struct Watching(Child, BufReader<ChildStdout>);

impl Watching {
    fn start(arguments: &[&str]) -> Self {
        let mut child =
            command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self(child, out)
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    /// Reads on until an event of that name.
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
    let came = watching.until("registered");
    assert_eq!(came["instance"]["host"], "10.9.8.7", "{came}");
    threads.block_on(client.unregister(&instance)).unwrap();
    watching.until("unregistered");

    site.registry.take().unwrap().shutdown_timeout(Duration::from_secs(1));
    let lost = watching.until("lost");
    assert!(lost["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{lost}");
    // Long enough for some retries, which print nothing.
    std::thread::sleep(Duration::from_secs(1));
    let again = runtime();
    start_registry(&again, &site.port);
    assert_eq!(watching.next()["event"], "snapshot");
}

/// A registry as the older system has it: lists, and nothing else.
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
fn an_older_registry_is_watched_by_asking_again() {
    let (url, list) = older_registry();
    let mut watching = Watching::start(&["watch", "--json", "--registry", &url]);
    assert_eq!(watching.next()["event"], "snapshot");
    let instance = |host: &str| json!({"protocol": "json", "host": host, "port": 1, "parameters": {}, "status": true});
    *list.lock().unwrap() = json!([instance("a"), instance("b")]);
    assert_eq!(watching.until("registered")["instance"]["host"], "a");
    assert_eq!(watching.until("registered")["instance"]["host"], "b");
    *list.lock().unwrap() = json!([instance("b")]);
    assert_eq!(watching.until("gone")["instance"]["host"], "a");
    assert_eq!(rpcd(&format!("instances --registry {url}")).stdout, "b:1\n");
}

#[test]
fn instances_and_watch_take_the_address_of_a_registry_as_other_commands_that_of_a_server() {
    let site = Site::start();
    let port = site.url.rsplit(':').next().unwrap();
    for flags in ["-p", "-i 127.0.0.1 -p", "-m registry -p"] {
        let run = rpcd(&format!("instances {flags} {port}"));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{flags}");
        assert!(run.stdout.starts_with(&site.server), "{flags}: {}", run.stdout);
        let line = format!("watch --json {flags} {port}");
        let mut watching = Watching::start(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(watching.next()["event"], "snapshot", "{flags}");
    }
    for command in ["instances", "watch"] {
        for (flags, why) in [
            ("-m server -p 1", "-m server does not go with this command: only a registry lists"),
            ("-p 1 --registry http://h:1", "--registry does not go with -m server, -i or -p"),
            ("-i h", "missing port; add -p PORT"),
        ] {
            let run = rpcd(&format!("{command} {flags}"));
            assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{command} {flags}");
            assert!(run.stderr.contains(why), "{command} {flags}: {}", run.stderr);
        }
    }
}

#[test]
fn a_reader_that_goes_away_ends_what_follows_while_nothing_is_printed() {
    let site = Site::start();
    let (_server, logging) = Daemon::serve("--no-registry");
    let logging = logging.to_string();
    for line in [
        &["watch", "--registry", &site.url][..],
        &["watch", "--json", "--registry", &site.url],
        &["logs", "-p", &logging],
        &["call", "rpc.logs", "-p", &logging],
    ] {
        let mut child =
            command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut String::new()).unwrap();
        drop(out);
        let end = Instant::now() + Duration::from_secs(20);
        while child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "{line:?} still runs");
            std::thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.as_str()), (Some(0), ""), "{line:?}");
    }
    // Nobody left: it is followed on, also where standard output is no pipe.
    let out = tempfile::NamedTempFile::new().unwrap();
    let mut child = command(&["watch", "--registry", &site.url])
        .stdout(out.reopen().unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let text = || std::fs::read_to_string(out.path()).unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while !text().contains("snapshot") {
        assert!(Instant::now() < end, "{}", text());
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none(), "{}", text());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_reader_that_goes_away_ends_a_watch_quietly() {
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

/// A registry that lists one instance, and one entry that cannot be read; returns its URL.
fn half_readable() -> String {
    let record = |host: &str| {
        json!({"protocol": "json", "host": host, "port": 7, "age_ms": 5, "ttl_ms": 10_000,
            "registered_ms_ago": 9, "heartbeats": 2, "state": "up"})
    };
    let list = json!([record("$(id)"), record("127.0.0.7")]).to_string();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut head = BufReader::new(&socket).lines().map_while(Result::ok);
            let request = head.next().unwrap_or_default();
            let _rest = head.take_while(|line| !line.is_empty()).count();
            let reply = if request.contains("/v1/watch") {
                format!("HTTP/1.1 200 OK\r\n\r\nevent: snapshot\ndata: {list}\n\n")
            } else {
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{list}", list.len())
            };
            socket.write_all(reply.as_bytes()).unwrap();
            open.push(socket);
        }
    });
    url
}

#[test]
fn entries_that_cannot_be_read_are_counted_and_the_others_shown() {
    let url = half_readable();
    let said = format!(
        "rpcd: warning: 1 entry of the registry at {url} cannot be read and is not shown; its log says who registers what\n"
    );
    let run = rpcd(&format!("instances --registry {url}"));
    assert_eq!((run.code, &run.stderr), (0, &said), "{run:?}");
    assert!(run.stdout.starts_with("127.0.0.7:7 "), "{}", run.stdout);

    let mut child = command(&["watch", "--registry", &url]).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(line, said);
}
