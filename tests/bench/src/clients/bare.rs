//! The cheapest possible client: bare sockets and system calls on one thread.
//!
//! One connection is read blocking, many are polled with epoll. Every read is followed by one write
//! of as many requests as it had replies.

mod at_rate;
mod socket;

use std::collections::VecDeque;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Shape, TIMEOUT, Window};
use crate::exchange::Exchange;
use crate::measure::{Figures, Meter};

pub use at_rate::at_rate;
pub use socket::Peer;
use socket::Socket;

/// Size of a read.
const INPUT: usize = 256 * 1024;

/// Calls `exchanges` in turn, in the given `shape`, until the window has closed.
///
/// # Errors
/// A reply is wrong or late, or the server is gone.
pub fn run(
    peer: impl Into<Peer>,
    exchanges: &[Exchange],
    shape: Shape,
    window: Window,
) -> anyhow::Result<Figures> {
    ensure!(!exchanges.is_empty(), "nothing to call");
    let peer = peer.into();
    let meter = if shape.reconnect {
        reconnecting(&peer, exchanges, window)?
    } else if shape.connections == 1 {
        let mut connection = Connection::open(&peer, exchanges, 0)?;
        let mut meter = window.start()?;
        one(&mut connection, shape.in_flight, &mut Until::Closed(&mut meter))?;
        meter
    } else {
        many(&peer, exchanges, shape, window)?
    };
    meter.finish()
}

/// Calls each of `exchanges` once, on one connection.
///
/// # Errors
/// A reply is wrong or late.
pub fn each_once(
    address: SocketAddr,
    exchanges: &[Exchange],
    in_flight: usize,
) -> anyhow::Result<()> {
    let mut connection = Connection::open(&address.into(), exchanges, 0)?;
    one(&mut connection, in_flight, &mut Until::Calls { started: 0, ended: 0, of: exchanges.len() })
}

/// Sends `request` on a new connection and returns the reply, whose length `length` returns once it can.
///
/// # Errors
/// There is no reply, or `length` fails.
pub fn request(
    address: SocketAddr,
    request: &[u8],
    length: impl Fn(&[u8]) -> anyhow::Result<Option<usize>>,
) -> anyhow::Result<Vec<u8>> {
    ask(&mut open(address)?, request, length)
}

/// As [`request`], on a connection that is open.
///
/// # Errors
/// There is no reply, or `length` fails.
pub fn ask(
    stream: &mut TcpStream,
    request: &[u8],
    length: impl Fn(&[u8]) -> anyhow::Result<Option<usize>>,
) -> anyhow::Result<Vec<u8>> {
    /// Longest reply.
    const LONGEST: usize = 256 << 20;
    std::io::Write::write_all(stream, request)?;
    let (mut reply, mut input) = (Vec::new(), vec![0; INPUT]);
    while reply.len() < LONGEST {
        let read = stream.read(&mut input).context("waiting for a reply")?;
        ensure!(read > 0, "the server closed the connection");
        reply.extend_from_slice(&input[..read]);
        if length(&reply)?.is_some_and(|length| reply.len() >= length) {
            return Ok(reply);
        }
    }
    bail!("a reply of more than {LONGEST} bytes")
}

/// A connection with the options of all clients here.
///
/// # Errors
/// The server does not accept it.
pub fn open(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)
        .with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

/// When the load on a connection ends, and where its calls are counted.
enum Until<'a> {
    Closed(&'a mut Meter),
    Calls { started: usize, ended: usize, of: usize },
}

impl Until<'_> {
    fn done(&mut self, began: Instant, now: Instant) -> anyhow::Result<()> {
        match self {
            Self::Closed(meter) => meter.done(began, now).map(|_| ()),
            Self::Calls { ended, .. } => {
                *ended += 1;
                Ok(())
            }
        }
    }

    /// How many of `wanted` calls may start.
    fn may_begin(&mut self, wanted: usize) -> usize {
        match self {
            Self::Closed(_) => wanted,
            Self::Calls { started, of, .. } => {
                let granted = wanted.min(*of - *started);
                *started += granted;
                granted
            }
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Closed(meter) => meter.is_closed(),
            Self::Calls { ended, of, .. } => ended == of,
        }
    }
}

