//! How cost grows: the time and the memory of one unit, as the number of units grows.

use std::slice;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rpc_client::{Client, ClientOptions};
use rpc_wire::instance::Instance;
use rpc_wire::paths;
use serde::Serialize;

use super::calls::against;
use super::registry::{Filled, get, register};
use super::watchers;
use crate::clients::library::Caller;
use crate::clients::{Shape, TIMEOUT, bare, library};
use crate::exchange::{Exchange, http_head, http_length};
use crate::many;
use crate::measure::Figures;
use crate::process::Server;
use crate::procfs;
use crate::round::{Bench, Round, Scenario};
use crate::table::{self, Column};

/// Open files of a server and of this program besides the connections.
const OTHER_FILES: usize = 200;
/// Instances that watchers are told of.
const WATCHED: usize = 100;
/// Instances among which a client finds one for its first call.
const CROWD: usize = 10_000;

/// What there can be more and more of.
pub struct Dimension {
    /// The key of its scenarios, before `@` and the number.
    pub key: &'static str,
    /// What takes the time.
    pub time: &'static str,
    /// What takes the memory; `None` if only the time is measured.
    pub memory: Option<&'static str>,
    sizes: &'static [usize],
    measure: fn(&mut Round<'_, Unit>, usize) -> anyhow::Result<()>,
}

/// All of them.
pub const DIMENSIONS: [Dimension; 6] = [
    Dimension {
        key: "connections",
        time: "server CPU of a call",
        memory: Some("memory of a connection"),
        sizes: &[1, 10, 100, 1_000, 10_000],
        measure: connections,
    },
    Dimension {
        key: "bytes",
        time: "server CPU of echoing a kB",
        memory: Some("peak memory of a kB"),
        sizes: &[100, 1_000, 10_000, 100_000, 1_000_000],
        measure: bytes,
    },
    Dimension {
        key: "instances",
        time: "registry's CPU of a heartbeat",
        memory: Some("memory of an instance"),
        sizes: &[1, 10, 100, 1_000, 10_000, 100_000],
        measure: instances,
    },
    Dimension {
        key: "methods",
        time: "server CPU of a call",
        memory: Some("memory of a method"),
        sizes: &[1, 10, 100, 1_000, 10_000],
        measure: methods,
    },
    Dimension {
        key: "contracts",
        time: "first call of a client, 10,000 instances",
        memory: None,
        sizes: &[1, 10, 20, 100],
        measure: contracts,
    },
    Dimension {
        key: "watchers",
        time: "registry's CPU of telling a watcher",
        memory: Some("memory of a watcher"),
        sizes: &[1, 10, 100, 1_000, 2_000],
        measure: watching,
    },
];

/// A scenario for each number of each dimension.
pub fn all() -> Vec<Scenario<Unit>> {
    let scenarios = |dimension: Dimension| {
        let Dimension { key, time, memory, sizes, measure } = dimension;
        let what = memory.map_or_else(|| time.to_owned(), |memory| format!("{time}, {memory}"));
        sizes.iter().map(move |&size| Scenario {
            key: format!("{key}@{size}"),
            title: what.clone(),
            measure: Box::new(move |round| measure(round, size)),
        })
    };
    DIMENSIONS.into_iter().flat_map(scenarios).collect()
}

/// What one unit costs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Unit {
    /// Calls counted.
    pub calls: u64,
    /// Its time, in microseconds.
    pub time_us: Option<f64>,
    /// Its memory, in KiB.
    pub memory_kib: Option<f64>,
    /// Processor seconds used by neither server nor load during the window.
    pub foreign_cpu: f64,
}

impl table::Figures for Unit {
    const COLUMNS: &[Column<Self>] = &[
        Column {
            title: "time µs",
            key: "time_us",
            decimals: 3,
            compared: true,
            figure: |unit| unit.time_us,
        },
        Column {
            title: "memory KiB",
            key: "memory_kib",
            decimals: 3,
            compared: true,
            figure: |unit| unit.memory_kib,
        },
    ];

    fn foreign_cpu(&self) -> f64 {
        self.foreign_cpu
    }
}

impl Unit {
    fn new(figures: &Figures, time_us: Option<f64>) -> Self {
        let (calls, foreign_cpu) = (figures.calls, figures.foreign_cpu);
        Self { calls, time_us, memory_kib: None, foreign_cpu }
    }

    /// Of `units`, before which a server had `before_mib`. Too little to be seen is not shown.
    fn with_memory(self, mib: Option<f64>, before_mib: f64, units: f64) -> Self {
        let memory = mib.map(|mib| (mib - before_mib) * 1024.0 / units);
        Self { memory_kib: memory.filter(|kib| *kib > 0.0), ..self }
    }
}

