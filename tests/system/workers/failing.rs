//! Workers that die, hang, flood, write junk, or do not end.

use std::time::{Duration, Instant};

use rpc_client::{Client, ClientOptions};
use rpc_tests::daemon::{Daemon, run_rpcd};
use rpc_tests::eventually::{eventually, soon};
use rpc_tests::python::has_python;
use rpc_tests::queries::http;
use rpc_tests::raw::Raw;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};

use super::{ask, call, command, serve, serve_with, with_meta};

fn process(pid: &Value) -> Pid {
    Pid::from_raw(i32::try_from(pid.as_i64().unwrap()).unwrap()).unwrap()
}

fn is_gone(pid: Pid) -> bool {
    // A zombie that nobody has waited for yet is one that is gone.
    let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    test_kill_process(pid).is_err() || status.is_ok_and(|text| text.contains(") Z "))
}

#[tokio::test]
async fn a_killed_worker_is_back_at_once_and_calls_that_may_run_again_do() {
    if !has_python() {
        return;
    }
    let (server, at) = serve("", &[]).await;
    let pid = call(at, "pid", json!([])).await;
    let mut again = Raw::connect(at).await;
    again.send(with_meta(1, "nap_again", &json!([0.5]), &json!({}))).await;
    let mut waiting = Raw::connect(at).await;
    waiting.send(with_meta(2, "nap", &json!([0]), &json!({}))).await;
    eventually("both are in flight", async || {
        rpc_tests::queries::in_flight(at, "nap_again").await == 1
            && rpc_tests::queries::in_flight(at, "nap").await == 1
    })
    .await;
    kill_process(process(&pid), Signal::KILL).unwrap();
    let killed = Instant::now();
    assert_ne!(again.reply().await["res"], pid, "another process has executed it");
    assert!(waiting.reply().await["res"].is_number(), "it waited");
    println!("both calls had their replies {:?} after the kill", killed.elapsed());
    let said = |line: &str| line.contains("was killed by signal 9; starting another").then_some(());
    server.line("why", said).await;

    let mut lost = Raw::connect(at).await;
    lost.send(with_meta(3, "nap", &json!([1000]), &json!({}))).await;
    eventually("it is in flight", async || rpc_tests::queries::in_flight(at, "nap").await == 1)
        .await;
    let workers = || {
        let lines = server.stderr().lines();
        let last = lines.iter().rev().find(|line| line.contains("worker started")).unwrap().clone();
        last.split("pid=").nth(1).unwrap().split(' ').next().unwrap().parse::<i64>().unwrap()
    };
    kill_process(process(&json!(workers())), Signal::KILL).unwrap();
    let reply = lost.reply().await;
    assert_eq!(reply["error"]["code"], -32006, "{reply}");
    assert!(reply["error"]["message"].as_str().unwrap().contains("killed by signal 9"), "{reply}");
}

#[tokio::test]
async fn of_a_worker_that_is_killed_again_and_again_no_idempotent_call_is_lost() {
    if !has_python() {
        return;
    }
    let (_server, at) = serve("", &["--workers", "2"]).await;
    let client = Client::direct(at.to_string(), ClientOptions::default()).unwrap();
    let stop = Instant::now() + Duration::from_secs(5);
    let killing = tokio::spawn(async move {
        let mut kills = 0;
        while Instant::now() < stop {
            tokio::time::sleep(Duration::from_millis(1100)).await;
            let pid = call(at, "pid", json!([])).await;
            kill_process(process(&pid), Signal::KILL).unwrap();
            kills += 1;
        }
        kills
    });
    let mut calls = 0;
    while Instant::now() < stop {
        client.call("pid", ()).await.unwrap();
        calls += 1;
    }
    let kills = soon("the kills", killing).await.unwrap();
    assert!(kills >= 3 && calls > 100, "{kills} kills, {calls} calls");
}

