//! From a change in the registry to the last of many watchers that receives it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, ensure};
use memchr::memmem;
use rpc_wire::paths;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::registry::{Filled, body, get, register};
use crate::clients::{TIMEOUT, bare};
use crate::exchange::http_head;
use crate::measure::Figures;
use crate::process::Server;
use crate::procfs::{self, Memory};
use crate::round::{Bench, Scenario};

const WATCHERS: usize = 1_000;
const INSTANCES: usize = 10_000;
/// Maximum changes of one run.
const MAX_CHANGES: usize = 100_000;
/// Maximum bytes to one watcher before the first change, or between two.
const MAX_BYTES: usize = 64 << 20;

/// The scenario.
pub fn scenario() -> Scenario {
    Scenario {
        key: "W".to_owned(),
        title: format!(
            "a new instance until the last of {WATCHERS} watchers has the event, {INSTANCES} \
             instances (calls are changes)"
        ),
        measure: Box::new(|round| {
            let registry = Filled::start(round.bench(), INSTANCES)?;
            let (told, event) = fan_out(round.bench(), &registry, WATCHERS)?;
            round.baseline("raw", |bench| {
                Ok(fan_out_raw(bench, &limit(bench, &event)?, &event, WATCHERS)?.figures)
            })?;
            round.row("rpcd", |_| Ok(told.figures))
        }),
    }
}

/// Watchers that were told of changes.
pub(super) struct Told {
    pub(super) figures: Figures,
    /// What the server had in memory once all watched, before the first change.
    pub(super) watched: Memory,
}

/// So many watchers, and the bytes that each receives for a change.
pub(super) fn fan_out(
    bench: &Bench,
    registry: &Filled,
    watchers: usize,
) -> anyhow::Result<(Told, Vec<u8>)> {
    let window = bench.window(&registry.server);
    let address = registry.server.address();
    bench.load(|| {
        let mut watchers = Watchers::open(address, watchers)?;
        // No instance may expire during the run, since that would be a change, too.
        registry.send_heartbeats()?;
        let watched = procfs::memory(registry.server.pid())?;
        let mut control = bare::open(address)?;
        let mut meter = window.start()?;
        for number in 0..MAX_CHANGES {
            let body = body(2, number);
            let host = body.split('"').nth(7).context("a body names its host")?.as_bytes();
            let began = Instant::now();
            control.write_all(&register(&body))?;
            let ended = watchers.all_received(|received| {
                memmem::find(received, b"event: registered").is_some()
                    && memmem::find(received, host).is_some()
            })?;
            replied(&mut control, &body)?;
            if meter.done(began, ended)? {
                break;
            }
        }
        let events = watchers.streams.into_iter().map(|watcher| watcher.received);
        // A longer one has a keep-alive comment as well.
        let event = events.min_by_key(Vec::len).context("a watcher")?;
        Ok((Told { figures: meter.finish()?, watched }, event))
    })
}

/// The limit: the same bytes to as many sockets, for a request of the same length.
pub(super) fn limit(bench: &Bench, event: &[u8]) -> anyhow::Result<Server> {
    bench.canned_to_all(register(&body(2, 0)).len(), event)
}

/// The same of the limit.
pub(super) fn fan_out_raw(
    bench: &Bench,
    server: &Server,
    event: &[u8],
    watchers: usize,
) -> anyhow::Result<Told> {
    let request = register(&body(2, 0));
    let window = bench.window(server);
    bench.load(|| {
        let open = || bare::open(server.address());
        let streams = (0..watchers).map(|_| open()).collect::<anyhow::Result<_>>()?;
        let mut watchers = Watchers::new(streams)?;
        let watched = procfs::memory(server.pid())?;
        let mut control = open()?;
        let mut reply = vec![0; event.len()];
        let mut meter = window.start()?;
        for _ in 0..MAX_CHANGES {
            let began = Instant::now();
            control.write_all(&request)?;
            let ended = watchers.all_received(|received| received == event)?;
            control.read_exact(&mut reply)?;
            if meter.done(began, ended)? {
                break;
            }
        }
        Ok(Told { figures: meter.finish()?, watched })
    })
}

