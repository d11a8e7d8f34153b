//! Calls at a fixed rate on many connections, each to be answered within its timeout, whatever the
//! server does: it may refuse, be late, stop reading or close.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use hdrhistogram::Histogram;
use rpc_wire::call::Reply;
use rpc_wire::fault::{Code, Fault};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, bind, connect, ipproto, send, socket_with,
    sockopt,
};

use super::work::Call;
use crate::clients::{TIMEOUT, Window, bare};

/// The load comes from this many addresses, 127.0.0.2 and so on, so that it is not limited by what
/// one peer may have.
pub(super) const ADDRESSES: usize = 8;
/// Maximum calls of one run.
const MAX_CALLS: f64 = 20e6;
/// Bytes written to a connection at once.
const OUTPUT: usize = 64 * 1024;
const INPUT: usize = 256 * 1024;
/// How long a connection that was closed by the server is not opened again.
const REOPEN: Duration = Duration::from_millis(100);

/// When the load runs, and which calls count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    began: Instant,
    /// Calls due from here to the end count.
    pub(super) counts_from: Instant,
    /// No call is due any more.
    pub(super) ends: Instant,
    /// Interval between calls.
    distance: Duration,
}

impl Plan {
    /// The load of `rate` calls per second starts with its warm-up.
    pub(super) fn starting_now(window: Window, rate: f64) -> Self {
        let began = Instant::now();
        let counts_from = began + window.warm_up;
        let seconds = (window.warm_up + window.length).as_secs_f64();
        let distance = Duration::from_secs_f64(1.0 / rate.clamp(1.0, MAX_CALLS / seconds));
        Self { began, counts_from, ends: counts_from + window.length, distance }
    }

    /// The time in which calls count, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        (self.ends - self.counts_from).as_secs_f64()
    }

    fn due(&self, number: usize) -> Instant {
        self.began + self.distance * u32::try_from(number).unwrap_or(u32::MAX)
    }
}

/// What became of the calls that count. Latency is from the time a call was due.
#[derive(Debug, Clone)]
pub(super) struct Outcomes {
    /// Calls started before the end, good or not.
    pub(super) started: u64,
    /// The right answer within the timeout.
    pub(super) good: Histogram<u64>,
    /// -32002.
    pub(super) refused: Histogram<u64>,
    /// Another error, except that the deadline has passed.
    pub(super) failed: u64,
    /// No answer in time, or the answer that the deadline has passed.
    pub(super) timed_out: u64,
    /// The connection was closed after the call was sent.
    pub(super) lost: u64,
    /// Timed out, and answered with a result later: work for nobody.
    pub(super) late: u64,
    /// The longest time by which a call was started too late.
    pub(super) lag: Duration,
    /// The first error that is not a refusal.
    pub(super) first_failure: Option<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unsent,
    Sent,
    TimedOut,
    Settled,
}

/// The open loop.
pub(super) struct Generator<'a> {
    address: SocketAddr,
    call: &'a Call,
    epoll: OwnedFd,
    connections: Vec<Connection>,
    /// Connections without a stream, and when each gets one again.
    closed: VecDeque<(usize, Instant)>,
    /// By number of call, which is also its id.
    calls: Vec<State>,
    /// All calls before this one are settled or have timed out.
    oldest: usize,
    outcomes: Outcomes,
    input: Vec<u8>,
}

struct Connection {
    /// `None` from its close to its reopening.
    stream: Option<OwnedFd>,
    unsent: VecDeque<usize>,
    output: Vec<u8>,
    written: usize,
    /// The start of a reply.
    input: Vec<u8>,
}

