//! Inline calls in many schedules, over a socket, a timer and a peer of the model's own. What is
//! checked is the real code of both halves and of the callers; of the driver only the order of its
//! loop is repeated here. A lost wake-up is a deadlock, which the scheduler reports.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rpc_wire::call::{Args, Reply};
use serde_json::Value;
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::{Arc, Condvar, Mutex};
use shuttle::{future, thread};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::super::command::Command;
use super::super::inbound::Inbound;
use super::super::inbox::Inbox;
use super::super::outbound::Outbound;
use super::super::pending::{Delivery, QueuedCall, ReplyTo};
use super::super::slots::Slots;
use super::super::socket::{ReadHalf, WriteHalf};
use super::{Halves, InlineStart};
use crate::context::Count;
use crate::request::Outgoing;
use crate::token::Shown;

const SCHEDULES: usize = 1000;
/// A time that no schedule reaches.
const FAR: Duration = Duration::from_secs(3600);

/// Whether the timer fires when it is due. No call may need it: it is for callers that are gone and
/// for the connection's end.
#[derive(Clone, Copy, PartialEq)]
enum Timers {
    Fire,
    Stand,
}

/// Both ends of a socket. As with the system's, one task is woken by what arrives.
#[derive(Clone)]
struct Socket(Arc<(Mutex<Bytes>, Condvar)>);

#[derive(Default)]
struct Bytes {
    to_client: VecDeque<u8>,
    to_peer: Vec<u8>,
    client_ended: bool,
    peer_ended: bool,
    reader: Option<Waker>,
}

impl Bytes {
    fn is_quiet(&mut self, context: &mut Context<'_>) -> bool {
        let quiet = self.to_client.is_empty() && !self.peer_ended;
        if quiet {
            self.reader = Some(context.waker().clone());
        }
        quiet
    }
}

impl Socket {
    fn new() -> Self {
        Self(Arc::new((Mutex::new(Bytes::default()), Condvar::new())))
    }

    /// What the peer does to it.
    fn change(&self, change: impl FnOnce(&mut Bytes)) {
        let reader = {
            let mut bytes = self.0.0.lock().unwrap();
            change(&mut bytes);
            bytes.reader.take()
        };
        reader.into_iter().for_each(Waker::wake);
    }

    fn send(&self, text: &str) {
        self.change(|bytes| bytes.to_client.extend(text.as_bytes()));
    }

    fn end_of_client(&self) {
        self.0.0.lock().unwrap().client_ended = true;
        self.0.1.notify_one();
    }

    /// The ids of the calls that arrived; `None` at the client's end.
    fn calls(&self) -> Option<Vec<u64>> {
        let mut bytes = self.0.0.lock().unwrap();
        while bytes.to_peer.is_empty() {
            if bytes.client_ended {
                return None;
            }
            bytes = self.0.1.wait(bytes).unwrap();
        }
        let messages = serde_json::Deserializer::from_slice(&bytes.to_peer).into_iter::<Value>();
        let ids = messages.filter_map(|message| message.unwrap()["id"].as_u64()).collect();
        bytes.to_peer.clear();
        Some(ids)
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = self.0.0.lock().unwrap();
        if bytes.is_quiet(context) {
            return Poll::Pending;
        }
        let count = bytes.to_client.len().min(buffer.remaining());
        let read: Vec<u8> = bytes.to_client.drain(..count).collect();
        buffer.put_slice(&read);
        Poll::Ready(Ok(()))
    }
}

impl ReadHalf for Socket {
    fn is_quiet(&self, context: &mut Context<'_>) -> bool {
        self.0.0.lock().unwrap().is_quiet(context)
    }
}

impl WriteHalf for Socket {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.0.lock().unwrap().to_peer.extend(bytes);
        self.0.1.notify_one();
        Ok(bytes.len())
    }

    fn release(self) {}
}

