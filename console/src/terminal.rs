//! The terminal is borrowed: taken once, and given back whatever happens.

mod backend;
mod clipboard;
mod input;

pub use backend::ScreenBackend;
pub use clipboard::osc52;
pub use input::translate;

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

/// Whether the terminal is ours at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);

const ALTERNATE_SCREEN: &str = "\x1b[?1049h";
const NORMAL_SCREEN: &str = "\x1b[?1049l";
const PASTE_ON: &str = "\x1b[?2004h";
const PASTE_OFF: &str = "\x1b[?2004l";
// Clicks and wheel only: crossterm's own command also asks for every movement, and each one would
// wake an idle console.
const MOUSE_ON: &str = "\x1b[?1000h\x1b[?1006h";
const MOUSE_OFF: &str = "\x1b[?1006l\x1b[?1000l";
const CURSOR_HIDE: &str = "\x1b[?25l";
const CURSOR_SHOW: &str = "\x1b[?25h";
const SYNCHRONIZED_END: &str = "\x1b[?2026l";
const STYLE_RESET: &str = "\x1b[0m";

/// The terminal while it is ours; dropping it gives it back.
#[derive(Debug)]
pub struct Terminal(());

impl Terminal {
    /// Takes the terminal: raw mode, alternate screen, paste in brackets, the mouse if wanted.
    ///
    /// # Errors
    /// There is no terminal, or it does not listen; it is as before.
    pub fn take(mouse: bool) -> io::Result<Self> {
        let terminal = Self(());
        take(mouse).inspect_err(|_| give_back())?;
        Ok(terminal)
    }

    /// Takes it again after it was given back or somebody else changed it.
    ///
    /// # Errors
    /// It does not listen.
    pub fn retake(&self, mouse: bool) -> io::Result<()> {
        take(mouse)
    }

    /// Has it report the mouse, or not.
    ///
    /// # Errors
    /// It does not listen.
    pub fn mouse(&self, on: bool) -> io::Result<()> {
        write(if on { MOUSE_ON } else { MOUSE_OFF })
    }

    /// Sends something that draws nothing, such as a text for the clipboard.
    ///
    /// # Errors
    /// It does not listen.
    pub fn send(&self, text: &str) -> io::Result<()> {
        write(text)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, if it is ours. Every step is tried, even if one before it failed.
/// From a panic hook or a signal, too.
pub fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    for step in [SYNCHRONIZED_END, MOUSE_OFF, PASTE_OFF, STYLE_RESET, CURSOR_SHOW, NORMAL_SCREEN] {
        // Nobody is left to tell: the terminal itself does not listen.
        let _ = write(step);
    }
    let _ = disable_raw_mode();
}

/// A panic anywhere gives the terminal back first, so that its text can be read, and ends the
/// process with exit code 101: a console that lost a part of itself would lie.
///
/// To be called before anything else installs a panic hook.
pub fn give_back_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        give_back();
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
