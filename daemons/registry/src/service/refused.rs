//! How large the lists and snapshots are for which there was no room a moment ago: measuring one looks at all its
//! instances, which each of thousands who ask for it would repeat.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Answers, NoRoom};
use crate::table::Scope;

/// How long a size is taken for true.
const FRESH: Duration = Duration::from_secs(1);
/// Scopes that are remembered; then all are forgotten.
const MAX_SCOPES: usize = 256;

/// Sizes in bytes by scope.
#[derive(Debug, Default)]
pub(super) struct Refused(Mutex<HashMap<Scope, (usize, Instant)>>);

impl Refused {
    /// Whether an answer to a scope is worth measuring.
    ///
    /// # Errors
    /// There is still no room for what it was a moment ago.
    pub(super) fn check(
        &self,
        scope: &Scope,
        answers: &Answers,
        now: Instant,
    ) -> Result<(), NoRoom> {
        let sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match sizes.get(scope) {
            Some((bytes, at)) if now.saturating_duration_since(*at) < FRESH => {
                answers.check_room(*bytes)
            }
            _ => Ok(()),
        }
    }

    /// Whether there is room for an answer that was measured; remembers it if there is none.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn check_measured(
        &self,
        scope: &Scope,
        bytes: usize,
        answers: &Answers,
        now: Instant,
    ) -> Result<(), NoRoom> {
        let checked = answers.check_room(bytes);
        if checked.is_err() {
            let mut sizes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if sizes.len() >= MAX_SCOPES {
                sizes.clear();
            }
            sizes.insert(scope.clone(), (bytes, now));
        }
        checked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn scope(protocol: usize) -> Scope {
        Scope::protocol(protocol.to_string())
    }

    #[test]
    fn a_size_counts_for_its_scope_and_a_second() {
        let answers = Answers::new(MIB);
        let unread = answers.keep(vec![b' '; MIB].into());
        let (refused, now) = (Refused::default(), Instant::now());
        assert!(refused.check(&scope(1), &answers, now).is_ok(), "it is not known");
        assert!(refused.check_measured(&scope(1), MIB, &answers, now).is_err());
        let later = now + FRESH;
        let check = |number, at| refused.check(&scope(number), &answers, at).is_ok();
        assert_eq!([check(1, now), check(2, now), check(1, later)], [false, true, true]);
        drop(unread);
        assert!(refused.check(&scope(1), &answers, now).is_ok(), "there is room");
    }

    #[test]
    fn few_scopes_are_remembered() {
        let answers = Answers::new(MIB);
        let _unread = answers.keep(vec![b' '; MIB].into());
        let (refused, now) = (Refused::default(), Instant::now());
        for number in 0..=MAX_SCOPES {
            assert!(refused.check_measured(&scope(number), MIB, &answers, now).is_err());
        }
        assert!(refused.check(&scope(0), &answers, now).is_ok());
        assert!(refused.check(&scope(MAX_SCOPES), &answers, now).is_err());
    }
}
