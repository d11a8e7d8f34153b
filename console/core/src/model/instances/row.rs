//! One instance: what was told of it, and what its age makes of it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rpc_wire::instance::{Instance, InstanceKey, InstanceRecord, InstanceState};

/// How many beat intervals and round trips are remembered for their small graphs.
const GRAPH_POINTS: usize = 12;

/// A duration that was so long at some moment, and has been growing since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aged {
    then: Duration,
    at: Instant,
}

impl Aged {
    /// It is `ms` milliseconds long at `at`.
    pub fn new(ms: u64, at: Instant) -> Self {
        Self { then: Duration::from_millis(ms), at }
    }

    /// How long it is now.
    pub fn now(self, now: Instant) -> Duration {
        self.then.saturating_add(now.saturating_duration_since(self.at))
    }

    /// When it will be `length` long, if that is still to come.
    pub fn reaches(self, length: Duration) -> Option<Instant> {
        self.at.checked_add(length.checked_sub(self.then)?)
    }
}

/// What an instance is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It beats as it should.
    Up,
    /// Its heartbeat is overdue, but its TTL has not passed.
    Late,
    /// Its TTL passed, but the registry's probe reached it.
    Suspect,
    /// It is shutting down.
    Draining,
    /// An operator keeps it out of use.
    Maintenance,
    /// The registry is unreachable.
    Unknown,
    /// It is not listed any more.
    Gone,
}

/// Why an instance is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It unregistered.
    Unregistered,
    /// Its heartbeats stopped.
    Expired,
    /// The list no longer has it.
    Unlisted,
}

/// What the console's own probe of an instance says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Probe {
    /// Not probed yet.
    #[default]
    None,
    /// It replied.
    Replied(Duration),
    /// It did not, for this reason.
    Failed(String),
}

impl Probe {
    /// The round trip, if it answered.
    pub fn rtt(&self) -> Option<Duration> {
        match self {
            Self::Replied(rtt) => Some(*rtt),
            Self::None | Self::Failed(_) => None,
        }
    }
}

/// One instance.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its identity.
    pub key: InstanceKey,
    /// What it registered.
    pub instance: Instance,
    /// Time since its last heartbeat; unknown with an older registry.
    pub last_beat: Option<Aged>,
    /// Time since it registered.
    pub registered: Option<Aged>,
    /// From a heartbeat to expiry.
    pub ttl: Duration,
    /// Heartbeats counted by the registry.
    pub heartbeats: Option<u64>,
    /// Its state as the registry reports it.
    pub reported: InstanceState,
    /// When and why it went.
    pub gone: Option<(Instant, Gone)>,
    /// When something about it last changed.
    pub changed_at: Option<Instant>,
    /// Whether the last judgement was "late".
    pub was_late: bool,
    /// The console's own probe.
    pub probe: Probe,
    /// How many methods it has, when known.
    pub methods: Option<usize>,
    /// Seconds between its last beats.
    pub intervals: VecDeque<f64>,
    /// Seconds that its last answers to a probe took.
    pub round_trips: VecDeque<f64>,
    address: (Option<IpAddr>, String, u16),
}

impl Row {
    /// A newly listed instance.
    pub fn new(instance: Instance, now: Instant) -> Self {
        let key = instance.key();
        Self {
            address: (key.host.parse().ok(), key.host.clone(), key.port),
            key,
            instance,
            last_beat: None,
            registered: None,
            ttl: Duration::from_secs(10),
            heartbeats: None,
            reported: InstanceState::Up,
            gone: None,
            changed_at: Some(now),
            was_late: false,
            probe: Probe::None,
            methods: None,
            intervals: VecDeque::new(),
            round_trips: VecDeque::new(),
        }
    }

    /// Applies a record of the registry.
    pub fn apply(&mut self, record: InstanceRecord, now: Instant) {
        self.beat(record.age_ms, record.heartbeats, now);
        self.registered = Some(Aged::new(record.registered_ms_ago, now));
        self.ttl = Duration::from_millis(record.ttl_ms.max(1));
        self.reported = record.state;
        self.instance = record.instance;
    }

    /// Applies a heartbeat.
    pub fn beat(&mut self, age_ms: u64, heartbeats: u64, now: Instant) {
        let beat = Aged::new(age_ms, now);
        if let (Some(last), Some(count)) = (self.last_beat, self.heartbeats)
            && heartbeats == count.wrapping_add(1)
        {
            let interval = last.now(now).saturating_sub(beat.now(now));
            push_bounded(&mut self.intervals, interval.as_secs_f64());
        }
        self.last_beat = Some(beat);
        self.heartbeats = Some(heartbeats);
    }

    /// Applies the result of a probe.
    pub fn apply_probe(&mut self, result: Result<Duration, String>) {
        self.probe = match result {
            Ok(rtt) => {
                push_bounded(&mut self.round_trips, rtt.as_secs_f64());
                Probe::Replied(rtt)
            }
            Err(error) => Probe::Failed(error),
        };
    }

    /// An older registry tells no ages; what an earlier one told is no longer true.
    pub fn forget_ages(&mut self) {
        (self.last_beat, self.registered, self.heartbeats) = (None, None, None);
        self.reported = InstanceState::Up;
        self.was_late = false;
    }

    /// Time since the last heartbeat.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.last_beat.map(|beat| beat.now(now))
    }

    /// Time since it registered.
    pub fn registered(&self, now: Instant) -> Option<Duration> {
        self.registered.map(|since| since.now(now))
    }

    /// A heartbeat older than this is late: seven tenths of the time to expiry.
    pub fn late_after(&self) -> Duration {
        self.ttl * 7 / 10
    }

    /// Whether its heartbeat is overdue.
    pub fn is_late(&self, now: Instant) -> bool {
        self.age(now).is_some_and(|age| age >= self.late_after())
    }

    /// What it is worth. `live` is whether the registry is reached.
    pub fn state(&self, now: Instant, live: bool) -> State {
        match self.reported {
            _ if self.gone.is_some() => State::Gone,
            _ if !live => State::Unknown,
            InstanceState::Suspect => State::Suspect,
            InstanceState::Draining => State::Draining,
            InstanceState::Maintenance => State::Maintenance,
            InstanceState::Up if self.is_late(now) => State::Late,
            InstanceState::Up => State::Up,
        }
    }

    /// The word for its state, as the table writes it.
    pub fn state_text(&self, now: Instant, live: bool) -> &'static str {
        match self.state(now, live) {
            State::Up => "up",
            State::Late => "late",
            State::Suspect => "suspect",
            State::Draining => "draining",
            State::Maintenance => "maint.",
            State::Unknown if self.was_late => "was late",
            State::Unknown => "was up",
            State::Gone if self.gone.is_some_and(|(_, why)| why == Gone::Unregistered) => "left",
            State::Gone => "gone",
        }
    }

    pub(super) fn address_order(&self) -> &(Option<IpAddr>, String, u16) {
        &self.address
    }

    /// What a filter looks at: address, state, and each parameter as `name: value`.
    pub(super) fn filter_texts(&self, now: Instant, live: bool) -> Vec<String> {
        let mut texts = vec![self.key.to_string(), self.state_text(now, live).to_owned()];
        let parameters = self.instance.parameters.iter();
        texts.extend(parameters.map(|(name, value)| format!("{name}: {value}")));
        texts
    }
}

fn push_bounded(values: &mut VecDeque<f64>, value: f64) {
    if values.len() == GRAPH_POINTS {
        values.pop_front();
    }
    values.push_back(value);
}
