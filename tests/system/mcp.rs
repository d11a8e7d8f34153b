//! `rpcd mcp`: methods of live instances as tools of agents, whatever happens to the instances.

use std::time::{Duration, Instant};

use rpc_tests::daemon::{Daemon, run_rpcd};
use rpc_tests::eventually::{eventually, soon};
use rpc_tests::peers;
use rpc_tests::queries::{http, lists};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::ChildStdin;

/// An agent's side of `rpcd mcp`.
struct Agent {
    gateway: Daemon,
    input: Option<ChildStdin>,
    next: u64,
}

impl Agent {
    fn of(registry: &str, further: &[&str]) -> Self {
        Self::at(&["--registry", registry], further)
    }

    fn at(target: &[&str], further: &[&str]) -> Self {
        let arguments = [&["mcp"], target, further].concat();
        let mut gateway = Daemon::rpcd(arguments);
        let input = Some(gateway.take_stdin());
        Self { gateway, input, next: 0 }
    }

    async fn send(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.input.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
    }

    /// Sends a request; returns how its answer begins to be found.
    async fn request(&mut self, method: &str, params: Value) -> u64 {
        self.next += 1;
        let id = self.next;
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(&message).await;
        id
    }

    async fn answer(&self, id: u64) -> Value {
        let find = |line: &str| {
            let message: Value = serde_json::from_str(line).ok()?;
            (message["id"] == id).then_some(message)
        };
        self.gateway.line("its answer", find).await
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params).await;
        let mut answer = self.answer(id).await;
        assert_eq!(answer.get("error"), None, "{answer}");
        answer["result"].take()
    }

    async fn tools(&mut self) -> Vec<String> {
        let list = self.ask("tools/list", json!({})).await;
        let tools = list["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    async fn initialize(&mut self) -> Value {
        let params = json!({"protocolVersion": "2025-11-25", "clientInfo": {"name": "tester"}});
        let result = self.ask("initialize", params).await;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        result
    }

    async fn ends(mut self) -> Daemon {
        drop(self.input.take());
        assert_eq!(self.gateway.exit_code().await, 0, "{}", self.gateway.transcript());
        self.gateway
    }
}

fn url(address: std::net::SocketAddr) -> String {
    format!("http://{address}")
}

