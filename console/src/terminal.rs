//! Takes the terminal, and restores it whatever happens.

mod backend;
mod clipboard;
mod input;
mod second_signal;

pub use backend::ScreenBackend;
pub use clipboard::osc52;
pub use input::translate;
pub use second_signal::end_on_second_signal;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

/// Whether the terminal is taken at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);

const ALTERNATE_SCREEN: &str = "\x1b[?1049h";
const NORMAL_SCREEN: &str = "\x1b[?1049l";
const PASTE_ON: &str = "\x1b[?2004h";
const PASTE_OFF: &str = "\x1b[?2004l";
// Clicks and wheel only: crossterm's own command also enables movements, and each would wake an idle
// console.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";
const CURSOR_HIDE: &str = "\x1b[?25l";
const CURSOR_SHOW: &str = "\x1b[?25h";
const SYNCHRONIZED_END: &str = "\x1b[?2026l";
const STYLE_RESET: &str = "\x1b[0m";

/// The terminal while it is taken; dropping it restores it.
#[derive(Debug)]
pub struct Terminal(());

impl Terminal {
    /// Takes the terminal: raw mode, alternate screen, bracketed paste, and the mouse if `mouse`.
    ///
    /// # Errors
    /// There is no terminal, or writing to it failed; it is restored.
    pub fn take(mouse: bool) -> io::Result<Self> {
        let terminal = Self(());
        take(mouse).inspect_err(|_| restore())?;
        Ok(terminal)
    }

    /// Takes it again after it was restored or another program changed it.
    ///
    /// # Errors
    /// Writing to it failed.
    pub fn retake(&self, mouse: bool) -> io::Result<()> {
        take(mouse)
    }

    /// Turns reports of the mouse on or off.
    ///
    /// # Errors
    /// Writing to it failed.
    pub fn mouse(&self, on: bool) -> io::Result<()> {
        write(if on { MOUSE_ON } else { MOUSE_OFF })
    }

    /// Sends a sequence that draws nothing, such as a text for the clipboard.
    ///
    /// # Errors
    /// Writing to it failed.
    pub fn send(&self, text: &str) -> io::Result<()> {
        write(text)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the terminal, if it is taken. Every step is tried, even if a previous one failed. Also
/// called from the panic hook and on a signal.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    for step in [SYNCHRONIZED_END, MOUSE_OFF, PASTE_OFF, STYLE_RESET, CURSOR_SHOW, NORMAL_SCREEN] {
        // A failure cannot be reported: the terminal is where it would be shown.
        let _ = write(step);
    }
    let _ = disable_raw_mode();
}

/// Whether the terminal is taken at the moment.
fn is_taken() -> bool {
    TAKEN.load(Ordering::SeqCst)
}

/// On a panic in any thread, restores the terminal first, so that the message can be read, and exits
/// with code 101: without one of its tasks the console would show stale data.
///
/// Call it before anything else installs a panic hook.
pub fn restore_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        report(panic);
        std::process::exit(101);
    }));
}

fn take(mouse: bool) -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    let mouse = if mouse { MOUSE_ON } else { "" };
    write(&format!("{ALTERNATE_SCREEN}{CURSOR_HIDE}{PASTE_ON}{mouse}"))
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
