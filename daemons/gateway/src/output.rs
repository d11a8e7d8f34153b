//! What waits to be written to a pipe whose reader may be slow, bounded in bytes.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::outcome::Outcome;
use crate::protocol::Call;

/// Bytes of messages other than results that wait; then what would send one waits.
const QUEUED_BYTES: usize = 256 << 10;
/// Bytes that are written together.
const WRITE_BYTES: usize = 64 << 10;
/// Bytes are counted by so many, and each message as one more.
const UNIT: usize = 1 << 10;
/// Those of results, since so many small ones are enough.
const RESULT_UNIT: usize = 64 << 10;

/// Room for so many bytes, in sum.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    units: Arc<Semaphore>,
    all: u32,
    unit: usize,
}

/// Some of it, as long as it is held.
#[derive(Debug)]
pub(crate) struct Held {
    units: Option<OwnedSemaphorePermit>,
    unit: usize,
}

/// The sending side. Clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    sender: mpsc::UnboundedSender<Unwritten>,
    results: Room,
    others: Room,
}

/// The writing side.
#[derive(Debug)]
pub(crate) struct Writing(mpsc::UnboundedReceiver<Unwritten>);

/// A message, with its room.
#[derive(Debug)]
pub(crate) struct Unwritten {
    message: Message,
    _held: Held,
}

#[derive(Debug)]
enum Message {
    Text(String),
    /// As it came: it is there twice, as text and as structured content, only while it is written.
    Result(Box<Call>, Outcome),
}

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        Self::of_units(bytes, UNIT)
    }

    fn of_units(bytes: usize, unit: usize) -> Self {
        let all = u32::try_from(bytes / unit).unwrap_or(u32::MAX).max(1);
        Self { units: Arc::new(Semaphore::new(all as usize)), all, unit }
    }

    /// Whether there is as much.
    pub(crate) fn has(&self, bytes: usize) -> bool {
        self.units.available_permits() >= self.units(bytes) as usize
    }

    /// Waits for it.
    pub(crate) async fn take(&self, bytes: usize) -> Held {
        // An error only if it were closed.
        let units = Arc::clone(&self.units).acquire_many_owned(self.units(bytes)).await.ok();
        Held { units, unit: self.unit }
    }

    pub(crate) fn try_take(&self, bytes: usize) -> Option<Held> {
        let units = Arc::clone(&self.units).try_acquire_many_owned(self.units(bytes)).ok()?;
        Some(Held { units: Some(units), unit: self.unit })
    }

    /// What is larger than all there is takes that.
    fn units(&self, bytes: usize) -> u32 {
        u32::try_from(bytes / self.unit + 1).unwrap_or(u32::MAX).min(self.all)
    }
}

impl Held {
    /// Gives back what is not needed for so many bytes.
    fn shrink(&mut self, bytes: usize) {
        if let Some(units) = &mut self.units {
            drop(units.split(units.num_permits().saturating_sub(bytes / self.unit + 1)));
        }
    }
}

/// With room for so many bytes of results.
pub(crate) fn queue(max_bytes: usize) -> (Output, Writing) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (results, others) = (Room::of_units(max_bytes, RESULT_UNIT), Room::new(QUEUED_BYTES));
    (Output { sender, results, others }, Writing(receiver))
}

impl Output {
    /// Room for a result of at most so many bytes; waits until there is.
    pub(crate) async fn room_for_result(&self, max_bytes: usize) -> Held {
        self.results.take(max_bytes).await
    }

    /// Sends what has its room already.
    pub(crate) fn send_held(&self, unwritten: Unwritten) {
        // Nobody takes it only if nobody reads any more.
        let _ = self.sender.send(unwritten);
    }

    /// Waits until there is room, and sends.
    pub(crate) async fn send(&self, text: String) {
        self.send_held(self.with_room(text).await);
    }

    /// The same, to be sent later.
    pub(crate) async fn with_room(&self, text: String) -> Unwritten {
        let held = self.others.take(text.len()).await;
        Unwritten::text(text, held)
    }

    /// Sends if there is room.
    pub(crate) fn try_send(&self, text: String) {
        if let Some(held) = self.others.try_take(text.len()) {
            self.send_held(Unwritten::text(text, held));
        }
    }
}

impl Unwritten {
    pub(crate) fn text(text: String, held: Held) -> Self {
        Self { message: Message::Text(text), _held: held }
    }

    /// The result of a call, in the room that was taken for it.
    pub(crate) fn result(call: Box<Call>, outcome: Outcome, mut held: Held) -> Self {
        let message = match outcome.result_bytes() {
            Some(bytes) => {
                held.shrink(bytes);
                Message::Result(call, outcome)
            }
            None => {
                let text = outcome.reply(&call).json;
                held.shrink(text.len());
                Message::Text(text)
            }
        };
        Self { message, _held: held }
    }

    fn into_line(self) -> String {
        match self.message {
            Message::Text(text) => text,
            Message::Result(call, outcome) => outcome.reply(&call).json,
        }
    }
}

impl Writing {
    /// Writes each message on a line, short ones that wait together at once, until all senders are gone.
    ///
    /// # Errors
    /// `output` cannot be written.
    pub(crate) async fn write(mut self, mut output: impl AsyncWrite + Unpin) -> io::Result<()> {
        let mut bytes = Vec::new();
        while let Some(first) = self.0.recv().await {
            let mut next = Some(first);
            while let Some(unwritten) = next {
                let line = unwritten.into_line();
                if line.len() > WRITE_BYTES {
                    output.write_all(&bytes).await?;
                    bytes.clear();
                    output.write_all(line.as_bytes()).await?;
                } else {
                    bytes.extend_from_slice(line.as_bytes());
                }
                bytes.push(b'\n');
                next = if bytes.len() < WRITE_BYTES { self.0.try_recv().ok() } else { None };
            }
            output.write_all(&bytes).await?;
            output.flush().await?;
            bytes.clear();
        }
        Ok(())
    }
}
