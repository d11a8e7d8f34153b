//! `rpcd bench` against real daemons.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rpc_tests::fakes::{Do, extended, failure};
use rpc_tests::recording_registry::RecordingRegistry;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::process::{Daemon, Run, command, read_all, rpcd};
use crate::site::Site;

/// Runs a load test and reads its report.
fn measured(line: &str) -> (Run, Value) {
    let run = rpcd(&format!("bench {line} --json"));
    let report = serde_json::from_str(&run.stdout).unwrap_or_else(|error| {
        panic!("{line}: no report ({error}): {run:?}");
    });
    (run, report)
}

fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path}: {report}"))
}

#[test]
fn exactly_the_number_of_calls_is_measured() {
    let (_server, port) = Daemon::serve("--no-registry");
    for flags in ["", "--concurrency 8", "--concurrency 9 --connections 3 --threads 2"] {
        let (run, report) = measured(&format!("add 1 2 -p {port} --count 300 {flags}"));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{flags}");
        assert_eq!((number(&report, "/calls"), number(&report, "/failed")), (300.0, 0.0));
        assert_eq!(report["instances"][0]["address"], format!("127.0.0.1:{port}"));
        let (p50, max) = (number(&report, "/latency/p50_us"), number(&report, "/latency/max_us"));
        assert!(p50 > 1.0 && p50 <= max, "{report}");
        let rate = number(&report, "/rate");
        assert!((rate - 300.0 / number(&report, "/elapsed_s")).abs() < 1.0, "{report}");
    }
}

