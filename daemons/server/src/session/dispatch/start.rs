//! From a call to its method: which one it is, whether it may run, and its start.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rpc_host::refusals;
use rpc_security::{Guard, Identity, Permission, Role};
use rpc_wire::call::{Call, Meta, ReplyTo};
use rpc_wire::fault::{Code, Fault};
use rpc_wire::json::Json;
use rpc_wire::{is_traceparent, paths};
use tokio::time::sleep;

use super::Dispatcher;
use crate::Limits;
use crate::arguments::{Arguments, Parameters};
use crate::buffers::SMALL_BYTES;
use crate::call::{self, Dialect};
use crate::catalogue::Found;
use crate::extract::Parts;
use crate::failure::{draining, panicked, too_much_kept};
use crate::layer::Next;
use crate::method::{self, Body, Given, Method, Started};
use crate::permit::Permit;
use crate::places::calls::PlacesOfPeer;
use crate::places::counted;
use crate::reserved::{self, Reported, Reserved};
use crate::session::calls::{CallContext, Held, deadline_exceeded};
use crate::session::layered;
use crate::state::ServerState;
use crate::visitor::Visitor;

impl Dispatcher {
    /// Lets a call start that has just been read. The server's own methods always may: they are
    /// short, and health must be told under any load.
    ///
    /// # Errors
    /// It has waited too long; the reply.
    #[inline]
    pub(super) fn admit(&self, state: &ServerState, call: &Call<'_>) -> Result<(), Fault> {
        if self.is_fresh { Ok(()) } else { self.admit_later(state, call) }
    }

    fn admit_later(&self, state: &ServerState, call: &Call<'_>) -> Result<(), Fault> {
        let waited = self.now - self.arrived;
        let within = time_limit(&state.limits, &call.meta);
        match state.admission.admit(waited, within, self.now) {
            Err(_) if Reserved::find(&call.method).is_some() => Ok(()),
            outcome => outcome,
        }
    }

    /// Runs the call's method, or starts it.
    ///
    /// # Errors
    /// The reply, if it did neither.
    #[inline]
    pub(super) fn try_begin(
        &mut self,
        state: &ServerState,
        call: &Call<'_>,
        received: Instant,
    ) -> Result<(), Fault> {
        if self.draining {
            // This may be the first that shows which messages the peer understands.
            self.tell_draining();
            return Err(draining());
        }
        if call.meta.deadline_ms == Some(0) {
            return Err(deadline_exceeded(Duration::ZERO));
        }
        let arguments = Arguments { positional: call.args, keyword: call.kwargs };
        let target = Target::find(state, &call.method, self.last_method);
        let caller = match &mut self.visitor {
            // Its token is not looked at: of many guesses only the last must not tell which was right.
            Some(_) if self.is_heard_no_more && !is_probe(call) => {
                return Err(refused_too_often());
            }
            Some(visitor) => let_in(visitor, state, call, &target)?,
            None => None,
        };
        let found = match &target {
            Target::Reserved(reserved) => {
                return self.call_reserved(*reserved, call, arguments, received);
            }
            Target::Method(position, method) => Some((*position, *method)),
            Target::Replaceable(found) => found.get(),
            Target::Unknown => None,
        };
        let notice = state.limits.drain_notice;
        if state.drain.is_on() && state.drain.refuses(call.reply_to.is_classic(), notice) {
            return Err(state.drain.fault());
        }
        // Like the older server, which finds no method without both argument keys.
        if call.reply_to.is_classic() {
            if !call.has_arguments {
                return Err(no_such_method(&call.method));
            }
            state.older_clients.note(&mut self.older_clients, received);
        }
        let (position, method) = found.ok_or_else(|| no_such_method(&call.method))?;
        self.last_method = position;
        let peer = self.peer;
        // The others are done when they return.
        let kept = (!matches!(method.body(), Body::Sync(_))).then(|| self.calls.kept());
        let make = || {
            let seen = seen_by_method(state, method, call, (peer, caller.as_deref()), received);
            match &kept {
                Some(kept) => seen.counted_in(Arc::clone(kept)),
                None => seen,
            }
        };
        if let Some(next) = &state.layers {
            return self.start_layered(next, call, (position, method), make(), received);
        }
        let parts = Parts::new(&state.states, &make);
        match method.body() {
            Body::Sync(_) if arguments.len() > state.limits.max_inline_bytes => {
                self.start_offloaded(call, position, make(), received)
            }
            Body::Sync(body) => {
                let given = Given { parameters: method.parameters(), arguments, parts: &parts };
                self.run_now(call, position, body, given, received);
                // A task that the body started learns that it has returned.
                drop(parts.guard());
                Ok(())
            }
            Body::Started(body) => {
                self.start(call, position, body, (method.parameters(), arguments), &parts, received)
            }
        }
    }