fn connections(round: &mut Round<'_, Unit>, size: usize) -> anyhow::Result<()> {
    let allowed = round.bench().open_files();
    if u64::try_from(size + OTHER_FILES)? > allowed {
        round.skip("rpcd", format!("only {allowed} open files are allowed (ulimit -Hn)"));
        return Ok(());
    }
    let add = Exchange::add_classic()?;
    let echo = Exchange::echo(add.request.clone());
    let measure = |bench: &Bench, server: Server, exchange: &Exchange| {
        let before = resident_mib(&server)?;
        let figures = against(bench, &server, slice::from_ref(exchange), Shape::connections(size))?;
        let unit = Unit::new(&figures, cpu_us(&figures));
        Ok(unit.with_memory(figures.resident_mib, before, number(size)))
    };
    round.baseline("raw", |bench| measure(bench, bench.echo()?, &echo))?;
    round.row("rpcd", |bench| measure(bench, bench.server()?, &add))
}

fn bytes(round: &mut Round<'_, Unit>, size: usize) -> anyhow::Result<()> {
    let exchange = Exchange::echo_classic(&"x".repeat(size))?;
    let echo = Exchange::echo(exchange.request.clone());
    let kilobytes = number(size) / 1e3;
    let measure = |bench: &Bench, server: Server, exchange: &Exchange| {
        let before = resident_mib(&server)?;
        let figures = against(bench, &server, slice::from_ref(exchange), Shape::connections(1))?;
        let unit = Unit::new(&figures, cpu_us(&figures).map(|time| time / kilobytes));
        Ok(unit.with_memory(figures.peak_mib, before, kilobytes))
    };
    round.baseline("raw", |bench| measure(bench, bench.echo()?, &echo))?;
    round.row("rpcd", |bench| measure(bench, bench.server()?, &exchange))
}

fn instances(round: &mut Round<'_, Unit>, size: usize) -> anyhow::Result<()> {
    let bench = round.bench();
    let registry = bench.rpcd(&["registry"])?;
    let before = resident_mib(&registry)?;
    let registry = Filled::fill(bench, registry, size)?;
    let first = &registry.heartbeats.first().context("an instance")?.request;
    let limit = Exchange::exact(first.clone(), registry.request(first, 200)?);
    let one = Shape::connections(1);
    let figures = against(bench, &registry.server, &registry.heartbeats, one)?;
    let unit = Unit::new(&figures, cpu_us(&figures));
    let unit = unit.with_memory(figures.resident_mib, before, number(size));
    drop(registry);
    round.baseline("raw", |bench| {
        let server = bench.canned(limit.request.len(), limit.reply.as_exact())?;
        let figures = against(bench, &server, slice::from_ref(&limit), one)?;
        Ok(Unit::new(&figures, cpu_us(&figures)))
    })?;
    round.row("rpcd", |_| Ok(unit))
}

fn methods(round: &mut Round<'_, Unit>, size: usize) -> anyhow::Result<()> {
    let add = Exchange::add_classic()?;
    let echo = Exchange::echo(add.request.clone());
    let measure = |bench: &Bench, server: &Server, exchange: &Exchange| {
        let figures = against(bench, server, slice::from_ref(exchange), Shape::connections(1))?;
        anyhow::Ok((Unit::new(&figures, cpu_us(&figures)), figures.resident_mib))
    };
    round.baseline("raw", |bench| Ok(measure(bench, &bench.echo()?, &echo)?.0))?;
    round.row("rpcd", |bench| {
        let (_, one) = measure(bench, &bench.many(&[])?, &add)?;
        let server = bench.many(&["--methods", &size.to_string()])?;
        let (unit, resident) = measure(bench, &server, &add)?;
        Ok(unit.with_memory(resident, one.unwrap_or(0.0), number(size - 1).max(1.0)))
    })
}

fn contracts(round: &mut Round<'_, Unit>, size: usize) -> anyhow::Result<()> {
    let servers = size.to_string();
    let measure = |bench: &Bench, different: &[&str], method: String| {
        let registry = bench.registry_beside_load()?;
        let url = format!("http://{}", registry.address());
        let arguments = [&["--servers", &servers, "--registry", &url], different].concat();
        let server = bench.many(&arguments)?;
        bench.load(|| crowd(&registry, &listed(&registry, size)?))?;
        let window = bench.window(&server);
        let connect = || std::future::ready(FirstCall::through_registry(&url, &method));
        let figures = bench.load(|| library::run(Shape::RECONNECT, window, connect))?;
        Ok(Unit::new(&figures, figures.p50_us))
    };
    round.baseline("equal servers", |bench| measure(bench, &[], many::name(0)))?;
    let last = many::name(size - 1);
    round.row("different servers", |bench| measure(bench, &["--different"], last))
}

