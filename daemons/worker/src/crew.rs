//! Which call goes to which process, and what becomes of it. Times are arguments.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use rpc_server::{Call, KeptBytes};
use rpc_wire::call::Args;
use rpc_wire::call::request::RequestMeta;
use rpc_wire::fault::{Code, Fault};
use serde_json::value::RawValue;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::WorkerLimits;
use crate::conversation::{Conversation, Event, Offence};
use crate::takes::{Shape, Takes};

/// The calls that wait, and the processes that take them.
#[derive(Debug)]
pub(crate) struct Crew {
    queue: VecDeque<Job>,
    members: Vec<Member>,
    /// What the process takes that started last, or is about to join.
    listed: Arc<Takes>,
    next_id: u64,
    limits: WorkerLimits,
    /// Why no call is taken any longer.
    closed: Option<Fault>,
}

/// A process that takes calls.
#[derive(Debug)]
struct Member {
    key: u64,
    conversation: Conversation<Job>,
    takes: Arc<Takes>,
    /// Told when there is something to write.
    wake: Arc<Notify>,
    takes_calls: bool,
}

/// A call, until its caller has what it waits for.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) call: Call,
    pub(crate) args: Args,
    /// What its arguments were arranged for.
    pub(crate) shape: Arc<Shape>,
    pub(crate) answer: Answer,
    /// Whether a process that dies may have executed it without harm, so that another one gets it:
    /// once, since it may be what the first one died of.
    pub(crate) may_run_again: bool,
    pub(crate) id: u64,
    /// When its reader was given an item last.
    pub(crate) given: Option<Instant>,
}

/// What a caller waits with.
#[derive(Debug)]
pub(crate) enum Answer {
    /// For one result.
    Once(oneshot::Sender<Result<Untaken, Fault>>),
    /// For items, and the end of them.
    Many { items: mpsc::Sender<Untaken>, end: oneshot::Sender<Result<(), Fault>> },
}

/// A value that its caller has not taken yet: until then it counts among what is kept for the caller.
#[derive(Debug)]
pub(crate) struct Untaken {
    value: Box<RawValue>,
    _kept: KeptBytes,
}

impl Untaken {
    fn new(value: Box<RawValue>, call: &Call) -> Self {
        Self { _kept: call.keep(value.get().len()), value }
    }

    pub(crate) fn take(self) -> Box<RawValue> {
        self.value
    }
}

/// An item for which its reader has no room yet: nothing more is read of its process until then.
#[derive(Debug)]
pub(crate) struct Stalled {
    pub(crate) id: u64,
    pub(crate) item: Untaken,
    pub(crate) items: mpsc::Sender<Untaken>,
    /// Its reader has taken nothing since.
    pub(crate) since: Instant,
}

/// What a process that is gone leaves behind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// Calls that failed with it.
    pub(crate) lost: usize,
    /// Whether it began to get a call.
    pub(crate) was_called: bool,
}

impl Crew {
    pub(crate) fn new(limits: WorkerLimits) -> Self {
        Self {
            queue: VecDeque::new(),
            members: Vec::new(),
            listed: Arc::default(),
            next_id: 0,
            limits,
            closed: None,
        }
    }

    /// Gives a call to a process, or lets it wait for one. Returns the call's id.
    ///
    /// # Errors
    /// Too many wait already, or there will be no process.
    pub(crate) fn submit(&mut self, mut job: Job, now: Instant) -> Result<u64, Fault> {
        if let Some(fault) = &self.closed {
            return Err(fault.clone());
        }
        if self.queue.len() >= self.limits.max_queued_calls {
            let text = format!(
                "busy: {} calls wait for a worker already (max_queued_calls); wait, or call another instance",
                self.queue.len()
            );
            return Err(Fault::new(Code::Overloaded, text));
        }
        self.next_id += 1;
        job.id = self.next_id;
        job.call.set_waiting(true);
        self.queue.push_back(job);
        self.fill(now);
        Ok(self.next_id)
    }

    /// Nobody waits for that call any longer.
    pub(crate) fn cancel(&mut self, id: u64, now: Instant) {
        if let Some(at) = self.queue.iter().position(|job| job.id == id) {
            self.queue.remove(at);
            return;
        }
        for member in &mut self.members {
            if member.conversation.cancel(id, now) {
                member.wake.notify_one();
            }
        }
    }

    /// A process that takes this is about to join.
    pub(crate) fn lists(&mut self, takes: Arc<Takes>) {
        self.listed = takes;
    }

