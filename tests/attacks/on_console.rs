//! Attacks on a console: instances that a stranger registers, and serves itself.

use std::sync::Arc;
use std::time::Duration;

use rpc_tests::fakes;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::ground::Targets;
use super::on_registry::{register, send_all};
use super::stranger::Stranger;

/// A schema of a few bytes that has millions of paths (H3).
pub(super) async fn references(at: Targets, by: Stranger) {
    let schema = json!({"anyOf": vec![json!({"$ref": "#"}); 20]});
    serve(at, by, document(&[method("bomb", &schema)]), Logs::Silent).await;
}

/// Log lines of 1 MiB, without end (H4).
pub(super) async fn log_lines(at: Targets, by: Stranger) {
    serve(at, by, document(&[method("fine", &json!(true))]), Logs::Flood).await;
}

/// 100,000 methods of one name (H5).
pub(super) async fn equal_names(at: Targets, by: Stranger) {
    let methods = vec![json!({"name": "same"}); 100_000];
    serve(at, by, document(&methods), Logs::Silent).await;
}

/// A schema of 58 MB (H5).
pub(super) async fn huge_schema(at: Targets, by: Stranger) {
    const VALUES: usize = 29_000_000;
    let values = "0,".repeat(VALUES);
    let bomb = method("bomb", &json!({"enum": ["HERE"]}));
    let document = document(&[bomb]).replace("\"HERE\"", values.trim_end_matches(','));
    serve(at, by, document, Logs::Silent).await;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Logs {
    Silent,
    Flood,
}

/// Serves this method list as a registered instance.
async fn serve(at: Targets, by: Stranger, document: String, logs: Logs) {
    let document: Arc<str> = document.into();
    let listen = format!("{}:0", by.address());
    let peer = fakes::scripted_on(&listen, move |_, stream, _| {
        let document = Arc::clone(&document);
        // Errors are the other side's defence.
        async move { drop(answer(stream, &document, logs).await) }
    })
    .await;
    let instance = json!({
        "protocol": "json", "host": by.address(), "port": peer.address.port(), "status": true,
        "parameters": {"wire": 1},
    });
    loop {
        send_all(at, by, vec![register(&instance)]).await;
        sleep(Duration::from_secs(2)).await;
    }
}

async fn answer(stream: TcpStream, document: &str, logs: Logs) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        let id = &message["id"];
        match message["method_name"].as_str() {
            Some("rpc.health") => {
                let health = r#"{"status":"ok","wire":1,"version":"1","uptime_ms":1}"#;
                writer.write_all(fakes::result(&message, health).as_bytes()).await?;
            }
            Some("rpc.discover") => {
                writer.write_all(fakes::result(&message, document).as_bytes()).await?;
            }
            Some("rpc.logs") if logs == Logs::Flood => {
                let text = "x".repeat(1 << 20);
                for number in 0_u64.. {
                    let line = format!(
                        "{{\"id\":{id},\"item\":{{\"seq\":{number},\"at_ms\":{number},\
                         \"level\":\"info\",\"target\":\"t\",\"message\":\"{text}\"}}}}\n"
                    );
                    writer.write_all(line.as_bytes()).await?;
                }
            }
            Some("rpc.logs") | None => {}
            Some(_) => writer.write_all(fakes::result(&message, "null").as_bytes()).await?,
        }
    }
    Ok(())
}

fn method(name: &str, schema: &Value) -> Value {
    json!({"name": name, "params": [{"name": "a", "required": true, "schema": schema}]})
}

fn document(methods: &[Value]) -> String {
    let info = json!({"title": "t", "version": "1"});
    json!({"openrpc": "1.3.2", "info": info, "methods": methods}).to_string()
}
