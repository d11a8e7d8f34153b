//! Which failed calls are tried again, and how many may be at once.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{CallError, RetryOptions};

/// Whether another instance may be asked: the call provably was not executed, or executing it
/// twice does no harm and its connection broke.
pub(crate) fn may_repeat(error: &CallError, idempotent: bool) -> bool {
    error.is_not_executed() || idempotent && matches!(error, CallError::ConnectionLost { .. })
}

/// Whether the failed attempt was no work for any server: then its retry adds no load either.
/// However many calls wait for a connection, only one is attempted.
pub(crate) fn costs_nobody(error: &CallError) -> bool {
    matches!(error, CallError::Unreachable { .. })
}

/// A token bucket: every call puts in a little, every retry takes a whole token. It keeps retries
/// from multiplying the load when everything fails.
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

    /// A call is made.
    pub(crate) fn deposit(&self) {
        let add = |tokens: u64| {
            let after = tokens.saturating_add(self.per_call).min(self.full);
            (after != tokens).then_some(after)
        };
        // `Err` only means that it is full already.
        let _ = self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Whether a retry may be made now; it is then paid for.
    pub(crate) fn withdraw(&self) -> bool {
        let take = |tokens: u64| tokens.checked_sub(TOKEN);
        self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, Fault};
    use proptest::prelude::*;

    fn lost(executed: bool) -> CallError {
        CallError::ConnectionLost { peer: "p".to_owned(), reason: "r".to_owned(), executed }
    }

    fn remote(code: Code) -> CallError {
        CallError::Remote(Fault::new(code, "m"))
    }

    #[test]
    fn what_was_not_executed_may_be_repeated_whatever_it_is() {
        for error in [lost(false), remote(Code::Draining), remote(Code::Overloaded)] {
            assert!(may_repeat(&error, false), "{error}");
        }
    }

    #[test]
    fn what_may_have_been_executed_is_repeated_only_if_that_does_no_harm() {
        assert!(!may_repeat(&lost(true), false));
        assert!(may_repeat(&lost(true), true));
    }

    #[test]
    fn an_answer_is_an_answer_even_when_it_is_a_failure() {
        for code in [Code::MethodFailed, Code::BadArguments, Code::DeadlineExceeded] {
            assert!(!may_repeat(&remote(code), true), "{code}");
        }
    }

    #[test]
    fn retries_come_out_of_a_bucket_that_calls_fill() {
        let budget = RetryBudget::new(&RetryOptions { attempts: 3, ratio: 0.5, burst: 2 });
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
            let budget = RetryBudget::new(&RetryOptions { attempts: 3, ratio, burst });
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
