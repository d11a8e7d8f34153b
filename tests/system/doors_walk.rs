//! A walk through all doors of a server's process with each kind of token: the table of docs/security.md, a method of ours
//! and one of a worker, in every dialect, in plain text and inside TLS.

use std::net::SocketAddr;

use futures_util::future::join_all;
use rpc_server::security::Role;
use rpc_server::security::secret::{self, ExposeSecret, SecretString};
use rpc_tests::daemon::{Daemon, path};
use rpc_tests::eventually::soon;
use rpc_tests::pki::{Authority, Subject};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::doors::{needs, table};
use crate::doors_server::Keys;
use crate::ways::Way;

/// The section of its table in docs/security.md.
const SECTION: &str = "The server";

#[test]
fn docs_security_md_has_every_method_and_route_of_the_server_with_what_it_needs() {
    let needs =
        |permission: Option<_>| permission.map_or_else(|| "what the method does".to_owned(), needs);
    let in_code: Vec<_> = rpc_server::permissions()
        .into_iter()
        .map(|(name, permission)| (name, needs(permission)))
        .collect();
    assert_eq!(table(SECTION), in_code);
    let mut walked: Vec<_> = Door::ALL.into_iter().filter_map(Door::route).collect();
    walked.dedup();
    let calling = in_code.iter().map(|(name, _)| name).filter(|name| name.starts_with("POST "));
    assert!(calling.eq(&walked), "each of them is a door of the walk: {walked:?}");
}

/// How a method is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// After a message that shows the token: the older dialect has no place for it.
    Classic,
    Extended,
    JsonRpc,
    /// As one request of a batch, behind one that shows nothing.
    Batch,
    PostRpc,
    PostBatch,
    PostCall,
}

impl Door {
    const ALL: [Self; 7] = [
        Self::Classic,
        Self::Extended,
        Self::JsonRpc,
        Self::Batch,
        Self::PostRpc,
        Self::PostBatch,
        Self::PostCall,
    ];

    /// The row of the table that is this door.
    fn route(self) -> Option<&'static str> {
        match self {
            Self::PostRpc | Self::PostBatch => Some("POST /rpc"),
            Self::PostCall => Some("POST /call/METHOD"),
            Self::Classic | Self::Extended | Self::JsonRpc | Self::Batch => None,
        }
    }

    /// Whether the method can be called by it.
    fn leads_to(self, method: &str) -> bool {
        match self {
            Self::Classic => !method.starts_with("rpc."),
            Self::Extended | Self::PostCall => true,
            // A stream is read elsewhere.
            Self::JsonRpc | Self::Batch | Self::PostRpc | Self::PostBatch => method != "rpc.logs",
        }
    }

    /// Whether a call is served, and not refused for who makes it.
    async fn serves(
        self,
        (way, server): (&Way, SocketAddr),
        method: &str,
        secret: Option<&SecretString>,
    ) -> bool {
        let args = if method == "add" { json!([1, 2]) } else { json!([]) };
        let token = secret.map(|secret| secret.expose_secret());
        let json_rpc = |meta| {
            let own = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": args});
            with_meta(own, meta)
        };
        let batch = |meta| json!([{"jsonrpc": "2.0", "id": 0, "method": "nope"}, json_rpc(meta)]);
        let meta = token.map(|token| json!({ "token": token }));
        match self {
            Self::Classic => {
                let meta = json!({"oneway": true, "token": token.unwrap_or_default()});
                let shows = json!({"id": 0, "method_name": "rpc.whoami", "meta": meta});
                let call = json!({"method_name": method, "method_args": args, "method_kwargs": {}});
                let shows = token.map(|_| shows.to_string()).unwrap_or_default();
                let reply = line(way, server, &(shows + &call.to_string())).await;
                let text = reply["res"].as_str().unwrap_or_default().to_owned();
                assert!(reply.get("id").is_none(), "{reply}");
                !text.starts_with("Error calling method: ")
            }
            Self::Extended => {
                let mut meta = meta.unwrap_or_else(|| json!({}));
                meta["stream"] = (method == "rpc.logs").into();
                let call = json!({"id": 1, "method_name": method, "method_args": args});
                is_result(&line(way, server, &with_meta(call, Some(meta)).to_string()).await)
            }
            Self::JsonRpc => is_result(&line(way, server, &json_rpc(meta).to_string()).await),
            Self::Batch => is_result(second(&line(way, server, &batch(meta).to_string()).await)),
            Self::PostRpc => {
                let (status, reply) = post(way, server, ("/rpc", &json_rpc(None)), token).await;
                assert_eq!(status, 200, "{reply}");
                is_result(&serde_json::from_str(&reply).unwrap())
            }
            Self::PostBatch => {
                let (status, reply) = post(way, server, ("/rpc", &batch(None)), token).await;
                assert_eq!(status, 200, "{reply}");
                is_result(second(&serde_json::from_str(&reply).unwrap()))
            }
            Self::PostCall => {
                let path = format!("/call/{method}");
                let (status, reply) = post(way, server, (&path, &args), token).await;
                assert!([200, 401, 403].contains(&status), "{method}: {status} {reply}");
                status == 200
            }
        }
    }
}