#[tokio::test]
async fn a_worker_that_hangs_is_cancelled_then_restarted() {
    if !has_python() {
        return;
    }
    let (server, at) = serve_with(&[("WORKER_CANCEL_TIMEOUT", "200ms")], "", &[]).await;
    let pid = call(at, "pid", json!([])).await;
    let mut peer = Raw::connect(at).await;
    peer.send(with_meta(1, "nap", &json!([1000]), &json!({"deadline_ms": 100}))).await;
    let began = Instant::now();
    assert_eq!(peer.reply().await["error"]["code"], -32000);
    assert_ne!(call(at, "pid", json!([])).await, pid);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let said = |line: &str| line.contains("said nothing for 200ms").then_some(());
    server.line("why", said).await;
    eventually("the old process is gone", async || is_gone(process(&pid))).await;
}

#[tokio::test]
async fn a_call_that_is_cancelled_or_late_takes_none_of_the_others_along() {
    if !has_python() {
        return;
    }
    let settings = [("WORKER_CANCEL_TIMEOUT", "200ms")];
    let flags = ["--worker-concurrency", "4"];
    let (_server, at) = serve_with(&settings, "--threads", &flags).await;
    let pid = call(at, "pid", json!([])).await;
    let mut other = Raw::connect(at).await;
    other.send(with_meta(1, "sleep", &json!([1.5]), &json!({}))).await;
    let mut peer = Raw::connect(at).await;
    peer.send(with_meta(2, "tick", &json!([1.5]), &json!({"stream": true}))).await;
    assert_eq!(peer.reply().await["item"], pid);
    peer.send("{\"cancel\":2}\n").await;
    peer.send(with_meta(3, "sleep", &json!([1.5]), &json!({"deadline_ms": 1}))).await;
    let mut codes = Vec::new();
    while codes.len() < 2 {
        codes.extend(peer.reply().await["error"]["code"].as_i64());
    }
    codes.sort_unstable();
    assert_eq!(codes, [-32001, -32000]);
    let reply = other.reply().await;
    assert_eq!(reply["res"], pid, "{reply}");
}

#[tokio::test]
async fn a_stream_that_is_cancelled_ends_by_itself_and_its_process_goes_on() {
    if !has_python() {
        return;
    }
    let (_server, at) = serve_with(&[("WORKER_CANCEL_TIMEOUT", "200ms")], "", &[]).await;
    let mut peer = Raw::connect(at).await;
    peer.send(with_meta(1, "tick", &json!([1]), &json!({"stream": true}))).await;
    let pid = peer.reply().await["item"].clone();
    peer.send("{\"cancel\":1}\n").await;
    assert_eq!(call(at, "pid", json!([])).await, pid);
}

#[tokio::test]
async fn a_stream_that_is_cancelled_and_does_not_end_has_its_process_restarted() {
    if !has_python() {
        return;
    }
    let settings = [("WORKER_CANCEL_TIMEOUT", "200ms"), ("WORKER_LINGER_TIMEOUT", "500ms")];
    let (server, at) = serve_with(&settings, "", &[]).await;
    let mut peer = Raw::connect(at).await;
    peer.send(with_meta(1, "tick", &json!([1000]), &json!({"stream": true}))).await;
    let pid = peer.reply().await["item"].clone();
    peer.send("{\"cancel\":1}\n").await;
    assert_ne!(call(at, "pid", json!([])).await, pid);
    let said = |line: &str| line.contains("linger_timeout").then_some(());
    server.line("why", said).await;
}

#[tokio::test]
async fn a_flood_on_both_outputs_at_once_arrives_whole() {
    if !has_python() {
        return;
    }
    const LINES: u64 = 20_000;
    let (_server, at) = serve("", &[]).await;
    let mut peer = Raw::connect(at).await;
    peer.send(with_meta(1, "flood", &json!([LINES]), &json!({"stream": true}))).await;
    for number in 0..LINES {
        let reply = peer.reply().await;
        assert!(reply["item"].is_string(), "{number}: {reply}");
    }
    assert_eq!(peer.reply().await, json!({"id": 1, "end": true}));
    assert!(call(at, "pid", json!([])).await.is_number());
}

