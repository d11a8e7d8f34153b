//! What the screen says is what happened: bytes on the wire, pasted text, copies, `--readonly`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

use futures_util::{Stream, stream};
use rpc_server::{Failure, rpc_method};
use serde_json::json;

use super::*;

const PASTE: [&str; 2] = ["\x1b[200~", "\x1b[201~"];

/// What [`keep`] was called with.
static KEPT: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[rpc_method]
fn keep(text: String) -> usize {
    let length = text.len();
    KEPT.lock().unwrap().push(text);
    length
}

#[rpc_method]
fn fail(code: i64) -> Result<(), Failure> {
    let failure = Failure::new("it failed on purpose").with_code(code);
    Err(failure.with_data(json!({"why": ["a", "b"]})))
}

#[rpc_method(stream)]
fn two_items() -> impl Stream<Item = u32> {
    stream::iter([7, 8])
}

/// The console on a registry with one server; both end with the test.
struct Service {
    _port: ReservedPort,
    _registry: Registry,
    _background: Background,
    tty: Tty,
}

impl Service {
    fn start() -> Self {
        let port = ReservedPort::new();
        let registry = Registry::start(&port);
        let background = Background::new();
        let server = rpc_server::Server::builder()
            .methods(rpc_server::builtin::methods())
            .methods([keep::method(), fail::method(), two_items::method()])
            .announce(rpc_server::Announce::to(&port.url()).unwrap());
        background.serve(server);
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(["--registry", &port.url()]);
        let mut tty = Tty::run(command, (220, 40));
        tty.until(&["1 up"]);
        tty.press("2");
        tty.until(&["two_items"]);
        Self { _port: port, _registry: registry, _background: background, tty }
    }

    /// Calls from the palette.
    fn call(&mut self, call: &str, shows: &[&str]) {
        self.tty.press(":");
        self.tty.until(&["Commands, methods, instances"]);
        self.tty.press(&format!("{call}\r"));
        self.tty.until(shows);
    }

    /// Opens the Wire tab of the response.
    fn wire(&mut self, shows: &[&str]) {
        self.tty.press("}");
        self.tty.until(&["[Wire]"]);
        self.tty.until(shows);
    }
}

