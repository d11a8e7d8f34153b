//! Which failed calls are retried, and the budget of retries.

use std::sync::atomic::{AtomicU64, Ordering};

use rpc_wire::fault::Code;
use rpc_wire::mutants::mutant;

use crate::{CallError, RetryOptions};

/// Whether a call may be retried on another instance: it was not executed, or nobody knows whether it was
/// and it is idempotent.
pub(crate) fn may_retry(error: &CallError, idempotent: bool) -> bool {
    let harmless = idempotent || mutant("retry-after-execution");
    (error.is_not_executed() || harmless && is_unknown(error)) && !mutant("never-retries")
}

/// Whether nobody knows if the call was executed.
fn is_unknown(error: &CallError) -> bool {
    is_lost(error) || matches!(error, CallError::BadReply { .. })
}

/// Whether the call was lost with the server or its connection, and perhaps executed.
pub(crate) fn is_lost(error: &CallError) -> bool {
    match error {
        CallError::ConnectionLost { executed, .. } => *executed,
        CallError::Remote { fault, .. } => fault.code == Code::Abandoned,
        _ => false,
    }
}

/// Whether the method failed: it ran, and its result is not known. Another instance may have it.
pub(crate) fn is_method_failure(error: &CallError) -> bool {
    matches!(error, CallError::Remote { fault, .. } if fault.code == Code::MethodFailed)
        && !mutant("never-retries")
}

/// Whether the failed attempt put no load on a server that takes calls: there was no connection, it ended before
/// the call was sent, or the server is ending. Then its retry needs no budget and counts as no attempt, however
/// many instances there are.
pub(crate) fn never_reached_server(error: &CallError) -> bool {
    match error {
        CallError::Unreachable { .. } | CallError::Insecure { .. } | CallError::Refused { .. } => {
            true
        }
        CallError::ConnectionLost { executed, .. } => !executed,
        CallError::Remote { fault, .. } => fault.code == Code::Draining,
        _ => false,
    }
}

/// A token bucket: every call deposits a part of a token, every retry withdraws a whole one. It keeps
/// retries from multiplying the load when everything fails.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    /// In thousandths of a token.
    tokens: AtomicU64,
    full: u64,
    per_call: u64,
}

const TOKEN: u64 = 1000;

impl RetryBudget {
    pub(crate) fn new(options: &RetryOptions) -> Self {
        let full = u64::from(options.burst) * TOKEN;
        // A float-to-integer cast saturates, and what is not a number becomes 0.
        let per_call = (options.ratio.clamp(0.0, 1000.0) * TOKEN as f64) as u64;
        Self { tokens: AtomicU64::new(full), full, per_call }
    }

    /// Adds the share of one call.
    pub(crate) fn deposit(&self) {
        let add = |tokens: u64| {
            let after = tokens.saturating_add(self.per_call).min(self.full);
            (after != tokens).then_some(after)
        };
        // `Err` only means that it is full already.
        let _ = self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Whether a retry may be made now; if so, its token is taken.
    pub(crate) fn withdraw(&self) -> bool {
        let take = |tokens: u64| tokens.checked_sub(TOKEN);
        self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
            || mutant("retry-budget-ignored")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fault;
    use proptest::prelude::*;

    fn lost(executed: bool) -> CallError {
        CallError::ConnectionLost { peer: "p".to_owned(), reason: "r".to_owned(), executed }
    }

    fn remote(code: Code) -> CallError {
        CallError::Remote { peer: "p".to_owned(), fault: Fault::new(code, "m").into() }
    }

    #[test]
    fn a_call_that_was_not_executed_may_be_retried() {
        for error in [lost(false), remote(Code::Draining), remote(Code::Overloaded)] {
            assert!(may_retry(&error, false), "{error}");
        }
    }

    #[test]
    fn a_call_that_may_have_been_executed_is_retried_only_if_idempotent() {
        for error in [lost(true), remote(Code::Abandoned), CallError::bad_reply("p", "r")] {
            assert!(!may_retry(&error, false) && may_retry(&error, true), "{error}");
        }
    }

    #[test]
    fn only_an_attempt_at_a_server_that_takes_calls_counts() {
        for error in [lost(false), remote(Code::Draining)] {
            assert!(never_reached_server(&error), "{error}");
        }
        for error in [lost(true), remote(Code::Overloaded), remote(Code::Abandoned)] {
            assert!(!never_reached_server(&error), "{error}");
        }
    }

    #[test]
    fn an_error_that_the_server_returned_is_not_retried() {
        for code in [Code::MethodFailed, Code::BadArguments, Code::DeadlineExceeded] {
            assert!(!may_retry(&remote(code), true), "{code}");
        }
    }

    #[test]
    fn retries_withdraw_from_a_bucket_that_calls_fill() {
        let budget =
            RetryBudget::new(&RetryOptions { ratio: 0.5, burst: 2, ..RetryOptions::default() });
        assert_eq!([budget.withdraw(), budget.withdraw(), budget.withdraw()], [true, true, false]);
        budget.deposit();
        assert!(!budget.withdraw());
        budget.deposit();
        assert!(budget.withdraw());
    }

    proptest! {
        #[test]
        fn retries_never_exceed_the_burst_and_the_ratio(
            calls in prop::collection::vec(any::<bool>(), 0..500), ratio in 0.0f64..1.0, burst in 0u32..20,
        ) {
            let budget = RetryBudget::new(&RetryOptions { ratio, burst, ..RetryOptions::default() });
            let mut retries = 0;
            for fails in &calls {
                budget.deposit();
                if *fails && budget.withdraw() {
                    retries += 1;
                }
            }
            prop_assert!(f64::from(retries) <= f64::from(burst) + ratio * calls.len() as f64);
        }
    }
}