#[tokio::test]
async fn a_new_servers_methods_are_tools_within_a_second_and_a_killed_ones_are_gone() {
    let (_registry, registry) = Daemon::registry(&["--store", "none"]).await;
    let mut agent = Agent::of(&url(registry), &[]);
    agent.initialize().await;
    assert_eq!(agent.tools().await, [""; 0]);
    let (server, address) = Daemon::server(&["--registry", &url(registry)]).await;
    lists(registry, &[address]).await;
    let registered = Instant::now();
    agent
        .gateway
        .line("a change is told", |line| line.contains("list_changed").then_some(()))
        .await;
    let told = registered.elapsed();
    assert!(agent.tools().await.contains(&"add".to_owned()));
    assert!(told < Duration::from_secs(1), "told after {told:?}");

    server.signal(Signal::KILL);
    let killed = Instant::now();
    while !agent.tools().await.is_empty() {
        // The TTL, the probe of the registry and the time of a request.
        assert!(killed.elapsed() < Duration::from_secs(13), "{}", agent.gateway.transcript());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("listed after {told:?}, gone {:?} after kill -9", killed.elapsed());
    let id =
        agent.request("tools/call", json!({"name": "add", "arguments": {"a": 1, "b": 2}})).await;
    assert_eq!(agent.answer(id).await["error"]["code"], -32602);
}

#[tokio::test]
async fn no_call_fails_when_one_of_two_servers_is_killed() {
    let (_registry, registry) = Daemon::registry(&["--store", "none"]).await;
    let (first, address) = Daemon::server(&["--registry", &url(registry)]).await;
    let (_second, other) = Daemon::server(&["--registry", &url(registry)]).await;
    lists(registry, &[address, other]).await;
    let mut agent = Agent::of(&url(registry), &[]);
    let mut ids = Vec::new();
    for number in 0..300 {
        let arguments = json!({"a": number, "b": 0, "c": 0});
        ids.push(agent.request("tools/call", json!({"name": "add", "arguments": arguments})).await);
        if number == 100 {
            agent.answer(ids[50]).await;
            first.signal(Signal::KILL);
        }
    }
    for (number, id) in ids.into_iter().enumerate() {
        let answer = agent.answer(id).await;
        assert_eq!(answer["result"]["structuredContent"], json!({"result": number}), "{answer}");
    }
}

#[tokio::test]
async fn the_last_tools_are_there_with_a_note_while_the_registry_is_away() {
    let (registry, address) = Daemon::registry(&["--store", "none"]).await;
    let (_server, _) = Daemon::server(&["--registry", &url(address)]).await;
    let mut agent = Agent::of(&url(address), &[]);
    eventually("tools", async || !agent.tools().await.is_empty()).await;
    let before = agent.tools().await;
    registry.signal(Signal::KILL);
    eventually("the note", async || {
        let instructions = agent.initialize().await["instructions"].take();
        instructions.as_str().unwrap().contains("Now: 1 instance, as listed")
    })
    .await;
    assert_eq!(agent.tools().await, before);
    let result = agent.call("add", json!({"a": 1, "b": 2})).await;
    assert_eq!(result["content"][0]["text"], "13");
}

/// An instance that is registered and accepts connections, and says nothing.
async fn silent_instance(registry: std::net::SocketAddr) -> TcpListener {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let instance = json!({"protocol": "json", "host": "127.0.0.1", "port": port, "status": true, "parameters": {}});
    let body = instance.to_string();
    let (status, body) =
        http(registry, "POST /myRegistry/register?proto=json", body.as_bytes()).await;
    assert_eq!(status, 200, "{body}");
    silent
}

#[tokio::test]
async fn the_first_tools_do_not_wait_for_an_instance_that_says_nothing() {
    let (_registry, registry) = Daemon::registry(&["--store", "none"]).await;
    let silent = silent_instance(registry).await;
    let (_server, server) = Daemon::server(&["--registry", &url(registry)]).await;
    lists(registry, &[silent.local_addr().unwrap(), server]).await;
    let started = Instant::now();
    let mut agent = Agent::of(&url(registry), &[]);
    let tools = agent.tools().await;
    let after = started.elapsed();
    assert!(tools.contains(&"add".to_owned()), "{tools:?}");
    // Half a second, and what it takes to start.
    assert!(after < Duration::from_millis(1800), "after {after:?}");
    let why = |line: &str| line.contains("methods are not known").then_some(());
    agent.gateway.line("the instance that is left out", why).await;
}

#[tokio::test]
async fn a_silent_instance_does_not_hold_up_the_tools_of_others() {
    let (_registry, registry) = Daemon::registry(&["--store", "none"]).await;
    let mut agent = Agent::of(&url(registry), &[]);
    assert_eq!(agent.tools().await, [""; 0]);
    let _silent = silent_instance(registry).await;
    let (_server, _) = Daemon::server(&["--registry", &url(registry)]).await;
    let started = Instant::now();
    eventually("tools", async || !agent.tools().await.is_empty()).await;
    let after = started.elapsed();
    assert!(after < Duration::from_secs(3), "after {after:?}");
}

#[tokio::test]
async fn each_call_is_one_line_of_the_log_without_its_arguments() {
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    let port = address.port().to_string();
    let mut gateway = Daemon::rpcd(["mcp", "-p", &port]);
    let input = Some(gateway.take_stdin());
    let mut agent = Agent { gateway, input, next: 0 };
    agent.initialize().await;
    agent.call("hello", json!({"name": "marked-argument"})).await;
    agent.call("add", json!({"a": "marked-argument"})).await;
    let gateway = agent.ends().await;
    let log = gateway.stderr().text();
    let calls: Vec<_> = log.lines().filter(|line| line.contains("tool called")).collect();
    assert_eq!(calls.len(), 2, "{log}");
    let holds = |line: &str, words: [&str; 4]| words.iter().all(|word| line.contains(word));
    assert!(holds(calls[0], ["tester", "hello", "ok", "elapsed="]), "{log}");
    assert!(holds(calls[1], ["tester", "add", "bad_arguments", "elapsed="]), "{log}");
    assert!(!log.contains("marked-argument"), "{log}");
}

#[tokio::test]
async fn it_listens_with_tokens_until_a_signal() {
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    let (port, home) = (address.port().to_string(), rpc_tests::home::Home::new());
    let tokens = home.path().join("tokens");
    let (code, made, _) = run_rpcd(["token", "new", "--name", "agent", "--roles", "call"]).await;
    assert_eq!(code, 0);
    let line = made.lines().find(|line| line.contains("sha256:")).unwrap().trim().to_owned();
    std::fs::write(&tokens, line + "\n").unwrap();
    let settings = [("SECURITY_TOKENS", tokens.to_str().unwrap())];
    let mut gateway = Daemon::rpcd_with(&settings, ["mcp", "--listen", "0", "-p", &port]);
    let listening = gateway.line("it listens", |line| {
        line.contains("listening").then(|| rpc_tests::daemon::address_in(line)).flatten()
    });
    let listening = listening.await;
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let (status, refused) = http(listening, "POST /mcp", ping.to_string().as_bytes()).await;
    assert!(status == 401 && refused.contains("needs a token"), "{refused}");
    gateway.signal(Signal::TERM);
    let status = gateway.exits_within(Duration::from_secs(10)).await;
    assert_eq!(status.code(), Some(0), "{}", gateway.transcript());
}

#[tokio::test]
async fn an_address_in_use_is_exit_code_3_and_a_signal_ends_it_well() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, _, said) = run_rpcd(["mcp", "--listen", &port]).await;
    assert!(code == 3 && said.contains("--listen"), "{code}: {said}");
    let (_server, address) = Daemon::server(&["--no-registry"]).await;
    let mut gateway = Daemon::rpcd(["mcp", "-p", &address.port().to_string()]);
    let _input = gateway.take_stdin();
    gateway.line("it has tools", |line| line.contains("tools").then_some(())).await;
    gateway.signal(Signal::TERM);
    let status = soon("its end", gateway.exits_within(Duration::from_secs(10))).await;
    assert_eq!(status.code(), Some(0), "{}", gateway.transcript());
}

#[tokio::test]
async fn arguments_of_a_json_rpc_server_go_by_name_or_by_position_as_its_list_says() {
    let jayson = peers::server("json_rpc_server.mjs", &["discover"], 2).await;
    let pjrpc = peers::server("json_rpc_server.py", &["discover"], 1).await;
    let (Some(jayson), Some(pjrpc)) = (jayson, pjrpc) else { return };
    for (port, method) in [(jayson.ports[1], "by_position"), (pjrpc.ports[0], "by_name")] {
        let mut agent = Agent::at(&["-i", &format!("http://127.0.0.1:{port}/")], &["--all"]);
        agent.initialize().await;
        let result = agent.call(method, json!({"b": 2, "a": 1})).await;
        let expected = json!({"result": [method.replace('_', " "), 1, 2]});
        assert_eq!(result["structuredContent"], expected, "{result}");
        agent.ends().await;
    }
}