fn watching(round: &mut Round<'_, Unit>, size: usize) -> anyhow::Result<()> {
    let unit = |told: &watchers::Told, before| {
        let time = cpu_us(&told.figures).map(|time| time / number(size));
        Unit::new(&told.figures, time).with_memory(
            Some(told.watched.resident_mib()),
            before,
            number(size),
        )
    };
    let bench = round.bench();
    let registry = Filled::start(bench, WATCHED)?;
    let before = resident_mib(&registry.server)?;
    let (told, event) = watchers::fan_out(bench, &registry, size)?;
    let rpcd = unit(&told, before);
    drop(registry);
    round.baseline("raw", |bench| {
        let server = watchers::limit(bench, &event)?;
        let before = resident_mib(&server)?;
        Ok(unit(&watchers::fan_out_raw(bench, &server, &event, size)?, before))
    })?;
    round.row("rpcd", |_| Ok(rpcd))
}

/// A client that is new, and its first call.
struct FirstCall {
    client: Client,
    method: String,
}

impl FirstCall {
    fn through_registry(url: &str, method: &str) -> anyhow::Result<Self> {
        let client = Client::through_registry(url, ClientOptions::default())?;
        Ok(Self { client, method: method.to_owned() })
    }
}

impl Caller for FirstCall {
    async fn call(&mut self) -> anyhow::Result<()> {
        let sum: i64 = self.client.call_as(&self.method, (1, 2)).await?;
        ensure!(sum == 13, "{}(1, 2) returned {sum}", self.method);
        Ok(())
    }

    fn beside(&self) -> Option<Self> {
        None
    }

    async fn close(self) {
        self.client.close().await;
    }
}

/// Waits until the registry lists so many servers; returns them.
fn listed(registry: &Server, servers: usize) -> anyhow::Result<Vec<Instance>> {
    let path = format!("{}?proto={}", paths::FIND_ALL, paths::PROTO_JSON);
    let began = Instant::now();
    loop {
        let length = |reply: &[u8]| http_length(reply, 200);
        let reply = bare::request(registry.address(), &get(&path, ""), length)?;
        let body = reply.get(http_head(&reply).context("a head")?..).unwrap_or_default();
        let listed: Vec<Instance> = serde_json::from_slice(body)?;
        if listed.len() == servers {
            return Ok(listed);
        }
        ensure!(began.elapsed() < TIMEOUT, "{} of {servers} servers are listed", listed.len());
        thread::sleep(Duration::from_millis(20));
    }
}

/// Registers the servers at further addresses of this machine.
fn crowd(registry: &Server, servers: &[Instance]) -> anyhow::Result<()> {
    let mut stream = bare::open(registry.address())?;
    for (number, server) in (servers.len()..CROWD).zip(servers.iter().cycle()) {
        let host = format!("127.1.{}.{}", number / 100, 1 + number % 100);
        let body = serde_json::to_string(&Instance { host, ..server.clone() })?;
        bare::ask(&mut stream, &register(&body), |reply| http_length(reply, 200))?;
    }
    Ok(())
}

/// The server's processor time of a call.
fn cpu_us(figures: &Figures) -> Option<f64> {
    // It is in seconds for 100,000 calls.
    figures.server_cpu.map(|seconds| seconds * 10.0)
}

fn resident_mib(server: &Server) -> anyhow::Result<f64> {
    Ok(procfs::memory(server.pid())?.resident_mib())
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
fn number(size: usize) -> f64 {
    size as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_was_added_for_each() {
        let unit = Unit::default().with_memory(Some(12.0), 2.0, 1024.0);
        assert_eq!(unit.memory_kib, Some(10.0));
        let nothing = Unit::default().with_memory(Some(2.0), 2.0, 1.0);
        assert_eq!(nothing.memory_kib, None);
    }

    #[test]
    fn each_number_of_each_dimension_is_a_scenario() {
        let keys: Vec<_> = all().into_iter().map(|scenario| scenario.key).collect();
        let sizes: usize = DIMENSIONS.iter().map(|dimension| dimension.sizes.len()).sum();
        assert_eq!(keys.len(), sizes);
        assert!(keys.contains(&"contracts@100".to_owned()), "{keys:?}");
    }
}