fn one(
    connection: &mut Connection<'_>,
    in_flight: usize,
    until: &mut Until<'_>,
) -> anyhow::Result<()> {
    let mut input = vec![0; INPUT];
    let mut free = in_flight;
    while !until.is_over() {
        connection.queue(until.may_begin(free), Instant::now());
        free = 0;
        while !connection.flush()? {
            // The peer may wait for this side to read before it continues to read.
            let readable = connection.wait_for_room()?;
            if readable {
                free += connection.receive(&mut input, until)?;
            }
        }
        if connection.is_waiting() {
            free += connection.receive(&mut input, until)?;
        }
    }
    Ok(())
}

fn many(
    peer: &Peer,
    exchanges: &[Exchange],
    shape: Shape,
    window: Window,
) -> anyhow::Result<Meter> {
    let poll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut connections = Vec::with_capacity(shape.connections);
    for number in 0..shape.connections {
        // Spread over the exchanges, so that no two send the same for long.
        let first = number * exchanges.len() / shape.connections;
        let connection = Connection::open(peer, exchanges, first)?;
        epoll::add(
            &poll,
            connection.socket.tcp(),
            EventData::new_u64(number as u64),
            EventFlags::IN,
        )?;
        connections.push(connection);
    }
    let mut meter = window.start()?;
    let mut input = vec![0; INPUT];
    let mut events = Vec::with_capacity(shape.connections);
    for connection in &mut connections {
        connection.queue(shape.in_flight, Instant::now());
        connection.flush_at_once()?;
    }
    while !meter.is_closed() {
        events.clear();
        epoll::wait(&poll, spare_capacity(&mut events), Some(&timespec(TIMEOUT)))?;
        ensure!(!events.is_empty(), "no reply for {TIMEOUT:?}");
        for event in &events {
            let connection = &mut connections[usize::try_from(event.data.u64())?];
            let replies = connection.receive(&mut input, &mut Until::Closed(&mut meter))?;
            connection.queue(replies, Instant::now());
            connection.flush_at_once()?;
        }
    }
    Ok(meter)
}

fn reconnecting(peer: &Peer, exchanges: &[Exchange], window: Window) -> anyhow::Result<Meter> {
    let mut meter = window.start()?;
    let mut input = vec![0; INPUT];
    for exchange in exchanges.iter().cycle() {
        let began = Instant::now();
        let mut connection = Connection::open(peer, std::slice::from_ref(exchange), 0)?;
        connection.queue(1, began);
        connection.flush_at_once()?;
        while connection.is_waiting() {
            connection.receive(&mut input, &mut Until::Closed(&mut meter))?;
        }
        if meter.is_closed() {
            break;
        }
    }
    Ok(meter)
}

/// A duration for system calls.
pub fn timespec(duration: std::time::Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

/// One connection; its replies arrive in the order of its requests.
struct Connection<'a> {
    socket: Socket,
    exchanges: &'a [Exchange],
    next_request: usize,
    next_answer: usize,
    /// Bytes received of the next reply.
    position: usize,
    /// When each call in flight started.
    began: VecDeque<Instant>,
    output: Vec<u8>,
    written: usize,
}

impl<'a> Connection<'a> {
    fn open(peer: &Peer, exchanges: &'a [Exchange], first: usize) -> anyhow::Result<Self> {
        Ok(Self {
            socket: Socket::open(peer)?,
            exchanges,
            next_request: first,
            next_answer: first,
            position: 0,
            began: VecDeque::new(),
            output: Vec::new(),
            written: 0,
        })
    }

    fn is_waiting(&self) -> bool {
        !self.began.is_empty()
    }

    fn queue(&mut self, calls: usize, now: Instant) {
        for _ in 0..calls {
            self.output.extend_from_slice(&self.exchanges[self.next_request].request);
            self.next_request = (self.next_request + 1) % self.exchanges.len();
            self.began.push_back(now);
        }
    }

