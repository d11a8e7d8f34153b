//! The history over a restart: saved, restored, private, turned off, damaged.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use portable_pty::CommandBuilder;

use super::{PROGRAM, Tty};

/// The demo, with its state in `folder`.
fn demo(folder: &Path) -> Tty {
    let mut command = CommandBuilder::new(PROGRAM);
    command.args(["--demo"]);
    command.env("XDG_STATE_HOME", folder);
    let tty = Tty::run(command, (120, 35));
    tty.until(&["3 up"]);
    tty
}

fn call(tty: &mut Tty, call: &str, result: &str) {
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press(call);
    tty.press("\r");
    tty.until(&[result]);
}

#[test]
fn calls_are_in_the_history_after_a_restart_and_can_be_resent() {
    let state = tempfile::tempdir().unwrap();
    let mut first = demo(state.path());
    call(&mut first, "add 20 22 c=0", "✓ add → 42 in");
    call(&mut first, "reverse_string abcdef", "✓ reverse_string →");
    first.press("\x03");
    assert_eq!(first.ends(), 0);

    let file = state.path().join("rpc-console").join("demo.history");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = fs::read_to_string(&file).unwrap();
    assert_eq!(kept.lines().count(), 2);
    assert!(kept.contains("abcdef") && !kept.contains("fedcba"), "arguments, no result: {kept}");

    let mut second = demo(state.path());
    second.press("3");
    second.until(&["History 2", "add", "20,22", "reverse_stri", "result not stored"]);
    // The older one: its form is filled in.
    second.press("j\r");
    second.until(&[
        "Call add",
        "number 20",
        "number 22",
        "number 0",
        "From an earlier session; results are not",
    ]);
    // Nothing of an earlier session is sent by two keys.
    second.press("r");
    second.until(&["Resend add 20,22", "a call of an earlier session?"]);
    second.press("\r");
    second.until(&["cancelled: nothing sent"]);
    second.press("r");
    second.until(&["a call of an earlier session?"]);
    second.press("j\r");
    second.until(&["✓ add → 42 in"]);
    second.press("3gR");
    second.until(&["Resend", "replied"]);
    second.press("\r");
    second.until(&["History 4"]);
    second.press("\x03");
    assert_eq!(second.ends(), 0);
    second.is_restored();
}

#[test]
fn a_damaged_history_is_copied_and_its_readable_lines_are_kept() {
    let state = tempfile::tempdir().unwrap();
    let mut first = demo(state.path());
    call(&mut first, "add 20 22 c=0", "✓ add → 42 in");
    first.press("\x03");
    assert_eq!(first.ends(), 0);
    let folder = state.path().join("rpc-console");
    let mut bytes = fs::read(folder.join("demo.history")).unwrap();
    bytes.extend_from_slice(b"{\"at_ms\":1,\"method\":\"half\n");
    fs::write(folder.join("demo.history"), &bytes).unwrap();

    let mut command = CommandBuilder::new(PROGRAM);
    command.args(["--demo"]);
    command.env("XDG_STATE_HOME", state.path());
    let mut second = Tty::run(command, (120, 35));
    second.until(&["history damaged or over 8 MiB; the original is kept as", "damaged-1"]);
    second.press("3");
    second.until(&["History 1", "20,22"]);
    assert_eq!(fs::read(folder.join("demo.damaged-1")).unwrap(), bytes);
}

#[test]
fn a_history_that_is_turned_off_is_not_written() {
    let state = tempfile::tempdir().unwrap();
    let mut command = CommandBuilder::new(PROGRAM);
    command.args(["--demo"]);
    command.env("XDG_STATE_HOME", state.path());
    command.env("RPCD_CONSOLE_SAVE_HISTORY", "false");
    let mut tty = Tty::run(command, (120, 35));
    tty.until(&["3 up"]);
    call(&mut tty, "add 20 22 c=0", "✓ add → 42 in");
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
    assert_eq!(fs::read_dir(state.path()).unwrap().count(), 0);
}
