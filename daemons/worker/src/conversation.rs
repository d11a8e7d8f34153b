//! What is said with one process: calls out, replies in. Bytes and times are arguments.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use rpc_wire::call::request::{self, RequestMeta};
use rpc_wire::call::{Args, Outline, Reply, ReplyError, reply};
use rpc_wire::exact;
use rpc_wire::fault::{Code, Fault};
use rpc_wire::framing::{FrameError, FrameLimits, Framer};
use rpc_wire::paths;
use rpc_wire::signature::NotAMethodList;
use serde_json::value::RawValue;

use crate::WorkerLimits;
use crate::listing::Listing;

/// The id of the first request, which asks for the methods.
const DISCOVERY: u64 = 0;
/// Characters shown of a line that is no message, as they are shown.
const SHOWN: usize = 80;
/// Bytes of a line that is too long in which its id is looked for.
const LOOKED_AT: usize = 1024;

/// The calls in flight of one process, and the bytes that it has still to be sent. `T` is what a caller
/// waits with.
#[derive(Debug)]
pub(crate) struct Conversation<T> {
    calls: HashMap<u64, InFlight<T>>,
    /// How many of them are forgotten.
    forgotten: usize,
    output: Vec<u8>,
    /// Bytes that were ever appended to the output, and those of them that reached the process.
    appended: u64,
    written: u64,
    /// Where the line of the first call begins in all output.
    first_call: Option<u64>,
    /// When it wrote last something of a call, waited for or not; or began to be listened to again.
    last_sign: Option<Instant>,
    patience: Patience,
    /// The log has that it gives codes that are not its own.
    is_told_of_codes: bool,
    /// The log has that it answers with ids that are none.
    is_told_of_ids: bool,
}

/// How long cancelled calls may go on.
#[derive(Debug, Clone, Copy)]
struct Patience {
    /// Calls of a process at a time.
    concurrency: usize,
    cancel_timeout: Duration,
    linger_timeout: Duration,
}

impl From<&WorkerLimits> for Patience {
    fn from(limits: &WorkerLimits) -> Self {
        Self {
            concurrency: limits.concurrency.max(1),
            cancel_timeout: limits.cancel_timeout,
            linger_timeout: limits.linger_timeout.max(limits.cancel_timeout),
        }
    }
}

#[derive(Debug)]
struct InFlight<T> {
    /// `None` when nobody waits any longer.
    waiting: Option<T>,
    /// Where its line begins in all output.
    begins_at: u64,
    cancelled: Option<Instant>,
    /// It was cancelled long ago, and another call may have its place.
    is_forgotten: bool,
}

/// What a line of a process means.
#[derive(Debug, PartialEq)]
pub(crate) enum Event<T, V = Box<RawValue>> {
    /// A call has its result or its error.
    Done(T, Result<V, Fault>),
    /// A stream has another item.
    Item(u64, V),
    /// A call has an item that cannot be passed on.
    Unfit(u64, Fault),
    /// A stream has ended.
    End(T),
    /// Nothing that anyone waits for.
    Nothing,
}

/// Why a process cannot go on. It is restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Offence {
    /// A line is no message.
    NotAMessage {
        /// Its beginning.
        line: String,
        /// What is wrong with it.
        why: String,
    },
    /// A line is longer than so many bytes.
    TooLong(usize),
    /// It did not end calls that were cancelled, and said nothing else.
    Silent(Duration),
    /// It still wrote, but did not end calls that were cancelled so long ago that it has no room for others.
    Lingering(Duration),
    /// Its list of methods cannot be read.
    NoMethods(String),
}

/// Without the line.
impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAMessage { .. } => write!(f, "wrote a line that is no message"),
            Self::TooLong(most) => write!(
                f,
                "wrote a line of more than {most} bytes (max_line_bytes); return less, or stream it"
            ),
            Self::Silent(time) => write!(
                f,
                "said nothing for {time:?} after a call was cancelled or its deadline passed (cancel_timeout)"
            ),
            Self::Lingering(time) => write!(
                f,
                "still worked on a call {time:?} after it was cancelled or its deadline passed (linger_timeout), with no room for others; read the lines that cancel, or send shorter streams"
            ),
            Self::NoMethods(why) => {
                write!(f, "answered {} with no list of methods: {why}", paths::RPC_DISCOVER)
            }
        }
    }
}

