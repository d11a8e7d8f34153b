//! SIGINT, SIGTERM, SIGQUIT and a closed terminal: the first shuts the process down gracefully, the second
//! exits at once.

use std::fs::File;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code after a second signal, the same that a shell reports for an interrupt.
pub const EXIT_AT_ONCE: u8 = 130;

/// A token that the first SIGINT, SIGTERM or SIGQUIT cancels, and a SIGHUP if the process has a controlling
/// terminal now: then that was closed. The second exits the process at once with [`EXIT_AT_ONCE`].
///
/// Without a terminal (a service manager's process) nothing can hang up: SIGHUP asks for a reload, and
/// changes nothing. Settings are read once, and [logging](crate::logging) opens a file that was moved again
/// by itself. A SIGHUP that is ignored, as `nohup` does it, stays ignored; on systems without `/proc` it is
/// not.
///
/// A write beyond the limit of a file's size (`ulimit -f`) fails from this call on, as on a full disk,
/// instead of killing the process with SIGXFSZ.
///
/// The signals' default action (to kill the process) is disabled from this call on.
///
/// # Errors
/// The handlers cannot be installed.
///
/// # Panics
/// Outside a tokio runtime with I/O enabled.
pub fn on_signals() -> io::Result<CancellationToken> {
    // Nobody waits for it; the handler stays.
    let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    let mut signals = Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
        quit: signal(SignalKind::quit())?,
        hangup: Hangup::install()?,
    };
    let token = CancellationToken::new();
    let asked = token.clone();
    tokio::spawn(async move {
        let name = signals.next().await;
        tracing::info!(signal = name, "shutting down; a second signal exits at once");
        asked.cancel();
        signals.next().await;
        std::process::exit(EXIT_AT_ONCE.into());
    });
    Ok(token)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
    hangup: Hangup,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.quit.recv() => "SIGQUIT",
            () = self.hangup.closes_terminal() => "SIGHUP",
        }
    }
}

/// What SIGHUP means to this process.
enum Hangup {
    /// Its terminal was closed.
    ClosesTerminal(Signal),
    /// It is asked to reload, as processes without a terminal are.
    Reloads(Signal),
    Ignored,
}

impl Hangup {
    fn install() -> io::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        if ignores_hangup(&status) {
            return Ok(Self::Ignored);
        }
        let hangup = signal(SignalKind::hangup())?;
        // It opens only for who has a controlling terminal.
        let has_terminal = File::open("/dev/tty").is_ok();
        Ok(if has_terminal { Self::ClosesTerminal(hangup) } else { Self::Reloads(hangup) })
    }

    /// Waits until the terminal is closed. Dropping the future loses nothing.
    async fn closes_terminal(&mut self) {
        match self {
            Self::ClosesTerminal(hangup) => drop(hangup.recv().await),
            Self::Reloads(hangup) => loop {
                hangup.recv().await;
                tracing::info!(
                    signal = "SIGHUP",
                    "nothing to reload: settings are read at the start, and a log file that was moved is opened again by itself"
                );
            },
            Self::Ignored => std::future::pending().await,
        }
    }
}

/// Whether `/proc/self/status` says that SIGHUP (signal 1, the lowest bit) is ignored.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::ignores_hangup;

    #[test]
    fn a_hangup_ignored_by_nohup_stays_ignored() {
        assert!(ignores_hangup("SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n"));
        assert!(!ignores_hangup("SigBlk:\t0000000000000001\nSigIgn:\t0000000000001000\n"));
        assert!(!ignores_hangup(""));
    }
}