#[tokio::test]
async fn junk_and_a_line_over_the_limit_restart_the_worker() {
    if !has_python() {
        return;
    }
    let (server, at) = serve_with(&[("WORKER_MAX_LINE_BYTES", "10000")], "", &[]).await;
    for (method, args, why) in [
        ("say", json!(["hello, I am ready"]), "hello, I am ready"),
        ("say", json!(["{\"res\": 1}"]), "the id of its call is missing"),
        ("say", json!(["x".repeat(20_000)]), "max_line_bytes"),
    ] {
        let before = call(at, "pid", json!([])).await;
        // A short life is a death at once; this one was not.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let reply = ask(at, method, args).await;
        assert_eq!(reply["error"]["code"], -32006, "{reply}");
        let said =
            |line: &str| (line.contains(why) && line.contains("starting another")).then_some(());
        server.line(why, said).await;
        assert_ne!(call(at, "pid", json!([])).await, before);
    }
}

#[tokio::test]
async fn a_reply_over_the_limit_takes_none_of_the_others_along() {
    if !has_python() {
        return;
    }
    let settings = [("WORKER_MAX_LINE_BYTES", "10000")];
    let (_server, at) = serve_with(&settings, "--threads", &["--worker-concurrency", "2"]).await;
    let mut other = Raw::connect(at).await;
    other.send(with_meta(1, "sleep", &json!([1]), &json!({}))).await;
    rpc_tests::queries::has_in_flight(at, "sleep", 1).await;
    let reply = ask(at, "long_line", json!([300_000])).await;
    assert_eq!(reply["error"]["code"], -32603, "{reply}");
    assert!(reply["error"]["message"].as_str().unwrap().contains("max_line_bytes"), "{reply}");
    assert_eq!(other.reply().await["res"], call(at, "pid", json!([])).await);
}

#[tokio::test]
async fn a_worker_that_says_nothing_is_an_error_with_a_hint() {
    if !has_python() {
        return;
    }
    let line = ["serve", "-p", "0", "-l", "127.0.0.1", "--no-registry", "--worker"];
    let silent = command("--silent");
    let mut rpcd =
        Daemon::rpcd_with(&[("WORKER_START_TIMEOUT", "300ms")], [&line[..], &[&silent]].concat());
    assert_eq!(rpcd.exit_code().await, 1);
    let said = rpcd.stderr().text();
    assert!(said.contains("within 300ms (start_timeout)") && said.contains("flush"), "{said}");

    let (code, _, said) = run_rpcd([&line[..], &["no-such-program-anywhere"]].concat()).await;
    assert_eq!(code, 1);
    assert!(said.contains("cannot be started") && said.contains("check the command"), "{said}");

    let dies = command("no-such-flag");
    let (code, _, said) =
        run_rpcd([&line[..], &["python3 -c 'raise ValueError(3)'"]].concat()).await;
    assert_eq!(code, 1, "{dies}");
    assert!(said.contains("ended with status 1 (it said: \"ValueError: 3\")"), "{said}");
}

#[tokio::test]
async fn what_a_worker_wrote_for_its_log_is_not_told_to_callers() {
    if !has_python() {
        return;
    }
    let program = "import os, sys\n\
        sys.stdin.readline()\n\
        print('{\"id\":0,\"res\":[{\"method_name\":\"crash\"}]}', flush=True)\n\
        sys.stdin.readline()\n\
        print('Error: password=canary', file=sys.stderr)\n\
        print('Node.js v20.20.2', file=sys.stderr, flush=True)\n\
        os._exit(9)\n";
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("crash.py");
    std::fs::write(&file, program).unwrap();
    let command = format!("python3 -B {}", file.display());
    let line = ["--no-registry", "--no-builtin", "--worker", &command];
    let (server, at) = Daemon::server_with(&[], &line).await;
    let reply = ask(at, "crash", json!([])).await;
    assert_eq!(reply["error"]["code"], -32006, "{reply}");
    let text = reply["error"]["message"].as_str().unwrap();
    let told = "the worker ended with status 9 (the server's log says why); it may have been";
    assert!(text.contains(told) && !text.contains("canary"), "{text}");
    let said = "ended with status 9 (it said: \"Error: password=canary\")";
    server.line("why it ended", |line| line.contains(said).then_some(())).await;
}