    /// Starts a method that does not finish at once.
    fn start(
        &mut self,
        call: &Call<'_>,
        position: usize,
        body: &Started,
        (parameters, arguments): (&Parameters, Arguments<'_>),
        parts: &Parts<'_>,
        received: Instant,
    ) -> Result<(), Fault> {
        let is_stream = matches!(body, Started::Stream(_));
        if is_stream && !call.reads_stream() {
            return Err(needs_stream(call));
        }
        let permit = self.permit(position, is_stream, arguments)?;
        let mut context = context(call, position, received);
        let deadline = deadline(&self.state.limits, &call.meta, received);
        let started = catch_unwind(AssertUnwindSafe(|| {
            let given = Given { parameters, arguments, parts };
            match body {
                Started::Async(body) => {
                    let result = body(given)?;
                    context.waiting = parts.waiting();
                    let held = Held { permit: Some(permit), cancelled: parts.guard() };
                    self.calls.start(context, result, deadline, held);
                }
                Started::Blocking(body) => {
                    let result = method::blocking(body(given)?, permit);
                    let held = Held { permit: None, cancelled: parts.guard() };
                    self.calls.start(context, result, deadline, held);
                }
                Started::Stream(body) => {
                    let items = body(given)?;
                    context.waiting = parts.waiting();
                    let held = Held { permit: Some(permit), cancelled: parts.guard() };
                    let deadline = call.meta.deadline_ms.map(|_| deadline);
                    self.calls.start_stream(context, items, deadline, held);
                }
            }
            Ok(())
        }))
        .unwrap_or_else(|panic| Err(panicked(&*panic)));
        self.classic_is_running |= started.is_ok() && call.reply_to.is_classic();
        started
    }

    /// Starts a synchronous method on the blocking pool.
    fn start_offloaded(
        &mut self,
        call: &Call<'_>,
        position: usize,
        seen: call::Call,
        received: Instant,
    ) -> Result<(), Fault> {
        let arguments = Arguments { positional: call.args, keyword: call.kwargs };
        let permit = self.permit(position, false, arguments)?;
        let context = context(call, position, received);
        let deadline = deadline(&self.state.limits, &call.meta, received);
        let held = Held { permit: None, cancelled: Some(seen.guard()) };
        let result = layered::offloaded(&self.state, position, seen, arguments, permit);
        self.calls.start(context, result, deadline, held);
        self.classic_is_running |= call.reply_to.is_classic();
        Ok(())
    }

    /// Starts a call that goes through the server's layers, of whatever kind its method is.
    fn start_layered(
        &mut self,
        next: &Next,
        call: &Call<'_>,
        (position, method): (usize, &Method),
        seen: call::Call,
        received: Instant,
    ) -> Result<(), Fault> {
        let is_stream = method.signature().stream;
        if is_stream && !call.reads_stream() {
            return Err(needs_stream(call));
        }
        let arguments = Arguments { positional: call.args, keyword: call.kwargs };
        let permit = self.permit(position, is_stream, arguments)?;
        let mut context = context(call, position, received);
        context.waiting = Some(seen.waiting());
        let deadline = deadline(&self.state.limits, &call.meta, received);
        let held = Held { permit: None, cancelled: Some(seen.guard()) };
        let request = layered::request(&self.state, position, method, seen, arguments, permit);
        if is_stream {
            let deadline = call.meta.deadline_ms.map(|_| deadline);
            let items = layered::items(next, request);
            self.calls.start_stream(context, items, deadline, held);
        } else {
            self.calls.start(context, layered::unary(next, request), deadline, held);
        }
        self.classic_is_running |= call.reply_to.is_classic();
        Ok(())
    }

    fn call_reserved(
        &mut self,
        reserved: Reserved,
        call: &Call<'_>,
        given: Arguments<'_>,
        received: Instant,
    ) -> Result<(), Fault> {
        let as_stream = call.reads_stream();
        match reserved {
            Reserved::Logs if !as_stream => Err(needs_stream(call)),
            Reserved::Logs => {
                let items = reserved::logs(&self.state, given)?;
                let place = self.places().log_stream()?;
                let permit = Permit::new(&self.state, usize::MAX, place, None);
                let deadline = deadline(&self.state.limits, &call.meta, received);
                let deadline = call.meta.deadline_ms.map(|_| deadline);
                let held = Held { permit: Some(permit), cancelled: None };
                let context = context(call, usize::MAX, received);
                self.calls.start_stream(context, items, deadline, held);
                Ok(())
            }
            Reserved::Whoami => {
                let whoami = match &mut self.visitor {
                    Some(visitor) => visitor.whoami()?,
                    None => Guard::whoami_of_anyone(),
                };
                if !call.meta.oneway {
                    self.write_result(call.reply_to, as_stream, &reserved::json(&whoami));
                }
                Ok(())
            }
            Reserved::Report(report) => {
                // The statistics include this connection's calls that have just finished.
                self.end_turn();
                let result = reserved::report(&self.state, report, received);
                match result {
                    _ if call.meta.oneway => {}
                    Reported::Shared(json) => self.write_shared(call.reply_to, as_stream, json),
                    Reported::Own(json) => self.write_result(call.reply_to, as_stream, &json),
                }
                Ok(())
            }
        }
    }

    /// The reply to a call that the caller may not make: not at once, so that trying is slow, except to a
    /// probe, which carries no token and asks only for a sign of life.
    pub(super) fn refuse_unauthorised(
        &mut self,
        call: &Call<'_>,
        fault: &Fault,
        received: Instant,
    ) {
        if is_probe(call) {
            return self.reply_fault(call, fault);
        }
        let fault = match self.state.refusals.note(self.peer.ip(), self.now) {
            Ok(()) => fault.clone(),
            Err(refusals::TooMany) => {
                self.is_heard_no_more = self.serves_stranger();
                refused_too_often()
            }
        };
        if call.meta.oneway || self.in_flight() >= self.state.limits.max_calls_per_connection {
            return self.reply_fault(call, &fault);
        }
        let reply = async move {
            sleep(refusals::DELAY).await;
            Err(fault)
        };
        let nothing = Held { permit: None, cancelled: None };
        let deadline = received.max(self.now) + 10 * refusals::DELAY;
        self.calls.start(context(call, usize::MAX, received), reply.boxed(), deadline, nothing);
        self.classic_is_running |= call.reply_to.is_classic();
    }

    /// # Errors
    /// There are as many calls as there may be, or too much is kept for them to keep these arguments, too.
    fn permit(
        &mut self,
        method: usize,
        is_stream: bool,
        arguments: Arguments<'_>,
    ) -> Result<Permit, Fault> {
        if arguments.len() > SMALL_BYTES && self.state.buffers.are_full() {
            let most = self.state.limits.max_buffered_bytes;
            return Err(too_much_kept(most, "wait, or call another instance"));
        }
        let most = self.state.limits.max_calls_per_connection;
        if self.in_flight() + self.calls_elsewhere >= most {
            let text = format!(
                "busy: limit of {} in flight on this connection (max_calls_per_connection); wait, or \
                 open another",
                counted(most, "call")
            );
            return Err(Fault::new(Code::Overloaded, text));
        }
        let place = match self.place.take() {
            Some(place) => place,
            None => self.places().call()?,
        };
        let stream = is_stream.then(|| self.places().stream()).transpose()?;
        Ok(Permit::new(&self.state, method, place, stream))
    }

    pub(super) fn places(&mut self) -> &PlacesOfPeer {
        self.places.get_or_insert_with(|| self.state.places.of(self.peer.ip()))
    }
}

/// Whether it asks for a sign of life only, as those do who show no secret to an address that they do not know yet.
fn is_probe(call: &Call<'_>) -> bool {
    call.method == paths::RPC_HEALTH && call.token.is_none()
}

fn context(call: &Call<'_>, position: usize, received: Instant) -> CallContext {
    let mut context = CallContext::new(call.reply_to, position, received);
    context.argument_bytes =
        [call.args, call.kwargs].into_iter().flatten().map(|json| json.text().len()).sum();
    context.oneway = call.meta.oneway;
    context.is_stream = call.reads_stream();
    context
}

fn deadline(limits: &Limits, meta: &Meta, received: Instant) -> Instant {
    received + time_limit(limits, meta)
}

/// The deadline of a call, from its arrival.
pub(super) fn time_limit(limits: &Limits, meta: &Meta) -> Duration {
    match meta.deadline_ms {
        Some(ms) => Duration::from_millis(ms).min(limits.max_deadline),
        None => limits.default_deadline,
    }
}

/// The call as a method sees it.
fn seen_by_method(
    state: &ServerState,
    method: &Method,
    call: &Call<'_>,
    (peer, caller): (SocketAddr, Option<&Identity>),
    received: Instant,
) -> call::Call {
    let has_deadline = call.meta.deadline_ms.is_some() || !method.signature().stream;
    call::Call::new(call::Facts {
        method: call.method.as_ref().into(),
        // A session without a socket has no port.
        peer: (peer.port() != 0).then_some(peer),
        deadline: has_deadline.then(|| deadline(&state.limits, &call.meta, received)),
        dialect: match call.reply_to {
            ReplyTo::Classic => Dialect::Classic,
            ReplyTo::Extended(_) => Dialect::Extended,
            ReplyTo::JsonRpc(_) => Dialect::JsonRpc,
        },
        traceparent: call.traceparent.and_then(trace),
        identity: caller.map(|caller| call::Identity::named(&caller.name)),
    })
}

/// The trace that the caller is part of. What is none starts no other, and is not kept.
fn trace(given: Json<'_>) -> Option<Box<str>> {
    given.as_string().filter(|text| is_traceparent(text)).map(Into::into)
}

/// What a call of a method needs that the server does not have: who may not call methods does not learn
/// which there are.
pub(super) const UNKNOWN: Permission = Permission::Needs(Role::Call);

/// What a call is for.
enum Target<'a> {
    Reserved(Reserved),
    /// A method and its position.
    Method(usize, &'a Method),
    /// One of those that come and go.
    Replaceable(Found),
    /// Nothing that the server has.
    Unknown,
}

impl<'a> Target<'a> {
    /// `last` is the position of the method that was called before.
    #[inline]
    fn find(state: &'a ServerState, name: &str, last: usize) -> Self {
        match Reserved::find(name) {
            Some(reserved) => Self::Reserved(reserved),
            None => match state.methods.find(name, last) {
                Some((position, method)) => Self::Method(position, method),
                None => state.catalogue.find(name).map_or(Self::Unknown, Self::Replaceable),
            },
        }
    }

