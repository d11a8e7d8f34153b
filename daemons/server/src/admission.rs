//! Which calls have waited too long to start: keeps the queue short when more is asked of the server
//! than it can do.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rpc_wire::fault::{Code, Fault};

/// A call that waited for less is never refused: its caller hardly notices.
const SHORT_WAIT: Duration = Duration::from_millis(3);
/// Under overload a call may wait for as long as this many calls take: with less, a worker would be
/// idle between long calls.
const CALLS_AHEAD: u32 = 3;
/// Calls that take less together need not be measured: they end within a short wait.
const LONG: Duration = Duration::from_millis(1);
/// The part of its deadline after which a waiting call is late: a quarter.
const LATE: u32 = 4;
/// Calls must be late for this long before any is refused: a burst, or a pause of the machine, is
/// worked off.
const INTERVAL: Duration = Duration::from_millis(100);
/// Overload has ended when no call had to be refused for this long.
const CALM: Duration = Duration::from_millis(250);

/// Decides about calls that have waited.
///
/// As long as calls start within a quarter of their deadlines nothing is refused, however many wait:
/// a client with many calls in flight waits longer, and wants to. If calls are late for an
/// [`INTERVAL`], more is asked than can be done, so that some must be refused in any case. Then it
/// is best to refuse at once and to keep the queue short: until there is [`CALM`], a call that has
/// waited longer than others take is refused. (That a standing queue is the sign, and not a long
/// one, is the idea of CoDel.)
#[derive(Debug, Default)]
pub(crate) struct Admission {
    /// How long a call keeps its worker, smoothed; in nanoseconds.
    call_time: AtomicU64,
    load: Mutex<Load>,
}

#[derive(Debug, Default)]
struct Load {
    /// The first and the last late call of a series without a gap of [`INTERVAL`].
    late: Option<(Instant, Instant)>,
    last_refusal: Option<Instant>,
}

impl Admission {
    /// Lets a call start that has `waited` since it arrived and whose deadline is `within` that time.
    ///
    /// # Errors
    /// It has waited too long; the reply.
    #[inline]
    pub(crate) fn admit(
        &self,
        waited: Duration,
        within: Duration,
        now: Instant,
    ) -> Result<(), Fault> {
        if waited <= SHORT_WAIT && waited < within {
            return Ok(());
        }
        self.admit_late(waited, within, now)
    }

    #[cold]
    fn admit_late(&self, waited: Duration, within: Duration, now: Instant) -> Result<(), Fault> {
        if waited >= within {
            let text = format!(
                "the deadline passed after {} ms, before the call started",
                waited.as_millis()
            );
            return Err(Fault::new(Code::DeadlineExceeded, text));
        }
        let mut load = self.load.lock().unwrap_or_else(PoisonError::into_inner);
        if !load.refuses(waited, within, self.call_time(), now) {
            return Ok(());
        }
        let text =
            format!("busy: calls wait {} ms to start; call another instance", waited.as_millis());
        Err(Fault::new(Code::Overloaded, text))
    }

    /// Takes note of how long that many calls kept their worker.
    #[inline]
    pub(crate) fn learn(&self, took: Duration, calls: u64) {
        if took >= LONG || self.call_time.load(Relaxed) > 0 {
            self.learn_call_time(took, calls);
        }
    }

    #[cold]
    fn learn_call_time(&self, took: Duration, calls: u64) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let old = self.call_time.load(Relaxed);
        self.call_time.store(old - old / 8 + took / calls.max(1) / 8, Relaxed);
    }

    fn call_time(&self) -> Duration {
        Duration::from_nanos(self.call_time.load(Relaxed))
    }
}

impl Load {
    fn refuses(
        &mut self,
        waited: Duration,
        within: Duration,
        call_time: Duration,
        now: Instant,
    ) -> bool {
        let mut stands = false;
        if waited > within / LATE {
            let since = match self.late {
                Some((since, last)) if now < last + INTERVAL => since,
                _ => now,
            };
            self.late = Some((since, now));
            stands = now >= since + INTERVAL;
        }
        let is_overloaded = stands || self.last_refusal.is_some_and(|last| now < last + CALM);
        let refuses = is_overloaded && waited > SHORT_WAIT.max(call_time * CALLS_AHEAD);
        if refuses {
            self.last_refusal = Some(now);
        }
        refuses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A server at which one call each millisecond has waited for that time.
    struct Queue {
        admission: Admission,
        now: Instant,
    }

    impl Queue {
        fn new() -> Self {
            Self { admission: Admission::default(), now: Instant::now() }
        }

        /// How many of `calls` are refused.
        fn refused(&mut self, calls: u32, waited: Duration, within: Duration) -> usize {
            let outcomes = (0..calls).map(|_| {
                self.now += ms(1);
                self.admission.admit(waited, within, self.now)
            });
            outcomes
                .filter(|outcome| matches!(outcome, Err(fault) if fault.code == Code::Overloaded))
                .count()
        }
    }

    #[test]
    fn a_client_with_many_calls_in_flight_waits_and_is_served() {
        let mut queue = Queue::new();
        assert_eq!(queue.refused(10_000, ms(249), SECOND), 0);
        assert_eq!(queue.refused(10_000, 2 * SECOND, 10 * SECOND), 0);
    }

    #[test]
    fn a_pause_of_the_machine_is_worked_off() {
        let mut queue = Queue::new();
        for _ in 0..10 {
            assert_eq!(queue.refused(99, ms(900), SECOND), 0);
            queue.now += ms(150);
        }
    }

    #[test]
    fn a_standing_queue_is_refused_until_it_is_short() {
        let mut queue = Queue::new();
        assert_eq!(queue.refused(100, ms(400), SECOND), 0);
        assert_eq!(queue.refused(100, ms(400), SECOND), 100);
        assert_eq!(queue.refused(100, ms(4), SECOND), 100, "the queue is kept short");
        assert_eq!(queue.refused(100, ms(3), SECOND), 0, "who has just come is served");
        assert_eq!(queue.refused(100, ms(4), SECOND), 100, "the overload lasts");
        queue.now += CALM;
        assert_eq!(queue.refused(1000, ms(200), SECOND), 0, "it has passed");
    }

    #[test]
    fn long_calls_may_wait_for_each_other() {
        let mut queue = Queue::new();
        for _ in 0..100 {
            queue.admission.learn(ms(50), 1);
        }
        queue.refused(200, ms(400), SECOND);
        assert_eq!(queue.refused(100, ms(140), SECOND), 0);
        assert_eq!(queue.refused(100, ms(200), SECOND), 100);
    }

    #[test]
    fn a_call_whose_deadline_has_passed_never_starts() {
        let admission = Admission::default();
        let outcome = admission.admit(ms(2), ms(2), Instant::now());
        assert_eq!(outcome.unwrap_err().code, Code::DeadlineExceeded);
        assert!(admission.admit(ms(1), ms(2), Instant::now()).is_ok());
    }
}
