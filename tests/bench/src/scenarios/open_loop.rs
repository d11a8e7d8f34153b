//! Calls in an open loop, with and without slow ones among them.
//!
//! The server's capacity on 64 connections is measured first; then it gets half of that at even
//! intervals. Latency counts from the time a call was due, so a server that falls behind is
//! noticed.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use rpc_wire::call::{Args, IntoArgs, Reply, request};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendFlags, send};

use crate::clients::{Shape, TIMEOUT, Window, bare};
use crate::exchange::Exchange;
use crate::measure::{Figures, Meter};
use crate::round::{Bench, Scenario};

const CONNECTIONS: usize = 64;
/// One in this many calls is slow, in the second row.
const ONE_IN: usize = 100;
const SLOW_SECONDS: f64 = 0.05;
/// The rate as a share of the capacity.
const SHARE: f64 = 0.5;
/// Maximum calls of one run.
const MAX_CALLS: usize = 10_000_000;

/// The scenario.
pub fn scenario() -> Scenario {
    Scenario {
        key: "S".to_owned(),
        title: "half of the capacity of 64 connections in an open loop; figures of the fast calls"
            .to_owned(),
        measure: Box::new(|round| {
            let mut rate = None;
            round.baseline("rpcd, all calls fast", |bench| {
                rate = Some(SHARE * capacity(bench)?);
                measure(bench, rate.unwrap_or_default(), false)
            })?;
            let rate = rate.context("the capacity was measured")?;
            round.row("rpcd, 1 % of calls take 50 ms", |bench| measure(bench, rate, true))
        }),
    }
}

fn capacity(bench: &Bench) -> anyhow::Result<f64> {
    let server = bench.server()?;
    let exchanges = [Exchange::add_extended()?];
    let window = bench.window(&server);
    let shape = Shape::connections(CONNECTIONS);
    let figures = bench.load(|| bare::run(server.address(), &exchanges, shape, window))?;
    figures.calls_per_second.context("a capacity")
}

fn measure(bench: &Bench, rate: f64, with_slow: bool) -> anyhow::Result<Figures> {
    let server = bench.server()?;
    let window = bench.window(&server);
    bench.load(|| Load::new(server.address(), rate, with_slow)?.run(window))
}

struct Load {
    connections: Vec<(TcpStream, Vec<u8>)>,
    epoll: OwnedFd,
    /// Interval between calls.
    distance: Duration,
    with_slow: bool,
    fast: Args,
    slow: Args,
    /// By number of call, which is also its id: whether its reply has arrived.
    replied: Vec<bool>,
    unanswered: usize,
    output: Vec<u8>,
    input: Vec<u8>,
}

impl Load {
    fn new(address: SocketAddr, rate: f64, with_slow: bool) -> anyhow::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut connections = Vec::new();
        for number in 0..CONNECTIONS {
            let stream = bare::open(address)?;
            epoll::add(&epoll, &stream, EventData::new_u64(number as u64), EventFlags::IN)?;
            connections.push((stream, Vec::new()));
        }
        Ok(Self {
            connections,
            epoll,
            distance: Duration::try_from_secs_f64(1.0 / rate).context("a rate")?,
            with_slow,
            fast: (1, 2).into_args()?,
            slow: (SLOW_SECONDS,).into_args()?,
            replied: Vec::new(),
            unanswered: 0,
            output: Vec::new(),
            input: vec![0; 64 * 1024],
        })
    }

    fn run(mut self, window: Window) -> anyhow::Result<Figures> {
        // The system's usual tolerance of 50 µs would be a large part of the latency.
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        let mut meter = window.start()?;
        let began = Instant::now();
        while !meter.is_closed() {
            let next = self.send_due(began)?;
            self.wait_until(next)?;
            self.receive(began, &mut meter)?;
        }
        let last = Instant::now() + TIMEOUT;
        while self.unanswered > 0 {
            ensure!(Instant::now() < last, "{} calls got no reply", self.unanswered);
            self.wait_until(Instant::now() + Duration::from_millis(10))?;
            self.receive(began, &mut meter)?;
        }
        meter.finish()
    }

    /// Sends the calls that are due; returns when the next one is.
    fn send_due(&mut self, began: Instant) -> anyhow::Result<Instant> {
        loop {
            let number = self.replied.len();
            let due = self.due(began, number);
            if due > Instant::now() {
                return Ok(due);
            }
            ensure!(number < MAX_CALLS, "more than {MAX_CALLS} calls; make --measure shorter");
            let (method, args) =
                if self.is_slow(number) { ("sleep", &self.slow) } else { ("add", &self.fast) };
            self.output.clear();
            let id = u64::try_from(number)?;
            request::extended(&mut self.output, id, method, args, &Default::default());
            let (stream, _) = &self.connections[number % CONNECTIONS];
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let sent = send(stream, &self.output, flags).context("the server does not read")?;
            ensure!(sent == self.output.len(), "the server does not read");
            self.replied.push(false);
            self.unanswered += 1;
        }
    }

    /// Waits for a reply, at most until `next`.
    fn wait_until(&self, next: Instant) -> anyhow::Result<()> {
        let time = next.saturating_duration_since(Instant::now());
        // epoll's own timeout is in milliseconds only, poll's in nanoseconds.
        poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&bare::timespec(time)))?;
        Ok(())
    }

    fn receive(&mut self, began: Instant, meter: &mut Meter) -> anyhow::Result<()> {
        let mut events = Vec::with_capacity(CONNECTIONS);
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&at_once))?;
        for event in &events {
            let number = usize::try_from(event.data.u64())?;
            let (stream, buffer) = &mut self.connections[number];
            let read = stream.read(&mut self.input)?;
            ensure!(read > 0, "the server closed a connection");
            let now = Instant::now();
            let mut bytes = std::mem::take(buffer);
            bytes.extend_from_slice(&self.input[..read]);
            let mut start = 0;
            while let Some(length) = memchr::memchr(b'\n', &bytes[start..]) {
                self.settle(&bytes[start..start + length], began, now, meter)?;
                start += length + 1;
            }
            bytes.drain(..start);
            self.connections[number].1 = bytes;
        }
        Ok(())
    }

    /// One reply: each call must get exactly one, and the right one.
    fn settle(
        &mut self,
        line: &[u8],
        began: Instant,
        now: Instant,
        meter: &mut Meter,
    ) -> anyhow::Result<()> {
        let wrong = || format!("a wrong reply: {}", String::from_utf8_lossy(line));
        let Reply::Done { id: Some(id), outcome: Ok(value) } = Reply::parse(line)? else {
            bail!(wrong());
        };
        let number = usize::try_from(id)?;
        let slow = self.is_slow(number);
        let expected = if slow { "0.05" } else { "13" };
        let replied = self.replied.get_mut(number).with_context(wrong)?;
        ensure!(!*replied && value.get() == expected, wrong());
        *replied = true;
        self.unanswered -= 1;
        if !slow {
            meter.done(self.due(began, number), now)?;
        }
        Ok(())
    }

    fn due(&self, began: Instant, number: usize) -> Instant {
        began + self.distance * u32::try_from(number).unwrap_or(u32::MAX)
    }

    fn is_slow(&self, number: usize) -> bool {
        self.with_slow && number % ONE_IN == ONE_IN - 1
    }
}