#[tokio::test]
async fn a_worker_that_dies_again_and_again_ends_the_server_with_the_reason() {
    if !has_python() {
        return;
    }
    let (_registry, registry) = Daemon::registry(&["--store", "none"]).await;
    let url = format!("http://{registry}");
    let dies = command("--dies");
    let (mut server, at) = Daemon::server(&["--registry", &url, "--worker", &dies]).await;
    assert_eq!(soon("its end", server.exit_code()).await, 1);
    let said = server.stderr().text();
    assert!(said.contains("(death 5 in a row)") && said.contains("error: no database"), "{said}");
    assert!(said.contains("unregistered"), "{said}");
    assert!(!rpc_tests::queries::find_all(registry).await.contains(&at));
}

#[tokio::test]
async fn a_worker_that_ignores_sigterm_is_killed_with_its_children() {
    if !has_python() {
        return;
    }
    let (mut server, at) = serve_with(&[("WORKER_EXIT_TIMEOUT", "200ms")], "--stubborn", &[]).await;
    let pids = [call(at, "pid", json!([])).await, call(at, "fork", json!([])).await];
    server.signal(Signal::TERM);
    assert_eq!(soon("its end", server.exit_code()).await, 0);
    assert!(server.stderr().text().contains("the worker does not end; killing it"));
    for pid in pids {
        eventually("it is gone", async || is_gone(process(&pid))).await;
    }
}

#[tokio::test]
async fn the_children_of_a_dead_worker_end_with_it() {
    if !has_python() {
        return;
    }
    let (_server, at) = serve("", &[]).await;
    let child = call(at, "fork", json!([])).await;
    assert_eq!(ask(at, "leave", json!([3])).await["error"]["code"], -32006);
    eventually("its child is gone", async || is_gone(process(&child))).await;
    assert!(call(at, "pid", json!([])).await.is_number());
}

#[tokio::test]
async fn a_stream_that_nobody_reads_ends_and_frees_its_worker() {
    if !has_python() {
        return;
    }
    let settings = [("WORKER_STALL_TIMEOUT", "300ms"), ("WORKER_CANCEL_TIMEOUT", "300ms")];
    let further = ["--worker-concurrency", "4"];
    for (flags, further) in [("", &[][..]), ("--threads", &further[..])] {
        let (_server, at) = serve_with(&settings, flags, further).await;
        let pid = call(at, "pid", json!([])).await;
        let mut peers = Vec::new();
        for _ in 0..=further.len() {
            let mut peer = Raw::connect(at).await;
            peer.send(with_meta(1, "flood", &json!([100_000]), &json!({"stream": true}))).await;
            peers.push(peer);
        }
        let first = peers[0].reply().await;
        assert!(first["item"].is_string(), "{first}");
        // They read no more; others do.
        let given_up = peers.len();
        eventually("they are given up", async || {
            call(at, "cancelled", json!([])).await == given_up
        })
        .await;
        assert_eq!(call(at, "pid", json!([])).await, pid, "it waited, and was not silent");
        for mut peer in peers {
            let end = loop {
                let reply = peer.reply().await;
                if reply["item"].is_null() {
                    break reply;
                }
            };
            assert_eq!(end["error"]["code"], -32006, "a part of it has run: {end}");
        }
    }
}

#[tokio::test]
async fn calls_that_wait_when_a_server_ends_were_not_executed() {
    if !has_python() {
        return;
    }
    let settings = [("SERVER_DRAIN_TIMEOUT", "300ms"), ("SERVER_DEFAULT_DEADLINE", "9m")];
    let (mut server, at) = serve_with(&settings, "", &[]).await;
    let mut peer = Raw::connect(at).await;
    peer.send(with_meta(1, "nap", &json!([600]), &json!({}))).await;
    peer.send(with_meta(2, "nap", &json!([600]), &json!({}))).await;
    rpc_tests::queries::has_in_flight(at, "nap", 2).await;
    let by_http = tokio::spawn(async move { http(at, "POST /call/nap", b"[600]").await });
    rpc_tests::queries::has_in_flight(at, "nap", 3).await;
    server.signal(Signal::TERM);
    assert_eq!(peer.reply().await, json!({"draining": true}));
    for (id, code) in [(1, -32006), (2, -32003)] {
        let reply = peer.reply().await;
        assert_eq!((&reply["id"], &reply["error"]["code"]), (&json!(id), &json!(code)), "{reply}");
    }
    assert_eq!(by_http.await.unwrap().0, 503);
    assert_eq!(server.exit_code().await, 0);
}

