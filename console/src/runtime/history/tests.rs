//! The history's file: whole, damaged, shared, full.

use std::os::unix::fs::PermissionsExt;

use rpc_wire::call::Args;
use rpc_wire::instance::Instance;

use super::*;
use rpc_console_core::model::calls::{Failure, PastOutcome};

fn call(at_ms: u64) -> PastCall {
    let raw = |text: &str| serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
    let digits = "123456789012345678901234567890";
    PastCall {
        at_ms,
        method: "add".to_owned(),
        args: Args::from_raw(&[raw(digits)], &[("z", raw("3")), ("c", raw("1.50"))]),
        written: Args::from_raw(&[raw("\"{{big}}\"")], &[("z", raw("3")), ("c", raw("1.50"))]),
        target: Some(Instance::new("10.0.0.7", 8089).key()),
        timeout: Duration::from_secs(30),
        stream: false,
        outcome: PastOutcome {
            failure: Some(Failure {
                kind: "timeout".to_owned(),
                text: "too\nlate".to_owned(),
                ..Failure::default()
            }),
            peer: Some("10.0.0.7:8089".to_owned()),
            elapsed: Duration::from_micros(920),
            reply_bytes: 12,
        },
    }
}

fn file(folder: &tempfile::TempDir, limit: usize) -> HistoryFile {
    HistoryFile { path: folder.path().join("rpc-console").join("h.history"), limit }
}

fn write(file: &HistoryFile, calls: &[PastCall]) {
    let lines: Vec<String> = calls.iter().map(|call| line::write(call).unwrap()).collect();
    append(file, &lines).unwrap();
}

#[test]
fn a_call_comes_back_as_it_was_and_nobody_else_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder, 10);
    assert!(restore(&file).unwrap().calls.is_empty(), "no file yet");
    write(&file, &[call(1), call(2)]);
    assert_eq!(restore(&file).unwrap().calls, [call(1), call(2)]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&file.path), 0o600);
    assert_eq!(mode(file.path.parent().unwrap()), 0o700);
}

#[test]
fn only_the_newest_calls_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder, 3);
    for at in 0..5 {
        write(&file, &[call(at)]);
    }
    let kept: Vec<u64> = restore(&file).unwrap().calls.iter().map(|call| call.at_ms).collect();
    assert_eq!(kept, [2, 3, 4]);
}

#[test]
fn consoles_at_the_same_time_keep_each_others_calls() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder, 1_000);
    std::thread::scope(|scope| {
        for console in 0..4 {
            let file = &file;
            scope.spawn(move || (0..10).for_each(|n| write(file, &[call(console * 100 + n)])));
        }
    });
    let mut kept: Vec<u64> = restore(&file).unwrap().calls.iter().map(|call| call.at_ms).collect();
    kept.sort_unstable();
    let all: Vec<u64> =
        (0..4).flat_map(|console| (0..10).map(move |n| console * 100 + n)).collect();
    assert_eq!(kept, all);
}

#[test]
fn a_damaged_file_is_copied_and_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder, 10);
    write(&file, &[call(1)]);
    let mut bytes = fs::read(&file.path).unwrap();
    bytes.extend_from_slice(b"{\"at_ms\":2,\"meth\n\xff\xfe\x00nonsense\n");
    fs::write(&file.path, &bytes).unwrap();
    let restored = restore(&file).unwrap();
    assert_eq!(restored.calls, [call(1)]);
    let notice = restored.set_aside.unwrap();
    let copy = file.path.with_extension("damaged-1");
    assert!(notice.contains(&copy.display().to_string()), "{notice}");
    assert_eq!(fs::read(&copy).unwrap(), bytes);
    let again = restore(&file).unwrap();
    assert_eq!((again.calls.len(), again.set_aside), (1, None));
}

#[test]
fn a_path_that_is_not_a_file_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder, 10);
    fs::create_dir_all(&file.path).unwrap();
    assert!(restore(&file).is_err());
    assert!(append(&file, &[]).is_err());
    fs::remove_dir(&file.path).unwrap();
    let lock = file.path.with_extension("lock");
    let _ = fs::remove_file(&lock);
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &lock, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert!(append(&file, &[]).is_err(), "a pipe as lock");
}

#[test]
fn every_registry_has_its_own_file_in_the_state_folder() {
    let home = |name: &str| (name == "HOME").then(|| "/home/ada".into());
    let folder = HistoryFolder::find(1, home).unwrap();
    let path = |url| folder.file(url).path.display().to_string();
    assert_eq!(path(None), "/home/ada/.local/state/rpc-console/demo.history");
    assert_eq!(
        path(Some("http://[::1]:9999/")),
        "/home/ada/.local/state/rpc-console/___1__9999.history"
    );
    let odd = "/home/ada/.local/state/rpc-console/.._.._x.history";
    assert_eq!(path(Some("../../x")), odd);
    let state = |name: &str| (name == "XDG_STATE_HOME").then(|| "/state".into());
    assert_eq!(HistoryFolder::find(1, state).unwrap().path, Path::new("/state/rpc-console"));
    assert!(HistoryFolder::find(1, |_| None).is_none());
    assert!(HistoryFolder::find(1, |_| Some("relative".into())).is_none());
}

#[test]
fn any_line_that_can_be_read_can_be_written_again() {
    rpc_fuzz::text("history", |text| {
        if let Some(call) = line::read(&text.replace(['\n', '\r'], " ")) {
            assert_eq!(line::read(&line::write(&call).unwrap()).unwrap(), call);
        }
    });
}