#[test]
fn a_report_for_people_has_the_percentiles() {
    let (_server, port) = Daemon::serve("--no-registry");
    let few = rpcd(&format!("bench add 1 2 -p {port} --count 200 --concurrency 4"));
    assert_eq!((few.code, few.stderr.as_str()), (0, ""), "{}", few.stdout);
    assert!(few.stdout.contains("  p99 ") && !few.stdout.contains("p99.9"), "{}", few.stdout);
    let run = rpcd(&format!("bench add 1 2 -p {port} --count 1000 --concurrency 4"));
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
    let first = format!("add at 127.0.0.1:{port}: 4 calls at a time on 1 connection, measured for");
    assert!(run.stdout.starts_with(&first), "{}", run.stdout);
    for part in ["calls          1,000   ", "failed             0   0%", "p99.9", "█", "instance"]
    {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(!run.stdout.contains("p99.99"), "{}", run.stdout);
}

#[test]
fn a_rate_is_kept_and_a_stall_counts_for_every_call_that_was_due() {
    if !rpc_tests::slow::enabled("it measures percentiles in real time around a stalled server") {
        return;
    }
    let (server, port) = Daemon::serve("--no-registry");
    let line = format!("bench add 1 2 -p {port} --rate 200 --duration 4s --warmup 0 --json");
    let words: Vec<_> = line.split_whitespace().collect();
    let mut bench = command(&words).stdout(Stdio::piped()).spawn().unwrap();
    until_calls(port, 40);
    server.signal(Signal::STOP);
    // The stall itself.
    std::thread::sleep(Duration::from_millis(600));
    server.signal(Signal::CONT);
    let report: Value = serde_json::from_str(&read_all(&mut bench)).unwrap();
    assert_eq!(bench.wait().unwrap().code(), Some(0), "{report}");
    let (calls, never) = (number(&report, "/calls"), number(&report, "/behind/never_begun"));
    assert!(calls + never == 800.0 && never < 10.0, "4 s of 200 a second: {report}");
    // 120 calls, 15 % of all, were due during the stall and waited up to 600 ms.
    assert!(number(&report, "/latency/p90_us") >= 100_000.0, "{report}");
    assert!(number(&report, "/latency/p99_us") >= 450_000.0, "{report}");
}

#[test]
fn calls_are_shared_among_the_instances_of_a_registry() {
    let mut registry = Daemon::start("registry -p 0 -l 127.0.0.1");
    let url = format!("http://{}", registry.address());
    let mut servers: Vec<_> = (0..2).map(|_| Daemon::serve(&format!("--registry {url}"))).collect();
    for (server, _) in &mut servers {
        server.line("registered");
    }
    let line =
        format!("add 1 2 --registry {url} --balance round_robin --count 400 --concurrency 4");
    let (run, report) = measured(&line);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(report["instances"].as_array().unwrap().len(), 2, "{report}");
    for index in 0..2 {
        let calls = number(&report, &format!("/instances/{index}/calls"));
        assert!((190.0..=210.0).contains(&calls), "{report}");
    }
}

#[test]
fn the_exit_code_depends_on_the_failure_ratio() {
    let (_server, port) = Daemon::serve("--no-registry");
    let site = Site::start();
    let failing = site.server.rsplit(':').next().unwrap();
    let (run, report) = measured(&format!("fail -p {failing} --count 50"));
    assert_eq!((run.code, number(&report, "/error_ratio")), (1, 1.0));
    assert_eq!(report["errors"][0]["kind"], "remote 7");
    let error_line = "rpcd: 100% of the calls failed; --max-error-ratio allows 0%\n";
    assert_eq!(run.stderr, error_line);
    assert_eq!(measured(&format!("fail -p {failing} --count 50 --max-error-ratio 1")).0.code, 0);
    let slow = format!("sleep 60 -p {port} --count 4 --concurrency 4 --timeout 100ms");
    let (run, report) = measured(&slow);
    assert_eq!((run.code, &report["errors"][0]["kind"]), (1, &Value::from("timeout")));
}

#[test]
fn a_run_continues_when_the_server_dies_and_reports_it() {
    let (server, port) = Daemon::serve("--no-registry");
    let line = format!("bench add 1 2 -p {port} --duration 4s --warmup 0 --json");
    let words: Vec<_> = line.split_whitespace().collect();
    let mut bench = command(&words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    until_calls(port, 10);
    drop(server);
    let report: Value = serde_json::from_str(&read_all(&mut bench)).unwrap();
    assert_eq!(bench.wait().unwrap().code(), Some(1), "{report}");
    assert!(report["errors"].as_array().unwrap().iter().any(|e| e["kind"] == "unreachable"));
    // Callers that reach no server are slowed down, to a hundred calls a second.
    assert!(number(&report, "/unreached") <= 400.0, "{report}");
}

#[test]
fn the_retries_of_calls_that_failed_are_counted() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (registry, refusing) = runtime.block_on(async {
        let registry = RecordingRegistry::start().await;
        let refuses = |request: &Value| Do::Write(failure(request, -32002));
        let refusing = [extended(refuses).await, extended(refuses).await];
        registry.list(&refusing.each_ref().map(|peer| peer.address));
        (registry, refusing)
    });
    let line = format!(
        "m --registry {} --connections 1 --concurrency 4 --count 50 --warmup 0",
        registry.url()
    );
    let (run, report) = measured(&line);
    assert_eq!((run.code, count(&report["failed"])), (1, 50), "{run:?}");
    let calls = refusing.iter().flat_map(|peer| peer.seen.calls());
    let received = calls.filter(|call| call["method_name"] == "m").count() as u64;
    // Before the 50, one asks whether there is such a method and one opens the connection; both are
    // tried on both.
    let made = received - 50 - 4;
    assert!(made >= 10 && count(&report["retries"]) == made, "{made} made: {report}");
}

#[test]
fn a_signal_stops_the_run_and_the_results_are_reported() {
    let (_server, port) = Daemon::serve("--no-registry");
    let line = "bench add 1 2 --duration 1h --warmup 0 --connections 1 --concurrency 4 --json";
    let line = format!("{line} -p {port}");
    let words: Vec<_> = line.split_whitespace().collect();
    let mut bench = command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until_calls(port, 50);
    kill_process(Pid::from_raw(i32::try_from(bench.id()).unwrap()).unwrap(), Signal::INT).unwrap();
    let report: Value = serde_json::from_str(&read_all(&mut bench)).unwrap();
    assert_eq!(bench.wait().unwrap().code(), Some(0), "{report}");
    assert!(report["stopped"] == true && report["failed"] == 0, "{report}");
    // Every call the server executed opened the connection, is in the report, or was in flight at
    // the end: then it counts as abandoned, whether the server executed it or not.
    let (calls, given_up) = (count(&report["calls"]), count(&report["abandoned"]));
    let done = calls_of_add(port) - 1;
    assert!(given_up <= 4 && calls <= done && done <= calls + given_up, "{done} done: {report}");
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Waits until the server has executed that many calls of `add`.
fn until_calls(port: u16, calls: u64) {
    let end = Instant::now() + Duration::from_secs(60);
    while calls_of_add(port) < calls {
        assert!(Instant::now() < end, "the server did not reach {calls} calls");
    }
}

/// Number of `add` calls the server has executed.
fn calls_of_add(port: u16) -> u64 {
    let stats = rpcd(&format!("call -p {port} rpc.stats")).stdout;
    let stats: Value = serde_json::from_str(&stats).unwrap();
    let methods = stats["methods"].as_array().unwrap();
    let add = methods.iter().find(|method| method["name"] == "add");
    add.map_or(0, |add| count(&add["calls"]))
}
