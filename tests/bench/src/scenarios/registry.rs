//! Heartbeats, lists and unchanged lists, by number of callers and of instances.
//!
//! The limit is a bare socket that answers as many bytes, those the registry answered, to as many.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rpc_wire::paths;
use serde_json::Value;

use crate::clients::{Shape, bare};
use crate::exchange::{Answer, Exchange, http_head, http_length};
use crate::measure::Figures;
use crate::process::Server;
use crate::round::{Bench, Round, Scenario};

/// Requests in flight while instances are registered.
const FILLING: usize = 64;
/// Registering may take so long, without a second beat, for nobody to expire during a run.
const REST: Duration = Duration::from_secs(2);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// Heartbeats of all instances in turn.
    Heartbeat,
    /// The whole list.
    List,
    /// The list, unless it changed: it did not.
    Unchanged,
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    let kinds: [(Ask, &str, &str, &[usize]); 3] = [
        (Ask::Heartbeat, "H", "heartbeats", &[1, 1_000, 100_000]),
        (Ask::List, "L", "lists", &[1, 1_000, 100_000]),
        (Ask::Unchanged, "P", "polls of an unchanged list (304)", &[1_000]),
    ];
    let mut scenarios = Vec::new();
    for (ask, letter, title, sizes) in kinds {
        for callers in [1, 64] {
            for &instances in sizes {
                scenarios.push(Scenario {
                    key: format!("{letter}{callers}@{instances}"),
                    title: format!("{title}: callers {callers}, instances {instances}"),
                    measure: Box::new(move |round| measure(round, ask, callers, instances)),
                });
            }
        }
    }
    scenarios
}

fn measure(round: &mut Round<'_>, ask: Ask, callers: usize, size: usize) -> anyhow::Result<()> {
    let bench = round.bench();
    let shape = Shape::connections(callers);
    let (limit, figures) = {
        let registry = Filled::start(bench, size)?;
        let exchanges = match ask {
            Ask::Heartbeat => registry.heartbeats.clone(),
            Ask::List => vec![registry.list()?],
            Ask::Unchanged => vec![registry.unchanged()?],
        };
        let first = exchanges.first().context("something to ask for")?;
        let status = if ask == Ask::Unchanged { 304 } else { 200 };
        let answer = registry.ask(&first.request, status)?;
        let limit = Exchange::exact(first.request.clone(), answer);
        let figures = against(bench, &registry.server, &exchanges, shape)?;
        // Nobody may have been lost meanwhile.
        registry.list()?;
        (limit, figures)
    };
    round.baseline("raw", |bench| {
        let server = bench.canned(limit.request.len(), limit.answer.as_exact())?;
        against(bench, &server, std::slice::from_ref(&limit), shape)
    })?;
    round.row("rpcd", |_| Ok(figures))
}

fn against(
    bench: &Bench,
    server: &Server,
    exchanges: &[Exchange],
    shape: Shape,
) -> anyhow::Result<Figures> {
    let window = bench.window(server);
    bench.load(|| bare::run(server.address(), exchanges, shape, window))
}

/// A registry that knows some instances.
pub(super) struct Filled {
    pub(super) server: Server,
    /// One per instance, all of the same length.
    pub(super) heartbeats: Vec<Exchange>,
}

impl Filled {
    /// Starts a registry and registers `size` instances.
    pub(super) fn start(bench: &Bench, size: usize) -> anyhow::Result<Self> {
        let mut filled = Self { server: bench.rpcd(&["registry"])?, heartbeats: Vec::new() };
        let first = register(&body(1, 0));
        let answer = Answer::http(&filled.ask(&first, 200)?)?;
        filled.heartbeats = (0..size)
            .map(|number| {
                let body = body(1, number);
                Exchange { request: register(&body), answer: answer.with_body(body.as_bytes()) }
            })
            .collect();
        let began = Instant::now();
        bench.load(|| filled.beat())?;
        if began.elapsed() > REST {
            // The first would expire before the end of the run.
            bench.load(|| filled.beat())?;
        }
        Ok(filled)
    }

    /// Every instance beats once.
    pub(super) fn beat(&self) -> anyhow::Result<()> {
        bare::each_once(self.server.address(), &self.heartbeats, FILLING)
    }

    /// The list, which holds every instance.
    pub(super) fn list(&self) -> anyhow::Result<Exchange> {
        let request = get(&format!("{}?proto={}", paths::FIND_ALL, paths::PROTO_JSON), "");
        let answer = self.ask(&request, 200)?;
        let body = answer.get(http_head(&answer).context("a head")?..).unwrap_or_default();
        let listed: Vec<Value> = serde_json::from_slice(body)?;
        let (listed, expected) = (listed.len(), self.heartbeats.len());
        ensure!(
            listed == expected,
            "{listed} of {expected} instances are listed; are beats slower than the TTL?"
        );
        Ok(Exchange { request, answer: Answer::http(&answer)? })
    }

    fn unchanged(&self) -> anyhow::Result<Exchange> {
        let path = format!("{}?proto={}", paths::FIND_ALL, paths::PROTO_JSON);
        let answer = self.ask(&get(&path, ""), 200)?;
        let head = String::from_utf8_lossy(&answer[..http_head(&answer).unwrap_or(0)]).into_owned();
        let etag = head.lines().find_map(|line| line.strip_prefix("etag: "));
        let etag = etag.context("a list without etag")?;
        let request = get(&path, &format!("if-none-match: {etag}\r\n"));
        let answer = Answer::http(&self.ask(&request, 304)?)?;
        Ok(Exchange { request, answer })
    }

    /// The bytes answered to `request`.
    pub(super) fn ask(&self, request: &[u8], status: u16) -> anyhow::Result<Vec<u8>> {
        bare::ask(self.server.address(), request, |answer| http_length(answer, status))
    }
}

/// An instance as an older server registers it; all are of the same length. `series` keeps
/// instances apart that must not be the same.
pub(super) fn body(series: usize, number: usize) -> String {
    let (a, b, c) = (series % 10, 100 + number / 100 / 100 % 100, 100 + number / 100 % 100);
    let host = format!("1{a}.{b}.{c}.{}", 100 + number % 100);
    let mut body = String::new();
    // Memory takes every byte.
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
