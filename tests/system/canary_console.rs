//! A marked token goes through the console: it is on none of its screens, and in nothing that it sends, copies, keeps or
//! hands to other programs. A marked argument, which is no secret, is in all of them.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portable_pty::CommandBuilder;
use rpc_console_core::model::snippet::Format;
use rpc_tests::binaries::binary;
use rpc_tests::home::Home;
use rpc_tests::pki::Authority;
use rpc_tests::terminal::{ESC, Tty};

use crate::canary::{LOGS, Place, command_line, files_below};

/// What is in a call's argument, and is to be seen.
const MARKER: &str = "marker-7b1d";
const F3: &str = "\x1bOR";

/// A console with programs of its own, and every screen that was looked at.
struct Drive {
    tty: Tty,
    screens: Vec<String>,
}

impl Drive {
    fn start(place: &Place, variables: &[(&str, &str)]) -> Self {
        let home = Home::new();
        home.user(&place.section("place"));
        let programs = home.path().join("programs");
        std::fs::create_dir(&programs).unwrap();
        // They keep what they are given, and with what environment.
        for (name, takes) in [("wl-copy", "cat"), ("page", "cat \"$1\""), ("edit", "cat \"$1\"")] {
            let program = format!("#!/bin/sh\n{{ {takes}; echo; env; }} >> \"$0.given\"\n");
            executable(&programs.join(name), &program);
        }
        let mut command = CommandBuilder::new(binary("rpc-console"));
        command.args(["--registry", "place"]);
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", programs.display()));
        command.env("WAYLAND_DISPLAY", "wayland-0");
        command.env("PAGER", programs.join("page"));
        command.env("EDITOR", programs.join("edit"));
        command.env_remove("VISUAL");
        for (name, value) in LOGS.iter().chain(variables) {
            command.env(format!("RPCD_{name}"), value);
        }
        Self { tty: Tty::run_in(home, command, (120, 35)), screens: Vec::new() }
    }

    /// Presses the keys, and waits for a screen with all of these.
    fn step(&mut self, keys: &str, texts: &[&str]) {
        self.tty.press(keys);
        self.tty.until(texts);
        self.screens.push(self.tty.screen());
    }

    /// Copies by these keys what is called so.
    fn copy(&mut self, keys: &str, what: &str) {
        self.step(keys, &[&format!("{what} copied with wl-copy")]);
    }

    /// What that program was given so far.
    fn given(&self, program: &str) -> String {
        let file = self.tty.home().path().join(format!("programs/{program}.given"));
        std::fs::read_to_string(file).unwrap_or_default()
    }

    fn waits_for(&self, program: &str) {
        self.tty.until_so(&format!("{program} was run"), |_| !self.given(program).is_empty());
        self.tty.until(&[": commands"]);
    }

    /// What was put on the terminal's clipboard.
    fn clipboard(&self) -> Vec<String> {
        let output = String::from_utf8_lossy(&self.tty.output()).into_owned();
        let copies = output.split("\x1b]52;c;").skip(1);
        copies
            .map(|rest| {
                let base64 = rest.split(['\x07', '\x1b']).next().unwrap();
                String::from_utf8(STANDARD.decode(base64).unwrap()).unwrap()
            })
            .collect()
    }

    /// Through every view, and every way out of the console.
    fn everywhere(&mut self, place: &Place) {
        self.step("", &["● live", "⚿ canary", "1 up", "you are canary"]);
        self.copy("y", "address");
        self.step("2", &["[2 Methods]", "echo", "environment"]);
        self.step("/echo\r\r", &["Call echo", "TYPING"]);
        self.step(&format!("\"{MARKER}\"\r"), &["✓ echo → "]);
        self.step(F3, &["} tab"]);
        self.step("}", &["[Wire]"]);
        self.copy("y", "messages");
        self.step("}", &["[Timing]"]);
        self.step("}", &["[Diff]"]);
        self.step("}", &["[Body]", MARKER]);
        for (at, form) in forms(place) {
            self.step("Y", &["Copy call as"]);
            self.copy(&format!("{}\r", "j".repeat(at)), form);
        }
        self.step("s", &["Save as"]);
        self.step("\r", &["saved "]);
        self.tty.press("v");
        self.waits_for("page");
        self.tty.press("e");
        self.waits_for("edit");
        self.step("3", &["[3 History]", "History 1", MARKER]);
        self.copy("y", "request");
        self.step("b", &["[5 Load]", "⏎ Start"]);
        self.step("\r", &["measuring"]);
        self.step(" ", &["■ stopped"]);
        self.copy("y", "command");
        self.step("4", &["[4 Logs]", "FOLLOW"]);
        self.step("<<", &["level ≥ trace"]);
        self.copy("y", "line");
        self.step("s", &["Save as"]);
        self.step("\r", &["saved "]);
        self.step("?", &["type to filter"]);
        self.step(ESC, &[": commands"]);
        place.forget();
        self.step("1", &["✗ refused"]);
    }
}

/// What a call and its result are copied as, with its row in the menu; `nc` has no TLS.
fn forms(place: &Place) -> Vec<(usize, &'static str)> {
    let all = Format::ALL.into_iter().map(Format::title).chain(["result"]).enumerate();
    all.filter(|(_, form)| !place.is_secure() || *form != Format::Netcat.title()).collect()
}

fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// Drives a console of that place, with further variables, and looks through all that came out of it.
fn is_driven(place: &Place, variables: &[(&str, &str)]) {
    let mut drive = Drive::start(place, variables);
    drive.everywhere(place);
    let command_line = command_line(drive.tty.pid());
    drive.tty.press("\x03");
    assert_eq!(drive.tty.ends(), 0);

    let clipboard = drive.clipboard();
    let files = files_below(drive.tty.home().path());
    for (what, texts) in [
        ("the screens", &drive.screens),
        ("the terminal's clipboard", &clipboard),
        ("the output", &vec![String::from_utf8_lossy(&drive.tty.output()).into_owned()]),
        ("files", &files),
    ] {
        assert!(texts.iter().any(|text| text.contains(MARKER)), "{what}: without the argument");
        place.is_in_none_of(what, texts);
    }
    let copied = clipboard.iter().filter(|text| text.contains(MARKER)).count();
    assert!(copied >= forms(place).len(), "{clipboard:?}");
    for program in ["wl-copy", "page", "edit"] {
        let given = drive.given(program);
        assert!(given.contains(MARKER) && given.contains("RPCD_LOG_LEVEL=trace"), "{given}");
    }
    let history = files_below(&drive.tty.home().path().join("state"));
    assert!(history.iter().any(|text| text.contains(MARKER)), "no history is kept");
    assert!(files.iter().any(|text| text.contains("TRACE")), "no log is kept");
    place.is_in_none_of("the command line", &[command_line]);
    place.is_in_none_of("daemons", &place.daemons());
}

#[tokio::test(flavor = "multi_thread")]
async fn in_plain_text_nothing_of_the_console_has_the_token_of_its_file() {
    is_driven(&Place::new(None).await, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_tls_nothing_of_the_console_has_the_token_of_its_file() {
    is_driven(&Place::new(Some(Authority::new("ours"))).await, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_console_and_no_program_that_it_starts_has_the_token_of_its_environment() {
    let place = Place::new(Some(Authority::new("ours"))).await;
    is_driven(&place, &[("TOKEN", place.canary())]);
}
