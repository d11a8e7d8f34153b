//! Supervises a run: starts it when every thread is ready, collects results, publishes progress,
//! and makes the report.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::run::{Run, Times};
use super::series::Series;
use super::shard::Shard;
use super::summary;
use super::tally::Tally;
use crate::error::LoadError;
use crate::plan::Length;
use crate::progress::{Phase, Progress};

/// Supervises the run to its end. Each thread says through `ready` that it is ready, and drops it
/// when it is done.
pub(super) async fn supervise(
    run: Arc<Run>,
    shards: Vec<Arc<Shard>>,
    mut ready: mpsc::Receiver<Result<(), LoadError>>,
    progress: watch::Sender<Arc<Progress>>,
) {
    let readiness = run.stop.run_until_cancelled(all_ready(&mut ready, shards.len())).await;
    if let Some(Err(error)) = readiness {
        // Threads that are ready must not wait for ever.
        run.stop.cancel();
        let failed = Progress { phase: Phase::Failed(error), ..summary::connecting(&run) };
        progress.send_replace(Arc::new(failed));
        return;
    }
    let times = Times::from(Instant::now(), &run.plan);
    let mut collector = Collector::new(run, shards, times);
    if readiness.is_some() {
        collector.run.times.send_replace(Some(times));
        while !collector.until_tick(&mut ready).await {
            progress.send_replace(Arc::new(collector.progress()));
        }
    } else {
        collector.stopped_at = Some(times.began);
    }
    progress.send_replace(Arc::new(collector.last()));
}

/// Waits until every thread is ready; fails if none is.
async fn all_ready(
    ready: &mut mpsc::Receiver<Result<(), LoadError>>,
    threads: usize,
) -> Result<(), LoadError> {
    let mut first = None;
    let mut failed = 0;
    for _ in 0..threads {
        match ready.recv().await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                failed += 1;
                first.get_or_insert(error);
            }
            None => return Err(LoadError::Thread("it stopped unexpectedly".to_owned())),
        }
    }
    first.filter(|_| failed == threads).map_or(Ok(()), Err)
}

/// Results collected so far.
struct Collector {
    run: Arc<Run>,
    shards: Vec<Arc<Shard>>,
    times: Times,
    sum: Tally,
    series: Series,
    /// Results since the previous collection, of all threads.
    fresh: Tally,
    /// An empty tally to exchange for a thread's.
    spare: Option<Tally>,
    collected_at: Instant,
    stopped_at: Option<Instant>,
}

impl Collector {
    fn new(run: Arc<Run>, shards: Vec<Arc<Shard>>, times: Times) -> Self {
        Self {
            run,
            shards,
            times,
            sum: Tally::new(),
            series: Series::new(),
            fresh: Tally::new(),
            spare: Some(Tally::new()),
            collected_at: times.measured_from,
            stopped_at: None,
        }
    }

    /// Waits for the next snapshot; `true` when every thread is done.
    async fn until_tick(&mut self, threads: &mut mpsc::Receiver<Result<(), LoadError>>) -> bool {
        let tick = next_tick(Instant::now(), &self.times, self.run.plan.snapshots_per_second);
        loop {
            tokio::select! {
                // First whether the run is stopped: its threads may be gone at the same time.
                biased;
                () = self.run.stop.cancelled(), if self.stopped_at.is_none() => {
                    self.stopped_at = Some(Instant::now());
                }
                gone = threads.recv() => if gone.is_none() {
                    return true;
                },
                () = sleep_until(tick) => return false,
            }
        }
    }

    fn collect(&mut self, now: Instant) {
        for shard in &self.shards {
            let mut part = shard.collect(self.spare.take().unwrap_or_else(Tally::new));
            self.fresh.merge(&part);
            part.clear();
            self.spare = Some(part);
        }
        if now > self.collected_at {
            let since = |moment: Instant| moment.duration_since(self.times.measured_from);
            self.series.add(since(self.collected_at), since(now), &self.fresh);
            self.collected_at = now;
        }
        self.sum.merge(&self.fresh);
        self.fresh.clear();
    }

    fn progress(&mut self) -> Progress {
        let now = Instant::now();
        self.collect(now);
        let phase = match self.times.end {
            _ if now < self.times.measured_from => Phase::WarmingUp,
            Some(end) if now >= end => Phase::Finishing,
            _ if self.stopped_at.is_some() => Phase::Finishing,
            _ => Phase::Measuring,
        };
        let elapsed = self.elapsed(now);
        let done = match self.run.plan.length {
            Length::Time(time) => elapsed.as_secs_f64() / time.as_secs_f64(),
            Length::Calls(calls) => self.sum.counts.calls as f64 / calls as f64,
        };
        let report = summary::report(&self.run, &self.sum, &self.series, elapsed);
        Progress { phase, done: done.min(1.0), in_flight: self.in_flight(), report }
    }

    fn last(mut self) -> Progress {
        let now = Instant::now();
        self.collect(now);
        let until = self.stopped_at.unwrap_or(now);
        let (complete, elapsed) = match self.run.plan.length {
            Length::Calls(calls) if self.sum.counts.calls >= calls => {
                (true, self.sum.counts.last_done)
            }
            Length::Calls(_) => (false, self.elapsed(until)),
            Length::Time(_) => (self.times.end.is_none_or(|end| until >= end), self.elapsed(until)),
        };
        let mut report = summary::report(&self.run, &self.sum, &self.series, elapsed);
        report.stopped = !complete;
        report.abandoned = self.in_flight() as u64;
        if let Some(behind) = &mut report.behind {
            let never = self.shards.iter().map(|s| s.never_begun(&self.run, &self.times, until));
            behind.never_begun = never.sum();
        }
        Progress { phase: Phase::Done, done: 1.0, in_flight: 0, report }
    }

    /// How long was measured until `now`.
    fn elapsed(&self, now: Instant) -> Duration {
        let until = self.times.end.map_or(now, |end| end.min(now));
        until.saturating_duration_since(self.times.measured_from)
    }

    fn in_flight(&self) -> usize {
        self.shards.iter().map(|shard| shard.in_flight.load(Ordering::Relaxed)).sum()
    }
}

/// When the next snapshot is due: while measuring, at whole fractions of a second.
fn next_tick(now: Instant, times: &Times, per_second: u32) -> Instant {
    let step = Duration::from_secs(1) / per_second.max(1);
    match now.checked_duration_since(times.measured_from) {
        None => (now + step).min(times.measured_from),
        Some(since) => {
            let steps = since.as_nanos() / step.as_nanos() + 1;
            let nanos = u64::try_from(steps * step.as_nanos()).unwrap_or(u64::MAX);
            times.measured_from + Duration::from_nanos(nanos)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_at_whole_parts_of_a_second_of_measuring() {
        let began = Instant::now();
        let measured_from = began + Duration::from_millis(330);
        let times = Times { began, measured_from, end: None };
        let after = |millis: u64| {
            let tick = next_tick(began + Duration::from_millis(millis), &times, 4);
            tick.duration_since(began).as_millis()
        };
        assert_eq!([after(0), after(200), after(330), after(600)], [250, 330, 580, 830]);
    }
}
