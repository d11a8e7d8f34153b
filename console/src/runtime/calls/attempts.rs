//! The attempts of a call in progress: at one client, or at those of several instances in turn.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rpc_client::{AttemptEnd as End, AttemptLog, AttemptReason};
use rpc_console_core::model::calls::{Attempt, AttemptEnd};

use super::failure::failure;
use crate::runtime::secrets::Secrets;

/// What is known of them, also after the call was cancelled. Clones share it.
#[derive(Clone)]
pub(in crate::runtime) struct Attempts {
    began: Instant,
    logs: Arc<Mutex<Vec<Logged>>>,
}

/// What one client logs.
struct Logged {
    log: AttemptLog,
    /// When it was asked, from the start of the call.
    began: Duration,
    /// Why, where it has no other instance.
    reason: &'static str,
    secrets: Secrets,
}

impl Attempts {
    /// None yet.
    pub(in crate::runtime) fn new() -> Self {
        Self { began: Instant::now(), logs: Arc::default() }
    }

    /// A log for the client that is asked now; `reason` is why this one, where it has no other instance.
    pub(super) fn log(&self, reason: &'static str, secrets: &Secrets) -> AttemptLog {
        let (log, began) = (AttemptLog::new(), self.began.elapsed());
        let secrets = secrets.clone();
        self.lock().push(Logged { log: log.clone(), began, reason, secrets });
        log
    }

    /// Those that have begun.
    pub(in crate::runtime) fn list(&self) -> Vec<Attempt> {
        self.lock().iter().flat_map(Logged::attempts).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Logged>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Logged {
    fn attempts(&self) -> Vec<Attempt> {
        let shown = |attempt: rpc_client::Attempt| Attempt {
            reason: match attempt.reason {
                AttemptReason::OnlyServer => self.reason.to_owned(),
                reason => reason.to_string(),
            },
            instance: attempt.instance,
            began: self.began + attempt.began,
            took: attempt.took,
            end: match attempt.end {
                End::Replied => AttemptEnd::Replied,
                End::Failed(error) => AttemptEnd::Failed(failure(&error, None, &self.secrets).text),
                _ => AttemptEnd::Pending,
            },
        };
        self.log.attempts().into_iter().map(shown).collect()
    }
}
