//! How tasks are heard: answers at once, live data at whole seconds.
//!
//! A registry and servers that are well say something all the time. Each word would wake the
//! screen, so theirs come through a channel of their own, looked into when
//! [`live_due`](rpc_console_core::wake::live_due) says.

use std::time::Instant;

use tokio::sync::mpsc;

use rpc_console_core::message::Msg;
use rpc_console_core::model::Model;
use rpc_console_core::wake;

/// Messages that may wait in either channel; a full one slows the tasks down, never the screen.
const CAPACITY: usize = 1_024;

/// What tasks tell is sent here.
pub(super) struct Senders {
    /// What somebody waits for.
    pub(super) answers: mpsc::Sender<Msg>,
    /// What comes by itself.
    pub(super) live: mpsc::Sender<Msg>,
}

/// What tasks tell arrives here.
pub(super) struct Inbox {
    answers: mpsc::Receiver<Msg>,
    live: mpsc::Receiver<Msg>,
    /// When a person last did something, or all of it began.
    touched: Instant,
    /// When live data was last taken in.
    taken: Option<Instant>,
}

impl Inbox {
    /// Nothing has arrived.
    pub(super) fn new(now: Instant) -> (Senders, Self) {
        let (answers_in, answers) = mpsc::channel(CAPACITY);
        let (live_in, live) = mpsc::channel(CAPACITY);
        let senders = Senders { answers: answers_in, live: live_in };
        (senders, Self { answers, live, touched: now, taken: None })
    }

    /// A person did something.
    pub(super) fn touched(&mut self, now: Instant) {
        self.touched = now;
    }

    /// When live data may be taken in.
    pub(super) fn live_due(&self, model: &Model, now: Instant, origin: Instant) -> Instant {
        if self.live.len() == CAPACITY {
            return now;
        }
        wake::live_due(model, self.touched, self.taken, now, origin)
    }

    /// The next message, live data not before `live_due`.
    pub(super) async fn next(&mut self, live_due: Instant) -> Option<Msg> {
        let live = async {
            if live_due > Instant::now() {
                tokio::time::sleep_until(live_due.into()).await;
            }
            self.live.recv().await
        };
        tokio::select! {
            biased;
            msg = self.answers.recv() => msg,
            msg = live => {
                self.taken = Some(Instant::now());
                msg
            }
        }
    }

    /// A message that is there already, live data not before `live_due`.
    pub(super) fn at_once(&mut self, live_due: Instant) -> Option<Msg> {
        if let Ok(msg) = self.answers.try_recv() {
            return Some(msg);
        }
        let now = Instant::now();
        let msg = if now < live_due { None } else { self.live.try_recv().ok() };
        if msg.is_some() {
            self.taken = Some(now);
        }
        msg
    }

    /// The next message of either kind.
    pub(super) async fn any(&mut self) -> Option<Msg> {
        self.next(Instant::now()).await
    }
}
