//! SIGINT, SIGTERM and SIGHUP: the first shuts the process down gracefully, the second exits at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code after a second signal, the same that a shell reports for an interrupt.
pub const EXIT_AT_ONCE: u8 = 130;

/// A token that the first SIGINT, SIGTERM or SIGHUP (the terminal was closed) cancels. The second
/// exits the process at once with [`EXIT_AT_ONCE`].
///
/// A write beyond the limit of a file's size (`ulimit -f`) fails from this call on, as on a full disk,
/// instead of killing the process with SIGXFSZ.
///
/// The signals' default action (to kill the process) is disabled from this call on. A SIGHUP that is
/// ignored, as `nohup` does it, stays ignored; on systems without `/proc` it is not.
///
/// # Errors
/// The handlers cannot be installed.
///
/// # Panics
/// Outside a tokio runtime with I/O enabled.
pub fn on_signals() -> io::Result<CancellationToken> {
    // Nobody waits for it; the handler stays.
    let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let hangup = match ignores_hangup(&status) {
        true => None,
        false => Some(signal(SignalKind::hangup())?),
    };
    let mut signals = Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
        hangup,
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

/// Whether `/proc/self/status` says that SIGHUP (signal 1, the lowest bit) is ignored.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` if it is ignored.
    hangup: Option<Signal>,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = hangup => "SIGHUP",
        }
    }
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
