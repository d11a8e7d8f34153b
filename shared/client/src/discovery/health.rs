//! What is known of the health of one instance: pure, time and randomness are passed in.
//!
//! | state | gets calls | left by |
//! |---|---|---|
//! | `Up` | its share | silence: `Suspect`; failures: `Ejected` |
//! | `Suspect` | no | a sign of life: `Up`; silence that lasts for `min_ejection`: `Ejected` |
//! | `Ejected` | no | time: `Probing` |
//! | `Probing` | no | the probe: `SlowStart`, or `Ejected` for twice as long |
//! | `SlowStart` | a trial call, then a share that grows | time: `Up`; failures: `Ejected` for twice as long; silence: `Suspect` |
//!
//! [`get_calls`] decides for several of them, so that never too many get no calls.

use std::time::Duration;

use rand::{Rng, RngExt};
use tokio::time::Instant;

use rpc_wire::mutants::mutant;

use crate::deadline::after;
use crate::error::cut;
use crate::{EjectionOptions, InstanceHealth, InstanceState};

/// Each ejection is shortened by up to this part, so that clients do not probe in step.
const JITTER: f64 = 0.1;
/// The share at the beginning of a slow start.
const FIRST_SHARE: f64 = 0.1;
/// Pings of a peer that answers them and nothing else become rarer, up to this many intervals.
const RAREST_PING: u32 = 4;

/// The health of one instance.
#[derive(Debug)]
pub(super) struct Health {
    state: State,
    since: Instant,
    /// Why it is not up.
    trouble: Option<Trouble>,
    /// How often it was ejected, or found down by a probe, since it was last well for long.
    ejections: u32,
    silence: Silence,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Up,
    Suspect,
    Ejected { probe_at: Instant },
    Probing,
    SlowStart,
}

#[derive(Debug)]
struct Trouble {
    cause: Cause,
    reason: String,
    since: Instant,
}

/// Why an instance gets no calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It said so itself: it refuses connections, or is draining. That is no judgement, and has no limit.
    Gone,
    /// It does not answer.
    Silent,
    /// It fails or is slow where others are not.
    Outlier,
}

/// When a peer with calls in flight last showed a sign of life.
#[derive(Debug)]
struct Silence {
    /// Bytes received, when that last changed.
    heard: u64,
    since: Instant,
    /// When it is pinged next, if it stays silent, counted from `since`.
    ping_after: Duration,
    is_pinging: bool,
}

/// Whether an instance gets calls, as far as it goes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It gets calls; during a slow start, the time of its beginning is given.
    Serves(Option<Instant>),
    /// It failed in comparison to others, or is silent, since then.
    SetAside(Instant),
    Gone,
}

/// What to do after a look at a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Nothing,
    Ping,
    /// Its state changed: it showed a sign of life.
    Revived,
}

impl Health {
    pub(super) fn new(now: Instant) -> Self {
        let silence =
            Silence { heard: 0, since: now, ping_after: Duration::ZERO, is_pinging: false };
        Self { state: State::Up, since: now, trouble: None, ejections: 0, silence }
    }

    /// Ejects it, unless it is ejected already; whether that is news.
    pub(super) fn eject(
        &mut self,
        (cause, reason): (Cause, &str),
        now: Instant,
        options: &EjectionOptions,
        rng: &mut (impl Rng + ?Sized),
    ) -> bool {
        match self.state {
            _ if mutant("ejects-nobody") => return false,
            State::Ejected { .. } | State::Probing => return false,
            // It was well for long: earlier troubles are forgotten.
            State::Up if now >= after(self.since, options.failure_window) => self.ejections = 0,
            State::Up | State::Suspect | State::SlowStart => {}
        }
        let since = match &self.trouble {
            Some(trouble) if matches!(self.state, State::Suspect) => trouble.since,
            _ => now,
        };
        self.trouble = Some(Trouble { cause, reason: cut(reason), since });
        self.eject_until(now, now, options, rng);
        true
    }

