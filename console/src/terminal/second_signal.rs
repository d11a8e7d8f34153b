//! Ends the console on a second signal, whatever its loop does: the first one asks the loop, which a
//! defect or a terminal that takes no more output may keep from hearing it.

use std::future::poll_fn;
use std::io;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use crossterm::terminal::disable_raw_mode;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{is_taken, restore};

/// How long the terminal may take to be restored: one that takes no output is left as it is, but for
/// its raw mode.
const RESTORE_TIMEOUT: Duration = Duration::from_millis(500);

/// From now on the second of SIGINT, SIGTERM, SIGHUP and SIGQUIT restores the terminal and exits with
/// 128 and its number, from a thread of its own. Ctrl-C counts only while the console has the
/// terminal: else it is meant for the program that does.
///
/// Call it when the loop listens for the first one already: they no longer end the process.
///
/// # Errors
/// The thread cannot start or listen.
pub fn end_on_second_signal() -> io::Result<()> {
    let (started, listens) = mpsc::channel();
    let body = move || {
        let listening = Ending::listen();
        let (report, listening) = match listening {
            Ok(listening) => (Ok(()), Some(listening)),
            Err(error) => (Err(error), None),
        };
        let _ = started.send(report);
        if let Some((runtime, mut signals)) = listening {
            end(runtime.block_on(signals.second()));
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(body)?;
    listens.recv().map_err(io::Error::other)?
}

/// Restores the terminal as far as it can be, and exits.
fn end(number: u8) -> ! {
    // Does not wait for output, as the rest may.
    let _ = disable_raw_mode();
    let (done, restored) = mpsc::channel();
    let restoring = thread::Builder::new().spawn(move || {
        restore();
        let _ = done.send(());
    });
    if restoring.is_ok() {
        let _ = restored.recv_timeout(RESTORE_TIMEOUT);
    }
    std::process::exit(128 + i32::from(number));
}

/// The signals that end the console.
struct Ending([(u8, Signal); 4]);

impl Ending {
    /// Listens on a runtime of its own, which no other task can block.
    fn listen() -> io::Result<(tokio::runtime::Runtime, Self)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let signals = {
            let _inside = runtime.enter();
            Self([
                (1, signal(SignalKind::hangup())?),
                (2, signal(SignalKind::interrupt())?),
                (3, signal(SignalKind::quit())?),
                (15, signal(SignalKind::terminate())?),
            ])
        };
        Ok((runtime, signals))
    }

    /// The number of the second signal.
    async fn second(&mut self) -> u8 {
        while self.next().await == 2 && !is_taken() {}
        self.next().await
    }

    async fn next(&mut self) -> u8 {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<u8> {
        for (number, signal) in &mut self.0 {
            if signal.poll_recv(context).is_ready() {
                return Poll::Ready(*number);
            }
        }
        Poll::Pending
    }
}
