//! SIGINT and SIGTERM: the first shuts the process down gracefully, the second exits at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code after a second signal, the same that a shell reports for an interrupt.
pub const EXIT_AT_ONCE: u8 = 130;

/// A token that the first SIGINT or SIGTERM cancels. The second exits the process at once with
/// [`EXIT_AT_ONCE`].
///
/// The signals' default action (to kill the process) is disabled from this call on.
///
/// # Errors
/// The handlers cannot be installed.
///
/// # Panics
/// Outside a tokio runtime with I/O enabled.
pub fn on_signals() -> io::Result<CancellationToken> {
    let mut signals = Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
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
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
