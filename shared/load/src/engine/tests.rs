//! Whole runs against fake servers, on a paused clock.

use std::time::Duration;

use rpc_client::registry::RegistryClientError;
use rpc_client::{CallError, Code, Fault, Phase as Waiting};
use tokio::time::{Instant, sleep, sleep_until};

use super::caller::{Caller, Outcome};
use super::*;
use crate::plan::{Length, Mode};
use crate::report::Latency;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A server as its callers see it.
#[derive(Clone)]
struct Server {
    started: Instant,
    /// The outcome of a call made this long after the start.
    reply: fn(Duration) -> (Duration, Option<CallError>),
    /// Whether it stands for several instances.
    has_choice: bool,
}

impl Server {
    fn new(reply: fn(Duration) -> (Duration, Option<CallError>)) -> Self {
        Self { started: Instant::now(), reply, has_choice: false }
    }
}

impl Caller for Server {
    async fn call(&self) -> Outcome {
        let (takes, error) = (self.reply)(self.started.elapsed());
        sleep(takes).await;
        Outcome { peer: Some("server:1".to_owned()), error, ..Outcome::default() }
    }

    fn has_choice(&self) -> bool {
        self.has_choice
    }
}

/// Replies within a millisecond, but stalls from second 1 to second 2.
fn stalls_once(at: Duration) -> (Duration, Option<CallError>) {
    let stalled = at >= SECOND && at < 2 * SECOND;
    (if stalled { 2 * SECOND - at + MS } else { MS }, None)
}

fn plan(mode: Mode, length: Length) -> Plan {
    let mut plan = Plan::new("m", ()).unwrap();
    (plan.mode, plan.length, plan.warm_up) = (mode, length, Duration::ZERO);
    plan
}

struct Running {
    stop: CancellationToken,
    progress: watch::Receiver<Arc<Progress>>,
}

/// Starts a run on this runtime, in that many parts.
fn start(plan: Plan, server: Server) -> Running {
    plan.check().unwrap();
    let stop = CancellationToken::new();
    let run = Arc::new(Run::new(plan, "server:1".to_owned(), stop.clone(), false));
    let (sender, progress) = watch::channel(Arc::new(summary::connecting(&run)));
    let (ready, all_ready) = mpsc::channel(8);
    let mut shards = Vec::new();
    for index in 0..run.threads() {
        let shard = Arc::new(Shard::new(index));
        shards.push(Arc::clone(&shard));
        let callers = vec![server.clone(); run.share(run.plan.connections, index)];
        let (run, ready) = (Arc::clone(&run), ready.clone());
        tokio::spawn(async move { shard::run(&shard, &run, callers, ready).await });
    }
    drop(ready);
    tokio::spawn(supervise::supervise(run, shards, all_ready, sender));
    Running { stop, progress }
}

impl Running {
    async fn last(mut self) -> Progress {
        let last = self.progress.wait_for(|progress| progress.phase.is_over()).await.unwrap();
        Progress::clone(&last)
    }

    async fn report(self) -> Report {
        let last = self.last().await;
        assert_eq!(last.phase, Phase::Done);
        last.report
    }
}

