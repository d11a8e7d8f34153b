//! Heartbeats, lists and unchanged lists, by number of callers and of instances.
//!
//! The limit is a bare socket that replies with the registry's bytes to requests of the same
//! length.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rpc_wire::paths;
use serde_json::Value;

use super::calls::against;
use crate::clients::{Shape, bare};
use crate::exchange::{Exchange, Reply, http_head, http_length};
use crate::process::Server;
use crate::round::{Bench, Round, Scenario};

/// Requests in flight while instances are registered.
const FILLING: usize = 64;
/// Longest time to register all instances without a second heartbeat, so that none expires during a
/// run.
const REST: Duration = Duration::from_secs(2);

/// The kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// Heartbeats of all instances in turn.
    Heartbeat,
    /// The same, on connections whose end the registry takes for the end of their instances.
    HeldHeartbeat,
    /// The whole list.
    List,
    /// The list, unless it changed: it did not.
    Unchanged,
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    let kinds: [(Ask, &str, &str, &[usize]); 4] = [
        (Ask::Heartbeat, "H", "heartbeats", &[1, 1_000, 100_000]),
        (Ask::HeldHeartbeat, "K", "heartbeats on held connections", &[1_000]),
        (Ask::List, "L", "lists", &[1, 1_000, 100_000]),
        (Ask::Unchanged, "P", "polls of an unchanged list (304)", &[1_000]),
    ];
    let mut scenarios = Vec::new();
    for (request, letter, title, sizes) in kinds {
        for callers in [1, 64] {
            for &instances in sizes {
                scenarios.push(Scenario {
                    key: format!("{letter}{callers}@{instances}"),
                    title: format!("{title}: callers {callers}, instances {instances}"),
                    measure: Box::new(move |round| measure(round, request, callers, instances)),
                });
            }
        }
    }
    scenarios
}

fn measure(round: &mut Round<'_>, request: Ask, callers: usize, size: usize) -> anyhow::Result<()> {
    let bench = round.bench();
    let shape = Shape::connections(callers);
    let (limit, figures) = {
        let registry = Filled::start(bench, size)?;
        let exchanges = match request {
            Ask::Heartbeat => registry.heartbeats.clone(),
            Ask::HeldHeartbeat => registry.heartbeats.iter().map(held).collect(),
            Ask::List => vec![registry.list()?],
            Ask::Unchanged => vec![registry.unchanged()?],
        };
        let first = exchanges.first().context("something to request")?;
        let status = if request == Ask::Unchanged { 304 } else { 200 };
        let reply = registry.request(&first.request, status)?;
        let limit = Exchange::exact(first.request.clone(), reply);
        let figures = against(bench, &registry.server, &exchanges, shape)?;
        // No instance may have expired meanwhile. Those of held connections end with these.
        if request != Ask::HeldHeartbeat {
            registry.list()?;
        }
        (limit, figures)
    };
    round.baseline("raw", |bench| {
        let server = bench.canned(limit.request.len(), limit.reply.as_exact())?;
        against(bench, &server, std::slice::from_ref(&limit), shape)
    })?;
    round.row("rpcd", |_| Ok(figures))
}

/// A registry with instances.
pub(super) struct Filled {
    pub(super) server: Server,
    /// One heartbeat per instance, all of the same length.
    pub(super) heartbeats: Vec<Exchange>,
}

impl Filled {
    /// Starts a registry and registers `size` instances.
    pub(super) fn start(bench: &Bench, size: usize) -> anyhow::Result<Self> {
        Self::fill(bench, bench.rpcd(&["registry"])?, size)
    }

    /// Registers `size` instances at a registry.
    pub(super) fn fill(bench: &Bench, server: Server, size: usize) -> anyhow::Result<Self> {
        let mut filled = Self { server, heartbeats: Vec::new() };
        let first = register(&body(1, 0));
        let reply = Reply::http(&filled.request(&first, 200)?)?;
        filled.heartbeats = (0..size)
            .map(|number| {
                let body = body(1, number);
                Exchange { request: register(&body), reply: reply.with_body(body.as_bytes()) }
            })
            .collect();
        let began = Instant::now();
        bench.load(|| filled.send_heartbeats())?;
        if began.elapsed() > REST {
            // The first would expire before the end of the run.
            bench.load(|| filled.send_heartbeats())?;
        }
        Ok(filled)
    }

