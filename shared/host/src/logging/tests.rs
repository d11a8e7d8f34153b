//! Events on their way to rings and files.

use super::*;
use tracing::dispatcher::with_default;

fn quiet() -> LogOptions {
    LogOptions { terminal: false, ..LogOptions::default() }
}

fn logged(options: &LogOptions, work: impl FnOnce(&Logging)) -> Logging {
    let (logging, dispatch) = Logging::build(options).unwrap();
    with_default(&dispatch, || work(&logging));
    logging
}

fn texts(ring: &LogRing) -> Vec<String> {
    ring.recent(100).iter().map(rpc_wire::report::LogLine::text).collect()
}

#[test]
fn every_daemon_has_its_own_lines() {
    let logging = logged(&quiet(), |_| {
        tracing::info!("unnamed's");
        daemon_span("registry").in_scope(|| {
            tracing::info!(n = 1, "the registry's");
            daemon_span("server:1").in_scope(|| tracing::info!("the inner one's"));
        });
    });
    assert_eq!(texts(&logging.ring("")), ["unnamed's"]);
    assert_eq!(texts(&logging.ring("registry")), ["the registry's n=1"]);
    assert_eq!(texts(&logging.ring("server:1")), ["the inner one's"]);
}

#[test]
fn a_filter_never_separates_a_daemon_from_its_ring() {
    for level in ["error", "rpc_host=error"] {
        let options = LogOptions { level: level.to_owned(), ..quiet() };
        let logging = logged(&options, |_| {
            daemon_span("d").in_scope(|| tracing::error!("down"));
        });
        assert_eq!(texts(&logging.ring("d")), ["down"], "{level}");
    }
}

#[test]
fn lines_below_the_level_go_nowhere() {
    let options = LogOptions { level: "info,rpc_host=warn".to_owned(), ..quiet() };
    let logging = logged(&options, |_| {
        tracing::debug!("no");
        tracing::info!("no");
        tracing::warn!("yes");
        tracing::info!(target: "hyper::proto", "chatter");
        tracing::info!(target: "other", "yes too");
    });
    assert_eq!(texts(&logging.ring("")), ["yes", "yes too"]);
    assert_eq!(logging.ring("").level(), Level::Info);
}

#[test]
fn a_line_carries_the_fields_of_the_spans_around_it() {
    let logging = logged(&quiet(), |_| {
        let outer = tracing::info_span!("connection", peer = "p", method = tracing::field::Empty);
        let _outer = outer.enter();
        outer.record("method", "add");
        tracing::info_span!("call", id = 7, peer = "nearer").in_scope(|| {
            tracing::info!(id = 8, "answered");
        });
    });
    assert_eq!(texts(&logging.ring("")), ["answered id=8 method=add peer=nearer"]);
}

#[test]
fn a_huge_line_is_cut_at_a_whole_character() {
    let options = LogOptions { max_line_bytes: 10, ..quiet() };
    let logging = logged(&options, |_| tracing::info!(more = "lost", "{}", "ä".repeat(1000)));
    assert_eq!(texts(&logging.ring("")), ["äääää… more=…"]);
}

#[test]
fn a_ring_keeps_the_raw_text() {
    let logging = logged(&quiet(), |_| tracing::info!("\x1b[2J"));
    assert_eq!(texts(&logging.ring("")), ["\x1b[2J"]);
}

#[test]
fn saved_lines_are_in_the_file_when_logging_ends() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions {
        save: true,
        dir: dir.path().join("deep/logs"),
        format: LogFormat::Json,
        ..quiet()
    };
    drop(logged(&options, |_| tracing::info!(peer = "1.2.3.4", "saved")));
    let files: Vec<_> = std::fs::read_dir(dir.path().join("deep/logs")).unwrap().collect();
    assert_eq!(files.len(), 1);
    let path = files[0].as_ref().unwrap().path();
    assert!(path.file_name().unwrap().to_str().unwrap().starts_with("rpcd."), "{path:?}");
    let text = std::fs::read_to_string(path).unwrap();
    let line: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&line["message"], &line["fields"]["peer"]), (&"saved".into(), &"1.2.3.4".into()));
}

fn saving(dir: &std::path::Path) -> LogOptions {
    LogOptions { save: true, dir: dir.to_owned(), ..quiet() }
}

