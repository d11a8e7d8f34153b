//! The channels from tasks to the loop: replies at once, live data at whole seconds.
//!
//! A healthy registry and its instances send something all the time. Each message would wake the
//! screen, so live data has a channel of its own, which is read when
//! [`live_due`](rpc_console_core::wake::live_due) says so.

use std::time::Instant;

use tokio::sync::mpsc;

use rpc_console_core::message::Msg;
use rpc_console_core::model::Model;
use rpc_console_core::wake;

/// Messages in either channel at most; a full one makes its tasks wait, never the screen.
const CAPACITY: usize = 1_024;
/// Changes of the registry that wait at most: one may be a whole list. A further one waits to be read.
const MAX_CHANGES: usize = 16;

/// The tasks' side of the channels.
pub(super) struct Senders {
    /// For replies that a person waits for.
    pub(super) replies: mpsc::Sender<Msg>,
    /// For what is streamed or polled.
    pub(super) live: mpsc::Sender<Msg>,
    /// For changes of the registry.
    pub(super) changes: mpsc::Sender<Msg>,
}

/// The loop's side of the channels.
pub(super) struct Inbox {
    replies: mpsc::Receiver<Msg>,
    live: mpsc::Receiver<Msg>,
    changes: mpsc::Receiver<Msg>,
    /// When a person last pressed a key; at first, when the console started.
    touched: Instant,
    /// When live data was last read.
    taken: Option<Instant>,
}

impl Inbox {
    /// Both sides of empty channels.
    pub(super) fn new(now: Instant) -> (Senders, Self) {
        let (replies_in, replies) = mpsc::channel(CAPACITY);
        let (live_in, live) = mpsc::channel(CAPACITY);
        let (changes_in, changes) = mpsc::channel(MAX_CHANGES);
        let senders = Senders { replies: replies_in, live: live_in, changes: changes_in };
        (senders, Self { replies, live, changes, touched: now, taken: None })
    }

    /// A person pressed a key.
    pub(super) fn touched(&mut self, now: Instant) {
        self.touched = now;
    }

    /// When live data may be read next.
    pub(super) fn live_due(&self, model: &Model, now: Instant, origin: Instant) -> Instant {
        if self.live.len() == CAPACITY || self.changes.len() == MAX_CHANGES {
            return now;
        }
        wake::live_due(model, self.touched, self.taken, now, origin)
    }

    /// Waits for the next message; reads live data not before `live_due`.
    pub(super) async fn next(&mut self, live_due: Instant) -> Option<Msg> {
        let live = async {
            if live_due > Instant::now() {
                tokio::time::sleep_until(live_due.into()).await;
            }
            // A channel that is awaited would wake the screen later, even if the other one has a
            // message now.
            if let Some(msg) = taken(&mut self.changes, &mut self.live) {
                return Some(msg);
            }
            tokio::select! {
                biased;
                Some(msg) = self.changes.recv() => Some(msg),
                Some(msg) = self.live.recv() => Some(msg),
                else => None,
            }
        };
        tokio::select! {
            biased;
            msg = self.replies.recv() => msg,
            msg = live => {
                self.taken = Some(Instant::now());
                msg
            }
        }
    }

    /// A message that has arrived already; live data not before `live_due`.
    pub(super) fn at_once(&mut self, live_due: Instant) -> Option<Msg> {
        if let Ok(msg) = self.replies.try_recv() {
            return Some(msg);
        }
        let now = Instant::now();
        let msg = if now < live_due { None } else { taken(&mut self.changes, &mut self.live) };
        if msg.is_some() {
            self.taken = Some(now);
        }
        msg
    }

    /// Waits for the next message from either channel.
    pub(super) async fn any(&mut self) -> Option<Msg> {
        self.next(Instant::now()).await
    }
}

/// Live data that has arrived: what the registry lists comes before what is known of it.
fn taken(changes: &mut mpsc::Receiver<Msg>, live: &mut mpsc::Receiver<Msg>) -> Option<Msg> {
    changes.try_recv().or_else(|_| live.try_recv()).ok()
}
