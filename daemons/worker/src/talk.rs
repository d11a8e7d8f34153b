//! Talks with one process: moves bytes between its pipes and the crew. Reading and writing never wait
//! for each other.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rpc_wire::fault::Fault;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, ioctl_fionread};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::conversation::{Conversation, Offence};
use crate::crew::{Job, Left, Stalled};
use crate::lines::{Lines, TooLong};
use crate::listing::Listing;
use crate::pool::Pool;
use crate::process::Process;
use crate::reason::Reason;
use crate::takes::Takes;
use crate::{Program, WorkerLimits};

/// Bytes read at once; then others have their turn.
const READ: usize = 64 * 1024;
/// How long the end of a process that has closed its standard output is waited for, to say how it ended.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A process that has listed its methods and takes calls once it is told to [`serve`](Self::serve).
#[derive(Debug)]
pub(crate) struct Talk {
    process: Process,
    lines: Lines,
    conversation: Conversation<Job>,
    limits: WorkerLimits,
    /// What it listed.
    pub(crate) listing: Listing,
}

impl Talk {
    /// Starts a process and asks for its methods.
    ///
    /// # Errors
    /// Why it does not serve.
    pub(crate) async fn start(
        program: &Program,
        worker: usize,
        limits: &WorkerLimits,
    ) -> Result<Self, NotStarted> {
        let process = Process::start(program, worker).map_err(NotStarted::by_the_system)?;
        let mut talk = Self {
            process,
            lines: Lines::new(limits.max_line_bytes),
            conversation: Conversation::new(limits),
            limits: limits.clone(),
            listing: Listing::default(),
        };
        match timeout(limits.start_timeout, talk.discover()).await {
            Ok(Ok(listing)) => {
                talk.listing = listing;
                Ok(talk)
            }
            Ok(Err(why)) => {
                let ended = timeout(limits.exit_timeout, talk.process.ended());
                Err(NotStarted::by_itself(match why {
                    Some(offence) => offence.into(),
                    None => ended
                        .await
                        .unwrap_or_else(|_| "closed its standard output".into())
                        .and("; it listed no methods"),
                }))
            }
            Err(_late) => Err(NotStarted::by_itself(Reason::from(format!(
                "did not list its methods within {:?} (start_timeout); does it read a line from standard input, and flush each line that it writes?",
                limits.start_timeout
            )))),
        }
    }

    /// # Errors
    /// What it did instead; `None`: it ended.
    async fn discover(&mut self) -> Result<Listing, Option<Offence>> {
        let output = self.conversation.take_output();
        if let Some(stdin) = &mut self.process.stdin {
            stdin.write_all(&output).await.map_err(|_| None)?;
        }
        self.conversation.wrote(output.len());
        loop {
            if let Some(line) = self.next_line()? {
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return self.conversation.listing(&line).map_err(Some);
            }
            match self.process.stdout.read_buf(self.lines.buffer()).await {
                Ok(1..) => {}
                _ => return Err(None),
            }
        }
    }

    fn next_line(&mut self) -> Result<Option<BytesMut>, Offence> {
        next_line(&mut self.lines, &self.limits)
    }

    /// Its process's id.
    pub(crate) fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Takes calls until the process ends or `retire` is cancelled, then ends it. Says over `gone` as
    /// soon as it takes no calls, if that was not wanted.
    pub(crate) async fn serve(
        self,
        (pool, takes): (Arc<Pool>, Arc<Takes>),
        key: u64,
        retire: CancellationToken,
        gone: oneshot::Sender<Gone>,
    ) {
        let since = Instant::now();
        let Self { process, lines, conversation, limits, .. } = self;
        let wake = Arc::new(Notify::new());
        pool.crew().join(key, (conversation, takes), wake.clone(), since);
        let writing = BytesMut::new();
        let mut member = Member { pool, key, process, lines, limits, writing, unread: 0 };
        let end = member.take_calls(&wake, &retire).await;
        let why = match &end {
            End::Retired => "was replaced".into(),
            End::Offence(offence) => offence.clone().into(),
            End::Closed => match timeout(LAST_WORDS, member.process.ended()).await {
                Ok(how) => how,
                Err(_) => "closed its standard output".into(),
            },
            End::Exited => member.process.ended().await,
        };
        let unread = member.unread();
        let Member { pool, key, process, limits, .. } = member;
        let left = pool.crew().leave(key, &why.for_callers(), unread, Instant::now());
        if !matches!(end, End::Retired) {
            // Nobody is told when all workers stop.
            let _ = gone.send(Gone { why, served: since.elapsed(), left });
        }
        process.end(&limits).await;
    }
}