fn names_in(dir: &std::path::Path) -> Vec<String> {
    let files = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn as_many_files_are_kept_as_configured_whether_todays_exists_or_not() {
    let dir = tempfile::tempdir().unwrap();
    for day in 20..25 {
        std::fs::write(dir.path().join(format!("rpcd.2020-01-{day}.log")), "old").unwrap();
    }
    for foreign in ["rpcd.notes.log", "other.2020-01-01.log"] {
        std::fs::write(dir.path().join(foreign), "foreign").unwrap();
    }
    let options = LogOptions { max_files: 2, ..saving(dir.path()) };
    for _ in 0..2 {
        drop(logged(&options, |_| tracing::info!("line")));
        let today = format!("rpcd.{}.log", files::today());
        let kept = ["other.2020-01-01.log", "rpcd.2020-01-24.log", &today, "rpcd.notes.log"];
        assert_eq!(names_in(dir.path()), kept);
    }
}

#[test]
fn a_full_file_is_set_aside_and_the_oldest_go_whoever_writes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("rpcd.2020-01-24.log"), "old\n").unwrap();
    let options = LogOptions { max_files: 4, max_file_bytes: 1000, ..saving(dir.path()) };
    // Two processes may write to the same files.
    let [one, other] = [0, 1].map(|_| Logging::build(&options).unwrap());
    for line in 0..400 {
        let (_, dispatch) = [&one, &other][line % 2];
        tracing::dispatcher::with_default(dispatch, || tracing::info!(line, "written"));
    }
    let lost = [&one, &other].map(|(logging, _)| logging.lost.clone());
    drop((one, other));
    assert_eq!(lost.map(|lost| lost.total()), [0, 0], "no line is lost");
    let names = names_in(dir.path());
    let today = format!("rpcd.{}.", files::today());
    assert!(names.len() == 4 && names.iter().all(|name| name.starts_with(&today)), "{names:?}");
    for name in &names {
        let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
        // Each of the two may have looked before the other wrote.
        assert!(text.len() <= 1200 && text.ends_with('\n'), "{name}: {text}");
    }
}

#[test]
fn no_more_files_are_kept_where_a_clock_was_ahead() {
    let dir = tempfile::tempdir().unwrap();
    for day in 20..25 {
        std::fs::write(dir.path().join(format!("rpcd.2999-01-{day}.log")), "ahead\n").unwrap();
    }
    drop(logged(&LogOptions { max_files: 2, ..saving(dir.path()) }, |_| tracing::info!("line")));
    let today = format!("rpcd.{}.log", files::today());
    assert_eq!(names_in(dir.path()), [today.as_str(), "rpcd.2999-01-24.log"]);
}

#[test]
fn the_newest_of_many_lines_are_in_the_files_that_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions { max_files: 12, max_file_bytes: 1000, ..saving(dir.path()) };
    drop(logged(&options, |_| {
        for line in 0..1000 {
            tracing::info!(line, "written");
        }
    }));
    let names = names_in(dir.path());
    assert_eq!(names.len(), 12, "{names:?}");
    let text: String =
        names.iter().map(|name| std::fs::read_to_string(dir.path().join(name)).unwrap()).collect();
    for line in 900..1000 {
        assert_eq!(text.matches(&format!("line={line}\n")).count(), 1, "{line}: {text}");
    }
}

#[test]
fn new_files_and_folders_are_their_owners_alone_and_those_that_exist_stay_as_they_are() {
    use std::os::unix::fs::PermissionsExt;

    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let dir = tempfile::tempdir().unwrap();
    let log = format!("rpcd.{}.log", files::today());
    let (new, old) = (dir.path().join("new/logs"), dir.path().join("old"));
    drop(logged(&saving(&new), |_| tracing::info!("line")));
    assert_eq!(
        [mode(new.parent().unwrap()), mode(&new), mode(&new.join(&log))],
        [0o700, 0o700, 0o600]
    );

    std::fs::create_dir(&old).unwrap();
    std::fs::write(old.join(&log), "").unwrap();
    let set = |path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(old.clone(), 0o755);
    set(old.join(&log), 0o644);
    drop(logged(&saving(&old), |_| tracing::info!("line")));
    assert_eq!([mode(&old), mode(&old.join(&log))], [0o755, 0o644]);
}

