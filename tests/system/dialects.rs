//! The table of docs/protocols.md: what it says of each dialect, compared with a server, a worker and `rpcd mcp`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::eventually;
use rpc_tests::http_reply::HttpReply;
use rpc_tests::python::has_python;
use rpc_tests::raw::Raw;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

/// Its methods tell what it was sent; each call is answered in order, but for naps.
const WORKER: &str = r#"
import json, sys, threading
names = ["count", "nap", "seen", "brief"]
listed = [{"name": name, "params": [], "x-read-only": True, "x-stream": name == "count"} for name in names]
seen = []
for line in sys.stdin:
    message = json.loads(line)
    seen.append(message)
    say = lambda it, id=message.get("id"): print(json.dumps({"id": id} | it), flush=True)
    name = message.get("method_name")
    if name == "rpc.discover":
        say({"res": {"methods": listed}})
    elif name == "count":
        for step in [{"item": 1}, {"item": 2}, {"end": True}]:
            say(step)
    elif name == "seen":
        say({"res": seen[1:]})
    elif name == "brief":
        threading.Timer(0.2, say, [{"res": 1}]).start()
    elif "cancel" in message:
        say({"res": 0}, message["cancel"])
"#;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The cells of the table: those of a row by the names of the columns.
fn table() -> BTreeMap<String, BTreeMap<String, String>> {
    let page = include_str!("../../docs/protocols.md");
    let mut rows = page.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let cells =
        |row: &str| row.split('|').map(|cell| cell.trim().replace('`', "")).collect::<Vec<_>>();
    let columns = cells(rows.next().unwrap());
    let row = |row: &str| {
        let mut cells = cells(row).into_iter();
        let name = cells.next().unwrap();
        let of = columns[1..].iter().cloned().zip(cells).collect();
        (name, of)
    };
    rows.map(row).collect()
}

/// A server with the worker, and its port.
struct Served {
    _server: Daemon,
    _folder: tempfile::TempDir,
    at: SocketAddr,
}

