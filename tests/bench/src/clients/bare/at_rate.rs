//! Calls at a fixed rate, whether or not the previous ones have their replies.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Connection, INPUT, Until, timespec};
use crate::clients::{TIMEOUT, Window};
use crate::exchange::Exchange;
use crate::measure::Figures;

/// Starts `rate` calls per second until the window has closed, on that many connections in turn;
/// each connection repeats its own share of `exchanges`. Latency counts from the time a call was
/// due.
///
/// # Errors
/// A reply is wrong or missing, or the server does not keep up.
pub fn at_rate(
    address: SocketAddr,
    exchanges: &[Exchange],
    connections: usize,
    rate: u32,
    window: Window,
) -> anyhow::Result<Figures> {
    let share = exchanges.len().div_ceil(connections).max(1);
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    let mut connections = Vec::with_capacity(connections);
    for (number, share) in (0..).zip(exchanges.chunks(share)) {
        let connection = Connection::open(&address.into(), share, 0)?;
        epoll::add(&epoll, connection.socket.tcp(), EventData::new_u64(number), EventFlags::IN)?;
        connections.push(connection);
    }
    // The system's usual tolerance of 50 µs is the interval between calls at 20,000 per second.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let distance = Duration::from_secs(1) / rate.max(1);
    let mut turns = (0..connections.len()).cycle();
    let mut events = Vec::with_capacity(connections.len());
    let mut input = vec![0; INPUT];
    let mut meter = window.start()?;
    let mut due = Instant::now();
    let mut last_reply = due;
    while !meter.is_closed() || connections.iter().any(Connection::is_waiting) {
        while !meter.is_closed() && due <= Instant::now() {
            let turn = turns.next().context("something to call")?;
            connections[turn].queue(1, due);
            connections[turn].flush_at_once()?;
            due += distance;
        }
        let rest = due.saturating_duration_since(Instant::now());
        let rest = if meter.is_closed() { TIMEOUT } else { rest };
        // epoll's own timeout is in milliseconds only.
        poll(&mut [PollFd::new(&epoll, PollFlags::IN)], Some(&timespec(rest)))?;
        events.clear();
        epoll::wait(&epoll, spare_capacity(&mut events), Some(&at_once))?;
        for event in &events {
            let connection = &mut connections[usize::try_from(event.data.u64())?];
            connection.receive(&mut input, &mut Until::Closed(&mut meter))?;
            last_reply = Instant::now();
        }
        ensure!(last_reply.elapsed() < TIMEOUT, "no reply for {TIMEOUT:?}");
    }
    meter.finish()
}
