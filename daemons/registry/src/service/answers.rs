//! The bytes of answers that their readers have not taken: counted, and bounded by disconnecting
//! whoever reads slowest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::now;
use crate::error::Refusal;

/// A smaller answer is neither counted nor cut into pieces: connections bound the sum of these.
const SMALL: usize = 16 * 1024;
/// Bytes handed to a connection at a time.
const PIECE: usize = 64 * 1024;
/// How long a request waits for room that others leave.
const PATIENCE: Duration = Duration::from_secs(1);

/// The answers that are being read, or kept for readers to come.
///
/// An answer that many read is counted once. One that is larger than the limit may be made while no other
/// is kept, so that whatever is listed can be read.
#[derive(Debug)]
pub(crate) struct Answers {
    max_bytes: usize,
    state: Mutex<State>,
    /// Notified when an answer is dropped.
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    readers: HashMap<u64, Reader>,
    last_reader: u64,
}

/// There is no room for an answer of that size beside those that are kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoRoom {
    pub(crate) bytes: usize,
    max_bytes: usize,
}

impl From<NoRoom> for Refusal {
    fn from(NoRoom { max_bytes, .. }: NoRoom) -> Self {
        Self::TooMuchUnread(max_bytes)
    }
}

/// Who is reading an answer.
#[derive(Debug)]
struct Reader {
    /// The answer's address in memory.
    answer: usize,
    /// When it last took a piece.
    progress: Instant,
    /// Ends its connection.
    cut: CancellationToken,
}

impl Answers {
    pub(crate) fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { max_bytes, state: Mutex::default(), freed: Notify::new() })
    }

    /// Counts an answer for as long as anyone keeps it.
    pub(crate) fn keep(self: &Arc<Self>, answer: Bytes) -> Bytes {
        if answer.len() <= SMALL {
            return answer;
        }
        self.lock().bytes += answer.len();
        Bytes::from_owner(Kept { answer, answers: Arc::clone(self) })
    }

    /// The pieces of an answer for the reader whose connection `cut` ends.
    pub(crate) fn pieces(self: &Arc<Self>, answer: Bytes, cut: &CancellationToken) -> Pieces {
        let reading = (answer.len() > SMALL).then(|| {
            let mut state = self.lock();
            state.last_reader += 1;
            let id = state.last_reader;
            let address = answer.as_ptr().addr();
            let reader = Reader { answer: address, progress: now(), cut: cut.clone() };
            state.readers.insert(id, reader);
            Arc::new(Reading { answers: Arc::clone(self), id })
        });
        Pieces { rest: answer, reading }
    }

    /// Whether an answer of that many bytes may be made.
    ///
    /// # Errors
    /// There is no room for it.
    pub(crate) fn check_room(&self, bytes: usize) -> Result<(), NoRoom> {
        let kept = self.lock().bytes;
        let is_alone = kept == 0 && self.max_bytes > 0;
        if bytes <= SMALL || is_alone || kept.saturating_add(bytes) <= self.max_bytes {
            return Ok(());
        }
        Err(NoRoom { bytes, max_bytes: self.max_bytes })
    }

    /// Waits until an answer of that many bytes may be made, and disconnects those who stand in its way: the readers
    /// of the answer of which nothing was taken for the longest time, then those of the next one.
    ///
    /// # Errors
    /// There is no room in time.
    pub(crate) async fn make_room(&self, bytes: usize) -> Result<(), Refusal> {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            let freed = self.freed.notified();
            let Err(no_room) = self.check_room(bytes) else { return Ok(()) };
            self.cut_slowest();
            if tokio::time::timeout_at(until, freed).await.is_err() {
                return Err(no_room.into());
            }
        }
    }

    fn cut_slowest(&self) {
        let slowest = self.slowest();
        // Outside the lock: a waker runs foreign code.
        slowest.iter().for_each(CancellationToken::cancel);
    }

    /// The readers of the answer of which nothing was taken for the longest time.
    fn slowest(&self) -> Vec<CancellationToken> {
        let state = self.lock();
        let mut latest: HashMap<usize, Instant> = HashMap::new();
        for reader in state.readers.values().filter(|reader| !reader.cut.is_cancelled()) {
            let latest = latest.entry(reader.answer).or_insert(reader.progress);
            *latest = reader.progress.max(*latest);
        }
        let Some((slowest, _)) = latest.into_iter().min_by_key(|(_, progress)| *progress) else {
            return Vec::new();
        };
        let of_it = state.readers.values().filter(|reader| reader.answer == slowest);
        of_it.map(|reader| reader.cut.clone()).collect()
    }

    /// Bytes of the answers that are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code in here panics halfway through a change, so a poisoned state is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer that is counted.
