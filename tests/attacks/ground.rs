//! The programs under attack: started on one processor, watched, and asked at the end whether they
//! are well.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rpc_tests::daemon::Daemon;
use rpc_tests::eventually::{SOON, eventually};
use rpc_tests::raw::extended;
use rpc_tests::terminal::{ESC, Tty};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};
use tokio::task::{JoinSet, block_in_place};
use tokio::time::timeout;

use super::on_gateway;

/// Interval between measurements of memory, and between calls of the honest peer.
const LOOK: Duration = Duration::from_millis(50);
/// Timeout of a call of the honest peer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Interval between keys pressed in the console.
const KEY: Duration = Duration::from_millis(500);
/// Keys that visit what strangers can write: methods and their forms, the log, the instances.
const TOUR: [&str; 6] = ["2", "G", "k", "4", "1", "G"];

/// The worker beside the server's own methods: its method is `shout`.
const WORKER: &str = r#"while read -r call; do
  id=$(printf %s "$call" | sed 's/.*"id": *\([0-9]*\).*/\1/')
  case $call in
    *rpc.discover*) res='[{"method_name":"shout","method_args":["text"],"method_kwargs":{}}]' ;;
    *) res='"HEY"' ;;
  esac
  printf '{"id":%s,"res":%s}\n' "$id" "$res"
done
"#;

/// One ground at a time: an attack takes the memory and the processor of the machine.
static FREE: Mutex<()> = Mutex::const_new(());

/// What is attacked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Targets {
    pub(super) server: SocketAddr,
    pub(super) registry: SocketAddr,
    pub(super) gateway: SocketAddr,
}

pub(super) struct Ground {
    registry: Daemon,
    server: Daemon,
    gateway: Daemon,
    console: Tty,
    targets: Targets,
    attacks: JoinSet<()>,
    /// Of server, registry, gateway, console.
    peaks: [Peak; 4],
    _script: tempfile::NamedTempFile,
    _alone: MutexGuard<'static, ()>,
}

/// The most memory a program had, and may have.
struct Peak {
    name: &'static str,
    pid: u32,
    mib: usize,
    most_mib: usize,
}

