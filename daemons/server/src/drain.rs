//! The drain that can be taken back: who asked this server to take no new calls.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rpc_wire::fault::{Code, Fault};

use crate::failure::draining;

/// Who can ask for it. Each takes back only its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Asker {
    /// The program that the server is a part of, by its [`ServerHandle`](crate::ServerHandle).
    Program = 1,
    /// An operator, by the registry.
    #[cfg(feature = "announce")]
    Operator = 2,
}

/// Whether the server takes new calls. Unlike the drain of a shutdown it leaves connections open, and
/// the server's own methods answer.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    /// The bits of those who ask for it.
    askers: AtomicU8,
    /// Since when anyone does; changed under the lock only.
    since: Mutex<Option<Instant>>,
    /// Why the program does.
    why: Mutex<Option<String>>,
}

impl Drain {
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.askers.load(Relaxed) != 0
    }

    /// Notes why the program wants it, if it says so.
    pub(crate) fn set_why(&self, why: Option<String>) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// What callers are told.
    pub(crate) fn fault(&self) -> Fault {
        match &*self.why.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(why) => {
                let text = format!("the server is draining: {why}; call another instance");
                Fault::new(Code::Draining, text)
            }
            None => draining(),
        }
    }

    /// Notes what someone wants; logs when that changes what the server does.
    pub(crate) fn set(&self, asker: Asker, drained: bool) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.askers.load(Relaxed);
        let askers = if drained { before | asker as u8 } else { before & !(asker as u8) };
        self.askers.store(askers, Relaxed);
        match (before, askers) {
            (0, 1..) => {
                *since = Some(Instant::now());
                let by = match asker {
                    Asker::Program => "this program",
                    #[cfg(feature = "announce")]
                    Asker::Operator => "an operator",
                };
                tracing::warn!(by, "draining: new calls are refused, those in flight finish");
            }
            (1.., 0) => {
                *since = None;
                tracing::info!("draining no more: new calls are taken");
            }
            _ => {}
        }
    }

    /// Whether a call that arrives now is refused; one of an older client only once `notice` is over,
    /// since it cannot go elsewhere by itself before its list is refreshed.
    pub(crate) fn refuses(&self, is_older_client: bool, notice: Duration) -> bool {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| !is_older_client || since.elapsed() >= notice)
    }
}

#[cfg(all(test, feature = "announce"))]
mod tests {
    use super::*;

    #[test]
    fn it_is_on_while_anyone_asks_for_it() {
        let drain = Drain::default();
        for (asker, drained, is_on) in [
            (Asker::Operator, false, false),
            (Asker::Operator, true, true),
            (Asker::Program, true, true),
            (Asker::Operator, false, true),
            (Asker::Program, true, true),
            (Asker::Program, false, false),
        ] {
            drain.set(asker, drained);
            assert_eq!(drain.is_on(), is_on, "{asker:?} {drained}");
        }
    }

    #[test]
    fn calls_of_older_clients_are_taken_for_a_while_longer() {
        let drain = Drain::default();
        assert!(!drain.refuses(false, Duration::ZERO));
        drain.set(Asker::Program, true);
        assert!(drain.refuses(false, Duration::MAX));
        assert!(!drain.refuses(true, Duration::MAX) && drain.refuses(true, Duration::ZERO));
        drain.set(Asker::Program, false);
        assert!(!drain.refuses(true, Duration::ZERO));
    }
}