fn with_meta(mut call: Value, meta: Option<Value>) -> Value {
    if let Some(meta) = meta {
        call["meta"] = meta;
    }
    call
}

fn second(replies: &Value) -> &Value {
    let found = replies.as_array().and_then(|all| all.iter().find(|reply| reply["id"] == 1));
    found.unwrap_or_else(|| panic!("{replies}"))
}

/// Whether a reply is a result or an item, and no refusal; anything else is neither.
fn is_result(reply: &Value) -> bool {
    let code = reply["error"]["code"].as_i64();
    assert!(matches!(code, None | Some(-32004)), "{reply}");
    code.is_none()
}

/// The first line that comes for a request.
async fn line(way: &Way, server: SocketAddr, request: &str) -> Value {
    let mut stream = way.connect(server).await;
    soon("a reply", async {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        loop {
            if let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
                return serde_json::from_slice(&bytes[..end]).unwrap();
            }
            let read = stream.read_buf(&mut bytes).await.unwrap();
            assert!(read > 0, "{request}: {}", String::from_utf8_lossy(&bytes));
        }
    })
    .await
}

/// A request by HTTP: the status, and the body of what is no stream.
async fn post(
    way: &Way,
    server: SocketAddr,
    (path, body): (&str, &Value),
    token: Option<&str>,
) -> (u16, String) {
    let (body, bearer) = (body.to_string(), bearer(token));
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
         {bearer}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let reply = match path {
        "/call/rpc.logs" => way.head(server, &request).await,
        _ => way.exchange(server, &request).await,
    };
    let status = reply.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
    (status.unwrap_or_else(|| panic!("{request}: {reply}")), body)
}

fn bearer(token: Option<&str>) -> String {
    token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default()
}

async fn get(way: &Way, server: SocketAddr, path: &str, token: Option<&str>) -> bool {
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{}\r\n",
        bearer(token)
    );
    way.exchange(server, &head).await.starts_with("HTTP/1.1 200 ")
}

/// A worker that needs nothing but a shell: its method is `shout`.
const WORKER: &str = r#"while read -r call; do
  id=$(printf %s "$call" | sed 's/.*"id": *\([0-9]*\).*/\1/')
  case $call in
    *rpc.discover*) res='[{"method_name":"shout","method_args":[],"method_kwargs":{}}]' ;;
    *) res='"HEY"' ;;
  esac
  printf '{"id":%s,"res":%s}\n' "$id" "$res"
done
"#;

#[tokio::test]
async fn every_door_lets_in_who_has_the_role_and_nobody_else() {
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
    let authority = Authority::new("walk");
    let issued = authority.issue("server", &Subject::server(&["a"]));
    let script = authority.folder().join("worker.sh");
    std::fs::write(&script, WORKER).unwrap();
    let tokens = keys.tokens();
    let settings = [
        ("SECURITY_TOKENS", path(&tokens)),
        ("TLS_CERT", path(&issued.cert)),
        ("TLS_KEY", path(&issued.key)),
    ];
    let worker = format!("sh '{}'", script.display());
    let flags = ["--no-registry", "--service", "a", "--worker", &worker];
    let (_server, server) = Daemon::server_with(&settings, &flags).await;

    let methods = [("add", "call"), ("shout", "call")]
        .map(|(name, needs)| (name.to_owned(), needs.to_owned()));
    // What calls is walked with each method, as a door.
    let is_row = |(name, _): &(String, String)| !name.starts_with("POST ");
    let rows: Vec<_> = methods.into_iter().chain(table(SECTION)).filter(is_row).collect();
    for way in [Way::PLAIN, Way::tls(authority.ca(), None)] {
        for (name, needs) in &rows {
            let asked = visitors.iter().map(async |(who, secret)| {
                let is_known = !["nobody", "wrong", "former"].contains(who);
                let expected = match needs.as_str() {
                    // It tells strangers nothing.
                    "nothing" if name == "rpc.whoami" => is_known,
                    "nothing" => true,
                    role => role == *who || *who == "here",
                };
                let secret = secret.as_ref();
                let token = secret.map(|secret| secret.expose_secret());
                if let Some(path) = name.strip_prefix("GET ") {
                    let is_served = get(&way, server, path, token).await;
                    assert_eq!(is_served, expected, "{name} for {who} in {}", way.name());
                    return;
                }
                for door in Door::ALL.into_iter().filter(|door| door.leads_to(name)) {
                    let is_served = door.serves((&way, server), name, secret).await;
                    assert_eq!(
                        is_served,
                        expected,
                        "{name} by {door:?} for {who} in {}",
                        way.name()
                    );
                }
            });
            join_all(asked).await;
        }
    }
}
