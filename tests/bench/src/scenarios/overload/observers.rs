//! What others see of an overloaded server: its health, its place in the registry's list, and when
//! it is as it was before.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use hdrhistogram::Histogram;
use rpc_wire::call::{IntoArgs, Reply, request};
use rpc_wire::instance::InstanceRecord;
use rpc_wire::paths;

use super::generator::{Plan, record};
use super::work::Call;
use super::{http_get, sleep_until};
use crate::clients::{TIMEOUT, bare};

/// Interval between checks of a server's health, as a probe would make them.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
const LIST_INTERVAL: Duration = Duration::from_millis(100);
/// Calls before the load.
const UNLOADED: usize = 50;
/// Calls in a row that show that a server is normal.
const IN_A_ROW: usize = 20;
/// Longest time to become normal.
const LONGEST: Duration = Duration::from_secs(20);

/// Checks of health, each on a new connection. Latency is from the time a check was due.
#[derive(Debug, Clone)]
pub(super) struct Checks {
    pub(super) latencies: Histogram<u64>,
    pub(super) failed: u64,
    pub(super) first_failure: Option<String>,
}

/// `rpc.health`, until the load ends.
pub(super) fn health(server: SocketAddr, plan: &Plan) -> anyhow::Result<Checks> {
    let mut bytes = Vec::new();
    request::extended(&mut bytes, 1, paths::RPC_HEALTH, &().into_args()?, &Default::default());
    checks(plan, || {
        let reply = bare::request(server, &bytes, line_length)?;
        match Reply::parse(&reply)? {
            Reply::Done { id: Some(1), outcome: Ok(_) } => Ok(()),
            _ => bail!("{}", String::from_utf8_lossy(&reply)),
        }
    })
}

/// `/healthz`, until the load ends.
pub(super) fn healthz(server: SocketAddr, plan: &Plan) -> anyhow::Result<Checks> {
    checks(plan, || http_get(server, paths::HEALTHZ).map(|_| ()))
}

fn checks(plan: &Plan, check: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<Checks> {
    let latencies = Histogram::new_with_bounds(1, 60_000_000, 3)?;
    let mut checks = Checks { latencies, failed: 0, first_failure: None };
    let mut due = plan.counts_from;
    while due < plan.ends {
        sleep_until(due);
        match check() {
            Ok(()) => record(&mut checks.latencies, due.elapsed()),
            Err(error) => {
                checks.failed += 1;
                checks.first_failure.get_or_insert_with(|| format!("{error:#}"));
            }
        }
        due += CHECK_INTERVAL;
    }
    Ok(checks)
}

/// What the registry's list said of a server.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct List {
    pub(super) looks: u64,
    /// Looks at which it was not listed.
    pub(super) absent: u64,
    /// The oldest its last heartbeat was.
    pub(super) oldest_beat: Duration,
}

/// Looks at the list until the load ends.
pub(super) fn list(registry: SocketAddr, server: SocketAddr, plan: &Plan) -> anyhow::Result<List> {
    let mut list = List::default();
    while Instant::now() < plan.ends {
        list.looks += 1;
        match listed(registry, server)? {
            Some(age) => list.oldest_beat = list.oldest_beat.max(age),
            None => list.absent += 1,
        }
        sleep_until((Instant::now() + LIST_INTERVAL).min(plan.ends));
    }
    Ok(list)
}

/// Waits until the server is listed.
///
/// # Errors
/// It does not register.
pub(super) fn wait_until_listed(registry: SocketAddr, server: SocketAddr) -> anyhow::Result<()> {
    let began = Instant::now();
    while listed(registry, server)?.is_none() {
        ensure!(began.elapsed() < TIMEOUT, "the server did not register within {TIMEOUT:?}");
        sleep_until(Instant::now() + Duration::from_millis(10));
    }
    Ok(())
}

/// The age of the server's last heartbeat; `None` if it is not listed.
fn listed(registry: SocketAddr, server: SocketAddr) -> anyhow::Result<Option<Duration>> {
    let path = format!("{}?{}={}", paths::INSTANCES, paths::PROTO, paths::PROTO_JSON);
    let body = http_get(registry, &path).context("the registry's list")?;
    let records: Vec<InstanceRecord> = serde_json::from_slice(&body)?;
    let found = records.iter().find(|record| record.instance.port == server.port());
    Ok(found.and_then(|record| record.age_ms).map(Duration::from_millis))
}

/// The longest of some calls of an idle server, one at a time, each on a new connection.
///
/// # Errors
/// One of them fails.
pub(super) fn unloaded(server: SocketAddr, call: &Call) -> anyhow::Result<Duration> {
    let mut longest = Duration::ZERO;
    for _ in 0..UNLOADED {
        let began = Instant::now();
        one(server, call)?;
        longest = longest.max(began.elapsed());
    }
    Ok(longest)
}

/// Calls one at a time until a number of them in a row are right and take at most twice as long as
/// the longest without load; the time from `since` to the first of these.
///
/// # Errors
/// Never; the server may do anything.
pub(super) fn normal_after(
    server: SocketAddr,
    call: &Call,
    unloaded: Duration,
    since: Instant,
) -> anyhow::Result<Option<Duration>> {
    /// What a call may take longer because of the clock and the scheduler.
    const TOLERANCE: Duration = Duration::from_millis(2);
    let limit = 2 * unloaded + TOLERANCE;
    let (mut first, mut in_a_row) = (Instant::now(), 0);
    while since.elapsed() < LONGEST {
        let began = Instant::now();
        if one(server, call).is_err() || began.elapsed() > limit {
            in_a_row = 0;
            sleep_until(Instant::now() + Duration::from_millis(1));
            continue;
        }
        if in_a_row == 0 {
            first = began;
        }
        in_a_row += 1;
        if in_a_row == IN_A_ROW {
            return Ok(Some(first.saturating_duration_since(since)));
        }
    }
    Ok(None)
}

fn one(server: SocketAddr, call: &Call) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    call.write(&mut bytes, 1, call.timeout);
    let reply = bare::request(server, &bytes, line_length)?;
    match Reply::parse(&reply)? {
        Reply::Done { id: Some(1), outcome: Ok(value) } if value.get() == call.result => Ok(()),
        _ => bail!("{}", String::from_utf8_lossy(&reply)),
    }
}

/// The length of a reply of one line.
#[expect(clippy::unnecessary_wraps, reason = "the signature of lengths of replies")]
fn line_length(reply: &[u8]) -> anyhow::Result<Option<usize>> {
    Ok(memchr::memchr(b'\n', reply).map(|end| end + 1))
}