/// Replies to every call, in one of several ways.
fn peer(socket: &Socket) {
    let unmatched = r#"{"id":4242,"res":0}"#;
    while let Some(ids) = socket.calls() {
        for id in ids {
            let reply = format!("{{\"id\":{id},\"res\":{id}}}\n");
            match thread_rng().gen_range(0..4) {
                0 => socket.send(&reply),
                1 => socket.send(&format!("{unmatched}\n{reply}")),
                2 => socket.send(&format!("{reply}{unmatched}\n")),
                _ => {
                    let (begin, rest) = reply.split_at(7);
                    socket.send(begin);
                    socket.send(rest);
                }
            }
        }
    }
}

/// The driver's timer. It fires for a time that is not far away when the scheduler likes.
#[derive(Default)]
struct Timer {
    state: Mutex<TimerState>,
    changed: Condvar,
}

#[derive(Default)]
struct TimerState {
    set: bool,
    fired: bool,
    over: bool,
    driver: Option<Waker>,
}

impl Timer {
    fn set(&self, at: Instant) {
        self.state.lock().unwrap().set = at < Instant::now() + FAR / 2;
        self.changed.notify_one();
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock().unwrap();
        if std::mem::take(&mut state.fired) {
            return Poll::Ready(());
        }
        state.driver = Some(context.waker().clone());
        Poll::Pending
    }

    fn end(&self) {
        self.state.lock().unwrap().over = true;
        self.changed.notify_one();
    }

    fn run(&self) {
        loop {
            let mut state = self.state.lock().unwrap();
            while !state.set && !state.over {
                state = self.changed.wait(state).unwrap();
            }
            if state.over {
                return;
            }
            state.set = false;
            state.fired = true;
            let driver = state.driver.take();
            drop(state);
            driver.into_iter().for_each(Waker::wake);
        }
    }
}

enum Event {
    Read(io::Result<usize>),
    Command(Option<Command>),
    Time,
}

/// The driver's loop, as in `driver.rs`.
async fn drive(
    halves: Arc<Halves<Socket, Socket>>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    timer: Arc<Timer>,
) {
    let mut abandoned = false;
    loop {
        let busy = {
            let mut outbound = halves.outbound();
            outbound.write(16).unwrap();
            timer.set(outbound.wake_by);
            outbound.is_busy()
        };
        if abandoned && !busy {
            return;
        }
        let event = poll_fn(|context| {
            if let Poll::Ready(read) = pin!(halves.read()).poll(context) {
                return Poll::Ready(Event::Read(read));
            }
            if !abandoned && let Poll::Ready(command) = commands.poll_recv(context) {
                return Poll::Ready(Event::Command(command));
            }
            timer.poll(context).map(|()| Event::Time)
        });
        match event.await {
            Event::Read(Ok(_)) => deliver(&halves),
            Event::Read(Err(_)) => return,
            Event::Command(Some(Command::Send(call))) => halves.outbound().enqueue(call),
            Event::Command(Some(Command::Notify(it))) => halves.outbound().enqueue_notification(it),
            Event::Command(Some(Command::Cancel(id))) => halves.outbound().cancel(id),
            Event::Command(Some(Command::Retire | Command::Wake)) => {}
            Event::Command(None) => abandoned = true,
            Event::Time => halves.outbound().wake_by = Instant::now() + FAR,
        }
    }
}

fn deliver(halves: &Halves<Socket, Socket>) {
    let mut reading = halves.reading();
    let inbox = &mut reading.inbound.inbox;
    let mut outbound = halves.outbound();
    while let Some((frame, bytes, reply)) = inbox.next_reply().unwrap() {
        let Ok(Reply::Done { id: Some(id), outcome }) = reply else { panic!("{reply:?}") };
        let delivery = outbound.pending.finish(id, outcome, &frame, bytes);
        assert!(matches!(delivery, Delivery::Delivered | Delivery::NoReader));
    }
    inbox.release();
}

/// What every caller has.
#[derive(Clone)]
struct Client {
    halves: Arc<Halves<Socket, Socket>>,
    slots: Arc<Slots>,
    commands: mpsc::UnboundedSender<Command>,
    /// Where inline callers send [`Command::Wake`]: the same, unless it is to be lost.
    wakes: mpsc::UnboundedSender<Command>,
}