fn replied(control: &mut TcpStream, body: &str) -> anyhow::Result<()> {
    let mut reply = Vec::new();
    let mut input = [0; 4096];
    while memmem::find(&reply, body.as_bytes()).is_none() {
        let read = control.read(&mut input)?;
        ensure!(read > 0 && reply.len() < MAX_BYTES, "the change got no reply");
        reply.extend_from_slice(&input[..read]);
    }
    ensure!(reply.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&reply));
    Ok(())
}

struct Watchers {
    epoll: rustix::fd::OwnedFd,
    streams: Vec<Watcher>,
    input: Vec<u8>,
}

struct Watcher {
    stream: TcpStream,
    /// Bytes received since the last change.
    received: Vec<u8>,
    done: bool,
}

impl Watchers {
    /// The first one gets the whole list; the others resume from there, and get what follows.
    fn open(address: std::net::SocketAddr, watchers: usize) -> anyhow::Result<Self> {
        let path = format!("{}?proto={}", paths::WATCH, paths::PROTO_JSON);
        let mut input = vec![0; 64 * 1024];
        let (first, received) = watch(address, &get(&path, ""), &mut input, |received| {
            memmem::find(received, b"\n\n").is_some()
        })?;
        let text = String::from_utf8_lossy(&received);
        let id = text.lines().find_map(|line| line.strip_prefix("id: ")).context("an event id")?;
        let request = get(&path, &format!("last-event-id: {}\r\n", id.trim()));
        let mut streams = vec![first];
        for _ in 1..watchers {
            let (stream, _) = watch(address, &request, &mut input, |_| true)?;
            streams.push(stream);
        }
        Self::new(streams)
    }

    fn new(streams: Vec<TcpStream>) -> anyhow::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        for (number, stream) in (0..).zip(&streams) {
            epoll::add(&epoll, stream, EventData::new_u64(number), EventFlags::IN)?;
        }
        let watcher = |stream| Watcher { stream, received: Vec::new(), done: false };
        let streams = streams.into_iter().map(watcher).collect();
        Ok(Self { epoll, streams, input: vec![0; 64 * 1024] })
    }

    /// Waits until each watcher's bytes are `enough`; returns when the last one's were.
    fn all_received(&mut self, enough: impl Fn(&[u8]) -> bool) -> anyhow::Result<Instant> {
        for watcher in &mut self.streams {
            watcher.done = false;
            watcher.received.clear();
        }
        let mut missing = self.streams.len();
        let mut events = Vec::with_capacity(self.streams.len());
        while missing > 0 {
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&bare::timespec(TIMEOUT)))?;
            ensure!(!events.is_empty(), "{missing} watchers did not receive a change");
            for event in &events {
                let watcher = &mut self.streams[usize::try_from(event.data.u64())?];
                let read = watcher.stream.read(&mut self.input)?;
                ensure!(read > 0, "the registry ended a watch");
                if watcher.done {
                    continue;
                }
                watcher.received.extend_from_slice(&self.input[..read]);
                ensure!(watcher.received.len() < MAX_BYTES, "a watcher received too many bytes");
                watcher.done = enough(&watcher.received);
                missing -= usize::from(watcher.done);
            }
        }
        Ok(Instant::now())
    }
}

/// Opens one event stream; returns the bytes after its head once they are `enough`.
fn watch(
    address: std::net::SocketAddr,
    request: &[u8],
    input: &mut [u8],
    enough: impl Fn(&[u8]) -> bool,
) -> anyhow::Result<(TcpStream, Vec<u8>)> {
    let mut stream = bare::open(address)?;
    stream.write_all(request)?;
    let mut received = Vec::new();
    loop {
        let read = stream.read(input).context("waiting for an event stream")?;
        ensure!(read > 0 && received.len() < MAX_BYTES, "no event stream");
        received.extend_from_slice(&input[..read]);
        let Some(head) = http_head(&received) else { continue };
        ensure!(
            received.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&received[..head])
        );
        // The end mark has at most two bytes, so bytes searched before are not searched again.
        let new = received.len().saturating_sub(read + 1);
        if enough(&received[head.max(new)..]) {
            return Ok((stream, received.split_off(head)));
        }
    }
}
