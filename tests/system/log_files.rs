//! Log files on a full disk, and log files that somebody moves.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rpc_tests::daemon::{Daemon, path};
use rpc_tests::eventually::eventually;
use rpc_tests::queries::http;
use rpc_tests::raw::{Raw, classic};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::json;

/// A daemon that logs each request into `folder`.
async fn logging(folder: &Path, daemon: &str) -> (Daemon, SocketAddr) {
    let settings = [("LOG_LEVEL", "debug")];
    let arguments = ["--log-dir", path(folder)];
    match daemon {
        "serve" => {
            Daemon::server_with(&settings, &[&["--no-registry"], &arguments[..]].concat()).await
        }
        _ => Daemon::registry_with(&settings, 0, &arguments).await,
    }
}

fn file_in(folder: &Path) -> PathBuf {
    std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}

/// Makes it log something; returns how many lines it says it has lost.
async fn lost(address: SocketAddr) -> u64 {
    // A registry logs each request, a server each connection with calls.
    let call = async { Raw::connect(address).await.ask(classic("add", &json!([1, 2]))).await };
    let (status, page) = http(address, "GET /metrics", b"").await;
    assert_eq!(status, 200);
    if page.contains("rpc_server_") {
        assert_eq!(call.await, json!({"res": 13}));
    }
    let mut values = page.lines().filter(|line| !line.starts_with('#'));
    let value = values.find_map(|line| line.split_once("_log_lines_dropped_total "));
    value.unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn what_a_full_disk_swallows_is_counted_and_said_and_so_is_its_end() {
    for name in ["serve", "registry"] {
        let folder = tempfile::tempdir().unwrap();
        let (daemon, address) = logging(folder.path(), name).await;
        let file = file_in(folder.path());
        let pid = Pid::from_raw(i32::try_from(daemon.pid()).unwrap());
        let limit = |current| Rlimit { current, maximum: None };
        // The next line does not fit as a whole.
        let full = file.metadata().unwrap().len() + 20;
        prlimit(pid, Resource::Fsize, limit(Some(full))).unwrap();
        eventually("lost lines are counted", async || lost(address).await > 5).await;
        let said = |what: &'static str| move |line: &str| line.contains(what).then_some(());
        daemon.line("it is full", said("cannot write the log file")).await;

        prlimit(pid, Resource::Fsize, limit(None)).unwrap();
        let again = "the log file is written again";
        eventually(again, async || {
            lost(address).await;
            std::fs::read_to_string(&file).unwrap().contains(again)
        })
        .await;
        daemon.line("there is room", said(again)).await;
        let text = std::fs::read_to_string(&file).unwrap();
        // The time, which every line begins with, to the day.
        let (day, _) = text.split_at("2026-11-22T".len());
        assert!(text.lines().all(|line| line.matches(day).count() == 1), "{text}");
        let complaints = daemon.stderr().text().matches("cannot write the log file").count();
        assert!(complaints <= 2, "{}", daemon.transcript());
    }
}

#[tokio::test]
async fn a_log_file_that_is_moved_while_it_is_written_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let (_daemon, address) = logging(folder.path(), "registry").await;
    let file = file_in(folder.path());
    let moved = folder.path().join("moved");
    std::fs::rename(&file, &moved).unwrap();
    let length = |path: &Path| path.metadata().map_or(0, |file| file.len());
    eventually("a new file", async || lost(address).await == 0 && length(&file) > 0).await;
    let before = length(&moved);
    lost(address).await;
    assert_eq!(length(&moved), before);
}