impl Served {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("worker.py");
        std::fs::write(&program, WORKER).unwrap();
        let command = format!("python3 {}", program.display());
        let concurrency = ["--worker-concurrency", "64"];
        let further = [&["--no-registry", "--worker", &command], &concurrency[..]].concat();
        let (server, at) = Daemon::server(&further).await;
        Self { _server: server, _folder: folder, at }
    }

    /// The replies to a message that come before that to a call which the worker gets later.
    async fn tcp(&self, message: &Value) -> Vec<Value> {
        let mut connection = Raw::connect(self.at).await;
        connection.send(message.to_string()).await;
        let mut replies = vec![connection.ask(r#"{"id":99,"method_name":"seen"}"#).await];
        while replies.last().unwrap()["id"] != 99 {
            replies.push(connection.reply().await);
        }
        replies.pop();
        replies
    }

    async fn post(&self, path: &str, headers: &str, body: &Value) -> HttpReply {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             {headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut connection = Raw::connect(self.at).await;
        connection.send(request).await;
        HttpReply::read(&connection.rest().await).unwrap()
    }

    /// What `rpcd mcp` answers to these lines.
    async fn mcp(&self, messages: &[Value]) -> Vec<Value> {
        let port = self.at.port().to_string();
        let mut gateway = Daemon::rpcd(["mcp", "-i", "127.0.0.1", "-p", &port]);
        let lines: String = messages.iter().map(|message| format!("{message}\n")).collect();
        gateway.take_stdin().write_all(lines.as_bytes()).await.unwrap();
        assert_eq!(gateway.exit_code().await, 0, "{}", gateway.transcript());
        gateway.stdout().lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the worker was sent.
    async fn seen(&self) -> Vec<Value> {
        let mut reply = Raw::connect(self.at).await.ask(r#"{"id":1,"method_name":"seen"}"#).await;
        serde_json::from_value(reply["res"].take()).unwrap()
    }

    /// What the worker is sent for a call that has a deadline and a trace, as far as the dialect has them.
    async fn meta_of_a_call(&self, dialect: &str) -> Value {
        let meta = json!({"deadline_ms": 5000, "traceparent": TRACE});
        let json_rpc = json!({"jsonrpc": "2.0", "id": 1, "method": "seen", "meta": meta});
        let headers = format!("Timeout: 5\r\ntraceparent: {TRACE}\r\n");
        match dialect {
            "classic" => {
                let call = json!({"method_name": "seen", "method_args": [], "method_kwargs": {}, "meta": meta});
                self.tcp(&call).await;
            }
            "extended" | "worker" => {
                self.tcp(&json!({"id": 1, "method_name": "seen", "meta": meta})).await;
            }
            "JSON-RPC over TCP" => drop(self.tcp(&json_rpc).await),
            "POST /rpc" => drop(self.post("/rpc", &headers, &json_rpc).await),
            "POST /call" => drop(self.post("/call/seen", &headers, &json!([])).await),
            "MCP" => {
                let params = json!({"name": "seen", "arguments": {}, "_meta": meta});
                self.mcp(&[tool_call(&params)]).await;
            }
            other => panic!("{other}"),
        }
        // The last call is the one that asks, or, over TCP, the two that do.
        let calls: Vec<Value> = self.seen().await;
        let ends =
            if dialect.contains("TCP") || ["classic", "extended", "worker"].contains(&dialect) {
                3
            } else {
                2
            };
        calls[calls.len() - ends]["meta"].clone()
    }

    async fn streams(&self, dialect: &str) -> bool {
        let json_rpc = json!({"jsonrpc": "2.0", "id": 1, "method": "count"});
        match dialect {
            "classic" => {
                let call = json!({"method_name": "count", "method_args": [], "method_kwargs": {}});
                !self.tcp(&call).await[0].to_string().contains("is a stream")
            }
            "extended" | "worker" => {
                let call = json!({"id": 1, "method_name": "count", "meta": {"stream": true}});
                let mut connection = Raw::connect(self.at).await;
                let mut replies = vec![connection.ask(call.to_string()).await];
                while !replies.iter().any(|reply| reply["end"] == true) {
                    replies.push(connection.reply().await);
                }
                replies[0]["item"] == 1 && replies[1]["item"] == 2
            }
            "JSON-RPC over TCP" => self.tcp(&json_rpc).await[0]["error"]["code"] != -32602,
            "POST /rpc" => !self.post("/rpc", "", &json_rpc).await.body.contains("-32602"),
            "POST /call" => self.post("/call/count", "", &json!([])).await.body == "1\n2\n",
            "MCP" => {
                let reply =
                    self.mcp(&[tool_call(&json!({"name": "count", "arguments": {}}))]).await;
                reply[0]["result"]["structuredContent"]["result"] == json!([1, 2])
            }
            other => panic!("{other}"),
        }
    }

    async fn batches(&self, dialect: &str) -> bool {
        let json_rpc = |id| json!({"jsonrpc": "2.0", "id": id, "method": "seen"});
        let extended = |id| json!({"id": id, "method_name": "seen"});
        let is_of_two = |reply: &Value| {
            reply.as_array().is_some_and(|all| all.len() == 2 && all[0].get("result").is_some())
        };
        match dialect {
            "classic" | "extended" => {
                is_of_two(&self.tcp_batch(&json!([extended(1), extended(2)])).await)
            }
            "JSON-RPC over TCP" => {
                is_of_two(&self.tcp_batch(&json!([json_rpc(1), json_rpc(2)])).await)
            }
            "POST /rpc" => {
                let reply = self.post("/rpc", "", &json!([json_rpc(1), json_rpc(2)])).await;
                is_of_two(&serde_json::from_str(&reply.body).unwrap())
            }
            "POST /call" => self.post("/call/seen", "", &json!([[], []])).await.status == 200,
            "MCP" => is_of_two(&self.mcp(&[json!([tool_call(&json!({"name": "seen"}))])]).await[0]),
            "worker" => self.seen().await.iter().any(Value::is_array),
            other => panic!("{other}"),
        }
    }

    async fn tcp_batch(&self, batch: &Value) -> Value {
        Raw::connect(self.at).await.ask(batch.to_string()).await
    }

    /// Whether a call can be made to which no reply comes.
    async fn oneway(&self, dialect: &str) -> bool {
        let json_rpc = json!({"jsonrpc": "2.0", "method": "seen"});
        let before = self.seen().await.len();
        let is_silent = match dialect {
            "classic" => {
                let call = json!({"method_name": "seen", "method_args": [], "method_kwargs": {},
                                  "meta": {"oneway": true}});
                self.tcp(&call).await.is_empty()
            }
            "extended" => {
                let call = json!({"id": 1, "method_name": "seen", "meta": {"oneway": true}});
                self.tcp(&call).await.is_empty()
            }
            "JSON-RPC over TCP" => self.tcp(&json_rpc).await.is_empty(),
            "POST /rpc" => self.post("/rpc", "", &json_rpc).await.status == 204,
            "POST /call" => self.post("/call/seen", "", &json!([])).await.body.is_empty(),
            "MCP" => {
                let mut call = tool_call(&json!({"name": "seen"}));
                call.as_object_mut().unwrap().remove("id");
                self.mcp(&[call]).await.is_empty()
            }
            "worker" => {
                let seen = self.seen().await;
                return seen.iter().any(|it| it["method_name"].is_string() && it["id"].is_null());
            }
            other => panic!("{other}"),
        };
        // The call itself, beside those of this test.
        let own = if dialect.starts_with("POST") || dialect == "MCP" { 1 } else { 2 };
        is_silent && self.seen().await.len() == before + own + 1
    }

    async fn cancels(&self, dialect: &str) -> bool {
        let brief = match dialect {
            "classic" => r#"{"method_name":"brief","method_args":[],"method_kwargs":{}}"#,
            "JSON-RPC over TCP" => r#"{"jsonrpc":"2.0","id":1,"method":"brief"}"#,
            _ => "",
        };
        if !brief.is_empty() {
            // The nearest to it is the end of what the client sends.
            let mut connection = Raw::connect(self.at).await;
            connection.send(brief).await;
            connection.half_close().await;
            let reply = connection.reply().await;
            return reply.get("res").or_else(|| reply.get("result")) != Some(&json!(1));
        }
        if dialect == "MCP" {
            let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
            return self.mcp(&[tool_call(&json!({"name": "nap"})), cancelled]).await.is_empty();
        }
        let cancelled = async || {
            let seen = self.seen().await;
            let naps = seen.iter().filter(|it| it["method_name"] == "nap");
            let naps: Vec<&Value> = naps.map(|it| &it["id"]).collect();
            let is_of = |id: &Value| seen.iter().any(|it| it["cancel"] == *id);
            (naps.len(), naps.into_iter().filter(|id| is_of(id)).count())
        };
        let (naps, _) = cancelled().await;
        let mut connection = Raw::connect(self.at).await;
        let http = |path: &str, body: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let call = match dialect {
            "POST /rpc" => http("/rpc", r#"{"jsonrpc":"2.0","id":1,"method":"nap"}"#),
            "POST /call" => http("/call/nap", "[]"),
            _ => r#"{"id":1,"method_name":"nap"}"#.to_owned(),
        };
        connection.send(call).await;
        eventually("the worker has the call", async || cancelled().await.0 == naps + 1).await;
        if !dialect.starts_with("POST") {
            connection.send(r#"{"cancel":1}"#).await;
            assert_eq!(connection.reply().await["error"]["code"], -32001);
        }
        drop(connection);
        eventually("the worker is told", async || cancelled().await.1 == naps + 1).await;
        true
    }
}

fn tool_call(params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
}

#[tokio::test(flavor = "multi_thread")]
async fn docs_protocols_md_says_what_each_dialect_has() {
    if !has_python() {
        return;
    }
    let (served, table) = (Served::start().await, table());
    let dialects = table["streams"].keys();
    for dialect in dialects {
        let meta = served.meta_of_a_call(dialect).await;
        let limit = meta["deadline_ms"].as_u64().unwrap();
        let found = [
            ("deadlines", limit <= 5000),
            ("trace context", meta["traceparent"] == TRACE),
            ("streams", served.streams(dialect).await),
            ("batches", served.batches(dialect).await),
            ("calls without a reply", served.oneway(dialect).await),
            ("cancel", served.cancels(dialect).await),
        ];
        for (feature, found) in found {
            let said = &table[feature][dialect];
            let is_said = said != "no" && !said.starts_with("no,");
            assert_eq!(found, is_said, "{feature}: {dialect}: {said}");
        }
    }
    assert_eq!(table["streams"].len(), 7);
}