    /// Sends one heartbeat per instance.
    pub(super) fn send_heartbeats(&self) -> anyhow::Result<()> {
        bare::each_once(self.server.address(), &self.heartbeats, FILLING)
    }

    /// The request and reply of the list of all instances.
    pub(super) fn list(&self) -> anyhow::Result<Exchange> {
        let request = get(&format!("{}?proto={}", paths::FIND_ALL, paths::PROTO_JSON), "");
        let reply = self.request(&request, 200)?;
        let body = reply.get(http_head(&reply).context("a head")?..).unwrap_or_default();
        let listed: Vec<Value> = serde_json::from_slice(body)?;
        let (listed, expected) = (listed.len(), self.heartbeats.len());
        ensure!(
            listed == expected,
            "{listed} of {expected} instances are listed; are heartbeats slower than the TTL?"
        );
        Ok(Exchange { request, reply: Reply::http(&reply)? })
    }

    fn unchanged(&self) -> anyhow::Result<Exchange> {
        let path = format!("{}?proto={}", paths::FIND_ALL, paths::PROTO_JSON);
        let reply = self.request(&get(&path, ""), 200)?;
        let head = String::from_utf8_lossy(&reply[..http_head(&reply).unwrap_or(0)]).into_owned();
        let etag = head.lines().find_map(|line| line.strip_prefix("etag: "));
        let etag = etag.context("a list without etag")?;
        let request = get(&path, &format!("if-none-match: {etag}\r\n"));
        let reply = Reply::http(&self.request(&request, 304)?)?;
        Ok(Exchange { request, reply })
    }

    /// The reply to `request`.
    pub(super) fn request(&self, request: &[u8], status: u16) -> anyhow::Result<Vec<u8>> {
        bare::request(self.server.address(), request, |reply| http_length(reply, status))
    }
}

/// An instance as an older server registers it; all have the same length. `series` keeps the
/// instances of different uses apart.
pub(super) fn body(series: usize, number: usize) -> String {
    let (a, b, c) = (series % 10, 100 + number / 100 / 100 % 100, 100 + number / 100 % 100);
    let host = format!("1{a}.{b}.{c}.{}", 100 + number % 100);
    let mut body = String::new();
    // Writing to memory cannot fail.
    let _ = write!(
        body,
        "{{\"protocol\":\"json\",\"host\":\"{host}\",\"port\":20000,\"status\":true,\
         \"parameters\":{{\"mode\":\"development\"}}}}"
    );
    body
}

/// The request that registers it, which is also its heartbeat.
pub(super) fn register(body: &str) -> Vec<u8> {
    let (path, proto, length) = (paths::REGISTER, paths::PROTO_JSON, body.len());
    format!(
        "POST {path}?proto={proto} HTTP/1.1\r\nhost: localhost\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// The same heartbeat on a connection that is held.
fn held(heartbeat: &Exchange) -> Exchange {
    let request = String::from_utf8_lossy(&heartbeat.request);
    let header = format!("\r\n{}: {}\r\nhost:", paths::BEATS_HEADER, paths::BEATS_HELD);
    Exchange {
        request: request.replacen("\r\nhost:", &header, 1).into_bytes(),
        reply: heartbeat.reply.clone(),
    }
}

/// A GET with further header lines.
pub(super) fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_differ_and_are_of_one_length() {
        let bodies: std::collections::BTreeSet<_> =
            (0..100_000).map(|number| body(1, number)).chain([body(2, 0)]).collect();
        assert_eq!(bodies.len(), 100_001);
        assert!(bodies.iter().all(|one| one.len() == body(1, 0).len()));
        let instance: rpc_wire::instance::Instance =
            serde_json::from_str(&body(1, 99_999)).unwrap();
        assert_eq!(instance.host, "11.109.199.199");
    }
}
