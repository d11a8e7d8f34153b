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
    quit: unix::Signal,
    user: [unix::Signal; 2],
    continued: unix::Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt())?,
            terminate: unix::signal(SignalKind::terminate())?,
            hang_up: unix::signal(SignalKind::hangup())?,
            // By default these end the process with the terminal still taken.
            quit: unix::signal(SignalKind::quit())?,
            user: [
                unix::signal(SignalKind::user_defined1())?,
                unix::signal(SignalKind::user_defined2())?,
            ],
            continued: unix::signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        let [user1, user2] = &mut self.user;
        tokio::select! {
            _ = self.quit.recv() => Signal::End(3),
            _ = user1.recv() => Signal::End(10),
            _ = user2.recv() => Signal::End(12),
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
