//! What it costs that registries share an etcd cluster, as figures: how long a change takes to the other registry, how
//! often heartbeats write to etcd, and how many of them a registry takes beside one without etcd.

mod load;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use rpc_client::registry::{RegistryClient, RegistryClientOptions};
use rpc_wire::instance::{Instance, VERSION_KEY, WatchEvent};
use rpc_wire::paths::{REGISTER, UNREGISTER};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::etcd::{Etcd, MEMBERS};
use crate::http::ask;
use crate::process::{Process, Programs, SOON};
use crate::proxy::ReservedPort;
use crate::trial::Trial;

use load::{Beats, Load};

/// The longest time of a request.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A change takes no longer to the other registry, 99 times of 100.
const SPREAD: Duration = Duration::from_millis(100);
/// The share of the heartbeats of a registry without etcd, at least.
const SHARE: f64 = 0.98;
/// Connections that send heartbeats.
const CONNECTIONS: usize = 64;
/// Instances whose heartbeats they send in turn.
const INSTANCES: usize = 1000;
/// How long one of a pair gets them.
const WINDOW: Duration = Duration::from_secs(2);
/// Interval between heartbeats of an instance.
const BEAT: Duration = Duration::from_secs(5);
/// Changes while there are heartbeats.
const CHANGES: usize = 100;

/// How much is measured.
#[derive(Debug, Clone, Args)]
pub struct SharingOptions {
    /// Changes that are timed
    #[arg(long, default_value_t = 500, value_name = "NUMBER")]
    pub changes: u16,
    /// Instances, half of them at each registry
    #[arg(long, default_value_t = 10_000, value_name = "NUMBER")]
    pub instances: usize,
    /// For how many seconds they send heartbeats
    #[arg(long, default_value_t = 60, value_name = "NUMBER")]
    pub seconds: u64,
    /// Pairs of a registry with etcd and one without
    #[arg(long, default_value_t = 6, value_name = "NUMBER")]
    pub pairs: usize,
}

/// Measures.
///
/// # Errors
/// Something does not start, or does not answer.
pub async fn sharing(programs: Programs, options: &SharingOptions) -> anyhow::Result<Trial> {
    let room = Room::start(programs).await?;
    let mut trial = Trial::default();
    // In this order: who unregisters is forgotten a minute later, which is a write.
    room.heartbeats(options, &mut trial).await?;
    room.pairs(options.pairs, &mut trial).await?;
    room.spread(options.changes, &mut trial).await?;
    Ok(trial)
}

/// Two registries that share etcd, and one that does not.
struct Room {
    etcd: Etcd,
    one: Registry,
    other: Registry,
    alone: Registry,
}

struct Registry {
    port: ReservedPort,
    _process: Process,
}

impl Registry {
    async fn start(programs: &Programs, store: &str, endpoints: &str) -> anyhow::Result<Self> {
        let port = ReservedPort::new()?;
        let number = port.address().port().to_string();
        let arguments = ["registry", "-p", &number, "-l", "127.0.0.1", "--store", store];
        let variables = [("RPCD_ETCD_ENDPOINTS", Path::new(endpoints).as_os_str())];
        let mut process = Process::start(programs, &programs.rpcd, &arguments, &variables)?;
        process.line(|line| line.contains("listening").then_some(())).await?;
        Ok(Self { port, _process: process })
    }

    fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Sends it an instance.
    async fn told(&self, path: &str, instance: &Instance) -> anyhow::Result<()> {
        let what = format!("POST {path}?proto={}", instance.protocol);
        let body = serde_json::to_vec(instance)?;
        let reply = ask(self.address(), &what, &body, TIMEOUT).await?;
        ensure!(reply.status == 200, "a registry says {}: {}", reply.status, reply.text());
        Ok(())
    }

    /// A metric without labels.
    async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let page = ask(self.address(), "GET /metrics", b"", TIMEOUT).await?.text();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("no metric {name}"))?.parse()?)
    }
}