#[tokio::test]
async fn a_replaced_process_gets_time_for_its_calls_and_no_more() {
    if !has_python() {
        return;
    }
    let (home, copy) = super::editable();
    let command = format!("python3 -B {}", copy.display());
    let line = ["--no-registry", "--watch-files", "--worker", &command];
    let settings = [("WORKER_DRAIN_TIMEOUT", "300ms"), ("WORKER_EXIT_TIMEOUT", "200ms")];
    let (_server, at) = Daemon::server_with(&settings, &line).await;
    let pid = call(at, "pid", json!([])).await;
    let mut slow = Raw::connect(at).await;
    slow.send(with_meta(1, "nap", &json!([1000]), &json!({"deadline_ms": 60_000}))).await;
    eventually("it is in flight", async || rpc_tests::queries::in_flight(at, "nap").await == 1)
        .await;
    let text = std::fs::read_to_string(&copy).unwrap();
    std::fs::write(&copy, format!("{text}\n")).unwrap();
    let reply = slow.reply().await;
    assert_eq!(reply["error"]["code"], -32006, "{reply}");
    assert_ne!(call(at, "pid", json!([])).await, pid);
    eventually("the old process is gone", async || is_gone(process(&pid))).await;
    drop(home);
}

#[tokio::test]
async fn a_call_that_ends_its_worker_ends_neither_the_server_nor_the_calls_of_others() {
    if !has_python() {
        return;
    }
    let (mut server, at) = serve("", &[]).await;
    for _ in 0..8 {
        let reply = ask(at, "leave", json!([3])).await;
        assert_eq!(reply["error"]["code"], -32006, "{reply}");
        let said = reply["error"]["message"].as_str().unwrap();
        assert!(said.starts_with("the call had not ended when the worker ended"), "{said}");
        assert!(call(at, "pid", json!([])).await.is_number());
    }
    assert!(server.is_running());
}

#[tokio::test]
async fn a_server_whose_changed_program_cannot_be_started_again_drains_until_it_can() {
    if !has_python() {
        return;
    }
    let (home, copy) = super::editable();
    let command = format!("python3 -B {}", copy.display());
    let line = ["--no-registry", "--no-builtin", "--watch-files", "--worker", &command];
    let (server, at) = Daemon::server_with(&[], &line).await;
    let pid = call(at, "pid", json!([])).await;
    let works = std::fs::read_to_string(&copy).unwrap();
    std::fs::write(&copy, "raise SystemExit('error: password=canary')\n").unwrap();
    let goes_on = |line: &str| line.contains("the one before goes on").then_some(());
    server.line("that the change does not start", goes_on).await;
    kill_process(process(&pid), Signal::KILL).unwrap();
    let waits = |line: &str| line.contains("started again when its files change").then_some(());
    server.line("that it waits", waits).await;
    eventually("it drains", async || http(at, "GET /healthz", b"").await.1.contains("draining"))
        .await;
    let reply = ask(at, "pid", json!([])).await;
    assert_eq!(reply["error"]["code"], -32003, "it was not executed: {reply}");
    let text = reply["error"]["message"].as_str().unwrap();
    assert!(text.contains("ended with status 1") && text.contains("another instance"), "{text}");
    assert!(text.contains("log says why") && !text.contains("canary"), "{text}");
    let said = server.stderr().text();
    assert!(said.contains("(it said: \"error: password=canary\")"), "{said}");
    std::fs::write(&copy, works).unwrap();
    eventually("it serves", async || ask(at, "pid", json!([])).await["res"].is_number()).await;
    drop(home);
}
