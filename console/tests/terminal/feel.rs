//! Latency, idle cost and memory, printed with `--nocapture`.
//!
//! `RPCD_SLOW_TESTS=1 RPC_CONSOLE=target/release/rpc-console cargo test -p rpc-console --test terminal feel --
//! --nocapture --test-threads 1` measures that program instead of the unoptimised one. The limits
//! asserted here are far above the targets, since other tests run at the same time.

use std::net::TcpListener;

use rpc_tests::terminal::FRAME_BEGINS;

use super::*;

fn launch(arguments: &[&str]) -> Tty {
    let program = std::env::var("RPC_CONSOLE").unwrap_or_else(|_| PROGRAM.to_owned());
    let mut command = CommandBuilder::new(std::fs::canonicalize(program).unwrap());
    command.args(arguments);
    Tty::run(command, (120, 35))
}

/// Measurements of a program on a terminal.
#[cfg(target_os = "linux")]
trait Measure {
    fn frames(&self) -> usize;

    /// A number of `/proc/PID/FILE`.
    fn proc(&self, file: &str, name: &str) -> u64;

    /// How often the drawing thread was woken.
    fn wakes(&self) -> u64;

    /// The minimum of bytes, frames and wake-ups over several windows, since the clock shows minutes
    /// and messages disappear after a while. Sleeps are the point here.
    fn idle(&self, what: &str) -> (usize, usize, u64);
}

#[cfg(target_os = "linux")]
impl Measure for Tty {
    fn frames(&self) -> usize {
        let output = self.output();
        output.windows(FRAME_BEGINS.len()).filter(|bytes| *bytes == FRAME_BEGINS).count()
    }

