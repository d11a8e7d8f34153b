//! A program on its own terminal: keys in, screen out.

use std::io::{Read, Write};
use std::num::NonZero;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use crate::binaries::binary;
use crate::home::{Home, variables_of_runner};

/// Timeout of everything; generous, since other tests run at the same time.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Interval between checks of the screen.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The escape key.
pub const ESC: &str = "\x1b";

/// Start and end of a frame: a terminal shows it when it is complete.
pub const FRAME_BEGINS: &[u8] = b"\x1b[?2026h";
const FRAME_ENDS: &[u8] = b"\x1b[?2026l";

/// A program on its own terminal; killed when dropped.
pub struct Tty {
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    seen: Arc<Mutex<Seen>>,
    before: String,
    home: Home,
}

struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
    /// How many of the bytes are on the screen.
    shown: usize,
}

impl Seen {
    /// Adds bytes and shows them, except for an incomplete frame.
    fn take(&mut self, bytes: &[u8]) {
        // The mark of a frame's start may arrive in pieces; a partial mark is shown.
        let from = self.shown.saturating_sub(FRAME_BEGINS.len() - 1);
        self.bytes.extend_from_slice(bytes);
        let last = |mark: &[u8]| {
            let found = self.bytes[from..].windows(mark.len()).rposition(|bytes| bytes == mark);
            found.map(|at| from + at)
        };
        let (begins, ends) = (last(FRAME_BEGINS), last(FRAME_ENDS));
        match begins {
            Some(begins) if ends.is_none_or(|ends| ends < begins) => self.show(begins),
            _ => self.show(self.bytes.len()),
        }
    }

    fn show(&mut self, upto: usize) {
        if upto > self.shown {
            self.parser.process(&self.bytes[self.shown..upto]);
            self.shown = upto;
        }
    }
}

/// Keys and waits fail the test if the program does not react in time.
#[expect(clippy::missing_panics_doc, reason = "all of them panic")]
impl Tty {
    /// The console with these arguments, in a terminal of usual size and with default settings.
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = CommandBuilder::new(binary("rpc-console"));
        command.args(arguments);
        Self::run(command, (120, 35))
    }

    /// Any program in a terminal of the given size (columns, rows), with no settings except the
    /// command's own variables.
    pub fn run(command: CommandBuilder, size: (u16, u16)) -> Self {
        Self::run_in(Home::new(), command, size)
    }

    /// The same in a given directory.
    pub fn run_in(home: Home, mut command: CommandBuilder, (cols, rows): (u16, u16)) -> Self {
        let own: Vec<String> =
            command.iter_extra_env_as_str().map(|(name, _)| name.to_owned()).collect();
        let given = |name: &str| own.iter().any(|own| own == name);
        // The runner's colours and clipboards are none of the program's business.
        let others = ["NO_COLOR", "COLORFGBG", "TMUX", "WAYLAND_DISPLAY", "DISPLAY"];
        for name in variables_of_runner().chain(others.map(Into::into)) {
            if !given(&name.to_string_lossy()) {
                command.env_remove(name);
            }
        }
        for (name, folder) in home.variables() {
            if !given(name) {
                command.env(name, folder);
            }
        }
        command.cwd(home.path());
        command.env("TERM", "xterm-256color");
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let before = format!("{:?}", pair.master.get_termios());
        let child = pair.slave.spawn_command(command).unwrap();
        // Otherwise the end of the output never arrives.
        drop(pair.slave);
        let seen = Arc::new(Mutex::new(Seen {
            parser: vt100::Parser::new(cells(rows), cells(cols), 0),
            bytes: Vec::new(),
            shown: 0,
        }));
        let mut output = pair.master.try_clone_reader().unwrap();
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                shared.lock().unwrap().take(&buffer[..read]);
            }
            let mut seen = shared.lock().unwrap();
            let all = seen.bytes.len();
            seen.show(all);
        });
        let keys = pair.master.take_writer().unwrap();
        Self { child, master: pair.master, keys, seen, before, home }
    }

    /// Its working directory.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap(), signal).unwrap();
    }

    /// Presses these keys.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// The text on the screen.
    pub fn screen(&self) -> String {
        self.look(vt100::Screen::contents)
    }

    /// The result of `look` for the screen.
    pub fn look<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.seen.lock().unwrap().parser.screen())
    }

    /// Whether the program uses its own (alternate) screen.
    pub fn is_ours(&self) -> bool {
        self.look(vt100::Screen::alternate_screen)
    }

    /// Everything it wrote to the terminal.
    pub fn output(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    /// Number of bytes it wrote.
    pub fn bytes(&self) -> usize {
        self.seen.lock().unwrap().bytes.len()
    }

    /// Whether it ever wrote these bytes to the terminal.
    pub fn sent(&self, text: &str) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.bytes.windows(text.len()).any(|bytes| bytes == text.as_bytes())
    }

    /// Resizes the terminal.
    pub fn resize(&self, (cols, rows): (u16, u16)) {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        self.seen.lock().unwrap().parser.screen_mut().set_size(cells(rows), cells(cols));
        self.master.resize(size).unwrap();
    }

    /// Waits until the screen shows all of `texts`.
    pub fn until(&self, texts: &[&str]) {
        self.until_so(&format!("{texts:?}"), |tty| {
            let screen = tty.screen();
            texts.iter().all(|text| screen.contains(text))
        });
    }

    /// Waits until the screen no longer shows `text`.
    pub fn until_not(&self, text: &str) {
        self.until_so(&format!("no {text:?}"), |tty| !tty.screen().contains(text));
    }

    /// Waits until `is_so`; `what` is for the message.
    pub fn until_so(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !is_so(self) {
            assert!(Instant::now() < end, "never {what}:\n{}", self.screen());
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Whether it has exited.
    pub fn has_exited(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it exits; returns the exit code.
    pub fn ends(&mut self) -> u32 {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(Instant::now() < end, "it does not exit:\n{}", self.screen());
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Asserts that the terminal is restored: screen, cursor, mouse, paste, line discipline.
    pub fn is_restored(&self) {
        let end = Instant::now() + DEADLINE;
        loop {
            let (left, cursor, paste, mouse) = self.look(|screen| {
                (
                    !screen.alternate_screen(),
                    !screen.hide_cursor(),
                    !screen.bracketed_paste(),
                    screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None,
                )
            });
            if left && cursor && paste && mouse {
                break;
            }
            // The last bytes may still be on their way.
            assert!(Instant::now() < end, "screen {left} cursor {cursor} {paste} {mouse}");
            std::thread::sleep(POLL_INTERVAL);
        }
        assert_eq!(format!("{:?}", self.master.get_termios()), self.before);
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}
