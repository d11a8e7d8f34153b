//! From a change in the registry to the last of very many watchers that hears of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, ensure};
use memchr::memmem;
use rpc_wire::paths;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::registry::{Filled, body, get, register};
use crate::clients::{PATIENCE, bare};
use crate::exchange::http_head;
use crate::measure::Figures;
use crate::round::{Bench, Scenario};

const WATCHERS: usize = 1_000;
const INSTANCES: usize = 10_000;
/// Changes of one run at most.
const MOST_CHANGES: usize = 10_000;
/// What one watcher may be sent before the first change, or between two.
const MOST_BYTES: usize = 64 << 20;

/// The scenario.
pub fn scenario() -> Scenario {
    Scenario {
        key: "W".to_owned(),
        title: format!(
            "a new instance until the last of {WATCHERS} watchers has the event, {INSTANCES} \
             instances (calls are changes)"
        ),
        measure: Box::new(|round| {
            let (figures, event) = fan_out(round.bench())?;
            round.baseline("raw", |bench| fan_out_raw(bench, &event))?;
            round.row("rpcd", |_| Ok(figures))
        }),
    }
}

/// The figures, and the bytes that told a watcher of a change.
fn fan_out(bench: &Bench) -> anyhow::Result<(Figures, Vec<u8>)> {
    let registry = Filled::start(bench, INSTANCES)?;
    let window = bench.window(&registry.server);
    let address = registry.server.address();
    bench.load(|| {
        let mut watchers = Watchers::open(address)?;
        // Nobody may expire, and so cause changes of its own, during the run.
        registry.beat()?;
        let mut control = bare::open(address)?;
        let mut meter = window.start()?;
        for number in 0..MOST_CHANGES {
            let body = body(2, number);
            let host = body.split('"').nth(7).context("a body names its host")?.as_bytes();
            let began = Instant::now();
            control.write_all(&register(&body))?;
            let ended = watchers.all_hear(|heard| {
                memmem::find(heard, b"event: registered").is_some()
                    && memmem::find(heard, host).is_some()
            })?;
            answered(&mut control, &body)?;
            if meter.done(began, ended)? {
                break;
            }
        }
        let events = watchers.streams.into_iter().map(|watcher| watcher.heard);
        // A longer one holds a sign of life besides.
        let event = events.min_by_key(Vec::len).context("a watcher")?;
        Ok((meter.finish()?, event))
    })
}

/// The limit: the same bytes to as many sockets when as many bytes come.
fn fan_out_raw(bench: &Bench, event: &[u8]) -> anyhow::Result<Figures> {
    let request = register(&body(2, 0));
    let server = bench.canned_to_all(request.len(), event)?;
    let window = bench.window(&server);
    bench.load(|| {
        let open = || bare::open(server.address());
        let streams = (0..WATCHERS).map(|_| open()).collect::<anyhow::Result<_>>()?;
        let mut watchers = Watchers::new(streams)?;
        let mut control = open()?;
        let mut answer = vec![0; event.len()];
        let mut meter = window.start()?;
        for _ in 0..MOST_CHANGES {
            let began = Instant::now();
            control.write_all(&request)?;
            let ended = watchers.all_hear(|heard| heard == event)?;
            control.read_exact(&mut answer)?;
            if meter.done(began, ended)? {
                break;
            }
        }
        meter.finish()
    })
}

fn answered(control: &mut TcpStream, body: &str) -> anyhow::Result<()> {
    let mut answer = Vec::new();
    let mut input = [0; 4096];
    while memmem::find(&answer, body.as_bytes()).is_none() {
        let read = control.read(&mut input)?;
        ensure!(read > 0 && answer.len() < MOST_BYTES, "the change was not answered");
        answer.extend_from_slice(&input[..read]);
    }
    ensure!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    Ok(())
}

struct Watchers {
    epoll: rustix::fd::OwnedFd,
    streams: Vec<Watcher>,
    input: Vec<u8>,
}

struct Watcher {
    stream: TcpStream,
    /// What came since the last change was heard of.
    heard: Vec<u8>,
    done: bool,
}

impl Watchers {
    /// The first one gets the whole list; the others resume from there, and get what follows.
    fn open(address: std::net::SocketAddr) -> anyhow::Result<Self> {
        let path = format!("{}?proto={}", paths::WATCH, paths::PROTO_JSON);
        let mut input = vec![0; 64 * 1024];
        let (first, heard) = watch(address, &get(&path, ""), &mut input, |heard| {
            memmem::find(heard, b"\n\n").is_some()
        })?;
        let text = String::from_utf8_lossy(&heard);
        let id = text.lines().find_map(|line| line.strip_prefix("id: ")).context("an event id")?;
        let request = get(&path, &format!("last-event-id: {}\r\n", id.trim()));
        let mut streams = vec![first];
        for _ in 1..WATCHERS {
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
        let watcher = |stream| Watcher { stream, heard: Vec::new(), done: false };
        let streams = streams.into_iter().map(watcher).collect();
        Ok(Self { epoll, streams, input: vec![0; 64 * 1024] })
    }

    /// Waits until what every watcher heard is `enough`; when that of the last one was.
    fn all_hear(&mut self, enough: impl Fn(&[u8]) -> bool) -> anyhow::Result<Instant> {
        for watcher in &mut self.streams {
            watcher.done = false;
            watcher.heard.clear();
        }
        let mut missing = self.streams.len();
        let mut events = Vec::with_capacity(WATCHERS);
        while missing > 0 {
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&bare::timespec(PATIENCE)))?;
            ensure!(!events.is_empty(), "{missing} watchers do not hear of a change");
            for event in &events {
                let watcher = &mut self.streams[usize::try_from(event.data.u64())?];
                let read = watcher.stream.read(&mut self.input)?;
                ensure!(read > 0, "the registry ended a watch");
                if watcher.done {
                    continue;
                }
                watcher.heard.extend_from_slice(&self.input[..read]);
                ensure!(watcher.heard.len() < MOST_BYTES, "a watcher hears of other things");
                watcher.done = enough(&watcher.heard);
                missing -= usize::from(watcher.done);
            }
        }
        Ok(Instant::now())
    }
}

/// Opens one event stream; what was heard behind its head when `enough` was.
fn watch(
    address: std::net::SocketAddr,
    request: &[u8],
    input: &mut [u8],
    enough: impl Fn(&[u8]) -> bool,
) -> anyhow::Result<(TcpStream, Vec<u8>)> {
    let mut stream = bare::open(address)?;
    stream.write_all(request)?;
    let mut heard = Vec::new();
    loop {
        let read = stream.read(input).context("waiting for an event stream")?;
        ensure!(read > 0 && heard.len() < MOST_BYTES, "no event stream");
        heard.extend_from_slice(&input[..read]);
        let Some(head) = http_head(&heard) else { continue };
        ensure!(heard.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&heard[..head]));
        // What completes it is at most two bytes long: what was searched before is not again.
        let new = heard.len().saturating_sub(read + 1);
        if enough(&heard[head.max(new)..]) {
            return Ok((stream, heard.split_off(head)));
        }
    }
}
