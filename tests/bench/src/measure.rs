//! One run: a window of time, the calls that end in it, and the server's use of resources.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::procfs;
use crate::table::{self, Column};

/// Maximum calls of one run.
const MAX_CALLS: u64 = 100_000_000;

/// The results of one run of one row. `None` where a figure does not apply.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Calls counted.
    pub calls: u64,
    /// Calls per second of the window.
    pub calls_per_second: Option<f64>,
    /// Half of the calls were faster, in microseconds.
    pub p50_us: Option<f64>,
    /// 99 of 100 calls were faster, in microseconds.
    pub p99_us: Option<f64>,
    /// Processor seconds of the server per 100,000 calls.
    pub server_cpu: Option<f64>,
    /// Processor seconds of the load per 100,000 calls.
    pub client_cpu: Option<f64>,
    /// Resident memory of the server at the end, in MiB.
    pub resident_mib: Option<f64>,
    /// Peak resident memory of the server so far, in MiB.
    pub peak_mib: Option<f64>,
    /// Processor seconds used by neither server nor load during the window.
    pub foreign_cpu: f64,
}

impl table::Figures for Figures {
    const COLUMNS: &[Column<Self>] = &[
        Column {
            title: "calls/s",
            key: "calls_per_second",
            decimals: 0,
            compared: true,
            figure: |run| run.calls_per_second,
        },
        Column {
            title: "p50 µs",
            key: "p50_us",
            decimals: 1,
            compared: true,
            figure: |run| run.p50_us,
        },
        Column {
            title: "p99 µs",
            key: "p99_us",
            decimals: 1,
            compared: true,
            figure: |run| run.p99_us,
        },
        Column {
            title: "server CPU s/100k",
            key: "server_cpu",
            decimals: 3,
            compared: true,
            figure: |run| run.server_cpu,
        },
        Column {
            title: "load CPU s/100k",
            key: "client_cpu",
            decimals: 3,
            compared: false,
            figure: |run| run.client_cpu,
        },
        Column {
            title: "resident MiB",
            key: "resident_mib",
            decimals: 1,
            compared: false,
            figure: |run| run.resident_mib,
        },
        Column {
            title: "peak MiB",
            key: "peak_mib",
            decimals: 1,
            compared: false,
            figure: |run| run.peak_mib,
        },
    ];

    fn foreign_cpu(&self) -> f64 {
        self.foreign_cpu
    }
}

/// Decides which calls count. The window opens with the first call that ends after the warm-up and
/// closes with the first that ends after its time, so that calls, time and processor time match
/// exactly.
pub struct Meter {
    server: u32,
    opens: Instant,
    length: Duration,
    phase: Phase,
    latencies: Histogram<u64>,
}

#[derive(Clone, Copy)]
enum Phase {
    WarmUp,
    Open(Sample),
    Closed(Sample, Sample),
}

#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    server: f64,
    client: f64,
    all: f64,
}

impl Meter {
    /// A meter whose warm-up starts now; `server` is the process to watch.
    ///
    /// # Errors
    /// Never with these bounds.
    pub fn start(server: u32, warm_up: Duration, length: Duration) -> anyhow::Result<Self> {
        // One nanosecond to one minute, three significant digits.
        let latencies = Histogram::new_with_bounds(1, 60_000_000_000, 3)?;
        let opens = Instant::now() + warm_up;
        Ok(Self { server, opens, length, phase: Phase::WarmUp, latencies })
    }

    /// Records the end of a call; returns whether the window is closed.
    ///
    /// # Errors
    /// The server is gone.
    pub fn done(&mut self, began: Instant, ended: Instant) -> anyhow::Result<bool> {
        match self.phase {
            Phase::WarmUp if ended < self.opens => return Ok(false),
            Phase::WarmUp => self.phase = Phase::Open(self.sample(ended)?),
            // Replies in the same read as the first one belong to calls before the window.
            Phase::Open(from) if ended <= from.at => {}
            Phase::Open(from) => {
                self.record(ended.saturating_duration_since(began));
                if ended >= from.at + self.length || self.latencies.len() >= MAX_CALLS {
                    self.phase = Phase::Closed(from, self.sample(ended)?);
                }
            }
            Phase::Closed(_, to) if ended <= to.at => {
                self.record(ended.saturating_duration_since(began));
            }
            Phase::Closed(..) => {}
        }
        Ok(self.is_closed())
    }

    /// Whether further calls do not count.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed(..))
    }

    /// The results.
    ///
    /// # Errors
    /// The window did not close; the server is gone.
    pub fn finish(self) -> anyhow::Result<Figures> {
        let Phase::Closed(from, to) = self.phase else { bail!("the load stopped too early") };
        let calls = self.latencies.len();
        ensure!(calls > 0, "no call was counted");
        let micros = |quantile| Some(number(self.latencies.value_at_quantile(quantile)) / 1e3);
        let per_100k = |seconds: f64| Some(seconds * 1e5 / number(calls));
        let (server, client) = (to.server - from.server, to.client - from.client);
        let memory = procfs::memory(self.server)?;
        Ok(Figures {
            calls,
            calls_per_second: Some(number(calls) / (to.at - from.at).as_secs_f64()),
            p50_us: micros(0.50),
            p99_us: micros(0.99),
            server_cpu: per_100k(server),
            client_cpu: per_100k(client),
            resident_mib: Some(memory.resident_mib()),
            peak_mib: Some(memory.peak_mib()),
            foreign_cpu: (to.all - from.all - server - client).max(0.0),
        })
    }

    fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.latencies.saturating_record(nanos.max(1));
    }

    fn sample(&self, at: Instant) -> anyhow::Result<Sample> {
        let server = procfs::cpu_seconds(self.server).context("the server is gone")?;
        let client = procfs::cpu_seconds(std::process::id())?;
        Ok(Sample { at, server, client, all: procfs::busy_seconds() })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn calls_count_from_the_opening_to_the_closing_call() {
        let mut meter = Meter::start(std::process::id(), SECOND, SECOND).unwrap();
        let opens = meter.opens;
        let mut done = |milliseconds| {
            let ended = opens + Duration::from_millis(milliseconds);
            meter.done(ended - Duration::from_millis(2), ended).unwrap()
        };
        // The first opens the window, and a second one has the same end; two are inside; the last
        // closes it, and another has the same end.
        assert_eq!(
            [0, 0, 10, 500, 1000, 1000].map(&mut done),
            [false, false, false, false, true, true]
        );
        assert!(done(1001), "a later call does not count");
        let figures = meter.finish().unwrap();
        assert_eq!(figures.calls, 4);
        assert!((figures.calls_per_second.unwrap() - 4.0).abs() < 1e-9);
        assert!((figures.p50_us.unwrap() - 2000.0).abs() < 2.0);
    }

    #[test]
    fn a_load_that_stops_early_is_an_error() {
        let meter = Meter::start(std::process::id(), SECOND, SECOND).unwrap();
        assert!(meter.finish().is_err());
    }
}
