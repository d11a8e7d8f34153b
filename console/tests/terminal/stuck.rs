//! A loop that hears nothing: signals end the console all the same.
//!
//! No input is known to block the loop, so this program plays such a console: it runs itself in a
//! terminal, as one of the two tests that are ignored.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rpc_console::terminal::{Terminal, end_on_second_signal};
use rustix::process::{Pid, Signal, kill_process};

use super::{DEADLINE, Tty};

/// This program, as the console that `test` plays.
fn stuck(test: &str) -> CommandBuilder {
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "--nocapture", test]);
    command
}

#[test]
#[ignore = "it never ends: another test runs and kills it"]
fn busy_for_ever() {
    end_on_second_signal().unwrap();
    let _terminal = Terminal::take(true).unwrap();
    println!("busy");
    loop {
        std::hint::spin_loop();
    }
}

#[test]
#[ignore = "it never ends: another test runs and kills it"]
fn writing_for_ever() {
    end_on_second_signal().unwrap();
    let _terminal = Terminal::take(false).unwrap();
    println!("writing");
    loop {
        let _ = std::io::stdout().write_all(&[b'x'; 4096]);
    }
}

/// Sends a signal until the process has exited: two that arrive at once are one.
fn kill_until_exit(id: u32, signal: Signal, mut has_exited: impl FnMut() -> bool) {
    let id = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
    let end = Instant::now() + DEADLINE;
    while !has_exited() {
        assert!(Instant::now() < end, "it does not exit");
        let _ = kill_process(id, signal);
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn signals_end_a_console_that_is_busy_for_ever_and_restore_the_terminal() {
    for (signal, code) in
        [(Signal::TERM, 143), (Signal::INT, 130), (Signal::HUP, 129), (Signal::QUIT, 131)]
    {
        let mut tty = Tty::run(stuck("stuck::busy_for_ever"), (120, 35));
        tty.until(&["busy"]);
        kill_until_exit(tty.pid(), signal, || tty.has_exited());
        assert_eq!(tty.ends(), code, "{signal:?}");
        tty.is_restored();
    }
}

#[test]
fn signals_end_a_console_whose_terminal_takes_no_more_output() {
    let size = PtySize { rows: 35, cols: 120, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut child = pair.slave.spawn_command(stuck("stuck::writing_for_ever")).unwrap();
    let mut output = pair.master.try_clone_reader().unwrap();
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !seen.ends_with(b"writing") {
        output.read_exact(&mut byte).unwrap();
        seen.push(byte[0]);
    }
    let mut status = None;
    kill_until_exit(child.process_id().unwrap(), Signal::TERM, || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    assert_eq!(status.unwrap().exit_code(), 143);
}