impl<T> Conversation<T> {
    /// It begins with the question for the methods.
    pub(crate) fn new(limits: &WorkerLimits) -> Self {
        let mut it = Self {
            calls: HashMap::new(),
            forgotten: 0,
            output: Vec::new(),
            appended: 0,
            written: 0,
            first_call: None,
            last_sign: None,
            patience: limits.into(),
            is_told_of_codes: false,
            is_told_of_ids: false,
        };
        it.say(|out| {
            let meta = RequestMeta::default();
            request::extended(out, DISCOVERY, paths::RPC_DISCOVER, &Args::none(), &meta);
        });
        it
    }

    /// Sends a call; returns the place for what its caller waits with. Ids are above 0, and each is
    /// used once.
    pub(crate) fn call(
        &mut self,
        id: u64,
        method: &str,
        args: &Args,
        meta: &RequestMeta,
    ) -> &mut Option<T> {
        let begins_at = self.appended;
        self.first_call.get_or_insert(begins_at);
        self.say(|out| request::extended(out, id, method, args, meta));
        let call = InFlight { waiting: None, begins_at, cancelled: None, is_forgotten: false };
        &mut self.calls.entry(id).insert_entry(call).into_mut().waiting
    }

    /// Nobody waits for the call any longer: tells the process, unless the call is not here.
    pub(crate) fn cancel(&mut self, id: u64, now: Instant) -> bool {
        let Some(call) = self.calls.get_mut(&id) else { return false };
        call.waiting = None;
        if call.cancelled.replace(now).is_none() {
            self.say(|out| request::cancel(out, id));
        }
        true
    }

    /// Tells the process that no further calls come.
    pub(crate) fn drain(&mut self) {
        self.say(reply::draining);
    }

    /// Calls that the process has not ended, without those that were forgotten.
    pub(crate) fn in_flight(&self) -> usize {
        self.calls.len() - self.forgotten
    }

    /// Whether somebody waits for a call.
    pub(crate) fn is_awaited(&self) -> bool {
        self.calls.values().any(|call| call.waiting.is_some())
    }

    /// What the caller of a call waits with.
    pub(crate) fn waiting(&mut self, id: u64) -> Option<&mut T> {
        self.calls.get_mut(&id)?.waiting.as_mut()
    }

    /// Reads the reply to the question for the methods.
    ///
    /// # Errors
    /// It is something else.
    pub(crate) fn listing(&mut self, line: &[u8]) -> Result<Listing, Offence> {
        let reply = Reply::parse(line).map_err(|error| not_a_message(line, &error.to_string()))?;
        let list = match reply {
            Reply::Done { id: Some(DISCOVERY), outcome: Ok(list) } => list.get(),
            Reply::Done { id: Some(DISCOVERY), outcome: Err(fault) } => {
                return Err(Offence::NoMethods(fault.classic_text()));
            }
            Reply::Empty { id: DISCOVERY } => {
                return Err(Offence::NoMethods("its reply has neither res nor error".to_owned()));
            }
            _ => {
                return Err(not_a_message(line, "expected the reply to rpc.discover, with its id"));
            }
        };
        Listing::read(list).map_err(|NotAMethodList(what)| {
            let expected = "expected a list like that of all_your_methods, or an OpenRPC document";
            Offence::NoMethods(format!("{what}; {expected}"))
        })
    }

    /// Reads a line.
    ///
    /// # Errors
    /// It is no message.
    pub(crate) fn line(&mut self, line: &[u8], now: Instant) -> Result<Event<T>, Offence> {
        if line.trim_ascii().is_empty() {
            return Ok(Event::Nothing);
        }
        let reply = match Reply::parse(line) {
            Ok(reply) => reply,
            Err(error) => return self.unreadable(line, &error, now),
        };
        Ok(match reply {
            Reply::Done { id: Some(id), outcome } => match self.ended(id, now) {
                Some(waiting) => {
                    let outcome = outcome.map_err(|fault| self.with_code_of_its_own(fault));
                    Event::Done(waiting, passed_on(line, outcome))
                }
                None => Event::Nothing,
            },
            Reply::Item { id, item, .. } => self.item(id, now, || passed_on(line, Ok(item))),
            Reply::End { id } => self.ended(id, now).map_or(Event::Nothing, Event::End),
            Reply::Empty { id } => match self.ended(id, now) {
                Some(waiting) => {
                    let what = "the worker's reply has neither res nor error";
                    Event::Done(waiting, Err(Fault::method_failed(what)))
                }
                None => Event::Nothing,
            },
            Reply::Draining => Event::Nothing,
            Reply::Done { id: None, .. } | Reply::Unknown if Outline::of(line).is_some() => {
                self.of_no_call(line)
            }
            Reply::Done { id: None, .. } => {
                return Err(not_a_message(line, "the id of its call is missing"));
            }
            Reply::Unknown => {
                return Err(not_a_message(line, "expected an id with res, error, item or end"));
            }
        })
    }