    fn proc(&self, file: &str, name: &str) -> u64 {
        let pid = self.pid();
        let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    fn wakes(&self) -> u64 {
        let pid = self.pid();
        self.proc(&format!("task/{pid}/status"), "voluntary_ctxt_switches")
    }

    fn idle(&self, what: &str) -> (usize, usize, u64) {
        const WINDOW: Duration = Duration::from_secs(5);
        let mut min = (usize::MAX, usize::MAX, u64::MAX);
        for _ in 0..3 {
            let start = Instant::now();
            let before = (self.bytes(), self.frames(), self.wakes());
            std::thread::sleep(WINDOW);
            let now = (self.bytes() - before.0, self.frames() - before.1, self.wakes() - before.2);
            // A busy machine may oversleep: do not count the frames of those seconds.
            let overslept = (start.elapsed() - WINDOW).as_secs();
            let frames = now.1.saturating_sub(overslept as usize);
            let wakes = now.2.saturating_sub(overslept);
            min = (min.0.min(now.0), min.1.min(frames), min.2.min(wakes));
        }
        let (bytes, frames, wakes) = min;
        println!("{what}: {bytes} bytes, {frames} frames, {wakes} wake-ups in {WINDOW:?}");
        min
    }
}

#[test]
fn the_first_frame_is_drawn_before_any_connection() {
    let mut took: Vec<Duration> = (0..5)
        .map(|_| {
            let start = Instant::now();
            let tty = launch(&["--registry", "http://127.0.0.1:1"]);
            while !tty.screen().contains("rpc-console") {
                assert!(start.elapsed() < DEADLINE);
                std::thread::sleep(Duration::from_millis(1));
            }
            start.elapsed()
        })
        .collect();
    took.sort();
    println!("first frame with the registry unreachable: {:?} (median of 5: {took:?})", took[2]);

    // A registry that accepts the connection and never replies.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut command = CommandBuilder::new(PROGRAM);
    command.args(["--registry", &format!("http://{}", silent.local_addr().unwrap())]);
    command.env("RPCD_CLIENT_REGISTRY_TIMEOUT", "1h");
    let tty = Tty::run(command, (120, 35));
    tty.until(&["rpc-console", "[1 Instances]"]);
    silent.accept().unwrap();
    assert!(!tty.screen().contains("unreachable"), "{}", tty.screen());
}

#[cfg(target_os = "linux")]
#[test]
fn idle_costs_nothing_without_ages_and_a_frame_per_second_with_them() {
    if !rpc_tests::slow::enabled("it watches four idle screens for 15 s each") {
        return;
    }
    let port = ReservedPort::new();
    let _registry = Registry::start(&port);
    let url = port.url();
    let mut tty = launch(&["--registry", &url]);
    tty.until(&["● live", "no instances registered"]);
    tty.press("2");
    tty.until(&["[2 Methods]"]);
    // It only asks a quiet registry whether it is still there, every two seconds.
    let asks = |wakes| assert!(wakes <= 6, "{wakes} wake-ups in 5 s");
    let (bytes, frames, wakes) = tty.idle("Methods, no instance");
    assert_eq!((bytes, frames), (0, 0));
    asks(wakes);
    tty.press("?");
    tty.until(&["type to filter"]);
    let (bytes, frames, wakes) = tty.idle("Help, no instance");
    assert_eq!((bytes, frames), (0, 0));
    asks(wakes);
    tty.press(ESC);
    tty.until(&[": commands"]);

    let servers = Background::new();
    let announce = rpc_server::Announce::to(&url).unwrap();
    let builder = rpc_server::Server::builder()
        .methods(rpc_server::builtin::methods())
        .log_ring(rpc_host::logging::LogRing::new(100))
        .announce(announce);
    servers.serve(builder);
    tty.press("1");
    tty.until(&["1 up", "10 "]);
    let (_, frames, _) = tty.idle("Instances, one server");
    assert!(frames <= 6, "{frames} frames in 5 s");
    tty.press("2");
    tty.until(&["[2 Methods]", "subtract"]);
    let (bytes, _, wakes) = tty.idle("Methods, one server with heartbeats");
    assert_eq!(bytes, 0);
    assert!(wakes <= 6, "{wakes} wake-ups in 5 s");
}

#[test]
fn a_key_is_drawn_soon_with_ten_thousand_instances() {
    const INSTANCES: u16 = 10_000;
    let background = Background::new();
    let ttl = Duration::from_secs(600);
    let options = rpc_registry::RegistryOptions { ttl, ..Default::default() };
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let registry = background.wait_for(rpc_registry::Registry::bind(any, options)).unwrap();
    let url = format!("http://{}", registry.local_addr());
    background.spawn(async move {
        let _ = registry.serve(std::future::pending()).await;
    });
    let client = rpc_client::registry::RegistryClient::new(&url, Default::default()).unwrap();
    background.wait_for(async {
        use futures_util::StreamExt;
        let register = |n: u16| {
            let client = client.clone();
            // No server listens there: only the list is measured.
            async move {
                let host = format!("127.1.{}.{}", n / 250, n % 250 + 1);
                client.register(&rpc_wire::instance::Instance::new(host, 9)).await.unwrap()
            }
        };
        let all = futures_util::stream::iter(0..INSTANCES).map(register).buffer_unordered(32);
        assert_eq!(all.count().await, usize::from(INSTANCES));
    });
    let mut tty = launch(&["--registry", &url]);
    tty.until(&["10000 up", "probing 200"]);
    let selected = |tty: &Tty| -> Option<String> {
        let screen = tty.screen();
        screen.lines().find(|line| line.contains("▸ ")).map(str::to_owned)
    };
    // A key right after a frame waits for the next frame, so both paces are measured. Sleeps are the
    // point here.
    for (pause, typed) in [(20, "50 keys per second"), (0, "each after the previous frame")] {
        let mut took = Vec::new();
        for _ in 0..40 {
            std::thread::sleep(Duration::from_millis(pause));
            let before = selected(&tty).unwrap().split("127.1.").nth(1).unwrap()[..8].to_owned();
            let start = Instant::now();
            tty.press("j");
            while selected(&tty).is_none_or(|line| line.contains(&before)) {
                assert!(start.elapsed() < DEADLINE);
                std::thread::sleep(Duration::from_micros(300));
            }
            took.push(start.elapsed());
        }
        took.sort();
        println!(
            "key to frame with {INSTANCES} instances, {typed}: median {:?}, worst {:?}",
            took[20], took[39]
        );
        assert!(took[20] < Duration::from_secs(1), "{took:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_demo_is_small() {
    let mut tty = launch(&["--demo"]);
    tty.until(&["4 up", "lacks square"]);
    tty.press("D");
    tty.until(&["traffic off"]);
    std::thread::sleep(Duration::from_secs(5));
    let kib = tty.proc("status", "VmRSS:");
    println!("resident memory of the idle demo: {:.1} MiB", kib as f64 / 1024.0);
    assert!(kib < 100 * 1024, "{kib} KiB");
}
