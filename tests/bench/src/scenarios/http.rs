//! Calls over HTTP: rpcd beside axum, which echoes the same body.

use anyhow::Context;

use super::calls::MANY;
use crate::clients::Shape;
use crate::clients::bare;
use crate::exchange::{Exchange, Reply, http_length};
use crate::measure::Figures;
use crate::process::Server;
use crate::round::{Bench, Scenario};

const JSON_RPC: &str = r#"{"jsonrpc":"2.0","id":7,"method":"add","params":[1,2]}"#;

/// All of them.
pub fn all() -> Vec<Scenario> {
    vec![Scenario {
        key: "J".to_owned(),
        title: "HTTP, 64 connections, one call at a time each".to_owned(),
        measure: Box::new(|round| {
            round.baseline("axum, echo", |bench| load(bench, &bench.axum()?, "/", JSON_RPC))?;
            round
                .row("rpcd, POST /rpc", |bench| load(bench, &bench.server()?, "/rpc", JSON_RPC))?;
            round.row("rpcd, POST /call/add", |bench| {
                load(bench, &bench.server()?, "/call/add", "[1,2]")
            })
        }),
    }]
}

/// The reply is that of a first request, except for the rest of its head: it has the time.
fn load(bench: &Bench, server: &Server, path: &str, body: &str) -> anyhow::Result<Figures> {
    let address = server.address();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let first = bare::request(address, request.as_bytes(), |reply| http_length(reply, 200));
    let first = first.with_context(|| format!("POST {path}"))?;
    let exchange = Exchange { request: request.into_bytes(), reply: Reply::http(&first)? };
    let window = bench.window(server);
    bench.load(|| bare::run(address, &[exchange], Shape::connections(MANY), window))
}