    /// A line that is no reply: an error of its call, if that is known, since others have done nothing wrong.
    fn unreadable(
        &mut self,
        line: &[u8],
        error: &ReplyError,
        now: Instant,
    ) -> Result<Event<T>, Offence> {
        let Some(Outline { id, is_item }) = Outline::of(line) else {
            return Err(not_a_message(line, &error.to_string()));
        };
        let Some(id) = id else { return Ok(self.of_no_call(line)) };
        let fault = too_deep(line).unwrap_or_else(|| Fault::method_failed(error.to_string()));
        Ok(self.unfit(id, is_item, fault, now))
    }

    /// Begins to read a line of more than `most` bytes. The rest of it is to be dropped.
    ///
    /// # Errors
    /// Its call is not known.
    pub(crate) fn long_line(
        &mut self,
        beginning: &[u8],
        most: usize,
        now: Instant,
    ) -> Result<Event<T>, Offence> {
        let beginning = beginning.get(..LOOKED_AT).unwrap_or(beginning);
        let Some(Outline { id: Some(id), is_item }) = Outline::of_beginning(beginning) else {
            return Err(Offence::TooLong(most));
        };
        let text = format!(
            "the worker's reply is a line of more than {most} bytes (max_line_bytes); return less, or stream it"
        );
        Ok(self.unfit(id, is_item, Fault::method_failed(text), now))
    }

    fn unfit(&mut self, id: u64, is_item: bool, fault: Fault, now: Instant) -> Event<T> {
        match is_item {
            true => self.item(id, now, || Err(fault)),
            false => self.ended(id, now).map_or(Event::Nothing, |who| Event::Done(who, Err(fault))),
        }
    }

    /// A line with an id that is no number is of no call, such as the reply of a JSON-RPC library to a `cancel`.
    fn of_no_call(&mut self, line: &[u8]) -> Event<T> {
        if !std::mem::replace(&mut self.is_told_of_ids, true) {
            let line = beginning(line);
            tracing::warn!(
                "the worker answers with an id that no call has, which is ignored: {line:?}. Answer each call with its number"
            );
        }
        Event::Nothing
    }

    fn item(
        &mut self,
        id: u64,
        now: Instant,
        item: impl FnOnce() -> Result<Box<RawValue>, Fault>,
    ) -> Event<T> {
        let Some(call) = self.calls.get(&id) else { return Event::Nothing };
        self.last_sign = Some(now);
        if call.cancelled.is_some() {
            return Event::Nothing;
        }
        item().map_or_else(|fault| Event::Unfit(id, fault), |item| Event::Item(id, item))
    }

    /// Most codes of the table say what a server did with a call, and clients act by them: they take it to another
    /// instance, though this one has run it.
    fn with_code_of_its_own(&mut self, fault: Fault) -> Fault {
        if matches!(fault.code, Code::MethodFailed | Code::BadArguments | Code::Other(_)) {
            return fault;
        }
        let Fault { code, data, .. } = &fault;
        if !std::mem::replace(&mut self.is_told_of_codes, true) {
            tracing::warn!(%code, "the worker fails with a code that only rpcd may give; callers get {} instead. Use codes above -32000", Code::MethodFailed);
        }
        let what = match code {
            // It is called for what it lists.
            Code::MethodNotFound => {
                let said = &fault.message;
                format!("the worker lists this method, but says that it has none: {said}").into()
            }
            _ => fault.plain_text(),
        };
        let message = format!("{what} (code {code} of the worker)");
        Fault { data: data.clone(), ..Fault::method_failed(message) }
    }

    fn ended(&mut self, id: u64, now: Instant) -> Option<T> {
        let call = self.calls.remove(&id)?;
        self.forgotten -= usize::from(call.is_forgotten);
        self.last_sign = Some(now);
        call.waiting
    }