/// Why a program does not serve.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotStarted {
    pub(crate) why: Reason,
    /// The system has no room for it now. That says nothing about the program.
    pub(crate) may_start_later: bool,
}

impl NotStarted {
    fn by_itself(why: Reason) -> Self {
        Self { why, may_start_later: false }
    }

    fn by_the_system(error: io::Error) -> Self {
        let number = Errno::from_io_error(&error);
        // The last is a program that is being written.
        let for_now = [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM, Errno::TXTBSY];
        let may_start_later = number.is_some_and(|number| for_now.contains(&number));
        let hint = match may_start_later {
            true => "there is no room for it now (ulimit -n, ulimit -u, memory)",
            false => "check the command and its path",
        };
        Self { why: format!("cannot be started: {error}; {hint}").into(), may_start_later }
    }
}

/// A process that takes no calls any longer.
#[derive(Debug)]
pub(crate) struct Gone {
    pub(crate) why: Reason,
    /// Since it listed its methods.
    pub(crate) served: Duration,
    pub(crate) left: Left,
}

/// Why a process takes no calls any longer.
#[derive(Debug)]
enum End {
    /// It ended.
    Exited,
    /// It closed its standard output.
    Closed,
    /// It cannot go on.
    Offence(Offence),
    /// It was told to.
    Retired,
}

impl From<Offence> for End {
    fn from(offence: Offence) -> Self {
        Self::Offence(offence)
    }
}

/// A process that takes calls.
struct Member {
    pool: Arc<Pool>,
    key: u64,
    process: Process,
    lines: Lines,
    limits: WorkerLimits,
    /// What is being written.
    writing: BytesMut,
    /// Bytes that nobody had read when the other end of its standard input was closed.
    unread: u64,
}

impl Member {
    async fn take_calls(&mut self, wake: &Notify, retire: &CancellationToken) -> End {
        let mut stalled: Option<(Stalled, Instant)> = None;
        let mut retired: Option<Instant> = None;
        loop {
            let is_blocked = self.write();
            let mut look_again = retired;
            // One that waits until its items are taken is not silent.
            if stalled.is_none() {
                match self.pool.crew().check(self.key, Instant::now()) {
                    Ok(at) => look_again = [look_again, at].into_iter().flatten().min(),
                    Err(offence) => return offence.into(),
                }
            }
            if let Some(until) = retired
                && (Instant::now() >= until || !self.is_awaited())
            {
                return End::Retired;
            }
            let Process { child, stdin, stdout, .. } = &mut self.process;
            tokio::select! {
                () = wake.notified() => {}
                _ = writable(stdin), if is_blocked => {}
                ready = stdout.readable(), if stalled.is_none() => {
                    let read = ready.and_then(|()| read(stdout, &mut self.lines));
                    match read {
                        Ok(0) => return End::Closed,
                        Ok(_) => stalled = match self.read_lines() {
                            Ok(stalled) => stalled,
                            Err(offence) => return offence.into(),
                        },
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(_) => return End::Closed,
                    }
                }
                () = room(&mut stalled, &self.pool, self.key), if stalled.is_some() => {
                    stalled = match self.read_lines() {
                        Ok(stalled) => stalled,
                        Err(offence) => return offence.into(),
                    };
                }
                _ = child.wait() => {
                    // What it said last counts.
                    while stalled.is_none()
                        && matches!(read(&self.process.stdout, &mut self.lines), Ok(1..))
                    {
                        stalled = match self.read_lines() {
                            Ok(stalled) => stalled,
                            Err(offence) => return offence.into(),
                        };
                    }
                    return End::Exited;
                }
                () = sleep(look_again), if look_again.is_some() => {}
                () = retire.cancelled(), if retired.is_none() => {
                    retired = Some(Instant::now() + self.limits.drain_timeout);
                    self.pool.crew().drain(self.key);
                }
            }
        }
    }

