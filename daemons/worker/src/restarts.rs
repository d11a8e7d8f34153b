//! When a process that ended is started again: at once, later, or no more.

use std::time::Duration;

use crate::WorkerLimits;

/// The pause after the second death at once; it doubles with each further one that nobody called.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The deaths of one worker's processes.
#[derive(Debug)]
pub(crate) struct Restarts {
    /// How many in a row died at once, without a call.
    deaths: usize,
    /// The one before died at once of a call.
    died_of_a_call: bool,
    settled_after: Duration,
    max_deaths: usize,
}

/// What follows from the end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another one is started after this time.
    StartAfter(Duration),
    /// No other one: it would end like the last ones.
    GiveUp,
}

impl Restarts {
    pub(crate) fn new(limits: &WorkerLimits) -> Self {
        let WorkerLimits { settled_after, max_deaths, .. } = *limits;
        Self { deaths: 0, died_of_a_call: false, settled_after, max_deaths }
    }

    /// A process ended that had served for this long since it listed its methods; zero if it never did.
    ///
    /// One that was called shows that the program can start, so it is no reason to give up: a caller who
    /// knows a call that ends it would end the service for all.
    pub(crate) fn ended(&mut self, served: Duration, was_called: bool) -> Next {
        let died_at_once = served < self.settled_after;
        let died_of_a_call = was_called && died_at_once;
        let again = std::mem::replace(&mut self.died_of_a_call, died_of_a_call);
        if !died_at_once || was_called {
            self.deaths = 0;
            let pause = if again && died_of_a_call { FIRST_PAUSE } else { Duration::ZERO };
            return Next::StartAfter(pause);
        }
        self.deaths += 1;
        if self.deaths >= self.max_deaths {
            return Next::GiveUp;
        }
        let doublings = self.deaths.checked_sub(2);
        Next::StartAfter(doublings.map(pause).unwrap_or_default())
    }

    /// How many processes in a row died at once, without a call.
    pub(crate) fn deaths(&self) -> usize {
        self.deaths
    }
}

/// The pause that has doubled so many times.
pub(crate) fn pause(doublings: usize) -> Duration {
    FIRST_PAUSE.saturating_mul(1_u32 << doublings.min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Duration = Duration::from_millis(10);
    const LATER: Duration = Duration::from_secs(1);

    fn after(ms: u64) -> Next {
        Next::StartAfter(Duration::from_millis(ms))
    }

    #[test]
    fn what_has_served_for_a_while_is_started_again_at_once_however_often_it_ends() {
        let mut restarts = Restarts::new(&WorkerLimits::default());
        for _ in 0..100 {
            assert_eq!(restarts.ended(LATER, false), after(0));
        }
    }

    #[test]
    fn what_dies_at_once_is_started_ever_later_and_in_the_end_no_more() {
        let mut restarts = Restarts::new(&WorkerLimits::default());
        let next: Vec<_> = (0..5).map(|_| restarts.ended(AT_ONCE, false)).collect();
        assert_eq!(next, [after(0), after(100), after(200), after(400), Next::GiveUp]);
    }

    #[test]
    fn one_that_serves_is_forgiven_those_before() {
        let mut restarts = Restarts::new(&WorkerLimits::default());
        for _ in 0..20 {
            assert_eq!(restarts.ended(AT_ONCE, false), after(0));
            assert_eq!(restarts.ended(AT_ONCE, false), after(100));
            assert_eq!(restarts.ended(LATER, false), after(0));
        }
    }

    #[test]
    fn what_dies_of_its_calls_is_started_again_however_often() {
        let mut restarts = Restarts::new(&WorkerLimits::default());
        assert_eq!(restarts.ended(AT_ONCE, false), after(0));
        assert_eq!(restarts.ended(AT_ONCE, true), after(0));
        for _ in 0..100 {
            assert_eq!(restarts.ended(AT_ONCE, true), after(100));
        }
        assert_eq!(restarts.ended(LATER, true), after(0));
        assert_eq!(restarts.ended(AT_ONCE, true), after(0));
        assert_eq!(restarts.ended(AT_ONCE, false), after(0), "the first of those");
    }

    #[test]
    fn pauses_are_bounded() {
        let mut restarts = Restarts::new(&WorkerLimits::default().max_deaths(usize::MAX));
        let longest = (0..100).map(|_| restarts.ended(AT_ONCE, false)).last();
        assert_eq!(longest, Some(after(5000)));
    }
}