struct Kept {
    answer: Bytes,
    answers: Arc<Answers>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.answers.lock().bytes -= self.answer.len();
        self.answers.freed.notify_waiters();
    }
}

/// An answer in pieces. Its reader counts as one until the last piece is written.
#[derive(Debug)]
pub(crate) struct Pieces {
    rest: Bytes,
    /// `None` for a small answer.
    reading: Option<Arc<Reading>>,
}

impl Pieces {
    /// Bytes not yet taken.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    /// The whole answer, if it is small.
    pub(crate) fn small(&self) -> Option<Bytes> {
        self.reading.is_none().then(|| self.rest.clone())
    }
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.rest.is_empty() {
            return None;
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        let Some(reading) = &self.reading else { return Some(piece) };
        reading.progress();
        Some(Bytes::from_owner(Piece { piece, _reading: Arc::clone(reading) }))
    }
}

/// What a connection has been handed and has not written.
struct Piece {
    piece: Bytes,
    _reading: Arc<Reading>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

/// A place among the readers.
#[derive(Debug)]
struct Reading {
    answers: Arc<Answers>,
    id: u64,
}

impl Reading {
    fn progress(&self) {
        if let Some(reader) = self.answers.lock().readers.get_mut(&self.id) {
            reader.progress = now();
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.answers.lock().readers.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn answer(answers: &Arc<Answers>) -> Bytes {
        answers.keep(vec![b' '; MIB].into())
    }

    #[test]
    fn an_answer_counts_once_until_its_last_reader_has_it() {
        let answers = Answers::new(MIB);
        let kept = answer(&answers);
        let cut = CancellationToken::new();
        let mut readers = [answers.pieces(kept.clone(), &cut), answers.pieces(kept, &cut)];
        assert_eq!((answers.bytes(), answers.lock().readers.len()), (MIB, 2));
        assert_eq!(answers.check_room(MIB), Err(NoRoom { bytes: MIB, max_bytes: MIB }));
        let mut last = None;
        for reader in &mut readers {
            let pieces: Vec<_> = reader.collect();
            assert_eq!(pieces.iter().map(Bytes::len).collect::<Vec<_>>(), [PIECE; MIB / PIECE]);
            last = pieces.last().cloned();
        }
        drop(readers);
        assert_eq!((answers.bytes(), answers.lock().readers.len()), (MIB, 1), "a piece is left");
        drop(last);
        assert_eq!((answers.bytes(), answers.lock().readers.len()), (0, 0));
        assert_eq!(answers.check_room(MIB), Ok(()));
    }

    #[test]
    fn small_answers_are_handed_out_as_they_are() {
        let answers = Answers::new(MIB);
        let small = answers.keep(vec![b' '; SMALL].into());
        let pieces: Vec<_> = answers.pieces(small, &CancellationToken::new()).collect();
        assert_eq!((pieces.len(), answers.bytes(), answers.lock().readers.len()), (1, 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_slowest_is_disconnected_first() {
        let answers = Answers::new(2 * MIB);
        let (slow, quick) = (CancellationToken::new(), CancellationToken::new());
        let slowly = answers.pieces(answer(&answers), &slow);
        let mut quickly = answers.pieces(answer(&answers), &quick);
        // The connection's part: what it holds goes with it.
        let ended = slow.clone();
        let ending = tokio::spawn(async move {
            ended.cancelled().await;
            drop(slowly);
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(quickly.next().is_some());
        assert_eq!(answers.make_room(MIB).await, Ok(()));
        ending.await.unwrap();
        assert!(slow.is_cancelled() && !quick.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_room_is_refused_in_time() {
        let answers = Answers::new(MIB);
        let _kept = answer(&answers);
        assert_eq!(answers.make_room(MIB).await, Err(Refusal::TooMuchUnread(MIB)));
        assert_eq!(answers.make_room(SMALL).await, Ok(()));
    }
}
