//! What all parts of a run share: the plan, how it is divided, and the times.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::plan::{Length, Plan};

/// What all parts of a run share.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) plan: Plan,
    pub(super) target: String,
    pub(super) stop: CancellationToken,
    /// Set once every part is ready.
    pub(super) times: watch::Sender<Option<Times>>,
    /// Whether to use the system's precise timer; tests have their own clock.
    pub(super) precise: bool,
    threads: usize,
    /// Measured calls started, if their number limits a closed loop.
    started: AtomicU64,
}

/// The times of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) began: Instant,
    pub(super) measured_from: Instant,
    /// `None` if the run is limited by a number of calls.
    pub(super) end: Option<Instant>,
}

impl Run {
    pub(super) fn new(plan: Plan, target: String, stop: CancellationToken, precise: bool) -> Self {
        let half = || std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2);
        // Read once: the number of usable cores may change while the process runs.
        let threads = plan.threads.unwrap_or_else(half).clamp(1, plan.connections.clamp(1, 64));
        let times = watch::Sender::new(None);
        Self { plan, target, stop, times, precise, threads, started: AtomicU64::new(0) }
    }

    /// Threads that make the calls.
    pub(super) fn threads(&self) -> usize {
        self.threads
    }

    /// The share of thread `index` in `whole`.
    pub(super) fn share(&self, whole: usize, index: usize) -> usize {
        whole / self.threads + usize::from(index < whole % self.threads)
    }

    /// Calls that an open loop starts in total, including the warm-up.
    pub(super) fn starts(&self, rate: f64) -> u64 {
        // A float-to-integer cast saturates; the limits of the plan keep it exact.
        let before = |time: Duration| (time.as_secs_f64() * rate).ceil() as u64;
        match self.plan.length {
            Length::Time(time) => before(self.plan.warm_up + time),
            Length::Calls(calls) => before(self.plan.warm_up) + calls,
        }
    }

    /// Whether a closed loop may start another measured call; if so, it is counted.
    pub(super) fn claim_call(&self) -> bool {
        match self.plan.length {
            Length::Time(_) => true,
            Length::Calls(calls) => self.started.fetch_add(1, Ordering::Relaxed) < calls,
        }
    }
}

impl Times {
    pub(super) fn from(began: Instant, plan: &Plan) -> Self {
        let measured_from = began + plan.warm_up;
        let end = match plan.length {
            Length::Time(time) => Some(measured_from + time),
            Length::Calls(_) => None,
        };
        Self { began, measured_from, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(change: impl FnOnce(&mut Plan)) -> Run {
        let mut plan = Plan::new("m", ()).unwrap();
        change(&mut plan);
        Run::new(plan, "t".to_owned(), CancellationToken::new(), false)
    }

    #[test]
    fn threads_share_everything_and_each_has_something_to_do() {
        let run = run(|plan| (plan.threads, plan.connections) = (Some(3), 7));
        let shares: Vec<usize> = (0..3).map(|index| run.share(7, index)).collect();
        assert_eq!(shares, [3, 2, 2]);
    }

    #[test]
    fn calls_of_the_warm_up_come_on_top() {
        assert_eq!(run(|plan| plan.length = Length::Calls(10)).starts(100.0), 110);
        let half = Duration::from_millis(500);
        assert_eq!(run(|plan| plan.length = Length::Time(half)).starts(100.0), 150);
    }
}
