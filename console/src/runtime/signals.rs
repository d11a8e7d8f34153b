//! Signals from the system and other processes.

use std::io;

use tokio::signal::unix::{self, SignalKind};

/// A signal that concerns the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Quit, because of the signal with this number.
    End(u8),
    /// The process was stopped and continues: another one may have changed the terminal.
    Continued,
}

/// Receives signals. While it lives, none of them ends the process by default.
pub(super) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    hang_up: unix::Signal,
    continued: unix::Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
            hang_up: unix::signal(SignalKind::hangup())?,
            continued: unix::signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::End(2),
            _ = self.terminate.recv() => Signal::End(15),
            _ = self.hang_up.recv() => Signal::End(1),
            _ = self.continued.recv() => Signal::Continued,
        }
    }
}

/// Stops the process group, as the terminal's own Ctrl-Z does (`cargo run` has two processes).
/// Without a shell that could continue it, the kernel discards the signal.
pub(super) fn stop() {
    let _ = rustix::process::kill_current_process_group(rustix::process::Signal::TSTP);
}
