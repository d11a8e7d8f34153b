//! The terminal is lent to a program: the pager or the editor.

use std::io;
use std::time::Duration;

use super::inbox::Inbox;
use super::outside::Errand;
use super::signals::{Signal, Signals};
use super::{Console, Ended};
use rpc_console_core::message::Msg;

/// While another program has the terminal, this often time passes.
const AWAY: Duration = Duration::from_secs(1);
/// How long after a program's end a signal may be the one that ended it.
const LATE_SIGNAL: Duration = Duration::from_millis(50);

/// Gets a program and its file ready, which may take a while.
pub(super) type Prepare = Box<dyn FnOnce() -> io::Result<Errand> + Send>;

impl Console {
    /// Lends the terminal to a program until that ends. Nothing is drawn meanwhile, and keys,
    /// Ctrl-C and Ctrl-Z are the program's; what arrives is taken in all the same. A signal ends
    /// it all, also while the program's file is still being written.
    pub(super) async fn hand_over(
        &mut self,
        prepare: Prepare,
        inbox: &mut Inbox,
        signals: &mut Signals,
    ) -> io::Result<Option<Ended>> {
        let mut preparing = tokio::task::spawn_blocking(prepare);
        let prepared = loop {
            tokio::select! {
                biased;
                signal = signals.next() => match signal {
                    Signal::End(number) => return Ok(Some(Ended::Signal(number))),
                    Signal::Continued => self.retake()?,
                },
                prepared = &mut preparing => break prepared,
                Some(msg) = inbox.any() => {
                    self.take(msg);
                }
            }
        };
        let errand = match prepared.map_err(io::Error::other).flatten() {
            Ok(errand) => errand,
            Err(error) => {
                self.take(Msg::Error(format!("cannot create a temporary file: {error}")));
                return Ok(None);
            }
        };
        crate::terminal::restore();
        let status = match errand.start() {
            Err(error) => Err(error),
            Ok(mut child) => loop {
                tokio::select! {
                    biased;
                    status = child.wait() => break status,
                    signal = signals.next() => match signal {
                        Signal::End(2) | Signal::Continued => {}
                        Signal::End(number) => return Ok(Some(Ended::Signal(number))),
                    },
                    Some(msg) = inbox.any() => {
                        self.take(msg);
                    }
                    // The feeds of a long absence go on, and time with them.
                    () = tokio::time::sleep(AWAY) => {
                        self.take(Msg::Tick);
                    }
                }
            },
        };
        // A Ctrl-C that ended the program was meant for it, and may reach us a little later.
        let late = tokio::time::timeout(LATE_SIGNAL, async {
            loop {
                match signals.next().await {
                    Signal::End(2) | Signal::Continued => {}
                    Signal::End(number) => return number,
                }
            }
        });
        if let Ok(number) = late.await {
            return Ok(Some(Ended::Signal(number)));
        }
        self.retake()?;
        if let Some(msg) = errand.ended(status) {
            self.take(msg);
        }
        Ok(None)
    }
}