impl Room {
    async fn start(programs: Programs) -> anyhow::Result<Self> {
        let etcd = Etcd::start(programs.clone()).await?;
        let urls: Vec<_> = (0..MEMBERS).map(|at| format!("http://{}", etcd.address(at))).collect();
        let endpoints = urls.join(",");
        let one = Registry::start(&programs, "etcd", &endpoints).await?;
        let other = Registry::start(&programs, "etcd", &endpoints).await?;
        let alone = Registry::start(&programs, "none", &endpoints).await?;
        let began = Instant::now();
        for registry in [&one, &other] {
            while !ask(registry.address(), "GET /readyz", b"", TIMEOUT)
                .await?
                .text()
                .contains("\"ready\"")
            {
                ensure!(began.elapsed() < SOON, "a registry is not ready");
                sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(Self { etcd, one, other, alone })
    }

    /// How long changes at one registry take to the list and the events of the other, and to a watch of etcd.
    async fn spread(&self, changes: u16, trial: &mut Trial) -> anyhow::Result<()> {
        let (etcd, events) = (Heard::default(), Heard::default());
        let url = format!("http://{}", self.other.address());
        let looks = RegistryClient::new(&url, RegistryClientOptions::default())?;
        let _watching = [
            beside(watch_etcd(self.etcd.address(0), etcd.clone())),
            beside(watch_registry(looks.clone(), events.clone())),
        ];
        let [mut by_etcd, mut by_events, mut by_list] = [const { Vec::new() }; 3];
        for number in 0..changes {
            let mut instance = Instance::new("10.0.0.1", 1000 + number);
            instance.protocol = "change".to_owned();
            let began = Instant::now();
            let told = self.one.told(REGISTER, &instance);
            if number % 2 == 0 {
                told.await?;
                // The first of all is heard once both watch.
                let heard = (etcd.of(instance.port).await?, events.of(instance.port).await?);
                if number > 0 {
                    by_etcd.push(heard.0.saturating_duration_since(began));
                    by_events.push(heard.1.saturating_duration_since(began));
                }
            } else {
                let listed = async {
                    while !looks.find_all("change").await?.iter().any(|it| it.port == instance.port)
                    {
                        ensure!(began.elapsed() < SOON, "the other registry does not list it");
                        // Readers that never rest would take the processors of etcd.
                        sleep(Duration::from_millis(1)).await;
                    }
                    Ok(began.elapsed())
                };
                let (told, listed) = tokio::join!(told, listed);
                told?;
                by_list.push(listed?);
            }
            self.one.told(UNREGISTER, &instance).await?;
        }
        for (what, mut times) in [
            ("from a registration until it is in a watch of etcd", by_etcd),
            ("until it is in the other registry's events", by_events),
            ("until it is in the other registry's list", by_list),
        ] {
            times.sort_unstable();
            let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied();
            let (Some(half), Some(most)) = (at(0.5), at(0.99)) else { continue };
            let ms = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
            trial.count(ms(half), &format!("ms {what}: p50 of {}", times.len()));
            trial.count(ms(most), "ms: p99");
            if most > SPREAD && !what.contains("of etcd") {
                trial.broken.push(format!("{most:?} {what}, more than {SPREAD:?}"));
            }
        }
        Ok(())
    }

    /// How often heartbeats write to etcd: never.
    async fn heartbeats(&self, options: &SharingOptions, trial: &mut Trial) -> anyhow::Result<()> {
        let registries = [&self.one, &self.other];
        let half = options.instances / 2;
        let (mut beating, stop) = (JoinSet::new(), CancellationToken::new());
        for (number, registry) in registries.iter().enumerate() {
            let beats = Beats::of(number, half);
            let at_once = Load { address: registry.address(), connections: CONNECTIONS };
            // Within a TTL: registrations wait for etcd.
            at_once.once(&beats).await?;
            // For the pairs: a table that had more is larger, and slower.
            Load { address: self.alone.address(), ..at_once }.once(&beats).await?;
            let load = Load { connections: 4, ..at_once };
            beating.spawn(load.every(beats, BEAT, stop.clone()));
        }
        let writes = async || {
            let mut commits = 0.0;
            for registry in registries {
                commits +=
                    registry.metric("rpc_registry_store_commit_duration_seconds_count").await?;
            }
            anyhow::Ok((self.etcd.content("rpcd/").await?.revision, commits))
        };
        let before = writes().await?;
        for number in 0..CHANGES {
            let mut instance = Instance::new("10.0.0.2", 1);
            instance.protocol = "change".to_owned();
            instance.parameters.insert(VERSION_KEY.to_owned(), number.to_string().into());
            registries[number % 2].told(REGISTER, &instance).await?;
        }
        sleep(Duration::from_secs(options.seconds)).await;
        // While all of them beat: whom nobody hears of expires, which is a change.
        let after = writes().await?;
        stop.cancel();
        let mut sent = 0;
        while let Some(beats) = beating.join_next().await {
            sent += beats??;
        }
        let written = after.0.saturating_sub(before.0);
        trial.count(sent, &format!("heartbeats of {} instances", half * 2));
        trial.count(written, &format!("revisions of etcd for {CHANGES} changes meanwhile"));
        trial.count(after.1 - before.1, "commits, by the metrics of both registries");
        trial.count(self.leases().await?, "leases");
        // What was changed may have expired since, and its departure may be forgotten.
        trial.never(written.saturating_sub(CHANGES as u64 + 2), "writes too many");
        Ok(())
    }

    async fn leases(&self) -> anyhow::Result<usize> {
        let reply = ask(self.etcd.address(0), "POST /v3/lease/leases", b"{}", TIMEOUT).await?;
        let reply: Value = serde_json::from_slice(&reply.body)?;
        Ok(reply["leases"].as_array().map_or(0, Vec::len))
    }

    /// Heartbeats of a registry with etcd beside those of one without, in turn.
    async fn pairs(&self, pairs: usize, trial: &mut Trial) -> anyhow::Result<()> {
        // Those of before expire first.
        for registry in [&self.one, &self.alone] {
            while registry.metric("rpc_registry_instances").await? > 0.0 {
                sleep(Duration::from_millis(100)).await;
            }
        }
        let beats = Beats::of(7, INSTANCES);
        let mut shares = Vec::new();
        let mut figures = Vec::new();
        for pair in 0..=pairs {
            let mut both = [(&self.one, 0.0), (&self.alone, 0.0)];
            let order = if pair % 2 == 0 { [0, 1] } else { [1, 0] };
            for at in order {
                let load = Load { address: both[at].0.address(), connections: CONNECTIONS };
                load.once(&beats).await?;
                both[at].1 = load.flat_out(&beats, WINDOW).await? as f64 / WINDOW.as_secs_f64();
            }
            // The first warms up.
            if pair > 0 {
                shares.push(both[0].1 / both[1].1);
                figures.push(both.map(|(_, rate)| rate));
            }
        }
        let median = |mut of: Vec<f64>| {
            of.sort_by(f64::total_cmp);
            let (low, high) = (of.get(of.len().saturating_sub(1) / 2), of.get(of.len() / 2));
            f64::midpoint(low.copied().unwrap_or(0.0), high.copied().unwrap_or(0.0))
        };
        for (at, what) in [(0, "with"), (1, "without")] {
            let rate = median(figures.iter().map(|both| both[at]).collect());
            trial.count(format!("{rate:.0}"), &format!("heartbeats/s {what} etcd, median"));
        }
        let said: Vec<_> = shares.iter().map(|share| format!("{share:.3}")).collect();
        let share = median(shares);
        trial.count(format!("{share:.3}"), &format!("of those without: {}", said.join(" ")));
        if share < SHARE {
            trial.broken.push(format!("{share:.3} of the heartbeats, less than {SHARE}"));
        }
        Ok(())
    }
}

fn beside(task: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(task))
}

/// When instances were heard of first, by their ports.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<HashMap<u16, Instant>>>);

impl Heard {
    fn note(&self, port: u16) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.entry(port).or_insert_with(Instant::now);
    }