    /// Writes what there is; whether some is left because the process reads too slowly.
    fn write(&mut self) -> bool {
        loop {
            let mut crew = self.pool.crew();
            let Some(conversation) = crew.with(self.key) else { return false };
            if self.writing.is_empty() {
                self.writing = BytesMut::from(&conversation.take_output()[..]);
            }
            drop(crew);
            let (false, Some(stdin)) = (self.writing.is_empty(), &self.process.stdin) else {
                return false;
            };
            match stdin.try_write(&self.writing) {
                Ok(count) => {
                    let _ = self.writing.split_to(count);
                    if let Some(conversation) = self.pool.crew().with(self.key) {
                        conversation.wrote(count);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                // It reads no more. If it lives, its calls show that it does nothing.
                Err(_) => {
                    self.unread = self.unread();
                    self.process.stdin = None;
                }
            }
        }
    }

    /// Bytes that were written to it, and that nobody will read: no process has the other end of the pipe.
    fn unread(&self) -> u64 {
        let Some(stdin) = &self.process.stdin else { return self.unread };
        let mut ends = [PollFd::new(stdin, PollFlags::empty())];
        let is_closed = poll(&mut ends, Some(&Timespec::default())).is_ok()
            && ends[0].revents().contains(PollFlags::ERR);
        match is_closed {
            true => ioctl_fionread(stdin).unwrap_or(0),
            false => 0,
        }
    }

    /// Passes on what it wrote, until a reader has no room.
    fn read_lines(&mut self) -> Result<Option<(Stalled, Instant)>, Offence> {
        let now = Instant::now();
        loop {
            // Locked anew for every line: others submit calls meanwhile.
            match self.lines.next() {
                Ok(Some(line)) => {
                    if let Some(stalled) = self.pool.crew().line(self.key, &line, now)? {
                        let until = stalled.since + self.limits.stall_timeout;
                        return Ok(Some((stalled, until)));
                    }
                }
                Ok(None) => return Ok(None),
                Err(TooLong) => {
                    self.pool.crew().long_line(self.key, self.lines.beginning(), now)?;
                    self.lines.drop_line();
                }
            }
        }
    }

    /// Whether somebody waits for a call: those that were cancelled may end while the process does.
    fn is_awaited(&self) -> bool {
        self.pool.crew().with(self.key).is_some_and(|conversation| conversation.is_awaited())
    }
}

fn next_line(lines: &mut Lines, limits: &WorkerLimits) -> Result<Option<BytesMut>, Offence> {
    lines.next().map_err(|TooLong| Offence::TooLong(limits.max_line_bytes))
}

fn read(stdout: &pipe::Receiver, lines: &mut Lines) -> io::Result<usize> {
    lines.buffer().reserve(READ);
    stdout.try_read_buf(lines.buffer())
}

async fn writable(stdin: &Option<pipe::Sender>) {
    match stdin {
        Some(stdin) => drop(stdin.writable().await),
        None => std::future::pending().await,
    }
}

async fn sleep(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

/// Waits until a reader takes the item that stalls a process, or has taken none for too long.
async fn room(stalled: &mut Option<(Stalled, Instant)>, pool: &Pool, key: u64) {
    let Some((Stalled { items, .. }, until)) = stalled else { return };
    let room = timeout_at((*until).into(), items.clone().reserve_owned()).await;
    let Some((Stalled { id, item, .. }, _)) = stalled.take() else { return };
    let now = Instant::now();
    let mut crew = pool.crew();
    match room {
        Ok(Ok(room)) => {
            if let Some(job) = crew.with(key).and_then(|conversation| conversation.waiting(id)) {
                job.given = Some(now);
            }
            drop(room.send(item));
        }
        // Its cancel is on its way.
        Ok(Err(_closed)) => {}
        Err(_late) => {
            let text =
                "the stream was read too slowly (stall_timeout); read faster, or ask for less";
            crew.fail(key, id, Fault::abandoned(text), now);
        }
    }
    if let Some(conversation) = crew.with(key) {
        conversation.excuse(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_has_no_room_for_may_start_later() {
        for (error, later) in [(Errno::MFILE, true), (Errno::AGAIN, true), (Errno::NOENT, false)] {
            let NotStarted { why, may_start_later } = NotStarted::by_the_system(error.into());
            let why = why.to_string();
            assert_eq!((may_start_later, why.contains("ulimit")), (later, later), "{why}");
        }
    }
}