impl<'a> Generator<'a> {
    /// Opens the connections.
    ///
    /// # Errors
    /// The server does not accept one.
    pub(super) fn connect(
        address: SocketAddr,
        number: usize,
        call: &'a Call,
    ) -> anyhow::Result<Self> {
        let mut generator = Self {
            address,
            call,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            connections: Vec::with_capacity(number),
            closed: VecDeque::new(),
            calls: Vec::new(),
            oldest: 0,
            outcomes: Outcomes::new()?,
            input: vec![0; INPUT],
        };
        for index in 0..number {
            let stream = generator.open(index)?;
            let mut writable = [PollFd::new(&stream, PollFlags::OUT)];
            poll(&mut writable, Some(&bare::timespec(TIMEOUT)))?;
            let ready = writable[0].revents();
            ensure!(ready == PollFlags::OUT, "the server does not accept connection {index}");
            generator.connections.push(Connection {
                stream: Some(stream),
                unsent: VecDeque::new(),
                output: Vec::new(),
                written: 0,
                input: Vec::new(),
            });
        }
        Ok(generator)
    }

    /// Starts calls until the plan's end, and waits until each has its outcome.
    ///
    /// # Errors
    /// A reply is none, or has a wrong result.
    pub(super) fn run(mut self, plan: &Plan) -> anyhow::Result<Outcomes> {
        // The system's usual tolerance of 50 µs is longer than the interval between calls.
        rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut events = Vec::with_capacity(self.connections.len());
        loop {
            self.reopen()?;
            let next = self.start_due(plan)?;
            let expires = self.expire(plan);
            if next.is_none() && expires.is_none() {
                break;
            }
            let reopens = self.closed.front().map(|(_, time)| *time);
            let time = [next, expires, reopens].into_iter().flatten().min();
            let time = time.unwrap_or(plan.ends);
            let rest = time.saturating_duration_since(Instant::now());
            // epoll's own timeout is in milliseconds only.
            poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&bare::timespec(rest)))?;
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&at_once))?;
            for event in &events {
                let index = usize::try_from(event.data.u64())?;
                self.receive(index, plan)?;
                self.flush(index, plan);
            }
        }
        Ok(self.outcomes)
    }

    /// Starts the calls that are due; returns when the next one is.
    fn start_due(&mut self, plan: &Plan) -> anyhow::Result<Option<Instant>> {
        let now = Instant::now();
        let first = self.calls.len();
        let next = loop {
            let number = self.calls.len();
            let due = plan.due(number);
            if due >= plan.ends {
                break None;
            }
            // What could not be started before the end is not started at all: it was not offered.
            if due > now || now >= plan.ends {
                break (now < plan.ends).then_some(due);
            }
            let index = number % self.connections.len();
            self.calls.push(State::Unsent);
            self.connections[index].unsent.push_back(number);
            if due >= plan.counts_from {
                self.outcomes.started += 1;
                self.outcomes.lag = self.outcomes.lag.max(now - due);
            }
        };
        // A connection with several new calls is written once.
        for number in (first..self.calls.len()).take(self.connections.len()) {
            self.flush(number % self.connections.len(), plan);
        }
        Ok(next)
    }

    /// Gives up calls whose timeout has passed; returns when the next one's does.
    fn expire(&mut self, plan: &Plan) -> Option<Instant> {
        let now = Instant::now();
        while let Some(state) = self.calls.get_mut(self.oldest) {
            let waits = matches!(state, State::Unsent | State::Sent);
            let expires = plan.due(self.oldest) + self.call.timeout;
            if waits && expires > now {
                return Some(expires);
            }
            if waits {
                *state = State::TimedOut;
                if plan.due(self.oldest) >= plan.counts_from {
                    self.outcomes.timed_out += 1;
                }
            }
            self.oldest += 1;
        }
        None
    }

    /// Writes what the system takes at once. Calls that have timed out meanwhile are not sent.
    fn flush(&mut self, index: usize, plan: &Plan) {
        let connection = &mut self.connections[index];
        let Some(stream) = &connection.stream else { return };
        loop {
            if connection.written == connection.output.len() {
                connection.output.clear();
                connection.written = 0;
                let now = Instant::now();
                while connection.output.len() < OUTPUT {
                    let Some(number) = connection.unsent.pop_front() else { break };
                    if self.calls[number] == State::Unsent {
                        let expires = plan.due(number) + self.call.timeout;
                        let left = expires.saturating_duration_since(now);
                        self.call.write(&mut connection.output, number as u64, left);
                        self.calls[number] = State::Sent;
                    }
                }
                if connection.output.is_empty() {
                    return;
                }
            }
            let rest = &connection.output[connection.written..];
            match send(stream, rest, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => connection.written += sent,
                Err(Errno::INTR) => {}
                // It is not writable yet, or has failed, which the next read says.
                Err(_) => return,
            }
        }
    }

    /// Reads all there is.
    fn receive(&mut self, index: usize, plan: &Plan) -> anyhow::Result<()> {
        let mut input = std::mem::take(&mut self.input);
        let received = loop {
            let Some(stream) = &self.connections[index].stream else { break Ok(()) };
            match rustix::io::read(stream, &mut input[..]) {
                Ok(read @ 1..) => {
                    if let Err(error) = self.replies(index, &input[..read], plan) {
                        break Err(error);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break Ok(()),
                Ok(0) | Err(_) => {
                    self.close(index, plan);
                    break Ok(());
                }
            }
        };
        self.input = input;
        received
    }

    fn replies(&mut self, index: usize, received: &[u8], plan: &Plan) -> anyhow::Result<()> {
        let now = Instant::now();
        let mut bytes = std::mem::take(&mut self.connections[index].input);
        bytes.extend_from_slice(received);
        let mut start = 0;
        while let Some(length) = memchr::memchr(b'\n', &bytes[start..]) {
            self.reply(&bytes[start..start + length], plan, now)?;
            start += length + 1;
        }
        bytes.drain(..start);
        self.connections[index].input = bytes;
        Ok(())
    }

    fn reply(&mut self, line: &[u8], plan: &Plan, now: Instant) -> anyhow::Result<()> {
        // Others are about the connection, such as a refusal of all of it before it is closed.
        let Reply::Done { id: Some(id), outcome } = Reply::parse(line)? else { return Ok(()) };
        let wrong = || format!("a wrong reply: {}", String::from_utf8_lossy(line));
        let number = usize::try_from(id)?;
        let state = self.calls.get_mut(number).with_context(wrong)?;
        ensure!(!matches!(state, State::Unsent | State::Settled), wrong());
        if outcome.as_ref().is_ok_and(|value| value.get() != self.call.result) {
            bail!(wrong());
        }
        let (due, timed_out) = (plan.due(number), *state == State::TimedOut);
        *state = State::Settled;
        if due < plan.counts_from {
            return Ok(());
        }
        let latency = now.saturating_duration_since(due);
        match outcome {
            _ if timed_out => self.outcomes.late += u64::from(outcome.is_ok()),
            _ if latency > self.call.timeout => {
                self.outcomes.timed_out += 1;
                self.outcomes.late += u64::from(outcome.is_ok());
            }
            Ok(_) => record(&mut self.outcomes.good, latency),
            Err(fault) => match fault.code {
                Code::Overloaded => record(&mut self.outcomes.refused, latency),
                Code::DeadlineExceeded => self.outcomes.timed_out += 1,
                _ => {
                    self.outcomes.failed += 1;
                    self.outcomes.first_failure.get_or_insert(fault);
                }
            },
        }
        Ok(())
    }

    /// The calls sent on it are lost; those which wait go to its successor.
    fn close(&mut self, index: usize, plan: &Plan) {
        let connections = self.connections.len();
        let connection = &mut self.connections[index];
        connection.stream = None;
        self.closed.push_back((index, Instant::now() + REOPEN));
        connection.output.clear();
        connection.written = 0;
        connection.input.clear();
        let first = self.oldest + (index + connections - self.oldest % connections) % connections;
        for number in (first..self.calls.len()).step_by(connections) {
            if self.calls[number] == State::Sent {
                self.calls[number] = State::Settled;
                self.outcomes.lost += u64::from(plan.due(number) >= plan.counts_from);
            }
        }
    }

    fn reopen(&mut self) -> anyhow::Result<()> {
        while let Some((index, reopens)) = self.closed.front().copied() {
            if reopens > Instant::now() {
                break;
            }
            self.closed.pop_front();
            self.connections[index].stream = Some(self.open(index)?);
        }
        Ok(())
    }

    /// Starts to connect; the socket becomes writable once it is connected.
    fn open(&self, index: usize) -> anyhow::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let stream =
            socket_with(AddressFamily::INET, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        sockopt::set_tcp_nodelay(&stream, true)?;
        let last = u8::try_from(2 + index % ADDRESSES)?;
        bind(&stream, &SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)))?;
        match connect(&stream, &self.address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error).context("connecting"),
        }
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        epoll::add(&self.epoll, &stream, EventData::new_u64(index as u64), interest)?;
        Ok(stream)
    }
}

