//! How long an HTTP connection lasts, and what ends it.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

use super::activity::Activity;
use super::caller::Caller;
use crate::places::connections::Slot;
use crate::state::ServerState;

/// How long the last replies may take to go out, once the server has ended; less than it waits for connections.
const LAST_REPLIES: Duration = Duration::from_millis(400);
/// How often a busy connection is looked at, at most.
const SHORTEST_LOOK: Duration = Duration::from_millis(10);

/// One connection, from its first request to its end.
pub(super) struct Lifecycle<'a> {
    state: &'a ServerState,
    caller: &'a Caller,
    activity: &'a Activity,
    slot: &'a mut Slot,
    pub(super) phase: Phase,
    pub(super) limit: Limit,
    /// Rings when it is to be looked at what the connection waits for.
    pub(super) quiet: Alarm,
    /// Since when a head has not been whole.
    part_since: Option<Instant>,
    /// Another connection may take the place of this one.
    gives_way: bool,
}

/// Whether the connection takes requests.
pub(super) enum Phase {
    Open,
    /// It was told to close, and takes those that are on their way until then.
    Draining(Alarm),
    /// The request in flight, if there is one, is the last.
    Closing,
}

/// Until when the connection may last, whatever it does.
pub(super) enum Limit {
    /// Its peer has not shown who it is; if that is late, its request in flight is the last.
    Stranger {
        until: Alarm,
        is_late: bool,
    },
    None,
    /// The server has ended.
    LastReplies(Alarm),
}

/// What follows from what has happened.
#[must_use]
pub(super) enum Next {
    GoOn,
    /// After the request in flight the connection ends.
    Finish,
    Close,
}

/// What of the connection's reads is to be noticed.
#[derive(Clone, Copy)]
pub(super) struct Noticing {
    had_part: bool,
    gives_way: bool,
}

impl<'a> Lifecycle<'a> {
    pub(super) fn new(
        state: &'a ServerState,
        caller: &'a Caller,
        activity: &'a Activity,
        slot: &'a mut Slot,
    ) -> Self {
        let limit = match caller.is_known() {
            true => Limit::None,
            false => Limit::Stranger {
                until: Alarm::at(slot.opened() + state.limits.unidentified_timeout),
                is_late: false,
            },
        };
        if caller.is_known() {
            slot.become_known();
        }
        Self {
            phase: Phase::Open,
            limit,
            quiet: Alarm::at(Instant::now() + look_interval(state)),
            part_since: None,
            gives_way: false,
            state,
            caller,
            activity,
            slot,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    pub(super) fn serves_stranger(&self) -> bool {
        matches!(self.limit, Limit::Stranger { .. })
    }

    /// Whether the server's end is still to be waited for: connections are told to close before that.
    pub(super) fn may_be_aborted(&self) -> bool {
        !self.is_open() && !matches!(self.limit, Limit::LastReplies(_))
    }

    pub(super) fn noticing(&self) -> Noticing {
        Noticing { had_part: self.part_since.is_some(), gives_way: self.gives_way }
    }

    /// Something was read, or the head that had begun is whole.
    pub(super) fn note_reads(&mut self) -> Next {
        // If it came too late, the connection is closing.
        if std::mem::take(&mut self.gives_way) {
            self.slot.resume();
        }
        self.part_since = self.activity.has_part().then(Instant::now);
        self.quiet = Alarm::at(Instant::now() + self.state.limits.request_timeout);
        Next::GoOn
    }

    /// The server drains, or another connection needs the place of this one.
    pub(super) fn close(&mut self) -> Next {
        let (is_draining, is_asking) =
            (self.state.draining.is_cancelled(), self.activity.is_asking());
        if self.serves_stranger() && !is_asking && !is_draining {
            // There is no time for a request that is not whole.
            return Next::Close;
        }
        if !is_draining {
            self.phase = Phase::Closing;
            return Next::Finish;
        }
        self.caller.begin_drain();
        // A request may be on its way, which must not meet a closed socket.
        let time = if is_asking { Duration::ZERO } else { self.state.limits.close_timeout };
        self.phase = Phase::Draining(Alarm::at(Instant::now() + time));
        Next::GoOn
    }

    /// What was on its way has had its time.
    pub(super) fn end_drain(&mut self) -> Next {
        self.phase = Phase::Closing;
        Next::Finish
    }

    pub(super) fn become_known(&mut self) -> Next {
        self.limit = Limit::None;
        self.slot.become_known();
        Next::GoOn
    }

    /// The server has ended.
    pub(super) fn abort(&mut self) -> Next {
        self.limit = Limit::LastReplies(Alarm::at(Instant::now() + LAST_REPLIES));
        Next::GoOn
    }

    /// Looks how long the connection has waited for a request, or for the rest of one.
    pub(super) fn check_quiet(&mut self) -> Next {
        let (now, limits) = (Instant::now(), &self.state.limits);
        let until = match (self.activity.waits_since(), self.part_since) {
            (None, _) => now + look_interval(self.state),
            (Some(_), Some(part)) => part + limits.request_timeout,
            (Some(since), None) => {
                let patience = since + Slot::patience(limits);
                if !self.gives_way && !self.serves_stranger() && now >= patience {
                    self.activity.forget_reads();
                    self.slot.give_way(since);
                    self.gives_way = true;
                }
                let end = since + limits.idle_timeout;
                if now < patience { patience.min(end) } else { end }
            }
        };
        if until <= now {
            return Next::Close;
        }
        self.quiet = Alarm::at(until);
        Next::GoOn
    }

    /// The connection has lasted as long as it may.
    pub(super) fn reach_limit(&mut self) -> Next {
        match &mut self.limit {
            Limit::Stranger { until, is_late: is_late @ false } if self.activity.is_asking() => {
                // The request in flight has as long again to show who sends it.
                *is_late = true;
                *until = Alarm::at(Instant::now() + self.state.limits.unidentified_timeout);
                Next::Finish
            }
            _ => Next::Close,
        }
    }
}

impl Phase {
    /// Waits until requests on their way have had their time, if they have some.
    pub(super) async fn drained(&mut self) {
        match self {
            Self::Draining(until) => until.rings().await,
            Self::Open | Self::Closing => pending().await,
        }
    }
}

impl Limit {
    pub(super) async fn is_reached(&mut self) {
        match self {
            Self::Stranger { until, .. } | Self::LastReplies(until) => until.rings().await,
            Self::None => pending().await,
        }
    }
}

/// Serves until the connection ends, `Some`, or there is something to notice.
pub(super) async fn serve_turns<T>(
    mut serving: Pin<&mut impl Future<Output = T>>,
    activity: &Activity,
    noticing: Noticing,
) -> Option<T> {
    poll_fn(|context| {
        activity.begin_turn();
        match serving.as_mut().poll(context) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if activity.has_part() != noticing.had_part => Poll::Ready(None),
            Poll::Pending if noticing.gives_way && activity.was_read() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn look_interval(state: &ServerState) -> Duration {
    let limits = &state.limits;
    limits.request_timeout.min(Slot::patience(limits)).max(SHORTEST_LOOK)
}

/// A timer of one task, which looks at it whenever it does anything: it is polled once, and when it is due.
pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    is_set: bool,
}

impl Alarm {
    fn at(until: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(until.into())), is_set: false }
    }

    /// Waits until it is due.
    pub(super) async fn rings(&mut self) {
        poll_fn(|context| self.poll(context)).await;
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_set && !self.sleep.is_elapsed() {
            return Poll::Pending;
        }
        self.is_set = true;
        self.sleep.as_mut().poll(context)
    }
}
