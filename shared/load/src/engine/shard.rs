//! One thread's part of a run: callers that each make one call after another, and their results.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use rpc_client::{CallError, ErrorKind, Phase};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::caller::{Caller, Outcome};
use super::run::{Run, Times};
use super::schedule::Schedule;
use super::tally::{Finished, Tally};
use super::timer::Timer;
use crate::error::LoadError;
use crate::plan::Mode;

/// A closed-loop caller pauses this long after a failure that reached no server: otherwise nothing
/// would slow it down.
const PAUSE: Duration = Duration::from_millis(10);
/// First calls of a connection, if they fail because of the instance that each reached: with one bad one
/// of three, and each chosen at random, all of them meet it in one of 243 runs.
const FIRST_CALLS: usize = 5;
/// Starts of an open loop that are closer together than this are started together.
const MIN_START_GAP: Duration = Duration::from_micros(20);
/// How long after the end a start that was due just before it may still happen.
const LATE_START_GRACE: Duration = Duration::from_millis(50);

/// One thread's part.
#[derive(Debug)]
pub(super) struct Shard {
    index: usize,
    /// Results since the last collection. Locked only briefly, by one thread and the collector.
    tally: Mutex<Tally>,
    pub(super) in_flight: AtomicUsize,
    /// Permits for starts that are due and not taken; idle callers queue for them.
    due: Semaphore,
    /// Starts taken by a caller.
    taken: AtomicU64,
}

/// Says whether a thread is ready, or why not. Dropped when the thread is done.
pub(super) type Ready = mpsc::Sender<Result<(), LoadError>>;

impl Shard {
    pub(super) fn new(index: usize) -> Self {
        Self {
            index,
            tally: Mutex::new(Tally::new()),
            in_flight: AtomicUsize::new(0),
            due: Semaphore::new(0),
            taken: AtomicU64::new(0),
        }
    }

    /// Takes the results since the last call and leaves `empty`.
    pub(super) fn collect(&self, empty: Tally) -> Tally {
        std::mem::replace(&mut *self.tally(), empty)
    }

    /// Starts that were due before the end and that no caller took.
    pub(super) fn never_begun(&self, run: &Run, times: &Times, now: Instant) -> u64 {
        let Some(schedule) = self.schedule(run) else { return 0 };
        let now = times.end.map_or(now, |end| end.min(now));
        let due = schedule.due(now.saturating_duration_since(times.began));
        due.saturating_sub(self.taken.load(Ordering::Relaxed))
    }