async fn report(plan: Plan, reply: fn(Duration) -> (Duration, Option<CallError>)) -> Report {
    start(plan, Server::new(reply)).report().await
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stalls_cannot_hide_it_from_an_open_loop() {
    let mode = Mode::OpenLoop { rate: 100.0, max_in_flight: 10 };
    let report = report(plan(mode, Length::Time(4 * SECOND)), stalls_once).await;
    // A hundred calls were due during the stall; ten could start, and all hundred count from when
    // they were due, so that the latencies are spread over the whole second.
    assert_eq!((report.calls, report.failed), (400, 0));
    let latency = &report.latency;
    assert!(latency.p50 <= 3 * MS, "{latency:?}");
    assert!(latency.p90 >= 550 * MS && latency.p90 <= 650 * MS, "{latency:?}");
    assert!(latency.p99 >= 950 * MS, "{latency:?}");
    let behind = report.behind.unwrap();
    assert_eq!(behind.never_begun, 0);
    assert!((85..=90).contains(&behind.late), "{behind:?}");
    assert!(behind.furthest >= 850 * MS && behind.furthest < SECOND, "{behind:?}");
    assert_eq!(report.rate.round(), 100.0);
}

#[tokio::test(start_paused = true)]
async fn the_same_stall_is_nearly_invisible_in_a_closed_loop() {
    // What the test above would show if latency counted from the actual start of a call.
    let mode = Mode::ClosedLoop { concurrency: 10 };
    let report = report(plan(mode, Length::Time(4 * SECOND)), stalls_once).await;
    assert!(report.latency.p99 <= 3 * MS, "{:?}", report.latency);
    assert!(report.latency.max >= 990 * MS, "{:?}", report.latency);
    assert_eq!(report.behind, None);
}

#[tokio::test(start_paused = true)]
async fn a_server_too_slow_for_the_rate_is_reported_as_behind() {
    // One call at a time of 20 ms is 50 a second; the rate is 100.
    let mode = Mode::OpenLoop { rate: 100.0, max_in_flight: 1 };
    let report = report(plan(mode, Length::Time(2 * SECOND)), |_| (20 * MS, None)).await;
    let behind = report.behind.unwrap();
    assert!((90..=105).contains(&report.calls), "{}", report.calls);
    assert_eq!(behind.never_begun, 200 - report.calls);
    assert!(behind.furthest >= 900 * MS, "{behind:?}");
    assert!(report.rate < 55.0, "{}", report.rate);
}

#[tokio::test(start_paused = true)]
async fn exactly_the_number_of_calls_is_made_however_late() {
    for (mode, threads) in [
        (Mode::OpenLoop { rate: 1000.0, max_in_flight: 3 }, 3),
        (Mode::ClosedLoop { concurrency: 3 }, 3),
        (Mode::ClosedLoop { concurrency: 64 }, 1),
    ] {
        let mut plan = plan(mode, Length::Calls(50));
        (plan.connections, plan.threads) = (threads, Some(threads));
        plan.warm_up = 100 * MS;
        let report = report(plan, |_| (30 * MS, None)).await;
        assert_eq!((report.calls, report.stopped), (50, false), "{mode:?}");
        assert_eq!(report.behind.map_or(0, |behind| behind.never_begun), 0);
        assert_eq!(report.histogram.iter().map(|bar| bar.count).sum::<u64>(), 50);
        assert_eq!(report.series.iter().map(|point| point.calls).sum::<u64>(), 50);
        assert_eq!((report.instances.len(), report.instances[0].calls), (1, 50));
    }
}

#[tokio::test(start_paused = true)]
async fn the_warm_up_is_not_measured_and_the_last_calls_are_waited_for() {
    // Cold for a second: 300 ms a call; then 10 ms, except for calls near the end.
    let reply = |at: Duration| match at {
        at if at < SECOND => (300 * MS, None),
        at if at > 2900 * MS => (500 * MS, None),
        _ => (10 * MS, None),
    };
    let mode = Mode::ClosedLoop { concurrency: 2 };
    let mut plan = plan(mode, Length::Time(SECOND + 500 * MS));
    plan.warm_up = SECOND + 500 * MS;
    let report = report(plan, reply).await;
    assert!(report.latency.p50 <= 12 * MS, "{:?}", report.latency);
    assert!(report.latency.max >= 500 * MS, "{:?}", report.latency);
    assert_eq!(report.elapsed, SECOND + 500 * MS);
    // Calls that finished after the end do not count for the rate.
    assert!((report.rate - (report.calls - 2) as f64 / 1.5).abs() < 0.01, "{report:?}");
    assert!((report.stopped, report.abandoned) == (false, 0));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_keeps_what_it_measured() {
    // From second 2 on there is no reply.
    let reply = |at| (if at < 2 * SECOND { 10 * MS } else { 1000 * SECOND }, None);
    let mode = Mode::ClosedLoop { concurrency: 5 };
    let running = start(plan(mode, Length::Time(100 * SECOND)), Server::new(reply));
    let stop = running.stop.clone();
    tokio::spawn(async move {
        sleep(4 * SECOND).await;
        stop.cancel();
    });
    let before = Instant::now();
    let report = running.report().await;
    assert_eq!(before.elapsed().as_secs(), 4);
    assert!((report.stopped, report.abandoned) == (true, 5));
    assert!((900..=1000).contains(&report.calls), "{}", report.calls);
    assert!(report.elapsed > 3 * SECOND && report.elapsed <= 4 * SECOND, "{:?}", report.elapsed);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_target_fails_the_run_at_its_first_call() {
    let unreachable = |_| {
        let error = CallError::Unreachable { peer: "p".to_owned(), reason: "r".to_owned() };
        (MS, Some(error))
    };
    let mut plan = plan(Mode::ClosedLoop { concurrency: 4 }, Length::Time(SECOND));
    (plan.connections, plan.threads) = (4, Some(2));
    let last = start(plan, Server::new(unreachable)).last().await;
    assert!(matches!(last.phase, Phase::Failed(LoadError::Unreachable(_))), "{:?}", last.phase);
    assert_eq!(last.report.calls, 0);
}

#[tokio::test(start_paused = true)]
async fn first_calls_that_meet_a_bad_instance_are_made_again_if_there_is_another() {
    let resets_once = |at: Duration| {
        let (peer, reason) = ("p".to_owned(), "reset".to_owned());
        let lost = CallError::ConnectionLost { peer, reason, executed: true };
        (MS, (at < MS).then_some(lost))
    };
    let plan = || plan(Mode::ClosedLoop { concurrency: 1 }, Length::Calls(10));
    let last = start(plan(), Server::new(resets_once)).last().await;
    assert!(matches!(last.phase, Phase::Failed(LoadError::Unreachable(_))), "{:?}", last.phase);
    let of_several = Server { has_choice: true, ..Server::new(resets_once) };
    let report = start(plan(), of_several).report().await;
    assert_eq!((report.calls, report.failed), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn a_silent_target_and_a_wrong_registry_fail_the_run_as_what_they_are() {
    let silent = |_| {
        let error = CallError::Timeout { peer: "p".to_owned(), after: MS, phase: Waiting::Connect };
        (MS, Some(error))
    };
    let wrong = |_| {
        let (url, reason) = ("u".to_owned(), "r".to_owned());
        (MS, Some(CallError::Registry(RegistryClientError::BadReply { url, reason })))
    };
    let plan = || plan(Mode::ClosedLoop { concurrency: 1 }, Length::Time(SECOND));
    let last = start(plan(), Server::new(silent)).last().await;
    assert!(matches!(last.phase, Phase::Failed(LoadError::TimedOut(_))), "{:?}", last.phase);
    let last = start(plan(), Server::new(wrong)).last().await;
    assert!(matches!(last.phase, Phase::Failed(LoadError::Registry(_))), "{:?}", last.phase);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_away_is_counted_and_not_hammered() {
    let leaves = |at| {
        let error = CallError::Unreachable { peer: "p".to_owned(), reason: "r".to_owned() };
        if at < SECOND { (10 * MS, None) } else { (Duration::ZERO, Some(error)) }
    };
    let mode = Mode::ClosedLoop { concurrency: 1 };
    let report = report(plan(mode, Length::Time(2 * SECOND)), leaves).await;
    assert!((80..=101).contains(&report.failed), "{}", report.failed);
    assert_eq!((report.errors[0].kind.as_str(), report.unreached), ("unreachable", report.failed));
    assert!((report.error_ratio - 0.5).abs() < 0.1, "{}", report.error_ratio);
}

#[tokio::test(start_paused = true)]
async fn a_reply_with_an_error_is_measured_like_any_other() {
    let refuses = |_| {
        let fault = Fault::new(Code::MethodNotFound, "no such method");
        (10 * MS, Some(CallError::Remote { peer: "server:1".to_owned(), fault: fault.into() }))
    };
    let mode = Mode::OpenLoop { rate: 10.0, max_in_flight: 1 };
    let report = report(plan(mode, Length::Time(SECOND)), refuses).await;
    assert_eq!((report.calls, report.error_ratio), (10, 1.0));
    assert_eq!(report.errors[0].kind, "remote -32601");
    assert_eq!(report.latency, Latency::default());
}

#[tokio::test(start_paused = true)]
async fn progress_is_published_at_its_rate_and_goes_through_the_phases() {
    let mut plan = plan(Mode::ClosedLoop { concurrency: 1 }, Length::Time(2 * SECOND));
    (plan.warm_up, plan.snapshots_per_second) = (SECOND, 5);
    let server = Server::new(|at| (if at > 2900 * MS { 800 * MS } else { 100 * MS }, None));
    let mut running = start(plan, server);
    let mut phases = vec![running.progress.borrow().phase.clone()];
    let mut snapshots = 0;
    let mut last_done = 0.0;
    while running.progress.changed().await.is_ok() {
        let progress = running.progress.borrow_and_update().clone();
        snapshots += 1;
        assert!(progress.done >= last_done && progress.done <= 1.0);
        last_done = progress.done;
        if phases.last() != Some(&progress.phase) {
            phases.push(progress.phase.clone());
        }
    }
    use Phase::*;
    assert_eq!(phases, [Connecting, WarmingUp, Measuring, Finishing, Done]);
    // 3 s and the wait for the last call, at 5 snapshots a second.
    assert!((16..=21).contains(&snapshots), "{snapshots}");
}

#[tokio::test(start_paused = true)]
async fn a_point_is_a_second() {
    let reply = |at: Duration| (if at < 3 * SECOND { 10 * MS } else { 50 * MS }, None);
    let mode = Mode::ClosedLoop { concurrency: 1 };
    let report = report(plan(mode, Length::Time(6 * SECOND)), reply).await;
    assert!(report.series.len() >= 6, "{:?}", report.series);
    let (fast, slow) = (report.series[1], report.series[4]);
    assert!(fast.rate > 80.0 && fast.p50 <= 12 * MS, "{fast:?}");
    assert!(slow.rate < 22.0 && slow.p50 >= 49 * MS, "{slow:?}");
}

/// The clock of these tests stands still while any task is ready to run.
#[tokio::test(start_paused = true)]
async fn every_part_of_an_open_loop_keeps_the_common_rate() {
    let mode = Mode::OpenLoop { rate: 300.0, max_in_flight: 30 };
    let mut plan = plan(mode, Length::Time(2 * SECOND));
    (plan.connections, plan.threads) = (3, Some(3));
    let began = Instant::now();
    let report = report(plan, |_| (5 * MS, None)).await;
    assert_eq!((report.calls, report.rate.round()), (600, 300.0));
    sleep_until(began).await;
    assert!(report.latency.max <= 8 * MS, "{:?}", report.latency);
}