#[test]
fn lines_that_a_full_disk_loses_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(format!("rpcd.{}.log", files::today()));
    std::os::unix::fs::symlink("/dev/full", file).unwrap();
    let logging = logged(&saving(dir.path()), |_| {
        for _ in 0..3 {
            tracing::info!("lost");
        }
    });
    let started = std::time::Instant::now();
    while logging.dropped() < 3 {
        assert!(started.elapsed().as_secs() < 20, "{} counted", logging.dropped());
        std::thread::yield_now();
    }
}

#[test]
fn lines_are_counted_where_a_file_takes_the_place_of_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    let logging = Logging::build(&saving(&logs)).unwrap();
    std::fs::remove_dir_all(&logs).unwrap();
    std::fs::write(&logs, "in its place").unwrap();
    with_default(&logging.1, || tracing::info!("lost"));
    let lost = logging.0.lost.clone();
    drop(logging);
    assert_eq!(lost.total(), 1);
}

#[test]
fn a_file_that_ends_within_a_line_gets_the_next_one_on_a_line_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(format!("rpcd.{}.log", files::today()));
    for (before, lines) in [("half a line", 2), ("a line\n", 2), ("", 1)] {
        std::fs::write(&file, before).unwrap();
        drop(logged(&saving(dir.path()), |_| tracing::info!("whole")));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.lines().count() == lines && text.starts_with(before), "{text:?}");
    }
}

#[test]
fn log_files_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    drop(logged(&saving(&logs), |_| tracing::info!("something")));
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let file = logs.join(format!("rpcd.{}.log", files::today()));
    assert_eq!((mode(&logs), mode(&file)), (0o700, 0o600));
}

#[test]
fn a_removed_directory_is_created_again() {
    let dir = tempfile::tempdir().unwrap();
    let logs = dir.path().join("logs");
    let file = format!("rpcd.{}.log", files::today());
    let logging = logged(&saving(&logs), |_| {
        let started = std::time::Instant::now();
        std::fs::remove_dir_all(&logs).unwrap();
        // The directory is there a moment before its file.
        while !logs.join(&file).exists() {
            assert!(started.elapsed().as_secs() < 20);
            tracing::info!("again");
        }
    });
    assert_eq!(names_in(&logs), [file]);
    drop(logging);
}

#[test]
fn a_file_that_was_moved_away_gets_no_more_lines_and_a_new_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(format!("rpcd.{}.log", files::today()));
    let moved = dir.path().join("moved.log");
    let has = |path, text| std::fs::read_to_string(path).is_ok_and(|read| read.contains(text));
    let until = |what: &str, condition: &dyn Fn() -> bool| {
        let started = std::time::Instant::now();
        while !condition() {
            assert!(started.elapsed().as_secs() < 20, "{what}");
            std::thread::yield_now();
        }
    };
    drop(logged(&saving(dir.path()), |_| {
        tracing::info!("before");
        until("the first file has a line", &|| has(&file, "before"));
        std::fs::rename(&file, &moved).unwrap();
        tracing::info!("after");
        until("a new file has a line", &|| has(&file, "after"));
        // Another file in its place, as `logrotate` creates one.
        std::fs::rename(&file, dir.path().join("second.log")).unwrap();
        std::fs::write(&file, "").unwrap();
        tracing::info!("at last");
        until("the third file has a line", &|| has(&file, "at last"));
    }));
    assert!(!has(&moved, "after") && !has(&file, "after"));
}

#[test]
fn an_unusable_directory_is_an_error_with_a_hint() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let options = LogOptions { save: true, dir: file.path().join("x"), ..quiet() };
    let error = Logging::build(&options).unwrap_err().to_string();
    assert!(error.ends_with("; choose another directory"), "{error}");
}

#[test]
fn daemons_beyond_the_limit_share_one_ring() {
    let logging = logged(&quiet(), |logging| {
        for n in 0..1000 {
            logging.ring(&n.to_string());
        }
        daemon_span("one more").in_scope(|| tracing::info!("shared"));
    });
    assert_eq!(texts(&logging.ring("")), ["shared"]);
}

#[test]
fn followers_end_when_logging_does() {
    let (logging, _) = Logging::build(&quiet()).unwrap();
    let mut follower = logging.ring("d").follow(0, Level::Trace, "");
    drop(logging);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(follower.next()), None);
}