    /// Ejects it for twice as long as the last time, counted from `from`.
    fn eject_until(
        &mut self,
        from: Instant,
        now: Instant,
        options: &EjectionOptions,
        rng: &mut (impl Rng + ?Sized),
    ) {
        self.ejections = self.ejections.saturating_add(1);
        let doublings = self.ejections.saturating_sub(1).min(16);
        let most = options.max_ejection.max(options.min_ejection);
        let full = options.min_ejection.saturating_mul(1 << doublings).min(most);
        let full = if mutant("ejection-never-ends") { full * 10_000 } else { full };
        let delay = full.mul_f64(1.0 - JITTER * rng.random_range(0.0..=1.0));
        self.set(State::Ejected { probe_at: after(from, delay).max(now) }, now);
    }

    /// How often it was ejected, or found down by a probe, since it was last well for long.
    pub(super) fn ejections(&self) -> u32 {
        self.ejections
    }

    /// When something is due without any news: the probe, or the end of the slow start.
    pub(super) fn due(&self, options: &EjectionOptions) -> Option<Instant> {
        match self.state {
            State::Ejected { probe_at } => Some(probe_at),
            State::SlowStart => Some(after(self.since, options.slow_start_window)),
            State::Up | State::Suspect | State::Probing => None,
        }
    }

    /// Whether it is to be probed now; then it counts as being probed.
    pub(super) fn begin_probe(&mut self, now: Instant) -> bool {
        let is_due = matches!(self.state, State::Ejected { probe_at } if probe_at <= now);
        if is_due {
            self.set(State::Probing, now);
        }
        is_due
    }

    /// Takes the result of a probe.
    pub(super) fn probed(
        &mut self,
        is_up: bool,
        now: Instant,
        options: &EjectionOptions,
        rng: &mut (impl Rng + ?Sized),
    ) {
        if !matches!(self.state, State::Probing) {
            return;
        }
        if is_up {
            self.set(State::SlowStart, now);
            self.silence.restart(now);
        } else {
            // From the beginning of the probe, so that one that finds nobody delays the next one no further.
            self.eject_until(self.since, now, options, rng);
        }
    }

    /// Ends a slow start whose time is over; whether it did.
    pub(super) fn end_slow_start(&mut self, now: Instant, options: &EjectionOptions) -> bool {
        let is_over = matches!(self.state, State::SlowStart)
            && now >= after(self.since, options.slow_start_window);
        if is_over {
            self.set_up(now);
        }
        is_over
    }

    /// Looks whether it is silent: `heard` counts the bytes that came from it, and calls are in flight if it
    /// `is_busy`.
    pub(super) fn look(
        &mut self,
        (heard, is_busy): (u64, bool),
        may_ping: bool,
        now: Instant,
        options: &EjectionOptions,
    ) -> Look {
        let has_spoken = heard != self.silence.heard;
        if has_spoken {
            self.silence.heard = heard;
        }
        match self.state {
            State::Suspect if has_spoken => {
                self.set_up(now);
                self.silence.restart(now);
                return Look::Revived;
            }
            State::Ejected { .. } if has_spoken && self.is_silent() => {
                self.state = State::Ejected { probe_at: now };
                return Look::Revived;
            }
            State::Ejected { .. } | State::Probing => return Look::Nothing,
            State::Up | State::SlowStart if has_spoken || !is_busy => {
                self.silence.restart(now);
                return Look::Nothing;
            }
            State::Up | State::SlowStart | State::Suspect => {}
        }
        let wait = self.silence.ping_after.max(options.ping_interval);
        if !may_ping || self.silence.is_pinging || now < after(self.silence.since, wait) {
            return Look::Nothing;
        }
        self.silence.is_pinging = true;
        Look::Ping
    }

    /// It is not pinged, because there is no other instance to call.
    pub(super) fn is_alone(&mut self, now: Instant) {
        self.silence.is_pinging = false;
        self.silence.restart(now);
    }

