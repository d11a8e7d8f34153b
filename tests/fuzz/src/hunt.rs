//! Hunts guided by coverage: child processes of a test run its target under libFuzzer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

use bolero_engine::{Engine as _, driver};
use bolero_libfuzzer::LibFuzzerEngine;

use crate::{corpus, cut, near, written};

/// Set by `tests/fuzz/hunt`: minutes of processor time.
const MINUTES: &str = "RPCD_HUNT_MINUTES";
/// Set for a child process: the arguments of libFuzzer, separated by spaces.
const ENGINE_ARGUMENTS: &str = "BOLERO_LIBFUZZER_ARGS";
/// An input that takes longer than this many seconds is a failure. The machine may be busy.
const INPUT_TIMEOUT: u32 = 60;

/// Hunts for inputs that break `check`, and adds those that reach something new to the corpus.
///
/// # Panics
/// An input breaks it; the message ends with the input as a line for the corpus.
pub(crate) fn hunt(name: &str, check: impl Fn(&[u8])) {
    if std::env::var_os(ENGINE_ARGUMENTS).is_some() {
        return run_engine(check);
    }
    let minutes: f64 = std::env::var(MINUTES).unwrap().parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let [known, found, broken] = ["known", "found", "broken"].map(at);
    for folder in [&known, &found, &broken] {
        std::fs::create_dir(folder).unwrap();
    }
    for (number, input) in corpus::read(name).iter().enumerate() {
        std::fs::write(known.join(number.to_string()), input).unwrap();
    }
    let tokens = at("tokens");
    std::fs::write(&tokens, dictionary()).unwrap();

    let mut passes = true;
    while passes && processor_seconds() < minutes * 60.0 {
        let rest = minutes * 60.0 - processor_seconds();
        passes = engine(&[
            format!("-max_total_time={}", rest.ceil()),
            format!("-timeout={INPUT_TIMEOUT}"),
            format!("-dict={}", tokens.display()),
            format!("-artifact_prefix={}/", broken.display()),
            "-print_final_stats=1".to_owned(),
            found.display().to_string(),
            known.display().to_string(),
        ]);
    }
    let spent = processor_seconds() / 60.0;
    // Of the inputs found, those that reach a branch which no other does.
    let merged = engine(&[
        "-set_cover_merge=1".to_owned(),
        "-use_counters=0".to_owned(),
        known.display().to_string(),
        found.display().to_string(),
    ]);
    assert!(merged, "the inputs found could not be merged");
    let before = corpus::read(name);
    let new: Vec<_> = inputs(&known).into_iter().filter(|input| !before.contains(input)).collect();
    corpus::add(name, &new);
    eprintln!("{name}: {spent:.1} minutes of processor time, {} inputs added", new.len());

    if let Some(input) = inputs(&broken).pop() {
        let fails = |input: &[u8]| catch_unwind(AssertUnwindSafe(|| check(input))).is_err();
        let is_slow = std::fs::read_dir(&broken).unwrap().flatten().any(|entry| {
            ["timeout-", "oom-"]
                .iter()
                .any(|why| entry.file_name().to_string_lossy().starts_with(why))
        });
        let line = written::write(&if is_slow { input } else { cut::down(input, fails) });
        panic!("a line for corpus/{name}.txt:\n{line}")
    }
    assert!(passes, "libFuzzer failed");
}

/// Runs libFuzzer in this process, which it ends.
fn run_engine(check: impl Fn(&[u8])) {
    let check = AssertUnwindSafe(check);
    let check = move |input: &[u8]| (*check)(input);
    // Its parent minimises an input that breaks the target.
    let mut options = driver::Options::default();
    options.set_shrink_time(std::time::Duration::ZERO);
    LibFuzzerEngine::default().run(check, options);
}

/// Runs libFuzzer in a child process; returns whether all went well.
fn engine(arguments: &[String]) -> bool {
    let test: Vec<_> = std::env::args().skip(1).collect();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(&test)
        .env(ENGINE_ARGUMENTS, arguments.join(" "))
        // Processes of libFuzzer start others with these.
        .env("BOLERO_LIBTEST_HARNESS", "1")
        .env("BOLERO_TEST_NAME", &test[0]);
    command.status().unwrap().success()
}

fn inputs(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// The tokens as libFuzzer reads them.
fn dictionary() -> String {
    let token = |token: &&[u8]| {
        let bytes: String = token.iter().map(|byte| format!("\\x{byte:02x}")).collect();
        format!("\"{bytes}\"\n")
    };
    near::TOKENS.iter().map(token).collect()
}

/// What the child processes that have ended used.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    // proc(5): cutime and cstime, in hundredths of a second.
    let times = fields.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<f64>().unwrap());
    times.sum::<f64>() / 100.0
}