#[test]
fn the_wire_tab_shows_the_frames_of_successes_failures_and_streams() {
    let mut service = Service::start();
    service.call("keep hi", &["✓ keep → 2 in"]);
    service.tty.press("f");
    let sent =
        r#""method_name":"keep","method_args":["hi"],"method_kwargs":{},"meta":{"deadline_ms":"#;
    service.wire(&[
        "┃ sent ",
        " B to 127.0.0.1:",
        r#"{"id":"#,
        sent,
        "received 16 B from 127.0.0.1:",
        r#","res":2}"#,
    ]);
    service.tty.press("f");

    service.call("fail -32002", &["overloaded (-32002)", "retryable", r#""why": ["#]);
    service.tty.until(&["it failed on purpose"]);
    service.tty.press("f");
    let error = r#""error":{"code":-32002,"message":"it failed on purpose","retryable":true,"data":{"why":["a","b"]}}}"#;
    service.wire(&[r#""method_name":"fail","method_args":[-32002]"#, error]);
    service.tty.press("f");

    service.call("two_items ", &["complete"]);
    service.tty.press("f");
    service.wire(&[r#""stream":true"#, r#","item":7}"#, r#","item":8}"#, r#","end":true}"#]);
    service.tty.press("f");

    service.call("sleep 30", &["waiting for the reply"]);
    service.tty.press("\x18");
    service.tty.until(&["cancelled"]);
    service.tty.press("f");
    service.wire(&[r#""method_name":"sleep""#, r#"{"cancel":"#, "nothing was received"]);
    service.tty.press("\x03");
    assert_eq!(service.tty.ends(), 0);
}

#[test]
fn a_pasted_text_arrives_with_its_line_breaks_and_tabs() {
    let mut service = Service::start();
    service.tty.press("/keep\r");
    service.tty.press("\r");
    service.tty.until(&["Call keep"]);
    // Terminals send line breaks as carriage returns.
    let [start, end] = PASTE;
    service.tty.press(&format!("{start}line one\rline \"two\"\r\n\ttabbed\r{end}"));
    service.tty.until(&["line one⏎line \"two\"⏎⇥tabbed⏎"]);
    service.tty.press("\r");
    service.tty.until(&["✓ keep → 28 in"]);
    let kept = KEPT.lock().unwrap();
    assert!(kept.contains(&"line one\nline \"two\"\n\ttabbed\n".to_owned()), "{kept:?}");
}

#[test]
fn readonly_says_so_and_refuses_what_may_change_something() {
    let mut tty = Tty::start(&["--demo", "--readonly"]);
    tty.until(&["READ-ONLY", "4 up"]);
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("order tea");
    // Its methods are known.
    tty.until(&["▸ call shop · order"]);
    tty.press("\r");
    tty.until(&["not sent: read-only (--readonly): the method may change something"]);
    tty.press("b");
    tty.until(&["read-only (--readonly): the method may change something"]);
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("add 1 2\r");
    tty.until(&["✓ add → 13 in"]);
    tty.press("1xG");
    tty.until(&["Actions: Instances", "unregister…", "the console is read-only (--readonly)"]);
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
}

/// Writes a script of that name.
fn script(folder: &Path, name: &str, body: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The address of the selected instance.
fn selected(tty: &Tty) -> String {
    let screen = tty.screen();
    let row = screen.lines().find(|line| line.contains("▸ ● up")).unwrap();
    row.split_whitespace().find(|word| word.starts_with("127.0.0.1:")).unwrap().to_owned()
}

/// The demo on Wayland, with the programs of `folder`, which write to `copied`.
fn demo_with_programs_of(folder: &Path, copied: &Path) -> CommandBuilder {
    let mut command = CommandBuilder::new(PROGRAM);
    command.args(["--demo"]);
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", folder.display()));
    command.env("WAYLAND_DISPLAY", "wayland-0");
    command.env("COPIED", copied);
    command
}

#[test]
fn a_clipboard_program_gets_the_text_and_its_failure_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let copied = folder.path().join("copied");
    script(folder.path(), "wl-copy", "cat > \"$COPIED\"");
    let command = demo_with_programs_of(folder.path(), &copied);
    let mut tty = Tty::run(command, (120, 35));
    tty.until(&["4 up", "▸ ● up"]);
    let address = selected(&tty);
    tty.press("y");
    tty.until(&[&format!("address copied with wl-copy: {address}")]);
    assert_eq!(fs::read_to_string(&copied).unwrap(), address);
    assert!(tty.sent("\x1b]52;c;"), "to the terminal's clipboard, too");
    script(folder.path(), "wl-copy", "exit 1");
    tty.press("y");
    tty.until(&["only sent to the terminal's clipboard: wl-copy failed with exit code 1"]);
}

#[test]
fn only_the_latest_copy_reaches_the_clipboard_and_a_slow_one_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let copied = folder.path().join("copied");
    let command = demo_with_programs_of(folder.path(), &copied);
    // It writes the first text late, unless it is ended.
    script(folder.path(), "wl-copy", "touch \"$COPIED.started\"; sleep 1; cat > \"$COPIED\"");
    let mut tty = Tty::run(command, (120, 35));
    tty.until(&["4 up", "▸ ● up"]);
    tty.press("y");
    tty.until(&["copying the address …"]);
    assert!(folder.path().join("copied.started").exists());
    script(folder.path(), "wl-copy", "cat > \"$COPIED\"");
    let first = selected(&tty);
    tty.press("j");
    tty.until_so("another instance", |tty| selected(tty) != first);
    let second = selected(&tty);
    tty.press("y");
    tty.until(&[&format!("address copied with wl-copy: {second}")]);
    // Longer than the first one would have taken: a sleep is the point here.
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(fs::read_to_string(&copied).unwrap(), second, "the first one came later");
}

/// tmux with its default settings, ended when dropped.
struct Tmux(String);

impl Tmux {
    fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("tmux");
        let output = command.args(["-L", &self.0]).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}

#[test]
fn copying_works_in_tmux_with_its_default_settings() {
    if Command::new("tmux").arg("-V").output().is_err() {
        return println!("skipped: tmux is not installed");
    }
    let tmux = Tmux(format!("rpc-console-test-{}", std::process::id()));
    let mut command = CommandBuilder::new("tmux");
    command.args(["-L", &tmux.0, "-f", "/dev/null", "new-session", PROGRAM, "--demo"]);
    let mut tty = Tty::run(command, (120, 35));
    tty.until(&["4 up", "▸ ● up"]);
    let address = selected(&tty);
    tty.press("y");
    tty.until(&[&format!("address copied with tmux: {address}")]);
    assert_eq!(tmux.run(&["show-buffer"]), address);
}