    /// Takes the result of a ping; whether its state changed.
    pub(super) fn pinged(
        &mut self,
        answered: bool,
        heard: u64,
        now: Instant,
        options: &EjectionOptions,
        rng: &mut (impl Rng + ?Sized),
    ) -> bool {
        self.silence.is_pinging = false;
        if answered || heard != self.silence.heard {
            self.silence.heard = heard;
            self.silence.answered(now, options);
            let was_suspect = matches!(self.state, State::Suspect);
            if was_suspect {
                self.set_up(now);
            }
            return was_suspect;
        }
        let silent = now.saturating_duration_since(self.silence.since);
        let reason = format!("its calls and a ping got no answer for {}", crate::Rounded(silent));
        match self.state {
            State::Up | State::SlowStart => {
                self.trouble = Some(Trouble { cause: Cause::Silent, reason, since: now });
                self.set(State::Suspect, now);
                true
            }
            State::Suspect if now >= after(self.since, options.min_ejection) => {
                self.eject((Cause::Silent, &reason), now, options, rng)
            }
            State::Suspect | State::Ejected { .. } | State::Probing => false,
        }
    }

    fn is_silent(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.cause == Cause::Silent)
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up)
    }

    pub(super) fn is_suspect(&self) -> bool {
        matches!(self.state, State::Suspect)
    }

    pub(super) fn standing(&self) -> Standing {
        match (self.state, &self.trouble) {
            (State::Up, _) => Standing::Serves(None),
            (State::SlowStart, _) => Standing::Serves(Some(self.since)),
            (_, Some(Trouble { cause: Cause::Gone, .. })) => Standing::Gone,
            (_, trouble) => {
                Standing::SetAside(trouble.as_ref().map_or(self.since, |trouble| trouble.since))
            }
        }
    }

    /// For people.
    pub(super) fn describe(&self, now: Instant, options: &EjectionOptions) -> InstanceHealth {
        InstanceHealth {
            state: match self.state {
                State::Up => InstanceState::Up,
                State::Suspect => InstanceState::Suspect,
                State::Ejected { .. } => InstanceState::Ejected,
                State::Probing => InstanceState::Probing,
                State::SlowStart => InstanceState::SlowStart,
            },
            reason: self.trouble.as_ref().map(|trouble| trouble.reason.clone()),
            since: now.saturating_duration_since(self.since),
            left: self.due(options).map(|at| at.saturating_duration_since(now)),
        }
    }

    fn set_up(&mut self, now: Instant) {
        self.trouble = None;
        self.set(State::Up, now);
    }

    fn set(&mut self, state: State, now: Instant) {
        (self.state, self.since) = (state, now);
    }
}

impl Silence {
    fn restart(&mut self, now: Instant) {
        (self.since, self.ping_after) = (now, Duration::ZERO);
    }

    fn answered(&mut self, now: Instant, options: &EjectionOptions) {
        let rarest = options.ping_interval.saturating_mul(RAREST_PING);
        let rarer = self.ping_after.max(options.ping_interval).saturating_mul(2);
        (self.since, self.ping_after) = (now, rarer.min(rarest));
    }
}

/// The share of its usual calls that an instance gets at this point of a slow start that began `at`.
pub(super) fn share(at: Instant, now: Instant, options: &EjectionOptions) -> f64 {
    let passed = now.saturating_duration_since(at).as_secs_f64();
    let whole = options.slow_start_window.as_secs_f64();
    if passed >= whole { 1.0 } else { (passed / whole).max(FIRST_SHARE) }
}

/// Which of several instances get calls, by their standings. Those that are gone get none, unless all are. Of
/// the others at most `max_ejected_ratio` are set aside, and never all: those that were first.
pub(super) fn get_calls(standings: &[Standing], max_ejected_ratio: f64) -> Vec<bool> {
    let present = standings.iter().filter(|standing| **standing != Standing::Gone).count();
    if present == 0 {
        return vec![true; standings.len()];
    }
    // A float-to-integer cast saturates, and what is not a number becomes 0.
    let room = (present as f64 * max_ejected_ratio.clamp(0.0, 1.0)) as usize;
    let mut aside: Vec<(Instant, usize)> = standings
        .iter()
        .enumerate()
        .filter_map(|(index, standing)| match standing {
            Standing::SetAside(since) => Some((*since, index)),
            Standing::Serves(_) | Standing::Gone => None,
        })
        .collect();
    aside.sort_unstable();
    aside.truncate(room.min(present - 1));
    let mut chosen: Vec<bool> =
        standings.iter().map(|standing| *standing != Standing::Gone).collect();
    for (_, index) in aside {
        if let Some(gets_calls) = chosen.get_mut(index) {
            *gets_calls = false;
        }
    }
    chosen
}

#[cfg(test)]
mod tests;
