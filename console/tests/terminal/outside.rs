//! External programs on the terminal, files, and a reply of fifty megabytes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use portable_pty::CommandBuilder;
use rpc_server::{Announce, Server, rpc_method};

use super::{Background, ESC, PROGRAM, Registry, ReservedPort, Tty};

fn script(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn editor_and_pager_get_the_terminal_and_give_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let edit =
        "echo editing \"$2\"; read c; printf '{\"a\": 20, \"b\": 22, \"c\": %s}' $c > \"$2\"";
    let editor = script(folder.path(), "editor", edit);
    // Every run prints its number: output of earlier ones is still on the normal screen.
    let page = "echo run >> \"$0\".runs; echo paging $(wc -l < \"$0\".runs); cat \"$1\"; \
                read ends; exit $ends";
    let pager = script(folder.path(), "pager", page);
    let mut command = CommandBuilder::new(PROGRAM);
    command.args(["--demo"]);
    command.env_remove("VISUAL");
    command.env("EDITOR", format!("{editor} --wait"));
    command.env("PAGER", pager);
    let mut tty = Tty::run(command, (120, 35));
    tty.until(&["4 up", "traffic on"]);
    tty.press("D");
    tty.until(&["traffic off"]);
    tty.press("2");
    tty.until(&["[2 Methods]", "add", "forecast"]);
    tty.press("/add\r\r");
    tty.until(&["Call shop · add", "TYPING"]);

    tty.press("\x07");
    tty.until(&["editing", "arguments.json"]);
    assert!(!tty.is_ours());
    // The line goes to the program, not to the console.
    tty.press("0\n");
    tty.until(&["number 20", "number 22", "number 0", "filled from the editor"]);
    assert!(tty.is_ours());
    tty.press("\r");
    tty.until(&["✓ add → 42"]);

    tty.press(ESC);
    tty.until(&[": commands"]);
    tty.press("\t\t\t");
    tty.until(&["} tab", "y copy"]);
    tty.press("v");
    tty.until(&["paging 1", "42"]);
    assert!(!tty.is_ours());
    tty.press("0\n");
    tty.until(&["} tab", "y copy"]);
    assert!(tty.is_ours());

    // A failure is shown, and Ctrl-C reaches the program only.
    tty.press("v");
    tty.until(&["paging 2"]);
    tty.press("3\n");
    tty.until(&["failed: exit status: 3"]);
    tty.press("v");
    tty.until(&["paging 3"]);
    tty.press("\x03");
    tty.until(&["failed: signal: 2"]);
    assert!(tty.is_ours());

    let file = folder.path().join("sum.json");
    fs::write(&file, "precious").unwrap();
    tty.press("s");
    tty.until(&["Save as"]);
    tty.press(&format!("\x15{}\r", file.display()));
    tty.until(&["exists; ⏎ again overwrites it"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    tty.press("\r");
    tty.until(&["saved 3 B to"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "42\n");

    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
    tty.is_restored();
}

/// Returns `megabytes` megabytes, in lines of a hundred characters.
#[rpc_method]
fn big(megabytes: usize) -> Vec<String> {
    (0..megabytes * 10_000).map(|line| format!("{line:097}")).collect()
}

/// Resident memory in kilobytes, now and its peak; on Linux only.
fn memory(tty: &Tty) -> Option<(usize, usize)> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let status = format!("/proc/{}/status", tty.pid());
    let status = fs::read_to_string(status).unwrap();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    Some((of("VmRSS:"), of("VmHWM:")))
}

#[test]
fn a_reply_of_fifty_megabytes_neither_blocks_keys_nor_fills_the_memory() {
    let port = ReservedPort::new();
    let _registry = Registry::start(&port);
    let url = port.url();
    let background = Background::new();
    let announce = Announce::to(&url).unwrap();
    let builder = Server::builder().method(big::method()).announce(announce);
    background.serve(builder);

    let mut tty = Tty::start(&["--registry", &url]);
    tty.until(&["1 up"]);
    tty.press("2");
    tty.until(&["[2 Methods]", "big"]);
    tty.press("\r");
    tty.until(&["Call big"]);
    // A small reply first, so that only the large one is measured.
    tty.press("1\r");
    tty.until(&["✓ big"]);
    tty.press("\x15");
    let before = memory(&tty);
    // A timeout of 60 s: this build is not optimised.
    tty.press("50\x0f\x0f");
    tty.until(&["60s"]);
    tty.press("\r");
    tty.until(&["waiting for the reply"]);
    let mut slowest = Duration::ZERO;
    let end = Instant::now() + Duration::from_secs(60);
    let done = |tty: &Tty| tty.screen().contains("500002");
    while !tty.screen().contains("✓ big → [\"00000") || tty.screen().contains("^x Cancel") {
        assert!(Instant::now() < end, "{}", tty.screen());
        let start = Instant::now();
        tty.press("\x10");
        tty.until(&["Commands, methods"]);
        tty.press("~~~");
        tty.until(&["no such command or method"]);
        slowest = slowest.max(start.elapsed());
        tty.press("\x15");
        tty.until(&["send the call"]);
        tty.press(ESC);
        tty.until(&["F1 help"]);
    }
    println!("a reply of 50 MB: two keys to two frames meanwhile {slowest:?}");
    if let (Some((before, _)), Some((after, most))) = (before, memory(&tty)) {
        let size = 50_000_000 / 1024;
        let share = |kilobytes: usize| (kilobytes.saturating_sub(before)) as f64 / size as f64;
        println!("peak {:.2} times its size, {:.2} times afterwards", share(most), share(after));
        assert!(share(most) < 2.2, "{before} → {most}, then {after}");
    }
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");

    // The last line is a key away.
    tty.press(ESC);
    tty.until(&[": commands"]);
    tty.press("\t");
    tty.until(&["z all"]);
    let start = Instant::now();
    tty.press("G");
    let end = Instant::now() + Duration::from_secs(20);
    while !done(&tty) {
        assert!(Instant::now() < end, "{}", tty.screen());
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("to its last line: {:?}", start.elapsed());
    tty.press("\x03");
    assert_eq!(tty.ends(), 0);
}
