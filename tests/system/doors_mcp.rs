//! A walk through the door of `rpcd mcp --listen` with each kind of token: the table of docs/security.md, every message
//! of both eras, and the tools of a service that a token is limited to.

use std::net::SocketAddr;

use rpc_server::security::Role;
use rpc_server::security::secret::{self, ExposeSecret, SecretString};
use rpc_tests::daemon::{Daemon, address_in, path};
use rpc_tests::eventually::eventually;
use rpc_tests::queries::lists;
use serde_json::{Value, json};

use crate::doors::{needs, table};
use crate::doors_server::Keys;
use crate::ways::Way;

/// The section of its table in docs/security.md.
const SECTION: &str = "Tools for agents";

#[test]
fn docs_security_md_has_every_route_of_tools_for_agents_with_what_it_needs() {
    let in_code: Vec<_> = rpc_gateway::routes()
        .into_iter()
        .map(|(route, permission)| (route, needs(permission)))
        .collect();
    assert_eq!(table(SECTION), in_code);
}

/// A request with a message: the status, and the first line of what came back that is JSON.
async fn ask(
    gateway: SocketAddr,
    route: &str,
    message: &Value,
    token: Option<&SecretString>,
) -> (u16, Value) {
    let bearer = token.map(|token| format!("Authorization: Bearer {}\r\n", token.expose_secret()));
    let mut headers = bearer.unwrap_or_default();
    let params = &message["params"];
    if let Some(version) = params["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str() {
        let method = message["method"].as_str().unwrap_or_default();
        headers += &format!("MCP-Protocol-Version: {version}\r\nMcp-Method: {method}\r\n");
        if let Some(name) = params["name"].as_str() {
            headers += &format!("Mcp-Name: {name}\r\n");
        }
    }
    let body = message.to_string();
    let request = format!(
        "{route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let reply = match message["method"].as_str() {
        Some("subscriptions/listen") => Way::PLAIN.head(gateway, &request).await,
        _ => Way::PLAIN.exchange(gateway, &request).await,
    };
    let status = reply.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let body = serde_json::from_str(body).unwrap_or_default();
    (status.unwrap_or_else(|| panic!("{request}: {reply}")), body)
}

fn earlier(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

fn stateless(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    earlier(method, params)
}

/// Every message that a client sends.
fn messages() -> Vec<Value> {
    let add = json!({"name": "add", "arguments": {"a": 1, "b": 2}});
    vec![
        earlier("initialize", json!({"protocolVersion": "2025-11-25"})),
        earlier("ping", json!({})),
        earlier("tools/list", json!({})),
        earlier("tools/call", add.clone()),
        stateless("server/discover", json!({})),
        stateless("tools/list", json!({})),
        stateless("tools/call", add),
        stateless("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}})),
    ]
}

#[tokio::test]
async fn agents_come_in_with_the_role_and_see_the_tools_of_their_services_only() {
    let keys = Keys::new();
    let mut visitors: Vec<(&str, Option<SecretString>)> = Vec::new();
    for role in Role::ALL {
        visitors.push((role.name(), Some(keys.add(role.name(), &[role], "").0)));
    }
    visitors.extend([
        ("nobody", None),
        ("wrong", Some(secret::generate())),
        ("former", Some(keys.add("former", &Role::ALL, "expires=2020-01-01").0)),
        ("elsewhere", Some(keys.add("elsewhere", &Role::ALL, "services=b").0)),
        ("here", Some(keys.add("here", &Role::ALL, "services=a,b hosts=10.0.0.0/8").0)),
    ]);
    let (_registry, registry) = Daemon::registry(&["--store", "none"]).await;
    let registry_url = format!("http://{registry}");
    let (_server, server) = Daemon::server(&["--registry", &registry_url, "--service", "a"]).await;
    lists(registry, &[server]).await;
    let (tokens, folder) = (keys.tokens(), tempfile::tempdir().unwrap());
    let audit = folder.path().join("audit");
    let settings = [("SECURITY_TOKENS", path(&tokens)), ("SECURITY_AUDIT", path(&audit))];
    let arguments = ["mcp", "--listen", "0", "--registry", &registry_url];
    let gateway = Daemon::rpcd_with(&settings, arguments);
    let listens = |line: &str| line.contains("listening").then(|| address_in(line)).flatten();
    let address = gateway.line("it listens", listens).await;
    let list = earlier("tools/list", json!({}));
    let here = visitors[8].1.as_ref();
    eventually("tools", async || {
        ask(address, "POST /mcp", &list, here).await.1["result"]["tools"][0].is_object()
    })
    .await;

    for (who, secret) in &visitors {
        let secret = secret.as_ref();
        for message in messages() {
            let (status, reply) = ask(address, "POST /mcp", &message, secret).await;
            let said = format!("{} for {who}: {status} {reply}", message["method"]);
            match *who {
                "nobody" | "wrong" | "former" => assert_eq!(status, 401, "{said}"),
                "observe" | "register" | "operate" => assert_eq!(status, 403, "{said}"),
                // What it may not call it is not told of.
                "elsewhere" => assert!(
                    match message["method"].as_str() {
                        Some("tools/list") => reply["result"]["tools"] == json!([]),
                        Some("tools/call") => reply["error"]["code"] == -32602,
                        _ => status == 200,
                    },
                    "{said}"
                ),
                _ => assert!(
                    match message["method"].as_str() {
                        Some("tools/list") => reply["result"]["tools"][0].is_object(),
                        Some("tools/call") => reply["result"]["content"][0]["text"] == "13",
                        _ => status == 200,
                    },
                    "{said}"
                ),
            }
        }
        let near = ask(address, "POST /mcp/", &list, secret).await.0;
        let other = ask(address, "GET /mcp", &list, secret).await.0;
        assert_eq!((near, other), (404, 405), "{who}");
    }

    let text = std::fs::read_to_string(&audit).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |deed: &str| lines.iter().filter(|line| line["deed"] == deed).count();
    assert_eq!(count("called"), 2 * 2, "two calls of two who may: {text}");
    assert_eq!(count("refused"), 6 * messages().len(), "each refusal: {text}");
    for secret in visitors.iter().filter_map(|(_, secret)| secret.as_ref()) {
        let secret = secret.expose_secret();
        assert!(!text.contains(secret) && !gateway.transcript().contains(secret));
    }
}
