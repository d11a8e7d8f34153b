//! The terminal is handed over to an external program, and taken back when that exits.

use std::io;
use std::time::Duration;

use super::external_program::ExternalProgram;
use super::inbox::Inbox;
use super::signals::{Signal, Signals};
use super::{Console, Ended};
use rpc_console_core::message::Msg;
use std::process::ExitStatus;

/// Interval of ticks while another program has the terminal.
const TICK: Duration = Duration::from_secs(1);
/// A Ctrl-C that ended the program may reach this process this much later.
const LATE_SIGNAL: Duration = Duration::from_millis(50);

/// Prepares a program and its file; blocks while the file is written.
pub(super) type Prepare = Box<dyn FnOnce() -> io::Result<ExternalProgram> + Send>;

/// A step of the handover, or the signal that ends the console during it.
enum Step<T> {
    Done(T),
    Signal(u8),
}

impl Console {
    /// Runs a program in the terminal until it exits. Meanwhile nothing is drawn, messages are
    /// still applied, and keys, Ctrl-C and Ctrl-Z belong to the program. Any other signal ends the
    /// console at once, also while the program's file is being written.
    pub(super) async fn hand_over(
        &mut self,
        prepare: Prepare,
        inbox: &mut Inbox,
        signals: &mut Signals,
    ) -> io::Result<Option<Ended>> {
        let program = match self.prepare(prepare, inbox, signals).await? {
            Step::Done(Ok(program)) => program,
            Step::Done(Err(error)) => {
                self.take(Msg::Error(format!("cannot create a temporary file: {error}")));
                return Ok(None);
            }
            Step::Signal(number) => return Ok(Some(Ended::Signal(number))),
        };
        crate::terminal::restore();
        let status = match self.exit_of(&program, inbox, signals).await {
            Step::Done(status) => status,
            Step::Signal(number) => return Ok(Some(Ended::Signal(number))),
        };
        if let Ok(number) = tokio::time::timeout(LATE_SIGNAL, end_signal(signals)).await {
            return Ok(Some(Ended::Signal(number)));
        }
        self.retake()?;
        if let Some(msg) = program.ended(status) {
            self.take(msg);
        }
        Ok(None)
    }

    /// Prepares the program on a thread that may block, while the console still has the terminal.
    async fn prepare(
        &mut self,
        prepare: Prepare,
        inbox: &mut Inbox,
        signals: &mut Signals,
    ) -> io::Result<Step<io::Result<ExternalProgram>>> {
        let mut preparing = tokio::task::spawn_blocking(prepare);
        loop {
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Signal::End(number) => return Ok(Step::Signal(number)),
                    Signal::Continued => self.retake()?,
                },
                prepared = &mut preparing => {
                    return Ok(Step::Done(prepared.map_err(io::Error::other).flatten()));
                }
                Some(msg) = inbox.any() => {
                    self.take(msg);
                }
            }
        }
    }

    /// Starts the program and waits for its exit.
    async fn exit_of(
        &mut self,
        program: &ExternalProgram,
        inbox: &mut Inbox,
        signals: &mut Signals,
    ) -> Step<io::Result<ExitStatus>> {
        let mut child = match program.start() {
            Ok(child) => child,
            Err(error) => return Step::Done(Err(error)),
        };
        loop {
            tokio::select! {
                biased;
                status = child.wait() => return Step::Done(status),
                number = end_signal(signals) => return Step::Signal(number),
                Some(msg) = inbox.any() => {
                    self.take(msg);
                }
                // Instances expire while nobody looks, too.
                () = tokio::time::sleep(TICK) => {
                    self.take(Msg::Tick);
                }
            }
        }
    }
}

/// The next signal that ends the console; Ctrl-C is meant for the program.
async fn end_signal(signals: &mut Signals) -> u8 {
    loop {
        match signals.next().await {
            Signal::End(2) | Signal::Continued => {}
            Signal::End(number) => return number,
        }
    }
}
