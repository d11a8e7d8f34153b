//! `rpcd watch`: a line for each event, also when the registry is lost or an older one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{command, rpcd};
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
    let again = runtime();
    start_registry(&again, &site.port);
    watching.until("snapshot");
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
