//! The program in a pseudo-terminal: keys in, screen out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests say what they expect"
)]

#[path = "terminal/background.rs"]
mod background;
#[path = "terminal/contexts.rs"]
mod contexts;
#[path = "terminal/direct.rs"]
mod direct;
#[path = "terminal/feel.rs"]
mod feel;
#[path = "terminal/history.rs"]
mod history;
#[path = "terminal/instances.rs"]
mod instances;
#[path = "terminal/json_rpc.rs"]
mod json_rpc;
#[path = "terminal/load.rs"]
mod load;
#[path = "terminal/older.rs"]
mod older;
#[path = "terminal/outside.rs"]
mod outside;
#[path = "terminal/own_client.rs"]
mod own_client;
#[path = "terminal/reading.rs"]
mod reading;
#[path = "terminal/requests.rs"]
mod requests;
#[path = "terminal/stuck.rs"]
mod stuck;
#[path = "terminal/truth.rs"]
mod truth;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use background::{Background, Registry};
use portable_pty::CommandBuilder;
use rpc_tests::reserved_port::ReservedPort;
use rpc_tests::terminal::{DEADLINE, ESC, Tty};

const PROGRAM: &str = env!("CARGO_BIN_EXE_rpc-console");

const DOWN: &str = "\x1b[B";
const CTRL_Z: &str = "\x1a";