    async fn of(&self, port: u16) -> anyhow::Result<Instant> {
        let began = Instant::now();
        loop {
            let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&port).copied();
            match heard {
                Some(at) => return Ok(at),
                None if began.elapsed() > SOON => bail!("{port} is not heard of"),
                None => sleep(Duration::from_millis(1)).await,
            }
        }
    }
}

async fn watch_registry(looks: RegistryClient, heard: Heard) {
    loop {
        if let Ok(mut watch) = looks.watch("change", false, None).await {
            while let Some(Ok((_, event))) = watch.next().await {
                match event {
                    WatchEvent::Registered(record) => heard.note(record.instance.port),
                    WatchEvent::Snapshot(records) => {
                        records.iter().for_each(|record| heard.note(record.instance.port));
                    }
                    _ => {}
                }
            }
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Follows the keys themselves, through the gateway. Its first revision is the first: nothing is missed.
async fn watch_etcd(member: SocketAddr, heard: Heard) {
    let _ended: anyhow::Result<()> = async {
        let mut stream = TcpStream::connect(member).await?;
        let (key, end) = (STANDARD.encode("rpcd/"), STANDARD.encode("rpcd0"));
        let create = json!({"key": key, "range_end": end, "start_revision": "1"});
        let body = json!({"create_request": create}).to_string();
        let head = format!(
            "POST /v3/watch HTTP/1.0\r\nhost: {member}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        let mut lines = BufReader::new(stream).lines();
        while let Some(line) = lines.next_line().await? {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            for event in line["result"]["events"].as_array().into_iter().flatten() {
                let key = STANDARD.decode(event["kv"]["key"].as_str().unwrap_or_default())?;
                let key = String::from_utf8_lossy(&key).into_owned();
                let port = key.rsplit('/').next().and_then(|port| port.parse().ok());
                port.into_iter().for_each(|port| heard.note(port));
            }
        }
        Ok(())
    }
    .await;
}
