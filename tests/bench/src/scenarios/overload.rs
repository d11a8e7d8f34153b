//! More calls than a server can serve: 0.5, 1, 2 and 10 times its capacity, in an open loop.
//!
//! The server is registered at a registry, with its usual heartbeats. While the load runs, others ask
//! for its health and look whether it is listed; afterwards calls are made until it is as before.
//!
//! - `work`: the calls.
//! - `generator`: the open loop.
//! - `observers`: health, the registry's list, and the time to normal.
//! - `figures`: the columns.

pub mod figures;
mod generator;
mod observers;
mod work;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};

use crate::clients::bare;
use crate::exchange::http_head;
use crate::plan::OverloadOptions;
use crate::process::Server;
use crate::procfs;
use crate::round::{Bench, Round, Scenario};
use figures::Overload;
use generator::{Generator, Outcomes, Plan};
use work::Work;

/// Rows: the rate as a multiple of the capacity.
const ROWS: [(&str, f64); 4] = [("0.5x", 0.5), ("1x", 1.0), ("2x", 2.0), ("10x", 10.0)];
const CONNECTIONS: [usize; 3] = [16, 64, 1_000];
/// Maximum bytes of a registry's list with one server, or of a server's health.
const LONGEST_BODY: u64 = 64 * 1024;

/// All of them.
///
/// # Errors
/// Never; the signature is that of making a call.
pub fn all(options: &OverloadOptions) -> anyhow::Result<Vec<Scenario<Overload>>> {
    let mut scenarios = Vec::new();
    for work in [Work::computing(options)?, Work::awaiting()?] {
        for connections in CONNECTIONS {
            let work = work.clone();
            scenarios.push(Scenario {
                key: format!("{}@{connections}", work.key),
                title: format!("{}, {connections} connections", work.title),
                measure: Box::new(move |round| measure(round, &work, connections)),
            });
        }
    }
    Ok(scenarios)
}

fn measure(round: &mut Round<'_, Overload>, work: &Work, connections: usize) -> anyhow::Result<()> {
    let capacity = work.capacity(round.bench())?;
    for (name, factor) in ROWS {
        round.row(name, |bench| overload(bench, work, connections, capacity, factor))?;
    }
    Ok(())
}

fn overload(
    bench: &Bench,
    work: &Work,
    connections: usize,
    capacity: f64,
    factor: f64,
) -> anyhow::Result<Overload> {
    let registry = bench.registry_beside_load()?;
    let server = work.start(bench, &registry)?;
    let seen = bench.load(|| {
        observers::wait_until_listed(registry.address(), server.address())?;
        let unloaded = observers::unloaded(server.address(), &work.light)?;
        let generator = Generator::connect(server.address(), connections, &work.call)?;
        let plan = Plan::starting_now(bench.window(&server), factor * capacity);
        load(&plan, generator, &server, &registry, work, unloaded)
    })?;
    let peak = procfs::memory(server.pid())?.peak;
    Ok(Overload::new(capacity, &seen, peak))
}

/// What was seen of one overload.
pub struct Seen {
    plan: Plan,
    outcomes: Outcomes,
    health: observers::Checks,
    healthz: observers::Checks,
    list: observers::List,
    /// From the end of the load; `None` if it did not become normal.
    normal_after: Option<Duration>,
    foreign_cpu: f64,
}

fn load(
    plan: &Plan,
    generator: Generator<'_>,
    server: &Server,
    registry: &Server,
    work: &Work,
    unloaded: Duration,
) -> anyhow::Result<Seen> {
    let processors = Processors { server, registry };
    let before = processors.foreign_seconds()?;
    let (address, list) = (server.address(), registry.address());
    thread::scope(|scope| {
        let health = scope.spawn(|| observers::health(address, plan));
        let healthz = scope.spawn(|| observers::healthz(address, plan));
        let list = scope.spawn(|| observers::list(list, address, plan));
        let normal = scope.spawn(|| {
            sleep_until(plan.ends);
            let foreign = processors.foreign_seconds()?;
            let after = observers::normal_after(address, &work.light, unloaded, plan.ends)?;
            anyhow::Ok((after, foreign))
        });
        let outcomes = generator.run(plan).context("the load")?;
        let (normal_after, foreign) = joined(normal)?;
        Ok(Seen {
            plan: *plan,
            outcomes,
            health: joined(health)?,
            healthz: joined(healthz)?,
            list: joined(list)?,
            normal_after,
            foreign_cpu: (foreign - before).max(0.0),
        })
    })
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, anyhow::Result<T>>) -> anyhow::Result<T> {
    thread.join().map_err(|_| anyhow!("an observer panicked"))?
}

fn sleep_until(time: Instant) {
    thread::sleep(time.saturating_duration_since(Instant::now()));
}

/// The processes of one run.
struct Processors<'a> {
    server: &'a Server,
    registry: &'a Server,
}

impl Processors<'_> {
    /// Processor seconds used by others so far.
    fn foreign_seconds(&self) -> anyhow::Result<f64> {
        let own = [self.server.pid(), self.registry.pid(), std::process::id()];
        let own = own.map(procfs::cpu_seconds).into_iter().sum::<anyhow::Result<f64>>()?;
        Ok(procfs::busy_seconds() - own)
    }
}

/// The body at `path`, on a new connection. HTTP/1.0, so that it ends with the connection.
fn http_get(address: SocketAddr, path: &str) -> anyhow::Result<Vec<u8>> {
    let mut stream = bare::open(address)?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").as_bytes())?;
    let mut reply = Vec::new();
    stream.take(LONGEST_BODY).read_to_end(&mut reply).context("waiting for a reply")?;
    let status = reply.split(|byte| *byte == b' ').nth(1);
    ensure!(status == Some(b"200"), "a reply {:?}", String::from_utf8_lossy(&reply));
    let head = http_head(&reply).context("a reply without a head")?;
    Ok(reply.split_off(head))
}