impl Ground {
    /// Starts a registry, a server, tools for agents and a console on one processor.
    pub(super) async fn prepare() -> Self {
        let alone = FREE.lock().await;
        // The attackers have thousands of connections.
        let maximum = getrlimit(Resource::Nofile).maximum;
        setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
        let registry = registry();
        let registry_address = registry.announced_address().await;
        let url = format!("http://{registry_address}");
        let script = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&script, WORKER).unwrap();
        let worker = format!("sh '{}'", script.path().display());
        let arguments =
            ["serve", "-p", "0", "-l", "127.0.0.1", "--registry", &url, "--worker", &worker];
        let server = on_one_processor(|| Daemon::rpcd(arguments));
        let arguments = ["mcp", "--listen", "0", "--all", "--registry", &url];
        let gateway = on_one_processor(|| Daemon::rpcd(arguments));
        let targets = Targets {
            server: server.announced_address().await,
            registry: registry_address,
            gateway: gateway.announced_address().await,
        };
        let console = on_one_processor(|| Tty::start(&["--registry", &url]));
        block_in_place(|| console.until(&["1 up"]));
        let peak = |name, pid, most_mib| Peak { name, pid, mib: 0, most_mib };
        let peaks = [
            peak("server", server.pid(), 300),
            peak("registry", registry.pid(), 300),
            peak("gateway", gateway.pid(), 300),
            peak("console", console.pid(), 400),
        ];
        let attacks = JoinSet::new();
        let _script = script;
        Self { registry, server, gateway, console, targets, attacks, peaks, _script, _alone: alone }
    }

    pub(super) fn targets(&self) -> Targets {
        self.targets
    }

    /// Starts an attack, which lasts until the end.
    pub(super) fn attack(
        &mut self,
        name: &'static str,
        attack: impl Future<Output = ()> + Send + 'static,
    ) {
        self.attacks.spawn(async move {
            attack.await;
            panic!("the attack of {name} ended by itself");
        });
    }

    /// For this time: nothing ends, and nobody has more memory than it may.
    pub(super) async fn watch(&mut self, time: Duration) {
        let honest = tokio::spawn(Honest::calls(self.targets.server, time));
        let (began, mut keys, mut pressed) = (Instant::now(), TOUR.iter().cycle(), Instant::now());
        while began.elapsed() < time {
            tokio::time::sleep(LOOK).await;
            for peak in &mut self.peaks {
                peak.look();
            }
            assert!(self.server.is_running(), "{}", self.server.transcript());
            assert!(self.registry.is_running(), "{}", self.registry.transcript());
            assert!(self.gateway.is_running(), "{}", self.gateway.transcript());
            if pressed.elapsed() > KEY && !self.attacks.is_empty() {
                self.console.press(keys.next().unwrap());
                pressed = Instant::now();
            }
            if let Some(ended) = self.attacks.try_join_next() {
                ended.unwrap();
            }
        }
        let kind = if self.attacks.is_empty() { "before" } else { "attacked" };
        let peaks = self.peaks.each_ref().map(|peak| format!("{} {} MiB", peak.name, peak.mib));
        println!("{kind}: {}; peaks: {}", honest.await.unwrap(), peaks.join(", "));
    }

    /// Ends the attacks.
    pub(super) async fn calm(&mut self) {
        self.attacks.shutdown().await;
    }

    /// Under attack the daemons answer the honest peer, the console reacts and ends, and so do the
    /// daemons.
    pub(super) async fn stands(&mut self) {
        let Targets { server, registry, gateway } = self.targets;
        eventually("an honest call is answered", async || Honest::call(server).await.is_ok()).await;
        eventually("the registry is well", async || healthy(registry).await).await;
        eventually("an honest agent's call is answered", async || calls_tool(gateway).await).await;
        block_in_place(|| {
            self.console.press("?");
            reacts(&self.console, "type to filter");
            self.console.press(ESC);
            self.console.until_not("type to filter");
            self.console.press("1");
            reacts(&self.console, "[1 Instances]");
            // Back through the views visited, then out; what follows is not read.
            self.console.press("qqq");
            assert_eq!(self.console.ends(), 0);
            self.console.is_restored();
        });
        for daemon in [&mut self.gateway, &mut self.server, &mut self.registry] {
            daemon.signal(Signal::TERM);
            let status = daemon.exits_within(SOON).await;
            assert_eq!(status.code(), Some(0), "{}", daemon.transcript());
        }
    }
}

/// A registry with nobody else, so that it is filled soon.
pub(super) struct Alone {
    registry: Daemon,
    at: SocketAddr,
    peak: Peak,
    _alone: MutexGuard<'static, ()>,
}

impl Alone {
    pub(super) async fn prepare() -> Self {
        let alone = FREE.lock().await;
        let registry = registry();
        let at = registry.announced_address().await;
        let peak = Peak { name: "registry", pid: registry.pid(), mib: 0, most_mib: 300 };
        Self { registry, at, peak, _alone: alone }
    }

    pub(super) fn targets(&self) -> Targets {
        Targets { server: self.at, registry: self.at, gateway: self.at }
    }

    /// Is under `attack` for this time, has no more memory than it may, and is well afterwards.
    pub(super) async fn stands(mut self, attack: impl Future<Output = ()>, time: Duration) {
        let watch = async {
            let began = Instant::now();
            while began.elapsed() < time {
                tokio::time::sleep(LOOK).await;
                self.peak.look();
            }
        };
        tokio::select! {
            () = watch => {}
            () = attack => panic!("the attack ended by itself"),
        }
        println!("attacked: the registry has {} MiB", self.peak.mib);
        eventually("the registry is well", async || healthy(self.at).await).await;
        self.registry.signal(Signal::TERM);
        assert_eq!(self.registry.exits_within(SOON).await.code(), Some(0));
    }
}