impl Outcomes {
    fn new() -> anyhow::Result<Self> {
        // One microsecond to one minute, three significant digits.
        let latencies = Histogram::new_with_bounds(1, 60_000_000, 3)?;
        Ok(Self {
            started: 0,
            good: latencies.clone(),
            refused: latencies,
            failed: 0,
            timed_out: 0,
            lost: 0,
            late: 0,
            lag: Duration::ZERO,
            first_failure: None,
        })
    }
}

/// Adds a latency, in microseconds.
pub(super) fn record(latencies: &mut Histogram<u64>, latency: Duration) {
    latencies.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX).max(1));
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that writes what `reply` makes of the id of each call, and closes a connection at
    /// `None`.
    fn server(reply: fn(u64) -> Option<String>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                    for line in lines.map_while(Result::ok) {
                        let id = line.trim_start_matches("{\"id\":").split(',').next().unwrap();
                        let Some(reply) = reply(id.parse().unwrap()) else { return };
                        stream.write_all(reply.as_bytes()).unwrap();
                    }
                });
            }
        });
        address
    }

    fn outcomes(timeout: Duration, reply: fn(u64) -> Option<String>) -> Outcomes {
        let call = Call { timeout, ..Call::new("burn", 5, 5).unwrap() };
        let generator = Generator::connect(server(reply), 8, &call).unwrap();
        let window =
            Window { server: 0, warm_up: Duration::ZERO, length: Duration::from_millis(100) };
        generator.run(&Plan::starting_now(window, 400.0)).unwrap()
    }

    #[test]
    fn each_call_has_one_outcome() {
        let outcomes = outcomes(Duration::from_secs(2), |id| {
            let fault =
                |code| format!("{{\"id\":{id},\"error\":{{\"code\":{code},\"message\":\"\"}}}}\n");
            Some(match id % 5 {
                0 => format!("{{\"id\":{id},\"res\":5}}\n"),
                1 => fault(-32002),
                2 => fault(-32000),
                3 => fault(-32603),
                _ => String::new(),
            })
        });
        let Outcomes { started, good, refused, failed, timed_out, lost, .. } = outcomes;
        assert!(started > 0);
        assert_eq!(lost, 0);
        assert!(!good.is_empty() && good.len().abs_diff(refused.len()) <= 1);
        assert!(timed_out.abs_diff(2 * failed) <= 2, "{timed_out} of {started}");
        assert_eq!(good.len() + refused.len() + failed + timed_out, started);
    }

    #[test]
    fn calls_on_a_closed_connection_are_lost_and_those_after_it_are_not() {
        let outcomes =
            outcomes(TIMEOUT, |id| (id >= 8).then(|| format!("{{\"id\":{id},\"res\":5}}\n")));
        let Outcomes { started, good, timed_out, lost, .. } = outcomes;
        assert_eq!(lost, 8);
        // Later calls waited for the reopening.
        assert_eq!((good.len() + lost, timed_out), (started, 0));
    }

    #[test]
    fn a_wrong_result_is_an_error() {
        let address = server(|id| Some(format!("{{\"id\":{id},\"res\":6}}\n")));
        let call = Call::new("burn", 5, 5).unwrap();
        let generator = Generator::connect(address, 1, &call).unwrap();
        let (warm_up, length) = (Duration::ZERO, Duration::from_millis(20));
        let plan = Plan::starting_now(Window { server: 0, warm_up, length }, 400.0);
        assert!(generator.run(&plan).is_err());
    }
}