impl Client {
    /// Makes a call, as `Connection::call` does.
    async fn call(&self, id: u64) {
        let others = self.slots.take(|| false).await.unwrap();
        let (reply_to, reply) = oneshot::channel();
        let request = std::sync::Arc::new(Outgoing::new("m".to_owned(), Args::none(), None));
        let call = QueuedCall { id, request, deadline: None, reply: ReplyTo::Call(reply_to) };
        let started = match others {
            0 => self.halves.begin(call, &self.wakes).await,
            _ => InlineStart::Refused(call),
        };
        let inline = match started {
            InlineStart::Inline => true,
            InlineStart::Refused(call) => {
                self.commands.send(Command::Send(call)).unwrap();
                false
            }
        };
        let received = Count::default();
        let finished = self.halves.receive(id, inline, reply, &received, &self.wakes).await;
        assert_eq!(finished.unwrap().unwrap().value.get(), id.to_string());
        self.slots.release();
    }

    /// Makes a call and drops it at its first wait.
    fn abandon(&self, id: u64) {
        let mut call = Box::pin(self.call(id));
        if call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            drop(call);
            self.commands.send(Command::Cancel(id)).unwrap();
            self.slots.release();
        }
    }
}

/// One schedule: two callers, each with three calls, which overlap as the scheduler likes.
fn schedule(timers: Timers, wakes_are_lost: bool) {
    let socket = Socket::new();
    let inbound = Inbound::new(socket.clone(), Inbox::new(1 << 20));
    let outbound = Outbound::new("p".into(), socket.clone(), Instant::now() + FAR, &Shown::None);
    let halves = Arc::new(Halves::new(inbound, outbound));
    let timer = Arc::new(Timer::default());
    let (commands, received) = mpsc::unbounded_channel();
    let (lost, _nobody) = mpsc::unbounded_channel();
    let wakes = if wakes_are_lost { lost } else { commands.clone() };
    let slots = Arc::new(Slots::new(16));
    let client = Client { halves: Arc::clone(&halves), slots, commands, wakes };
    let driver = thread::spawn({
        let timer = Arc::clone(&timer);
        move || future::block_on(drive(halves, received, timer))
    });
    let peer = thread::spawn({
        let socket = socket.clone();
        move || peer(&socket)
    });
    let clock = (timers == Timers::Fire).then(|| {
        let timer = Arc::clone(&timer);
        thread::spawn(move || timer.run())
    });
    let callers = [1, 100].map(|first| {
        let client = client.clone();
        thread::spawn(move || {
            for id in first..first + 3 {
                match timers {
                    Timers::Fire if id == first + 1 => client.abandon(id),
                    _ => future::block_on(client.call(id)),
                }
            }
        })
    });
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    match timers {
        Timers::Fire => {
            // The driver notices, even if no caller is left and the last reader was a caller.
            socket.change(|bytes| bytes.peer_ended = true);
            driver.join().unwrap();
            drop(client);
        }
        Timers::Stand => {
            drop(client);
            driver.join().unwrap();
        }
    }
    socket.end_of_client();
    peer.join().unwrap();
    timer.end();
    clock.into_iter().for_each(|clock| clock.join().unwrap());
}

fn check(timers: Timers, wakes_are_lost: bool) {
    shuttle::check_random(move || schedule(timers, wakes_are_lost), SCHEDULES);
    shuttle::check_pct(move || schedule(timers, wakes_are_lost), SCHEDULES, 3);
}

#[test]
fn every_call_has_its_reply_without_the_timer() {
    check(Timers::Stand, false);
}

#[test]
fn the_end_is_noticed_whoever_read_last() {
    check(Timers::Fire, false);
}

#[test]
#[should_panic(expected = "deadlock")]
fn the_model_finds_a_lost_wake() {
    check(Timers::Stand, true);
}

#[test]
#[should_panic(expected = "deadlock")]
fn the_model_finds_a_lease_that_does_not_end() {
    check(Timers::Fire, true);
}