    /// A process takes calls from now on.
    pub(crate) fn join(
        &mut self,
        key: u64,
        (conversation, takes): (Conversation<Job>, Arc<Takes>),
        wake: Arc<Notify>,
        now: Instant,
    ) {
        self.closed = None;
        self.members.push(Member { key, conversation, takes, wake, takes_calls: true });
        self.fill(now);
    }

    /// A process gets no further calls, and is told so.
    pub(crate) fn drain(&mut self, key: u64) {
        if let Some(member) = self.member(key) {
            member.takes_calls = false;
            member.conversation.drain();
            member.wake.notify_one();
        }
    }

    /// A process is gone, which left so many bytes unread. Calls that it did not get wait for another one; so do, once,
    /// those that may run again. The others fail.
    pub(crate) fn leave(&mut self, key: u64, why: &str, unread: u64, now: Instant) -> Left {
        let Some(at) = self.members.iter().position(|member| member.key == key) else {
            return Left::default();
        };
        let conversation = self.members.swap_remove(at).conversation;
        let was_called = conversation.was_called();
        let (unsent, sent) = conversation.finish(unread);
        let (again, lost): (Vec<_>, Vec<_>) = sent.into_iter().partition(|job| job.may_run_again);
        for job in &unsent {
            job.call.set_waiting(true);
        }
        let again = again.into_iter().map(|job| Job { may_run_again: false, ..job });
        let mut waiting: Vec<Job> = again.chain(unsent).collect();
        waiting.sort_by_key(|job| std::cmp::Reverse(job.id));
        for job in waiting {
            self.queue.push_front(job);
        }
        let left = Left { lost: lost.len(), was_called };
        for job in lost {
            job.answer
                .fail(Fault::abandoned(&format!("the call had not ended when the worker {why}")));
        }
        match self.closed.clone() {
            Some(fault) => self.close(fault),
            None => self.fill(now),
        }
        left
    }

    /// No call is taken any longer, and those that wait fail.
    pub(crate) fn close(&mut self, fault: Fault) {
        for job in self.queue.drain(..) {
            job.answer.fail(fault.clone());
        }
        self.closed = Some(fault);
    }

    /// Gives the places of calls that were cancelled long ago to others; returns when to look again.
    ///
    /// # Errors
    /// The process has hung.
    pub(crate) fn check(&mut self, key: u64, now: Instant) -> Result<Option<Instant>, Offence> {
        let next = self.with(key).map_or(Ok(None), |conversation| conversation.check(now))?;
        self.fill(now);
        Ok(next)
    }

    /// The same, if no process is left; whether that is so.
    pub(crate) fn close_if_empty(&mut self, fault: Fault) -> bool {
        let is_empty = self.members.is_empty();
        if is_empty {
            self.close(fault);
        }
        is_empty
    }

    /// The conversation with a process.
    pub(crate) fn with(&mut self, key: u64) -> Option<&mut Conversation<Job>> {
        self.member(key).map(|member| &mut member.conversation)
    }

    /// A process wrote a line.
    ///
    /// # Errors
    /// It is no message.
    pub(crate) fn line(
        &mut self,
        key: u64,
        line: &[u8],
        now: Instant,
    ) -> Result<Option<Stalled>, Offence> {
        let Some(conversation) = self.with(key) else { return Ok(None) };
        let event = conversation.line(line, now)?;
        Ok(self.follow(key, event, now))
    }

    /// A process wrote a line that is too long, of which this is the beginning.
    ///
    /// # Errors
    /// Nobody knows of which call.
    pub(crate) fn long_line(
        &mut self,
        key: u64,
        beginning: &[u8],
        now: Instant,
    ) -> Result<(), Offence> {
        let most = self.limits.max_line_bytes;
        let Some(conversation) = self.with(key) else { return Ok(()) };
        let event = conversation.long_line(beginning, most, now)?;
        self.follow(key, event, now);
        Ok(())
    }

    fn follow(&mut self, key: u64, event: Event<Job>, now: Instant) -> Option<Stalled> {
        match event {
            Event::Done(Job { answer, call, .. }, outcome) => {
                answer.done(outcome.map(|value| Untaken::new(value, &call)));
            }
            Event::End(job) => job.answer.end(),
            Event::Nothing => {}
            Event::Unfit(id, fault) => self.fail(key, id, fault, now),
            Event::Item(id, item) => return self.item(key, id, item, now),
        }
        self.fill(now);
        None
    }