#[test]
fn the_demo_from_instances_to_a_call_to_the_logs_and_out() {
    let mut tty = Tty::start(&["--demo"]);
    tty.until(&["● live", "4 up", "traffic on", "lacks square"]);

    tty.press("\r");
    tty.until(&["[2 Methods]", "shop · add", "shop · order"]);
    tty.until_not("forecast");
    tty.press("/add\r");
    tty.until(&["Call shop · add", "default 10"]);
    tty.press("\r");
    tty.press("1\t");
    tty.press("2");
    tty.until(&["TYPING", "default 10", r#""method_args""#, ":[1,"]);
    tty.press("\r");
    tty.until(&["✓ add → 13 in"]);

    tty.press(ESC);
    // A key right after Esc would be read as Alt plus that key.
    tty.until(&[": commands"]);
    tty.press("3");
    tty.until(&["History 1", "1,2", "13"]);
    tty.press("4");
    tty.until(&["FOLLOW", "registry", "order taken"]);
    tty.press("D");
    tty.until(&["traffic off"]);
    tty.press("q");
    tty.until(&["[1 Instances]"]);
    tty.press("q");
    assert_eq!(tty.ends(), 0);
    tty.is_restored();
}

#[test]
fn a_demo_server_is_sick_or_crashed_by_a_key_and_comes_back() {
    let mut tty = Tty::start(&["--demo"]);
    tty.until(&["4 up", "▸ ● up"]);
    tty.press("F");
    tty.until(&["replies 300 ms late; F changes that"]);
    tty.press("K");
    tty.until(&["crashed"]);
    tty.until(&["3 up", "expired"]);
    tty.press("K");
    tty.until(&["4 up"]);
}

#[test]
fn stream_items_are_shown_as_they_arrive_until_they_are_cancelled() {
    let mut tty = Tty::start(&["--demo"]);
    tty.until(&["4 up"]);
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("countdown 100\r");
    // With the border: the form and addresses contain numbers too.
    tty.until(&["items, 0 dropped", "^x stops", "┃ 100 ", "┃ 99 "]);
    tty.press("/99");
    tty.until(&["1 of 1 match"]);
    tty.press("\r");
    tty.until(&["y copy"]);
    tty.press("y");
    tty.until(&["item sent to the terminal's clipboard: 99"]);
    tty.press(ESC);
    tty.until_not("of 1 match");
    tty.press("\x18");
    tty.until(&["cancelled"]);
}

#[test]
fn it_connects_once_the_registry_is_up_and_keeps_the_list_when_it_is_lost() {
    let port = ReservedPort::new();
    let mut tty = Tty::start(&["--registry", &port.url()]);
    tty.until(&["unreachable", "retry in", "rpcd registry"]);

    let registry = Registry::start(&port);
    tty.until(&["● live", "no instances registered", "connected after"]);
    let background = Background::new();
    let announce = rpc_server::Announce::to(&port.url()).unwrap();
    let server = rpc_server::Server::builder().methods(rpc_server::builtin::methods());
    let address = background.serve(server.announce(announce)).to_string();
    tty.until(&["1 up", &address]);

    drop(registry);
    tty.until(&["✗ lost", "retry in", "? was up", "1 unknown", &address, "ok "]);
    // Calls still work.
    tty.press(":");
    tty.until(&["Commands, methods, instances"]);
    tty.press("add 20 22 c=0\r");
    tty.until(&["✓ add → 42 in"]);

    let _registry = Registry::start(&port);
    tty.press("1");
    tty.until(&["● live", "reconnected after", "1 up"]);
}

#[test]
fn a_signal_stops_it_and_restores_the_terminal() {
    for (signal, code) in [
        (rustix::process::Signal::TERM, 143),
        (rustix::process::Signal::QUIT, 131),
        (rustix::process::Signal::USR1, 138),
        (rustix::process::Signal::INT, 130),
        (rustix::process::Signal::HUP, 129),
    ] {
        let mut tty = Tty::start(&["--registry", "http://127.0.0.1:1"]);
        tty.until(&["unreachable"]);
        let pid = i32::try_from(tty.pid()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        assert_eq!(tty.ends(), code, "{signal:?}");
        tty.is_restored();
    }
}

#[test]
fn ctrl_c_quits_even_while_typing() {
    let mut tty = Tty::start(&["--registry", "http://127.0.0.1:1"]);
    tty.until(&["unreachable"]);
    tty.press("/abc");
    tty.until(&["abc"]);
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
    tty.is_restored();
}

#[test]
fn ctrl_z_restores_the_terminal_and_fg_takes_it_again() {
    let mut command = CommandBuilder::new("sh");
    let script = format!(
        "{PROGRAM} --registry http://127.0.0.1:1; echo stopped with $?; read x; fg; echo end"
    );
    command.args(["-m", "-c", &script]);
    let mut tty = Tty::run(command, (100, 30));
    tty.until(&["unreachable"]);
    tty.press(CTRL_Z);
    tty.until(&["stopped with"]);
    assert!(!tty.is_ours());
    tty.press("\n");
    tty.until(&["unreachable", "retry in"]);
    assert!(tty.is_ours());
    tty.press("?");
    tty.until(&["type to filter"]);
    tty.press("\x03");
    tty.until(&["end"]);
    assert_eq!(tty.ends(), 0);
    tty.is_restored();
}

#[test]
fn a_key_wakes_an_idle_console_at_once() {
    let port = ReservedPort::new();
    let _registry = Registry::start(&port);
    let mut tty = Tty::start(&["--registry", &port.url()]);
    // An empty registry sends nothing, so only keys wake the console.
    tty.until(&["● live", "no instances registered"]);
    let mut took: Vec<Duration> = (0..5)
        .map(|_| {
            let start = Instant::now();
            tty.press("4");
            tty.until(&["[4 Logs]"]);
            tty.press("1");
            tty.until(&["[1 Instances]"]);
            start.elapsed()
        })
        .collect();
    took.sort();
    // The target is 16 ms; the limit allows for a busy machine.
    assert!(took[2] < Duration::from_secs(4), "{took:?}");
}

/// Run by the next test in a terminal of its own; does nothing otherwise.
#[test]
fn a_program_that_panics_while_it_draws() {
    if std::env::var_os("CONSOLE_TEST_PANICS").is_some() {
        rpc_console::terminal::restore_on_panic();
        let _terminal = rpc_console::terminal::Terminal::take(true).unwrap();
        panic!("something impossible happened");
    }
}

#[test]
fn a_panic_restores_the_terminal_and_its_text_is_on_the_normal_screen() {
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", "a_program_that_panics_while_it_draws"]);
    command.env("CONSOLE_TEST_PANICS", "1");
    command.env("RUST_BACKTRACE", "0");
    let mut tty = Tty::run(command, (100, 30));
    tty.until(&["something impossible happened"]);
    assert_eq!(tty.ends(), 101);
    tty.is_restored();
}

#[test]
fn no_color_means_no_colour_and_no_reset_that_wipes_reverse() {
    let mut command = CommandBuilder::new(PROGRAM);
    command.args(["--demo"]);
    command.env("NO_COLOR", "1");
    let mut tty = Tty::run(command, (120, 35));
    tty.until(&["4 up", "lacks square"]);
    tty.press("2");
    tty.until(&["[2 Methods]"]);
    tty.press("q");
    tty.press("q");
    tty.ends();
    let output = tty.output();
    let text = String::from_utf8_lossy(&output);
    assert!(text.contains("\x1b[7m"), "the selection is reversed");
    for colour in ["\x1b[;m", "\x1b[38;", "\x1b[48;", "\x1b[31m", "\x1b[32m", "\x1b[36m"] {
        assert!(!text.contains(colour), "{colour:?}");
    }
}

#[test]
fn a_small_terminal_shows_a_notice_and_growing_shows_the_view() {
    let mut command = CommandBuilder::new(PROGRAM);
    command.args(["--demo"]);
    let mut tty = Tty::run(command, (20, 5));
    tty.until(&["terminal too small", "needs 30x8"]);
    tty.resize((80, 24));
    tty.until(&["4 up", "ADDRESS", "? help"]);
    tty.press(DOWN);
    tty.press("qq");
    assert_eq!(tty.ends(), 0);
}

#[test]
fn without_a_terminal_it_refuses_with_one_line_and_exit_code_2() {
    let output = Command::new(PROGRAM)
        .arg("--demo")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains("not a terminal"), "{error}");
}

#[test]
fn a_command_that_moved_to_rpcd_says_where_it_went_and_exits_2() {
    for (arguments, said) in [
        (["ls", "--json"], "rpc-console: ls moved to: rpcd instances\n"),
        (["call", "add"], "rpc-console: call moved to: rpcd call\n"),
        (["instances", "--json"], "rpc-console: instances moved to: rpcd instances\n"),
    ] {
        let output = Command::new(PROGRAM).args(arguments).stdin(Stdio::null()).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(2), &b""[..]));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), said);
    }
}

#[test]
fn a_usage_error_is_one_line_without_escape_sequences() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("\u{1b}[31m.ini");
    std::fs::write(&config, "[\u{1b}[31mlog]\n").unwrap();
    let config = config.to_str().unwrap();
    for line in [&["--config", config][..], &["--\u{1b}[31m"], &["--registry"]] {
        let output = Command::new(PROGRAM).args(line).stdin(Stdio::null()).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1), "{error}");
        assert!(error.starts_with("rpc-console: ") && !error.contains('\u{1b}'), "{error:?}");
    }
}

#[test]
fn an_unknown_registry_is_a_usage_error_on_the_normal_screen() {
    let mut tty = Tty::start(&["--registry", "nonsense"]);
    tty.until(&["no registry named nonsense; use http://HOST:PORT"]);
    assert_eq!(tty.ends(), 2);
    tty.is_restored();
}

#[test]
fn help_that_cannot_be_written_fails_with_one_line() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = std::process::Command::new(PROGRAM);
    let done = command.arg("--help").stdout(full).output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!((done.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.starts_with("rpc-console: cannot write to standard output: "), "{said}");
}