    /// Writes what the system takes at once; `true` if that was all.
    fn flush(&mut self) -> anyhow::Result<bool> {
        while self.written < self.output.len() {
            match self.socket.send(&self.output[self.written..]).context("sending")? {
                Some(sent) => self.written += sent,
                None => return Ok(false),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(true)
    }

    /// For requests that are small compared with a socket's buffer.
    fn flush_at_once(&mut self) -> anyhow::Result<()> {
        ensure!(self.flush()?, "the server does not read");
        Ok(())
    }

    /// Waits until more can be written or read; `true` if it can be read.
    fn wait_for_room(&self) -> anyhow::Result<bool> {
        let mut interest = [PollFd::new(self.socket.tcp(), PollFlags::IN | PollFlags::OUT)];
        let ready = poll(&mut interest, Some(&timespec(TIMEOUT)))?;
        ensure!(ready > 0, "the server neither reads nor replies");
        Ok(interest[0].revents().intersects(PollFlags::IN | PollFlags::ERR | PollFlags::HUP))
    }

    /// Reads once and checks the bytes; returns the number of replies completed.
    fn receive(&mut self, input: &mut [u8], until: &mut Until<'_>) -> anyhow::Result<usize> {
        let read = self.socket.receive(input).context("waiting for a reply")?;
        ensure!(read > 0, "the server closed the connection");
        let now = Instant::now();
        let mut rest = &input[..read];
        let mut replies = 0;
        while !rest.is_empty() {
            let reply = &self.exchanges[self.next_answer].reply;
            let (part, after) = rest.split_at(rest.len().min(reply.length() - self.position));
            ensure!(
                reply.agrees(self.position, part) && !self.began.is_empty(),
                "a wrong reply: {:?}",
                String::from_utf8_lossy(&part[..part.len().min(200)])
            );
            self.position += part.len();
            rest = after;
            if self.position == reply.length() {
                self.position = 0;
                self.next_answer = (self.next_answer + 1) % self.exchanges.len();
                replies += 1;
                if let Some(began) = self.began.pop_front() {
                    until.done(began, now)?;
                }
            }
        }
        Ok(replies)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    /// An echo server that applies `change` to its replies.
    fn server(change: fn(&mut [u8])) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let mut buffer = [0; 1000];
                    while let Ok(length @ 1..) = stream.read(&mut buffer) {
                        change(&mut buffer[..length]);
                        if stream.write_all(&buffer[..length]).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        address
    }

    fn window() -> Window {
        let short = Duration::from_millis(5);
        Window { server: std::process::id(), warm_up: short, length: short }
    }

    #[test]
    fn every_shape_calls_and_counts() {
        let address = server(|_| {});
        let exchanges = [Exchange::echo("first"), Exchange::echo("the second")];
        for shape in [
            Shape::connections(1),
            Shape::in_flight(64),
            Shape { in_flight: 3, ..Shape::connections(5) },
            Shape::RECONNECT,
        ] {
            let figures = run(address, &exchanges, shape, window()).unwrap();
            assert!(figures.calls > 0 && figures.p50_us > Some(0.0), "{shape:?}");
        }
        each_once(address, &exchanges, 64).unwrap();
    }

    #[test]
    fn calls_at_a_rate_come_no_faster_and_all_get_replies() {
        let exchanges = [Exchange::echo("first"), Exchange::echo("the second")];
        let address = server(|_| {});
        let began = Instant::now();
        let figures = at_rate(address, &exchanges, 2, 1_000, window()).unwrap();
        let due = began.elapsed().as_millis() + 1;
        assert!((1..=due).contains(&u128::from(figures.calls)), "{} of {due}", figures.calls);
    }

    #[test]
    fn large_calls_are_written_and_read_at_the_same_time() {
        let exchanges = [Exchange::echo(vec![b'x'; 16 << 20])];
        each_once(server(|_| {}), &exchanges, 1).unwrap();
    }

    #[test]
    fn a_wrong_reply_fails_the_run() {
        let address = server(|bytes| bytes[0] ^= 1);
        let error = run(address, &[Exchange::echo("x")], Shape::connections(1), window());
        assert!(error.unwrap_err().to_string().contains("wrong reply"));
    }
}
