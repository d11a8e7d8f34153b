//! SIGINT and SIGTERM: the first asks the process to end well, the second ends it at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that was told twice to end, as a shell reports an interrupt.
pub const EXIT_AT_ONCE: u8 = 130;

/// A token that the first SIGINT or SIGTERM cancels. The second ends the process at once with
/// [`EXIT_AT_ONCE`], whatever it is doing.
///
/// From this call on the signals' default action (to die) is gone for the rest of the process.
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
        tracing::info!(signal = name, "asked to stop; again to stop at once");
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