fn registry() -> Daemon {
    on_one_processor(|| Daemon::rpcd(["registry", "-p", "0", "-l", "127.0.0.1"]))
}

/// Starts a program which, as all its threads, may use one processor only.
fn on_one_processor<T>(start: impl FnOnce() -> T) -> T {
    let all = sched_getaffinity(None).unwrap();
    let mut one = CpuSet::new();
    one.set((0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).unwrap());
    sched_setaffinity(None, &one).unwrap();
    let started = start();
    sched_setaffinity(None, &all).unwrap();
    started
}

/// Waits until the console shows `text`, for a shorter time than the terminal's.
fn reacts(console: &Tty, text: &str) {
    let began = Instant::now();
    while !console.screen().contains(text) {
        assert!(began.elapsed() < SOON, "the console does not react:\n{}", console.screen());
        std::thread::sleep(LOOK);
    }
}

async fn healthy(registry: SocketAddr) -> bool {
    let request = "GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n";
    ask(registry, request).await.is_some_and(|reply| reply.contains(" 200 "))
}

async fn calls_tool(gateway: SocketAddr) -> bool {
    let message = on_gateway::call("add", &json!({"a": 1, "b": 2})).to_string();
    let request = format!(
        "POST /mcp HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{message}",
        message.len()
    );
    ask(gateway, &request).await.is_some_and(|reply| reply.contains(r#""text":"13""#))
}

/// What comes back, until the end.
async fn ask(server: SocketAddr, request: &str) -> Option<String> {
    let ask = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await?;
        std::io::Result::Ok(reply)
    };
    timeout(PATIENCE, ask).await.ok()?.ok()
}

impl Peak {
    /// Measures, and fails before the machine is out of memory.
    fn look(&mut self) {
        let path = format!("/proc/{}/status", self.pid);
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<usize>().ok());
        let Self { name, most_mib, .. } = *self;
        self.mib = kib.unwrap_or_else(|| panic!("the {name} has ended")) / 1024;
        assert!(self.mib <= most_mib, "the {name} has {} MiB, at most {most_mib}", self.mib);
    }
}

/// The calls of a peer that attacks nobody, each on a new connection.
struct Honest {
    /// In ascending order.
    latencies: Vec<Duration>,
    failed: usize,
}

impl Honest {
    async fn calls(server: SocketAddr, time: Duration) -> Self {
        let mut honest = Self { latencies: Vec::new(), failed: 0 };
        let began = Instant::now();
        while began.elapsed() < time {
            match Self::call(server).await {
                Ok(latency) => honest.latencies.push(latency),
                Err(_) => honest.failed += 1,
            }
            tokio::time::sleep(LOOK).await;
        }
        honest.latencies.sort();
        honest
    }

    async fn call(server: SocketAddr) -> Result<Duration, String> {
        let began = Instant::now();
        let call = async {
            let mut stream = TcpStream::connect(server).await?;
            // Not a classic one: for those a server goes on serving for a while when it is stopped.
            let call = extended(&json!(7), "add", &json!([1, 2])) + "\n";
            stream.write_all(call.as_bytes()).await?;
            let mut reply = [0; 18];
            stream.read_exact(&mut reply).await?;
            std::io::Result::Ok(reply)
        };
        match timeout(PATIENCE, call).await {
            Ok(Ok(reply)) if reply == *b"{\"id\":7,\"res\":13}\n" => Ok(began.elapsed()),
            other => Err(format!("{other:?}")),
        }
    }
}

impl fmt::Display for Honest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |percent: usize| {
            self.latencies.get((self.latencies.len() * percent / 100).saturating_sub(1))
        };
        let (calls, failed) = (self.latencies.len() + self.failed, self.failed);
        write!(f, "{failed} of {calls} honest calls failed")?;
        match (at(50), at(99)) {
            (Some(p50), Some(p99)) => write!(f, ", p50 {p50:.1?}, p99 {p99:.1?}"),
            _ => Ok(()),
        }
    }
}