    /// What it needs.
    fn permission(&self) -> Permission {
        match self {
            Self::Reserved(reserved) => reserved.permission(),
            Self::Method(_, method) => method.permission(),
            Self::Replaceable(found) => found.get().map_or(UNKNOWN, |(_, it)| it.permission()),
            Self::Unknown => UNKNOWN,
        }
    }
}

/// Who calls, if it may do that.
///
/// # Errors
/// It may not; the reply.
fn let_in(
    visitor: &mut Visitor,
    state: &ServerState,
    call: &Call<'_>,
    target: &Target<'_>,
) -> Result<Option<Arc<Identity>>, Fault> {
    if let Some(token) = call.token {
        visitor.show(token.expose().into_owned().into())?;
    }
    visitor.may(target.permission(), state.object())?;
    Ok(visitor.identity().ok().flatten().cloned())
}

/// A limit of the peer: others may still be told why they are refused.
fn refused_too_often() -> Fault {
    Fault::over_limit("refusals_per_peer", refusals::TooMany.to_string())
}

fn no_such_method(name: &str) -> Fault {
    const SHOWN: usize = 256;
    let name = match name.char_indices().nth(SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &name[..end])),
        None => Cow::Borrowed(name),
    };
    Fault::method_not_found(name)
}

fn needs_stream(call: &Call<'_>) -> Fault {
    let method = &call.method;
    let text = match call.reply_to {
        ReplyTo::JsonRpc(_) => format!(
            "{method}() is a stream, which JSON-RPC does not have; call it with method_name, an id and \
             meta.stream"
        ),
        _ => format!("{method}() is a stream; call it with an id and meta.stream"),
    };
    Fault::bad_arguments(text)
}