    fn item(&mut self, key: u64, id: u64, item: Box<RawValue>, now: Instant) -> Option<Stalled> {
        let job = self.with(key)?.waiting(id)?;
        // Its reader has seen a part of it.
        job.may_run_again = false;
        match &job.answer {
            Answer::Many { items, .. } => match items.try_send(Untaken::new(item, &job.call)) {
                Ok(()) => {
                    job.given = Some(now);
                    None
                }
                Err(TrySendError::Full(item)) => {
                    // Whatever it had taken since the last one had left room.
                    let since = job.given.unwrap_or(now);
                    Some(Stalled { id, item, items: items.clone(), since })
                }
                // Its cancel is on its way.
                Err(TrySendError::Closed(_)) => None,
            },
            Answer::Once(_) => {
                let what = "the worker sent an item for a method that it does not list as a stream (x-stream)";
                self.fail(key, id, Fault::method_failed(what), now);
                None
            }
        }
    }

    /// Ends a call of a process with an error, and cancels it there.
    pub(crate) fn fail(&mut self, key: u64, id: u64, fault: Fault, now: Instant) {
        let Some(member) = self.member(key) else { return };
        if let Some(job) = member.conversation.waiting(id) {
            job.answer.take().fail(fault);
        }
        member.conversation.cancel(id, now);
        member.wake.notify_one();
    }

    /// Gives calls that wait to processes that have room: each to that with the fewest of those that take it.
    pub(crate) fn fill(&mut self, now: Instant) {
        let most = self.limits.concurrency.max(1);
        let mut at = 0;
        while let Some(job) = self.queue.get(at) {
            let (method, shape) = (job.call.method(), &job.shape);
            let in_flight = |member: &&mut Member| member.conversation.in_flight();
            let members = self.members.iter_mut().filter(|member| member.takes_calls);
            let mut free = members.filter(|member| in_flight(member) < most).peekable();
            if free.peek().is_none() {
                return;
            }
            let Some(member) =
                free.filter(|member| member.takes.has(method, shape)).min_by_key(in_flight)
            else {
                let takes = |member: &Member| member.takes_calls && member.takes.has(method, shape);
                if self.listed.has(method, shape) || self.members.iter().any(takes) {
                    at += 1;
                } else {
                    let refusal = self.listed.refusal(method);
                    let Some(job) = self.queue.remove(at) else { return };
                    job.answer.fail(refusal);
                }
                continue;
            };
            let Some(job) = self.queue.remove(at) else { return };
            let left = job.call.deadline().map(|deadline| deadline.saturating_duration_since(now));
            if left.is_some_and(|left| left.is_zero()) {
                // The server's own timer may be later.
                let text = "the deadline passed while the call waited for a worker";
                job.answer.fail(Fault::new(Code::DeadlineExceeded, text));
                continue;
            }
            if job.answer.is_abandoned() {
                continue;
            }
            let meta = RequestMeta {
                deadline_ms: left.map(|it| u64::try_from(it.as_millis()).unwrap_or(u64::MAX)),
                stream: matches!(job.answer, Answer::Many { .. }),
                oneway: false,
                traceparent: job.call.traceparent().map(str::to_owned),
            };
            job.call.set_waiting(false);
            let waiting = member.conversation.call(job.id, job.call.method(), &job.args, &meta);
            *waiting = Some(job);
            member.wake.notify_one();
        }
    }

    fn member(&mut self, key: u64) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.key == key)
    }
}

impl Answer {
    fn done(self, outcome: Result<Untaken, Fault>) {
        // Who does not wait any longer misses nothing.
        match (self, outcome) {
            (Self::Once(result), outcome) => drop(result.send(outcome)),
            (Self::Many { end, .. }, Err(fault)) => drop(end.send(Err(fault))),
            // The only item. Without room for it, it would be lost: a stream has some at its start.
            (Self::Many { items, end }, Ok(item)) => {
                let sent = items.try_send(item).map_err(|_| {
                    Fault::method_failed("the worker ended a stream with a result behind its items")
                });
                drop(end.send(sent));
            }
        }
    }

    fn end(self) {
        match self {
            Self::Many { end, .. } => drop(end.send(Ok(()))),
            Self::Once(result) => {
                let what =
                    "the worker ended a stream, but does not list the method as one (x-stream)";
                drop(result.send(Err(Fault::method_failed(what))));
            }
        }
    }

    pub(crate) fn fail(self, fault: Fault) {
        match self {
            Self::Once(result) => drop(result.send(Err(fault))),
            Self::Many { end, .. } => drop(end.send(Err(fault))),
        }
    }

    fn is_abandoned(&self) -> bool {
        match self {
            Self::Once(result) => result.is_closed(),
            Self::Many { items, .. } => items.is_closed(),
        }
    }

    /// The answer, and one in its place that nobody waits for.
    fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Once(oneshot::channel().0))
    }
}

#[cfg(test)]
mod tests;
