//! The example of a secured place: what its programs say, and that none of them is left.
#![allow(clippy::unwrap_used, reason = "tests say what they expect")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use portable_pty::CommandBuilder;
use rpc_tests::binaries::{binary, example};
use rpc_tests::terminal::Tty;
use rustix::process::Signal;

/// A folder for the example's temporary one.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        // The example says that it is missing, too, but a test says how to build it for tests.
        let _ = ["rpcd", "rpc-console"].map(binary);
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// The example with its console, in a terminal.
    fn console(&self, size: (u16, u16)) -> Tty {
        let mut command = CommandBuilder::new(example("secure"));
        command.arg("--console");
        command.env("TMPDIR", self.path());
        Tty::run(command, size)
    }

    /// The processes that it has started: their settings files are below this folder.
    fn processes(&self) -> Vec<String> {
        let of = |process: PathBuf| fs::read(process.join("cmdline")).unwrap_or_default();
        let all = fs::read_dir("/proc").unwrap().flatten().map(|entry| of(entry.path()));
        let lines = all.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines.filter(|line| line.contains(&format!("{}/", self.path().display()))).collect()
    }

    fn is_left_as_it_was(&self) {
        assert_eq!(self.processes(), [""; 0]);
        assert_eq!(fs::read_dir(self.path()).unwrap().count(), 0, "a folder is left");
    }
}

#[test]
fn a_caller_with_a_certificate_and_a_token_is_served_and_without_one_of_them_is_told_which() {
    let place = Place::new();
    // A person's own settings change nothing.
    let mut command = Command::new(example("secure"));
    command.env("TMPDIR", place.path()).env("RPCD_REGISTRY_PORT", "1");
    let output = command.output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap()
    );
    assert!(output.status.success(), "{said}");
    for server in ["the registry", "the first server", "the second server"] {
        assert!(said.contains(&format!("{server} listens on 127.0.0.1:")), "{said}");
    }
    let reply = |who: &str| {
        let command = format!("$ rpcd call add 1 2 --config {who}.ini\n");
        said.split_once(&command).unwrap().1.split("\n\n").next().unwrap().trim()
    };
    assert_eq!(reply("caller"), "13"); // the third argument is 10
    assert!(reply("no-token").contains("ask for one, or for a token"), "{said}");
    assert!(reply("no-certificate").contains("asks for one of this side"), "{said}");
    place.is_left_as_it_was();
}

#[test]
fn the_console_shows_all_of_it_and_when_it_is_left_everything_ends() {
    let place = Place::new();
    for size in [(120, 35), (80, 24)] {
        let mut tty = place.console(size);
        tty.until(&["● live, TLS", "⚿ caller", "2 up", "sums"]);
        // The registry, two servers, the console.
        assert_eq!(place.processes().len(), 4, "{:?}", place.processes());
        tty.press("q");
        assert_eq!(tty.ends(), 0);
        tty.is_restored();
        place.is_left_as_it_was();
    }
}

#[test]
fn a_signal_ends_everything_and_gives_the_terminal_back() {
    let place = Place::new();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut tty = place.console((120, 35));
        tty.until(&["● live, TLS", "2 up"]);
        tty.signal(signal);
        assert_eq!(tty.ends(), code);
        tty.is_restored();
        place.is_left_as_it_was();
    }
}