    /// Gives the places of calls that were cancelled long ago to others. Returns when to look again.
    ///
    /// # Errors
    /// It has hung: calls that it may have at a time are as many as were cancelled and have not ended, and
    /// it says nothing, or says it for too long.
    pub(crate) fn check(&mut self, now: Instant) -> Result<Option<Instant>, Offence> {
        let Patience { concurrency, cancel_timeout, linger_timeout } = self.patience;
        let cancelled = self.calls.values_mut().filter_map(|call| {
            let InFlight { cancelled, is_forgotten, .. } = call;
            cancelled.map(|at| (at, is_forgotten))
        });
        let mut cancelled: Vec<(Instant, &mut bool)> = cancelled.collect();
        cancelled.sort_by_key(|(at, _)| *at);
        let overdue = cancelled.iter().filter(|(at, _)| now >= *at + cancel_timeout).count();
        let silent_at = self.last_sign.map(|at| at + cancel_timeout);
        if overdue >= concurrency && silent_at.is_none_or(|at| now >= at) {
            return Err(Offence::Silent(cancel_timeout));
        }
        // One that has one call at a time would not read another.
        let room = if concurrency > 1 { concurrency.saturating_sub(self.forgotten) } else { 0 };
        let holding =
            cancelled.iter_mut().take(overdue).filter(|(_, is_forgotten)| !**is_forgotten);
        for (_, is_forgotten) in holding.take(room) {
            **is_forgotten = true;
            self.forgotten += 1;
        }
        let mut holding = cancelled.iter().filter(|(_, is_forgotten)| !**is_forgotten);
        let full_at = holding.nth(concurrency - 1).map(|(at, _)| *at + linger_timeout);
        if full_at.is_some_and(|at| now >= at) {
            return Err(Offence::Lingering(linger_timeout));
        }
        let next = cancelled.get(overdue).map(|(at, _)| *at + cancel_timeout);
        let silent_at = silent_at.filter(|_| overdue >= concurrency);
        Ok([next, silent_at, full_at].into_iter().flatten().min())
    }

    /// It was not listened to until now: that it ended no call is not its fault.
    pub(crate) fn excuse(&mut self, now: Instant) {
        self.last_sign = Some(now);
    }

    fn say(&mut self, append: impl FnOnce(&mut Vec<u8>)) {
        let before = self.output.len();
        append(&mut self.output);
        self.appended += (self.output.len() - before) as u64;
    }

    /// What is to be written now.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// So many bytes have reached the process.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.written += bytes as u64;
    }

    /// Whether the process began to get a call.
    pub(crate) fn was_called(&self) -> bool {
        self.first_call.is_some_and(|begins_at| self.written > begins_at)
    }

    /// The process is gone, and left so many bytes unread: the calls whose lines it did not begin to get, then those it may
    /// have executed.
    pub(crate) fn finish(self, unread: u64) -> (Vec<T>, Vec<T>) {
        let read = self.written.saturating_sub(unread);
        let mut calls: Vec<_> = self.calls.into_iter().collect();
        calls.sort_by_key(|(id, _)| *id);
        let (unsent, sent): (Vec<_>, Vec<_>) =
            calls.into_iter().partition(|(_, call)| call.begins_at >= read);
        let waiting = |calls: Vec<(u64, InFlight<T>)>| {
            calls.into_iter().filter_map(|(_, call)| call.waiting).collect()
        };
        (waiting(unsent), waiting(sent))
    }
}

/// What becomes of an outcome: one that clients would refuse, and their connection with it, is an error of its call.
fn passed_on(line: &[u8], outcome: Result<&RawValue, Fault>) -> Result<Box<RawValue>, Fault> {
    if let Some(fault) = too_deep(line) {
        return Err(fault);
    }
    let value = outcome?;
    if let Some(number) = exact::infinite(value) {
        let text = format!("the worker's reply holds {number}, which is read as an infinity");
        return Err(Fault::method_failed(text));
    }
    Ok(value.to_owned())
}

fn too_deep(line: &[u8]) -> Option<Fault> {
    const DEEPEST: u32 = FrameLimits::DEEPEST;
    // One that is no longer has no room for so many brackets.
    if line.len() <= DEEPEST as usize {
        return None;
    }
    let mut framer = Framer::new(FrameLimits { max_bytes: usize::MAX, max_depth: DEEPEST });
    matches!(framer.next(line), Err(FrameError::TooDeep(_))).then(|| {
        let text = format!(
            "the worker's reply is nested deeper than {DEEPEST}, which clients refuse; return it in a flatter form"
        );
        Fault::method_failed(text)
    })
}

fn not_a_message(line: &[u8], why: &str) -> Offence {
    Offence::NotAMessage { line: beginning(line), why: why.to_owned() }
}

/// What is shown of a line.
fn beginning(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line.get(..4 * SHOWN).unwrap_or(line));
    let mut length = 0;
    let fits = |shown: &char| {
        length += shown.escape_debug().count();
        length <= SHOWN
    };
    text.chars().take_while(fits).collect()
}

#[cfg(test)]
mod tests;
