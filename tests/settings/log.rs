//! `[log]` in `rpcd serve`, `rpcd registry`, `rpcd call` and the console: one test for all of them,
//! and the differences of each.

pub(crate) mod program;

use std::path::Path;
use std::process::Command;

use rpc_tests::eventually::eventually;
use rpc_tests::home::Home;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use program::{Program, Running};

/// The tests of one program, each with the name of its key.
macro_rules! tests {
    ($module:ident, $program:ident: $($key:ident)*) => {
        pub(crate) mod $module {
            $(
                #[tokio::test(flavor = "multi_thread")]
                pub(crate) async fn $key() {
                    super::$key(super::Program::$program).await;
                }
            )*
        }
    };
}

tests!(serve, Serve: level format save dir max_files max_file_bytes max_ring_lines max_ring_bytes max_queued_lines max_line_bytes);
tests!(registry, Registry: level format save dir max_files max_file_bytes max_ring_lines max_ring_bytes max_queued_lines max_line_bytes);
tests!(call, Call: level format save dir max_files max_file_bytes max_queued_lines max_line_bytes);
tests!(console, Console: level format save dir max_files max_file_bytes max_ring_lines max_ring_bytes max_queued_lines max_line_bytes);

/// Files are written.
const SAVED: (&str, &str) = ("LOG_SAVE", "true");

async fn level(program: Program) {
    let settings = [SAVED, ("LOG_LEVEL", "debug")];
    let mut running = program.start(Home::new(), &settings).await;
    eventually("a debug line", async || {
        running.saved("logs").iter().any(|line| line.contains("DEBUG"))
    })
    .await;
    if let Running::Console { tty, .. } = &mut running {
        tty.press("4");
        tty.until(&["[4 Logs]"]);
        tty.press("<");
        tty.until(&["DEBUG"]);
    }
}

async fn format(program: Program) {
    let settings = [SAVED, ("LOG_FORMAT", "json"), ("EFFECT", "1")];
    let running = program.start(Home::new(), &settings).await;
    eventually("a saved line", async || !running.saved("logs").is_empty()).await;
    for line in running.saved("logs").iter().chain(&running.printed()) {
        assert!(serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()), "{line}");
    }
}

async fn save(program: Program) {
    let warned = [("EFFECT", "1")];
    let default = program.start(Home::new(), &warned).await;
    assert!(!default.home().path().join("logs").exists());
    let running = program.start(Home::new(), &[SAVED, warned[0]]).await;
    eventually("a saved line", async || {
        running.saved("logs").iter().any(|line| line.contains("RPCD_EFFECT"))
    })
    .await;
}

async fn dir(program: Program) {
    let settings = [SAVED, ("LOG_DIR", "else/where"), ("EFFECT", "1")];
    let running = program.start(Home::new(), &settings).await;
    eventually("a saved line", async || !running.saved("else/where").is_empty()).await;
    assert!(!running.home().path().join("logs").exists());
}

async fn max_files(program: Program) {
    let home = Home::new();
    let logs = home.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    for day in 10..30 {
        let name = format!("{}.2020-01-{day}.log", program.file_prefix());
        std::fs::write(logs.join(name), "long ago\n").unwrap();
    }
    let _running = program.start(home, &[SAVED, ("LOG_MAX_FILES", "3")]).await;
    let kept = std::fs::read_dir(&logs).unwrap().count();
    // Today's may be an additional one.
    assert!((3..=4).contains(&kept), "{kept}");
}

async fn max_file_bytes(program: Program) {
    let lines = unknown(20);
    let lines: Vec<(&str, &str)> = lines.iter().map(|(name, is)| (&**name, &**is)).collect();
    let limits = [SAVED, ("LOG_MAX_FILE_BYTES", "1000"), ("LOG_MAX_FILES", "3")];
    let running = program.start(Home::new(), &[&limits[..], &lines].concat()).await;
    let sizes = || {
        let files = std::fs::read_dir(running.home().path().join("logs"));
        let files = files.into_iter().flatten();
        files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).collect::<Vec<_>>()
    };
    eventually("several files", async || sizes().len() == 3).await;
    assert!(sizes().iter().all(|size| *size <= 1000), "{:?}", sizes());
}

async fn max_line_bytes(program: Program) {
    let long = format!("EFFECT_{}", "X".repeat(300));
    let limited = [SAVED, ("LOG_MAX_LINE_BYTES", "40"), (long.as_str(), "1")];
    let cut = program.start(Home::new(), &limited).await;
    eventually("a line that is cut", async || {
        cut.saved("logs").iter().any(|line| line.contains("RPCD_E") && line.contains('…'))
    })
    .await;
    let whole = program.start(Home::new(), &[SAVED, limited[2]]).await;
    eventually("a whole line", async || {
        whole.saved("logs").iter().any(|line| line.contains(&long))
    })
    .await;
}

/// That many unknown settings, each of which logs a line.
fn unknown(number: usize) -> Vec<(String, String)> {
    // Too long to be similar to a known one.
    let name = |number: usize| format!("EFFECT_{number:04}_{}", "X".repeat(110));
    (0..number).map(|number| (name(number), "1".to_owned())).collect()
}

async fn max_ring_lines(program: Program) {
    shown_of_recent(program, ("LOG_MAX_RING_LINES", "5")).await;
}

async fn max_ring_bytes(program: Program) {
    shown_of_recent(program, ("LOG_MAX_RING_BYTES", "1500")).await;
}

/// By default all of twenty lines are shown to a later reader, with `limit` only a few.
async fn shown_of_recent(program: Program, limit: (&str, &str)) {
    let lines = unknown(20);
    let lines: Vec<(&str, &str)> = lines.iter().map(|(name, is)| (&**name, &**is)).collect();
    let limited = [&[limit][..], &lines].concat();
    let mut all = program.start(Home::new(), &lines).await;
    assert_eq!(all.recent_lines("RPCD_EFFECT").await, 20);
    let mut few = program.start(Home::new(), &limited).await;
    let kept = few.recent_lines("RPCD_EFFECT").await;
    assert!((1..=5).contains(&kept), "{kept}");
}

async fn max_queued_lines(program: Program) {
    const LINES: usize = 1000;
    let written = async |settings: &[(&str, &str)]| {
        // A file that accepts nothing for a while, beyond the system's buffer of a pipe.
        let home = Home::new();
        let file = home.path().join(format!("{}.{}.log", program.file_prefix(), today()));
        let mut pipe = slow_file(&file);
        let lines = unknown(LINES);
        let lines: Vec<(&str, &str)> = lines.iter().map(|(name, is)| (&**name, &**is)).collect();
        let settings = [&[SAVED, ("LOG_DIR", ".")][..], settings, &lines].concat();
        let running = program.start(home, &settings).await;
        let reading = tokio::spawn(async move {
            let mut text = String::new();
            pipe.read_to_string(&mut text).await.unwrap();
            text.matches("RPCD_EFFECT").count()
        });
        running.end().await;
        reading.await.unwrap()
    };
    let (few, all) = tokio::join!(written(&[("LOG_MAX_QUEUED_LINES", "10")]), written(&[]));
    assert!(few < LINES, "{few}");
    assert_eq!(all, LINES);
}

fn slow_file(path: &Path) -> pipe::Receiver {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    pipe::OpenOptions::new().open_receiver(path).unwrap()
}

/// As in the name of a log file.
fn today() -> String {
    let date = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}