    fn schedule(&self, run: &Run) -> Option<Schedule> {
        let Mode::OpenLoop { rate, .. } = run.plan.mode else { return None };
        let starts = run.starts(rate);
        Some(Schedule::new(rate, starts, self.index, run.threads()))
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes this thread's calls until the end or until the run is stopped.
pub(super) async fn run<C: Caller>(
    shard: &Arc<Shard>,
    run: &Arc<Run>,
    callers: Vec<C>,
    ready: Ready,
) {
    let mut work = JoinSet::new();
    let all = async {
        let Ok(()) = ready.send(first_calls(&callers).await).await else { return };
        let mut times = run.times.subscribe();
        let Ok(Some(times)) = times.wait_for(Option::is_some).await.map(|times| *times) else {
            return;
        };
        let workers = run.share(run.plan.mode.in_flight(), shard.index);
        let worker = |caller: &C| Worker {
            shard: Arc::clone(shard),
            run: Arc::clone(run),
            caller: caller.clone(),
            times,
        };
        let workers = callers.iter().cycle().take(workers).map(worker);
        match shard.schedule(run) {
            Some(schedule) => {
                let (shard, run) = (Arc::clone(shard), Arc::clone(run));
                let count = workers.map(|worker| work.spawn(worker.open_loop(schedule))).count();
                work.spawn(pace(shard, run, times, schedule, count));
            }
            None => workers.for_each(|worker| drop(work.spawn(worker.closed_loop()))),
        }
        while work.join_next().await.is_some() {}
    };
    // Cancelled calls stay counted as in flight.
    run.stop.run_until_cancelled(all).await;
    work.shutdown().await;
}

/// Opens every connection. `Ok` if any call reached a server, even if it failed there.
async fn first_calls<C: Caller>(callers: &[C]) -> Result<(), LoadError> {
    let errors = join_all(callers.iter().map(first_call)).await;
    let mut errors = errors.into_iter();
    let first = errors.next().flatten();
    match first {
        Some(error) if errors.all(|error| error.is_some()) => Err(match error.kind() {
            ErrorKind::Remote => LoadError::Registry(error.to_string()),
            ErrorKind::Timeout => LoadError::TimedOut(error.to_string()),
            ErrorKind::Unreachable => LoadError::Unreachable(error.to_string()),
            _ => LoadError::Usage(error.to_string()),
        }),
        _ => Ok(()),
    }
}

/// Why the connection is of no use; one bad instance among others is no reason.
async fn first_call<C: Caller>(caller: &C) -> Option<CallError> {
    let mut left = FIRST_CALLS;
    loop {
        let error = caller.call().await.error.filter(is_fatal)?;
        left -= 1;
        if left == 0 || !is_an_instances(&error) || !caller.has_choice() {
            return Some(error);
        }
    }
}

/// No server was reached, or none can accept this call.
fn is_fatal(error: &CallError) -> bool {
    match error {
        CallError::Timeout { phase, .. } => matches!(phase, Phase::Connect | Phase::Probe),
        CallError::Registry(_) => true,
        error => matches!(error.kind(), ErrorKind::Unreachable | ErrorKind::Usage),
    }
}

/// Whether it is the failure of one instance, which another may not share.
fn is_an_instances(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Timeout { phase: Phase::Connect | Phase::Probe, .. }
            | CallError::Unreachable { .. }
            | CallError::Insecure { .. }
            | CallError::Refused { .. }
            | CallError::ConnectionLost { .. }
    )
}

/// Hands out the starts of an open loop, each at its time, to idle workers.
async fn pace(shard: Arc<Shard>, run: Arc<Run>, times: Times, schedule: Schedule, workers: usize) {
    let timer = if run.precise { Timer::fine() } else { Timer::Coarse };
    let mut handed_out = 0;
    loop {
        let now = Instant::now();
        let due = schedule.due(now.saturating_duration_since(times.began));
        let new = usize::try_from(due - handed_out).unwrap_or(0);
        shard.due.add_permits(new);
        handed_out = due;
        if handed_out == schedule.total() {
            break;
        }
        timer.sleep_until((times.began + schedule.at(handed_out)).max(now + MIN_START_GAP)).await;
    }
    match times.end {
        Some(end) => {
            timer.sleep_until(end + LATE_START_GRACE).await;
            shard.due.close();
        }
        // Lets every worker see that nothing is left.
        None => shard.due.add_permits(workers),
    }
}

/// Makes one call after another.
struct Worker<C> {
    shard: Arc<Shard>,
    run: Arc<Run>,
    caller: C,
    times: Times,
}

impl<C: Caller> Worker<C> {
    async fn open_loop(self, schedule: Schedule) {
        while let Ok(turn) = self.shard.due.acquire().await {
            turn.forget();
            let number = self.shard.taken.fetch_add(1, Ordering::Relaxed);
            if number >= schedule.total() {
                break;
            }
            let intended = self.times.began + schedule.at(number);
            let behind = Instant::now().saturating_duration_since(intended);
            let outcome = self.call().await;
            if intended >= self.times.measured_from {
                self.record(intended, behind, outcome);
            }
        }
    }

    async fn closed_loop(self) {
        loop {
            let began = Instant::now();
            let measured = began >= self.times.measured_from;
            if self.times.end.is_some_and(|end| began >= end) || measured && !self.run.claim_call()
            {
                break;
            }
            let outcome = self.call().await;
            let kind = outcome.error.as_ref().map(CallError::kind);
            if measured {
                self.record(began, Duration::ZERO, outcome);
            }
            let is_local = matches!(
                kind,
                Some(ErrorKind::Unreachable | ErrorKind::Usage | ErrorKind::NoSuchMethod)
            );
            if is_local {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn call(&self) -> Outcome {
        self.shard.in_flight.fetch_add(1, Ordering::Relaxed);
        let outcome = self.caller.call().await;
        self.shard.in_flight.fetch_sub(1, Ordering::Relaxed);
        outcome
    }

    fn record(&self, from: Instant, behind: Duration, outcome: Outcome) {
        let done = Instant::now();
        let call = Finished {
            latency: done.saturating_duration_since(from),
            behind,
            done: done.saturating_duration_since(self.times.measured_from),
            in_time: self.times.end.is_none_or(|end| done <= end),
            outcome,
        };
        self.shard.tally().record(call);
    }
}
